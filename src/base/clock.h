/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/clock.h - the time for waiting: never set back, and not of the day. */
#ifndef KENNEL_BASE_CLOCK_H
#define KENNEL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since some moment. A system call alone, and where there is a vDSO not even that. */
static inline int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For steps of waiting: a signal ends it sooner. */
static inline void clock_pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)!nanosleep(&t, NULL);
}

#endif
