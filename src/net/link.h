/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/link.h - interfaces: made, put into a namespace, configured, removed; over a socket of netlink_open()
 * in the namespace that it is about. All return -1 and errno where nothing else is said. System calls only.
 */
#ifndef KENNEL_NET_LINK_H
#define KENNEL_NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is put into the sandbox. */
struct link_inner {
	const char *name;
	int netns_fd;
	const uint8_t *mac; /* six bytes, or NULL */
	uint32_t mtu; /* 0: the kernel's choice */
};

struct link_address {
	int family; /* AF_INET, AF_INET6 */
	const void *bytes;
	unsigned prefix;
	uint32_t seconds; /* it goes by itself after that; 0: it does not */
};

/* Its number: 0 there is none. */
int link_find(int nl_fd, const char *name, unsigned *ret_index);
/* A pair: one end inside; the other here, a port of the bridge with that number (0: of none). */
int link_make_veth(int nl_fd, const char *outer, unsigned bridge, const struct link_inner *inner);
int link_make_macvlan(int nl_fd, unsigned below, const struct link_inner *inner);
/* EEXIST where it is there. */
int link_make_bridge(int nl_fd, const char *name, const uint8_t mac[6]);
int link_is_bridge(int nl_fd, unsigned index, bool *ret);
/* Has it ports? */
int link_has_ports(int nl_fd, unsigned bridge, bool *ret);
int link_mac(int nl_fd, unsigned index, uint8_t ret[6]);
int link_set_up(int nl_fd, unsigned index);
/* ENODEV where there is none. */
int link_remove(int nl_fd, const char *name);
/*
 * At once usable: nobody is asked whether it is taken. One that is there and goes by itself has that time
 * anew.
 */
int link_add_address(int nl_fd, unsigned index, const struct link_address *a);
int link_remove_address(int nl_fd, unsigned index, int family, const void *address, unsigned prefix);
/* The way to everything else; the gateway need not be in a network of the interface's. */
int link_add_gateway(int nl_fd, unsigned index, int family, const void *gateway);
/* Its first IPv4 address; *ret_prefix 0: it has none. */
int link_first_address(int nl_fd, unsigned index, uint8_t ret[4], unsigned *ret_prefix);
/* Is an address of this namespace in that network, or that network in one of its own? */
int link_has_network(int nl_fd, const struct link_address *a, bool *ret);

#endif
