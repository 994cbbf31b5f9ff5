/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/follow.h - follows a process of a sandbox to its end: one poll() over its pidfd, the caller's
 * signals and the terminal.
 */
#ifndef KENNEL_RUN_FOLLOW_H
#define KENNEL_RUN_FOLLOW_H

#include <signal.h>
#include <stdbool.h>

#include "base/error.h"

struct follow {
	int pidfd; /* a child of ours */
	int master_fd; /* of its terminal, or -EBADF */
	int host_pidfd; /* the process is killed when this one ends; or -EBADF */
	int word_fd; /* where a guest says that its command has ended; or -EBADF */
	bool leads; /* it leads a process group, which what a keyboard sends is for */
	bool shares; /* it is in our own process group: what a keyboard sends reaches it by itself */
};

/*
 * Return: 0 and the exit code, 128+N for signal N; 1 and that of the command, where the process goes on; or a
 * negative code.
 */
int follow_process(const struct follow *f, int *ret_status, struct kennel_error **err) MUST_CHECK;
/*
 * From here on signals that are handed on wait for follow_process(): they must not end us once the command
 * runs, which may have said so. *ret_old is what the caller sets again in the end.
 */
void follow_hold(sigset_t *ret_old);
/* What is there to read on word_fd: that the command has ended, and how? */
bool follow_hear(int word_fd, int *ret_status);
/* Waits for its end alone. */
int follow_reap(int pidfd, int *ret_status, struct kennel_error **err) MUST_CHECK;

#endif
