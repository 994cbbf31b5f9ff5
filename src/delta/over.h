/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/over.h - a walk down the uppers of frozen layers, merged as an overlay merges them. What is below
 * them, the base, is the caller's.
 */
#ifndef KENNEL_DELTA_OVER_H
#define KENNEL_DELTA_OVER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/error.h"

struct over {
	int *fds; /* the current directory in each, uppermost first; -EBADF: it has none, or not to be seen */
	unsigned n;
	bool user_xattr;
	bool hides; /* what the base has here is not to be seen */
};

/* roots: borrowed; negative ones are left out. */
int over_begin(struct over *o, const int *roots, unsigned n, bool user_xattr, struct kennel_error **err)
	MUST_CHECK;
void over_done(struct over *o);

/*
 * Goes down. Return: 1 they have a directory there, with its attributes; 0 they have nothing, so it is the
 * base's word, unless it is hidden; -1 there is no directory whatever the base has.
 */
int over_enter(struct over *o, const char *name, struct stat *ret);

static inline void cleanup_overp(struct over *o)
{
	over_done(o);
}
#define _cleanup_over_ __attribute__((cleanup(cleanup_overp)))

#endif
