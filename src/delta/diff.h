/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/diff.h - what a delta changes of its base, exactly.
 *
 * A copied-up file that is equal is no change, nor is a directory that only leads to one, nor what kennel
 * itself put in. Only the delta is walked; the base is looked at where the delta has an entry, and listed
 * where a directory of the delta hides one of the base.
 */
#ifndef KENNEL_DELTA_DIFF_H
#define KENNEL_DELTA_DIFF_H

#include <sys/stat.h>

#include "delta/tree.h"

enum delta_kind { DELTA_ADDED, DELTA_CHANGED, DELTA_DELETED, DELTA_RETYPED };

enum delta_bits { /* what of it, where it was CHANGED */
		  DELTA_CONTENT = 1 << 0,
		  DELTA_MODE = 1 << 1,
		  DELTA_OWNER = 1 << 2,
		  DELTA_XATTR = 1 << 3,
		  DELTA_LINK = 1 << 4, /* where a link leads, or the number of a device */
		  DELTA_TIME = 1 << 5, /* only noted together with others, as is OPAQUE */
		  DELTA_OPAQUE = 1 << 6, /* a directory that was removed and made anew */
		  DELTA_HARDLINK = 1 << 7, /* also where it was ADDED: it is one file with link_to */
};

struct delta_change {
	const char *path; /* inside, absolute */
	unsigned mount; /* as in tree.h */
	const char *rel;
	enum delta_kind kind;
	unsigned bits;
	/* Ids are those seen inside. before is zero where it was ADDED, after where it was DELETED. */
	struct stat before, after;
	const char *link_to; /* a path that came before and is the same file now, changed or not */
};

/* What it returns, if not 0, ends the walk and is returned. */
typedef int (*delta_change_fn)(void *data, const struct delta_change *c, struct kennel_error **err);

/*
 * Calls visit for every change at or below a clean absolute path (NULL: all), in the order of a tree: parents
 * before children, siblings by the bytes of their names. A delta that is being written is read as it happens
 * to be.
 */
int delta_diff(struct delta_tree *t, const char *below, delta_change_fn visit, void *data,
	       struct kennel_error **err) MUST_CHECK;

/*
 * Order of a tree between two absolute paths: as strcmp(), but "/" comes before all other bytes. Pure.
 */
int delta_path_compare(const char *a, const char *b);

#endif
