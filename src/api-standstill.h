/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-standstill.h - a sandbox that stands still while its files are copied, and goes on whatever
 * becomes of us.
 */
#ifndef KENNEL_API_STANDSTILL_H
#define KENNEL_API_STANDSTILL_H

#include <sys/types.h>

#include "base/error.h"

struct standstill {
	int wake_fd; /* once this is closed, it goes on */
	pid_t waker;
};
#define STANDSTILL_NONE \
	{ \
		.wake_fd = -EBADF \
	}

/* id: of the sandbox. One that is frozen already stays so. UNSUPPORTED where it can't be frozen. */
int standstill_begin(const char *id, struct standstill *ret, struct kennel_error **err) MUST_CHECK;
void standstill_end(struct standstill *s);

static inline void cleanup_standstillp(struct standstill *s)
{
	standstill_end(s);
}
#define _cleanup_standstill_ __attribute__((cleanup(cleanup_standstillp)))

#endif
