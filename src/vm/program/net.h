/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/net.h - the network: of the sandbox around (net-outer.c), of the guest (net-inner.c). */
#ifndef KENNEL_VM_PROGRAM_NET_H
#define KENNEL_VM_PROGRAM_NET_H

#include "vm/program/channel.h"

#define NET_CARDS_MAX 8
#define NET_MODULES "/modules.all" /* of the kernel, in the guest */
/* More than a frame of Ethernet the guest's driver takes in buffers that it rarely has. */
#define NET_MTU_MAX 1500

struct net_cards {
	char args[NET_CARDS_MAX][128]; /* of the kernel's command line */
	unsigned n;
	bool names; /* the loopback has the resolver of names behind it */
};

/*
 * Takes the interfaces of this network namespace over, but for the loopback: what the kernel is told, and,
 * in config, what the guest is. Return: 0, or -1 and errno; then there may be no network.
 */
int net_take_over(struct net_cards *ret, struct queue *config);

/* In the guest: one line of config. Return: 0 (also where it is about something else), or -1 and errno. */
int net_configure(const char *line);

#endif
