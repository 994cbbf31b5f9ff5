/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* path/remove.h - taking a whole tree away, of any depth, following no link and leaving no file system. */
#ifndef KENNEL_PATH_REMOVE_H
#define KENNEL_PATH_REMOVE_H

#include "base/error.h"
#include "base/macro.h"

/*
 * Removes dir_fd/name with all that is below it. Nothing there is fine. The tree must be one that nobody else
 * changes at the same time; killed in the middle, a second call does the rest.
 */
int path_remove_tree(int dir_fd, const char *name, struct kennel_error **err) MUST_CHECK;

#endif
