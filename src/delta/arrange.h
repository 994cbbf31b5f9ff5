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
#include "delta/manifest.h"

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
/*
 * All of them into place 0, as one view of all mounts. lower_fd: what that view lies over, for directories
 * to be made; or -EBADF.
 */
int delta_join_all(int delta_fd, const struct manifest *m, int lower_fd, struct kennel_error **err)
	MUST_CHECK;

/* The mount that a target lies in, itself left out. Pure. */
const struct manifest_mount *delta_parent_of(const struct manifest *m, const char *target);

/* And back. */
int delta_part(const struct delta_join *j, struct kennel_error **err) MUST_CHECK;

#endif
