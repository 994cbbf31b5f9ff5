/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/apply.h - newer changes, which lie over all that a delta shows, put into that delta: by renames, so
 * the work is that of the newer ones, and no byte is copied.
 *
 * Killed in the middle, the delta has some of them, and each name is the old one or the new one. Whoever has
 * kept the newer changes elsewhere applies them once more, from the beginning: what is in already does no
 * harm. Who calls has the rights to all ids in both.
 */
#ifndef KENNEL_DELTA_APPLY_H
#define KENNEL_DELTA_APPLY_H

#include <stdint.h>

#include "delta/manifest.h"

struct delta_apply {
	int from_fd; /* a directory with 0/upper, a view of all mounts; is used up */
	int delta_fd; /* the delta, on the same file system */
	const struct manifest *manifest; /* of the delta, in user.*: its mounts */
	/*
	 * What lies below the delta at the root of a mount, all trees of it, is told to see() name by name:
	 * asked where the newer changes have something else in the place of the mount. NULL: nothing there.
	 */
	int (*below)(void *data, size_t mount,
		     int (*see)(void *arg, const char *name, struct kennel_error **err), void *arg,
		     struct kennel_error **err);
	void *data;
};

/* For below(): tells see() what is in a directory, which is taken; negative: nothing. */
int delta_apply_see(int dir_fd, int (*see)(void *arg, const char *name, struct kennel_error **err), void *arg,
		    struct kennel_error **err) MUST_CHECK;

/* *ret: how many entries were put in, whole directories as one; or NULL. */
int delta_apply(const struct delta_apply *a, uint64_t *ret, struct kennel_error **err) MUST_CHECK;

#endif
