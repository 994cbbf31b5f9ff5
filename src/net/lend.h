/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/lend.h - connections that are made for a sandbox by the caller, for sandboxes whose processes have
 * other ids: who listens at the other end (ssh-agent, PulseAudio) lets nobody in but its own user.
 *
 * For each socket a process of ours listens at one of its own. Who connects there gets a descriptor, a new
 * connection to the other one, and nothing else; no byte of what is said over it comes by here. It ends with
 * the monitor.
 */
#ifndef KENNEL_NET_LEND_H
#define KENNEL_NET_LEND_H

#include <stddef.h>

#include "base/error.h"

#define NET_LEND_MAX 8u

struct net_lend_spec {
	int dir_fd; /* where the sockets are made; nobody else may look there */
	int monitor_pidfd;
	const char *names[NET_LEND_MAX]; /* of ours, which stay */
	int target_fds[NET_LEND_MAX]; /* O_PATH, of those that are connected to */
	unsigned n;
};

/* Borrows all. Return: 0 once somebody may come, and *ret_pidfd; or a code, and nothing runs. */
int net_lend_start(const struct net_lend_spec *spec, int *ret_pidfd, struct kennel_error **err) MUST_CHECK;

/* For who is let in, at the other end. Return: the connection, or -1 and errno. Waits. */
int net_lend_take(int fd);

#endif
