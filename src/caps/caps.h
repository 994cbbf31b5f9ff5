/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * caps/caps.h - capability sets as bit masks (1 << CAP_*): which a level has, and making a process have just
 * those.
 */
#ifndef KENNEL_CAPS_CAPS_H
#define KENNEL_CAPS_CAPS_H

#include <stdint.h>

/*
 * What level `ns` leaves to root: the default set of Docker (moby daemon/caps/defaults.go). Without a user
 * namespace every further one reaches the machine itself: SYS_MODULE, SYS_TIME, SYSLOG, SYS_ADMIN, ...
 */
uint64_t caps_default_ns(void);
/* All capabilities that the running kernel knows: bits 0 to the last one. */
uint64_t caps_all(void);
/* base with add and drop applied; drop wins, but where it is all bits what is added stays. */
uint64_t caps_combine(uint64_t base, uint64_t add, uint64_t drop);

/*
 * For the child, system calls only: makes bounding, permitted, effective and inheritable sets be mask
 * (inheritable and ambient empty). The bounding set comes first: later there would be no right to shrink it.
 * Return: 0, or -1 and errno.
 */
int caps_apply(uint64_t mask, unsigned last_cap);

#endif
