/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/arrange.h - the same delta where the mounts are different.
 *
 * A delta has one place for each mount, DELTA/N/upper. Where a mount is not there any more (a disk that was
 * taken away, a directory that is none of its own on another machine), its changes belong below its target in
 * the place of the mount that is there instead; where it comes back, they belong in a place of their own.
 * Both are one rename of a directory, so a killed one has happened or not, and doing it again does nothing.
 */
#ifndef KENNEL_DELTA_ARRANGE_H
#define KENNEL_DELTA_ARRANGE_H

#include "base/error.h"

struct delta_join {
	int delta_fd; /* of the delta's directory */
	unsigned mount; /* the place of its own */
	unsigned parent; /* the place of the mount that its target lies in */
	const char *rel; /* its target below that one's, without a leading slash */
	int parent_lower_fd; /* what the parent lies over, for directories to be made; or -EBADF */
};

/*
 * DELTA/MOUNT/upper becomes DELTA/PARENT/upper/REL. Return: 1 moved, 0 nothing to move or something else is
 * there, which stays, or a negative code.
 */
int delta_join(const struct delta_join *j, struct kennel_error **err) MUST_CHECK;
/* And back. */
int delta_part(const struct delta_join *j, struct kennel_error **err) MUST_CHECK;

#endif
