/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys/jail.h - a filter of system calls for a process of our own that reads what strangers wrote: a list of
 * what it still needs. (What a sandbox may call is seccomp/'s business.)
 */
#ifndef KENNEL_SYS_JAIL_H
#define KENNEL_SYS_JAIL_H

#include <stdint.h>

struct jail_call {
	int nr; /* SYS_* */
	int arg; /* which argument has to be something, counted from 1; 0: any will do */
	uint32_t mask, value; /* the lower half of it, masked, is value */
};

#define JAIL_CALLS_MAX 60

/*
 * From here on all calls but these fail with EPERM, for ever, and one of another architecture ends the
 * process. It needs no_new_privs, or the right for it. Return: 0, or -1 and errno (E2BIG: too many of them).
 */
int jail_enter(const struct jail_call *calls, unsigned n);

#endif
