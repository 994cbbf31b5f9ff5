/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-errand.h - has the agent of a guest that runs do something for kennel itself (vm/program/errand.h).
 *
 * A process of ours enters the sandbox with the descriptors that it was given and ends with the errand.
 */
#ifndef KENNEL_RUN_VM_ERRAND_H
#define KENNEL_RUN_VM_ERRAND_H

#include <sys/types.h>

#include "base/error.h"

/* The sandbox, as running_open() has it. */
struct vm_guest {
	int init_pidfd;
	pid_t init;
	const char *id;
};

struct vm_errand {
	pid_t pid;
	int answer_fd;
};

/* words: the errand and its arguments, NULL. fds: its input, output and errors; they stay the caller's. */
int vm_errand_start(const struct vm_guest *g, const char *const *words, const int fds[3],
		    struct vm_errand *ret, struct kennel_error **err) MUST_CHECK;
/* Return: 0 and its exit code, or why it was not done. Nobody else holds what it was given any more. */
int vm_errand_wait(struct vm_errand *e, int *ret_status, struct kennel_error **err) MUST_CHECK;

#endif
