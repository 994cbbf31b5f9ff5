/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/power-off.h - the signal that asks an init to switch off: inits have their own ideas. */
#ifndef KENNEL_RUN_POWER_OFF_H
#define KENNEL_RUN_POWER_OFF_H

#include <signal.h>
#include <string.h>

/* systemd(1): its SIGRTMIN+3 and +4, counted from the kernel's 34. */
#define POWER_OFF_SYSTEMD_HALT 37
#define POWER_OFF_SYSTEMD 38

/* program: what process 1 was executed from, its path; systemd: which of the two is meant. */
static inline int power_off_signal(const char *program, int systemd)
{
	const char *slash = strrchr(program, '/'), *base = slash ? slash + 1 : program;

	if (strcmp(base, "systemd") == 0)
		return systemd;
	return strcmp(base, "busybox") == 0 ? SIGUSR2 : SIGPWR; /* sysvinit, and what follows it */
}

#endif
