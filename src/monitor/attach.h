/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/attach.h - the other end of a monitor's socket: a person at a container's terminal. */
#ifndef KENNEL_MONITOR_ATTACH_H
#define KENNEL_MONITOR_ATTACH_H

#include <stdbool.h>

#include "base/error.h"

struct attach {
	int socket_fd;
	int in_fd, out_fd;
	int escape; /* the key that leaves, typed on a terminal; negative: none */
	unsigned tty; /* a further terminal, from 1 on; 0: the console */
	bool backlog; /* show first what was shown lately */
	int init_pidfd; /* signals that ask us to end are handed on to it; or -EBADF: we leave */
};

/*
 * Carries the terminal until the sandbox ends, the key is typed, or a signal comes. Modes of the terminal
 * are put back. Return: 1 and the exit status, 0 left, or a negative code.
 */
int attach_run(const struct attach *a, int *ret_status, struct kennel_error **err) MUST_CHECK;

#endif
