/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/merge.h - several deltas that lie on each other made into one, which shows the same over any base;
 * and trees copied as they are.
 *
 * Who calls has the rights to all ids in it: root, or root of an ordinary user's ids (ship/duplicate.h does
 * that). All of it is written to the disk by the caller (syncfs()), and removed where it fails.
 */
#ifndef KENNEL_DELTA_MERGE_H
#define KENNEL_DELTA_MERGE_H

#include "delta/replica.h"
#include "delta/stack.h"

struct merge_options {
	const struct delta_source *sources; /* the lowest first */
	size_t n;
	int into_fd; /* an empty directory: gets 0/upper, 0/work, ... */
	/*
	 * Files get one more name instead of a copy where that can be: no source may ever be written to
	 * again, but for those that are live, which are copied all the same.
	 */
	bool link;
	struct replica_hooks hooks;
};

/* *ret: what the new delta's manifest says; the caller's. */
int delta_merge(const struct merge_options *o, struct manifest *ret, struct kennel_error **err) MUST_CHECK;

/* All that is below directory from_fd, and its attributes, into the empty one to_fd, as it is. */
int delta_copy_tree(int from_fd, int to_fd, const struct replica_hooks *hooks, struct kennel_error **err)
	MUST_CHECK;

#endif
