/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/restored.h - files that a transaction put back, so that they do not look changed.
 *
 * Moving a file away and back gives it a new change time, which is how a commit sees that somebody else
 * changed it. So what was put back is noted in STATE/restored, with the change time that it has since and
 * the one that it had: as long as the first is still true, the second counts.
 */
#ifndef KENNEL_DELTA_RESTORED_H
#define KENNEL_DELTA_RESTORED_H

#include <stdint.h>
#include <time.h>

#include "base/error.h"

struct restored_entry {
	char *root, *path; /* path below the root */
	uint64_t ino;
	struct timespec now, before;
};

struct restored {
	struct restored_entry *items; /* sorted, once read */
	size_t n;
};

/* None, or a damaged line, is no error: what is not known counts as changed. */
int restored_read(int state_fd, struct restored *ret, struct kennel_error **err) MUST_CHECK;
/* The same from its text, which is changed by it; NULL is empty. Pure. */
int restored_parse(char *text, struct restored *ret, struct kennel_error **err) MUST_CHECK;
/* Replaces the file as a whole. */
int restored_write(int state_fd, const struct restored *r, struct kennel_error **err) MUST_CHECK;
int restored_add(struct restored *r, const struct restored_entry *e, struct kennel_error **err) MUST_CHECK;
void restored_sort(struct restored *r);
/* Of a sorted list. NULL: not in it. */
const struct restored_entry *restored_find(const struct restored *r, const char *root, const char *path);
/* The change time that counts for a file with this inode number and change time. */
struct timespec restored_ctime(const struct restored *r, const char *root, const char *path, uint64_t ino,
			       struct timespec now);
void restored_done(struct restored *r);

#endif
