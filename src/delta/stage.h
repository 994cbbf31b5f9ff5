/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/stage.h - makes one object of any kind where nobody sees it yet, equal to what the delta holds.
 */
#ifndef KENNEL_DELTA_STAGE_H
#define KENNEL_DELTA_STAGE_H

#include "delta/attr.h"

struct stage_item {
	const char *shown; /* what it is called in an error */
	struct attr attr;
	dev_t rdev; /* of a device */
	int fd; /* of a regular file, to read from; else -EBADF */
	const char *target; /* of a symbolic link */
	/* The object that it was read from: two names of one are linked. */
	dev_t dev;
	ino_t ino;
	nlink_t nlink;
};

/*
 * Makes dir_fd/name, which must not exist. A directory gets mode 0700 only: stage_finish() gives it the
 * rest once it is full. BUSY where the file changed while it was read.
 */
int stage_make(int dir_fd, const char *name, const struct stage_item *item, struct kennel_error **err)
	MUST_CHECK;
int stage_finish(int dir_fd, const char *name, const char *shown, const struct attr *a,
		 struct kennel_error **err) MUST_CHECK;

#endif
