/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/rules.h - the machine's packet rules for one sandbox: the way out of kennel's own bridge, and
 * published ports.
 *
 * Each sandbox has a table of its own, which belongs to the socket that made it (NFT_TABLE_F_OWNER, Linux
 * 5.12): it goes with the last descriptor of that, whatever happens to us, and until then nobody else
 * changes it: not Docker, not ufw, not "nft flush ruleset". Nor do we ever touch a table of theirs. Messages
 * of our own, so nothing has to be installed.
 */
#ifndef KENNEL_NET_RULES_H
#define KENNEL_NET_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_rules_port {
	int at_family; /* AF_INET, AF_INET6; 0: all addresses of the machine */
	uint8_t at[16];
	uint16_t outside, inside;
	bool udp;
};

struct net_rules {
	const char *table;
	const char *device; /* of the machine, behind which the sandbox is */
	const uint8_t *inside4, *inside6; /* its addresses, or NULL */
	bool masquerade; /* to everywhere else its packets have the machine's address */
	unsigned prefix4, prefix6; /* length of its network, whose others come by published ports, too */
	bool loopback; /* ports are published on 127.0.0.1, too; from that device nobody else comes there */
	const struct net_rules_port *ports;
	size_t n_ports;
};

/* In the network namespace of this thread. Return: the descriptor that holds them; -1 and errno. */
int net_rules_make(const struct net_rules *r);
/*
 * What a sandbox itself sends to that IPv4 address and UDP port goes to the port on its loopback. In its
 * namespace. Return: as above.
 */
int net_rules_lead(const uint8_t from[4], uint16_t from_port, uint16_t port);
/*
 * Does another table drop what is to be forwarded by default, as Docker's and ufw's do? *ret: whether. -1
 * and errno.
 */
int net_rules_forward_drops(bool *ret);

#endif
