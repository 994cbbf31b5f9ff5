/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/dirs.h - where a walk is in a tree: a directory at a time, down by name and up again.
 *
 * The tree is a sandbox's work: deeper than there are descriptors, with paths beyond PATH_MAX, and changed
 * while we look. Only the last few levels stay open. The way up to one that was closed is "..", or its path
 * from the root, and what is found there is believed only if it is the directory that we came from. No link
 * is ever followed.
 */
#ifndef KENNEL_DELTA_DIRS_H
#define KENNEL_DELTA_DIRS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct dirs_level {
	int fd; /* -EBADF: closed for now, or not to be found again */
	dev_t dev;
	ino_t ino;
	size_t path_len;
};

struct dirs {
	struct dirs_level *levels; /* [0] is the root, which stays open */
	size_t n, room; /* n == 0: not begun */
	size_t first_open; /* of those above 0 */
	struct buf path; /* of the current directory: "" or "a/b" */
};

/* Begins at a directory; takes fd, also on failure. */
int dirs_begin(struct dirs *d, int fd, struct kennel_error **err) MUST_CHECK;
void dirs_done(struct dirs *d);

/* Opens a directory of the current one for reading. Return: descriptor, or -1 and errno. */
int dirs_open(const struct dirs *d, const char *name);
/* Goes down into it; takes fd, which dirs_open() returned, also on failure. */
int dirs_enter(struct dirs *d, const char *name, int fd, struct kennel_error **err) MUST_CHECK;
/* Goes up. Return: 1, or 0 the directory above was moved or removed: nothing more can be seen there. */
int dirs_leave(struct dirs *d);

/* The current directory, or -EBADF where dirs_leave() said 0. */
static inline int dirs_fd(const struct dirs *d)
{
	return d->levels[d->n - 1].fd;
}

/*
 * Pins rel below root_fd, following no link and however long the path is. flags: those of open(2).
 * Return: descriptor, or -1 and errno.
 */
int dirs_pin(int root_fd, const char *rel, int flags);
/*
 * Opens it for reading if it is a regular file, which is made sure of first: a device may do things when it
 * is opened. Return: descriptor, or -1 and errno (ENOENT: it is none).
 */
int dirs_open_file(int root_fd, const char *rel);

#endif
