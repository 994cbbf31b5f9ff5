/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/clean.h - what a sandbox has of the machine's network, and how it goes again.
 *
 * An end of a pair goes with the sandbox's namespace, but later, when the kernel finds the time; rules go
 * with the socket that made them (net/nft.h). So what has to be removed are the ends, to have them gone at
 * once, and kennel's own bridge, by who leaves it last. Whoever changes that bridge holds the lock. System
 * calls only: the janitor does it, too.
 */
#ifndef KENNEL_NET_CLEAN_H
#define KENNEL_NET_CLEAN_H

#define NET_BRIDGE "kennel0"
#define NET_CLEAN_MAX 32
#define NET_NAME_SIZE 16

struct net_clean {
	int nl_fd; /* netlink_open(NETLINK_ROUTE) on the machine's side; below 1: nothing to do */
	int dir_fd; /* where the lock is */
	int rules_fd; /* holds the rules, or below 1 */
	int lock_fd; /* what net_lock() gave and net_unlock() has not had yet, or below 1 */
	int names_fd; /* the same of the rule inside that leads to the resolver of names */
	unsigned n;
	char outer[NET_CLEAN_MAX][NET_NAME_SIZE];
	_Bool bridge; /* it may be on kennel's own */
};

/* Notes the end of a pair before it is made: we may be killed anywhere. */
void net_clean_note(struct net_clean *c, const char *outer);
void net_clean_run(struct net_clean *c);
/*
 * Kennel's own bridge, where nobody is on it any more and nobody was left to remove it. Return: how many
 * went, 0 or 1.
 */
int net_clean_gc(int dir_fd);

/*
 * One at a time, over all processes. *fd has the descriptor before the lock is on it: whoever cleans up
 * behind us, and shares our descriptors, must let go of ours first. -1 and errno, and *fd is -1.
 */
int net_lock(int dir_fd, int *fd);
/* *fd below 1 is fine; it is -1 then. */
void net_unlock(int dir_fd, int *fd);

#endif
