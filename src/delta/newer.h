/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/newer.h - was anything in a tree changed after some moment? */
#ifndef KENNEL_DELTA_NEWER_H
#define KENNEL_DELTA_NEWER_H

#include <stdbool.h>
#include <time.h>

#include "base/error.h"

bool time_is_later(const struct timespec *a, const struct timespec *b);

/*
 * Looks at the change time of all that is below directory dir_fd/name, the directory itself left out;
 * something mounted in it counts as newer. Return: 1 and the first of them, relative, in *ret (the
 * caller's); 0 none.
 */
int newer_below(int dir_fd, const char *name, const struct timespec *then, char **ret,
		struct kennel_error **err) MUST_CHECK;

#endif
