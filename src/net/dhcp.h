/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/dhcp.h - an IPv4 address from a DHCP server (RFC 2131) for an interface of a sandbox: asked for before
 * anything of the inside runs, and renewed by a small process as long as the monitor lives.
 *
 * Packets are whole IPv4 packets over a packet socket, for the interface has no address yet. The process has
 * its three descriptors, the id of nobody and CAP_NET_ADMIN.
 */
#ifndef KENNEL_NET_DHCP_H
#define KENNEL_NET_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DHCP_PACKET 576 /* of ours, and what every server sends at most unless it is told otherwise */
#define DHCP_PACKET_MAX 1500
#define DHCP_DNS_MAX 3

enum dhcp_kind {
	DHCP_NONE = 0,
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
};

struct dhcp_client {
	uint8_t mac[6];
	uint32_t transaction;
	char hostname[64];
};

struct dhcp_lease {
	uint8_t address[4], server[4];
	unsigned prefix;
	uint8_t gateway[4]; /* 0.0.0.0: none */
	uint8_t dns[DHCP_DNS_MAX][4];
	unsigned n_dns;
	uint32_t seconds;
};

/*
 * A packet of that kind: REQUEST with the offered lease, or, renew, with one that is had. Return: its
 * length. Pure.
 */
size_t dhcp_build(enum dhcp_kind kind, const struct dhcp_client *c, const struct dhcp_lease *lease,
		  bool renew, uint8_t ret[DHCP_PACKET]);
/* What a server says to that client; DHCP_NONE: it is something else. Pure. */
enum dhcp_kind dhcp_parse(const uint8_t *packet, size_t size, const struct dhcp_client *c,
			  struct dhcp_lease *ret);

/*
 * In the network namespace of the interface: a socket that gets nothing but what DHCP servers say. -1 and
 * errno.
 */
int dhcp_open(unsigned index);
/* Asks until a server gives an address, some seconds long. 1, or 0 nobody did; -1 and errno. */
int dhcp_acquire(int socket_fd, unsigned index, struct dhcp_client *c, struct dhcp_lease *ret);

struct dhcp_keep {
	int socket_fd, nl_fd; /* of the interface's namespace */
	int monitor_pidfd;
	unsigned index;
	struct dhcp_client client;
	struct dhcp_lease lease;
};

/* Puts the address and the gateway there. System calls only. -1 and errno. */
int dhcp_apply(int nl_fd, unsigned index, const struct dhcp_lease *lease);
int dhcp_keep_start(const struct dhcp_keep *k, int *ret_pidfd, struct kennel_error **err) MUST_CHECK;

#endif
