/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/duplicate.h - what sandboxes wrote, into another place: a container's changes with the frozen layers
 * that they lie on as one delta, and the base that came with it.
 *
 * A process that is root over the ids inside does it (worker.h), so it is the same for root and for an
 * ordinary user; it gets nothing but descriptors. All is on the disk at the end. What is half made is the
 * caller's to remove.
 */
#ifndef KENNEL_SHIP_DUPLICATE_H
#define KENNEL_SHIP_DUPLICATE_H

#include "delta/stack.h"
#include "ship/worker.h"

struct ship_duplicate {
	const struct delta_source *sources; /* the lowest first; the last one is the container's own */
	size_t n; /* 0: no delta */
	int delta_fd; /* an empty directory, which becomes the delta */
	/*
	 * Files get one more name instead of a copy, where that is on one file system: of frozen layers that
	 * become one, and for a look. Live sources are always copied.
	 */
	bool link;
	int base_from_fd, base_to_fd; /* a tree that is copied as it is, and an empty directory; or -EBADF */
	int user_ns_fd; /* as ship_watch has it: 0, or whose root works */
};

/*
 * tick() is told bytes, an entry counting as SHIP_ENTRY_COST. *ret: the manifest of the new delta, which
 * names no layers; the caller's. It may be NULL where n is 0.
 */
int ship_duplicate(const struct ship_duplicate *d, const struct ship_watch *watch, struct manifest *ret,
		   struct kennel_error **err) MUST_CHECK;

#endif
