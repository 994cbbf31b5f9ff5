/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/path.h - descriptor first: a string is what the user typed, an O_PATH descriptor is the thing.
 *
 * Whatever a sandbox could have written is looked up with openat2() below a root descriptor; "..", absolute
 * links and magic links can't leave it. Nothing here falls back to plain strings.
 */
#ifndef KENNEL_PATH_PATH_H
#define KENNEL_PATH_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/pathname.h"
#include "base/strv.h"

/*
 * O_PATH descriptor of path, resolved as if root_fd were "/". flags: O_DIRECTORY, O_NOFOLLOW.
 * Return: descriptor, or a negative code.
 */
int path_pin(int root_fd, const char *path, uint64_t flags, struct kennel_error **err) MUST_CHECK;

/* The same, but no component may be a symbolic link: for mount targets in a root that others wrote. */
int path_pin_plain(int root_fd, const char *path, uint64_t flags, struct kennel_error **err) MUST_CHECK;

/*
 * Opens path below root_fd for reading (flags as for open(2), without O_CREAT). Return: descriptor or code.
 */
int path_open(int root_fd, const char *path, uint64_t flags, struct kennel_error **err) MUST_CHECK;

/*
 * Makes path and its missing parents (mode 0755) below root_fd, following no link. Return: O_PATH descriptor
 * or code.
 */
int path_make_dirs(int root_fd, const char *path, unsigned mode, struct kennel_error **err) MUST_CHECK;

/*
 * O_PATH descriptor of /proc, verified to be the root of a real proc file system. Return: descriptor or code.
 */
int path_open_proc(struct kennel_error **err) MUST_CHECK;

/* A descriptor that can be read or written for a pin: reopens /proc/self/fd/N. Return: descriptor or code. */
int path_reopen(int pin_fd, uint64_t flags, struct kennel_error **err) MUST_CHECK;

/*
 * Finds an executable of the host by name in directories that only root writes (/usr/bin, /usr/sbin, /bin,
 * /sbin, /usr/local/bin). Return: 1 and *ret set (caller frees), 0 not there, or a negative code.
 */
int path_find_tool(const char *name, char **ret, struct kennel_error **err) MUST_CHECK;

/* $XDG_CACHE_HOME/kennel or ~/.cache/kennel; negative where there is none, for a cache is a convenience. */
int path_open_cache(void);

#endif
