/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/tree.h - the sink that makes a directory tree, from sources that may be hostile.
 *
 * Every name is looked up from the top, one component at a time, following no link; what has a name already
 * is taken away before something else gets it, never written through. So no order of entries leads outside,
 * and none changes a file through another name.
 */
#ifndef KENNEL_SHIP_TREE_H
#define KENNEL_SHIP_TREE_H

#include "ship/entry.h"

struct ship_tree_options {
	int top_fd; /* an empty directory, borrowed */
	/*
	 * Whiteouts and opaque directories are made as overlay has them; else they take away what earlier
	 * entries made.
	 */
	bool deletions;
	bool owners; /* give files to their owners; devices that we may not make are counted as left out */
	uint64_t keep_free; /* bytes of the file system that must stay free */
	struct ship_progress *progress;
	bool counts; /* else whoever reads counts */
	bool mark; /* the top directory keeps the mark that comes with it; it is remembered anyway */
};

int ship_tree_sink(const struct ship_tree_options *o, struct ship_sink **ret, struct kennel_error **err)
	MUST_CHECK;

/* What the mark on the top directory said, once the top has come; "" where there was none. Of a tree sink. */
const char *ship_tree_mark(const struct ship_sink *s);

/*
 * While on, an opaque entry also takes away what is in its directory: for the first of two readings of a
 * layer that lies over others.
 */
void ship_tree_prune(struct ship_sink *s, bool on);

/* Removes everything below a directory, whoever made it; deeper than descriptors or stack go. */
int ship_tree_clear(int dir_fd, struct kennel_error **err) MUST_CHECK;

#endif
