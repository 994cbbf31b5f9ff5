/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/pathname.h - paths as text: no file system is asked. What looks at files stands in path/path.h. */
#ifndef KENNEL_BASE_PATHNAME_H
#define KENNEL_BASE_PATHNAME_H

#include <stdbool.h>

#include "base/error.h"

/* Absolute, without "//", "/./" or a final "/"; ".." is refused. *ret is the caller's. */
int path_clean(const char *path, char **ret, struct kennel_error **err) MUST_CHECK;

/* Is path equal to dir or below it? Both clean and absolute. */
bool path_is_below(const char *path, const char *dir);

#endif
