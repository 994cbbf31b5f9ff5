/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/network.h - the words of --net and --publish; pure.
 *
 *   KIND[:WHAT][,OPTION[=VALUE]]...       bridge:br0,name=eth0,ip=10.0.3.5/24,gw=10.0.3.1
 *
 * auto, none, host, nat, private:NAME, ns:PATH and container:NAME say what network there is at all, so the
 * last one counts; but nat and private:NAME may be had together.
 * private alone, veth, bridge and macvlan are interfaces in a network of its own: each adds one.
 */
#ifndef KENNEL_CONF_NETWORK_H
#define KENNEL_CONF_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define NETWORK_NAME_SIZE 16            /* IFNAMSIZ, with the NUL */
#define NETWORK_MAX_ADDRESSES 8         /* of one interface */
#define NETWORK_MAX_INTERFACES 32
#define NETWORK_MAX_PORTS 256

/* INTERFACES: those of spec->interfaces */
enum spec_net {
	SPEC_NET_AUTO, /* nat, or none and a remark */
	SPEC_NET_NONE,
	SPEC_NET_HOST,
	SPEC_NET_NAT,
	SPEC_NET_NS,
	SPEC_NET_CONTAINER,
	SPEC_NET_PRIVATE, /* private:NAME, what an ordinary user's sandboxes reach each other on */
	SPEC_NET_INTERFACES,
};

enum spec_link { SPEC_LINK_PRIVATE, SPEC_LINK_VETH, SPEC_LINK_BRIDGE, SPEC_LINK_MACVLAN };

struct spec_address {
	uint8_t family;                 /* 4 or 6; 0: none */
	uint8_t prefix;
	uint8_t bytes[16];              /* network order; 4 of them for family 4 */
};

struct spec_interface {
	enum spec_link kind;
	/*
	 * outside: the bridge, the device below a macvlan, the other end of a veth; "": kennel's own choice
	 */
	char link[NETWORK_NAME_SIZE];
	char name[NETWORK_NAME_SIZE]; /* inside; "": see network_name() */
	struct spec_address addresses[NETWORK_MAX_ADDRESSES];
	unsigned n_addresses;
	struct spec_address gateways[2]; /* IPv4, IPv6 */
	struct spec_address outer[2];   /* addresses of the end outside: IPv4, IPv6 */
	bool has_mac;
	uint8_t mac[6];
	uint32_t mtu;                   /* 0: the kernel's choice */
	bool slaac, dhcp;
};

struct spec_port {
	struct spec_address at;         /* family 0: all addresses of the machine */
	uint16_t outside, inside;
	bool udp;
};

struct spec;

/* Setters of the keys net and publish: see spec_set(). */
int network_set(struct spec *s, const char *value, struct kennel_error **err) MUST_CHECK;
int network_publish(struct spec *s, const char *value, struct kennel_error **err) MUST_CHECK;
/* What can't stand together. */
int network_check(const struct spec *s, struct kennel_error **err) MUST_CHECK;

/* The private network that it is on, alone or beside nat; or NULL. */
const char *network_private(const struct spec *s);
/* Could that be the name of an interface? */
bool network_is_name(const char *name);
/* Name inside of the i-th interface: its own, or the first free one of eth0, eth1, ... */
void network_name(const struct spec *s, size_t i, char ret[NETWORK_NAME_SIZE]);
/* "10.0.3.5", "fd00::1"; with /LEN where with_prefix. */
#define NETWORK_ADDRESS_TEXT 64
void network_address_text(const struct spec_address *a, bool with_prefix, char ret[NETWORK_ADDRESS_TEXT]);
/* "private", "veth", ... */
const char *network_link_name(enum spec_link kind);

#endif
