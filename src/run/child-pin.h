/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/child-pin.h - places below a root that may be anybody's work, as descriptors. System calls only: the
 * child uses these before exec.
 */
#ifndef KENNEL_RUN_CHILD_PIN_H
#define KENNEL_RUN_CHILD_PIN_H

#include <stdbool.h>

/* O_PATH of a path below the root in which no component may be a link. Return: -1 and errno. */
int child_pin(int root_fd, const char *path);
/* The same, but what is not there is made: parents and, for a file, an empty one. */
int child_pin_made(int root_fd, const char *path, bool is_dir, unsigned mode);

#endif
