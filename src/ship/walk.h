/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/walk.h - the source that reads directory trees: one, or several that stand below each other (the
 * changes of each mount), as one.
 */
#ifndef KENNEL_SHIP_WALK_H
#define KENNEL_SHIP_WALK_H

#include "ship/entry.h"

struct ship_part {
	int fd; /* of the top directory */
	const char *target; /* where it stands: "" for the first, "home", "srv/data" */
	/* Directories that it lies on, as one with it (delta/walk.h), the uppermost first; or NULL. */
	const int *below_fds;
	unsigned n_below;
	const char *opaque; /* the attribute that then says what it hides */
};

enum ship_wanted {
	SHIP_LEAVE, /* it, and all that is below it */
	SHIP_TAKE,
	SHIP_TAKE_SHOWING, /* a directory whose mark that it hides what lies below does not count */
};

struct ship_walk {
	const struct ship_part *parts; /* the first stands at ""; all others below some earlier one */
	size_t n_parts;
	bool leave_denied; /* what may not be read is left out and counted, as inside of a sandbox */
	bool deletions; /* character devices 0/0 and overlay.opaque mean what overlay means by them */
	/* Returns an enum ship_wanted; or NULL. part: index; rel: relative to the part. */
	int (*wanted)(void *data, size_t part, const char *rel, int dir_fd, const char *name,
		      const struct stat *st);
	/* Attributes of a directory above a part, if no part before has it; or NULL: root's, 0755. */
	int (*parent)(void *data, const char *path, struct stat *ret);
	/*
	 * May this directory's contents be looked into? 1 or 0; or NULL: all. (Mounts that are not copied.)
	 */
	int (*enter)(void *data, const char *path, int fd, const struct stat *st);
	void *data;
	/*
	 * Ids as they are inside, of a tree that is read from outside of its user namespace: this much is
	 * taken from each of shift_count. 0: they are what they are.
	 */
	uint32_t shift_from, shift_count;
	const struct ship_xattr *top_xattr; /* one more on the top directory, or NULL */
	struct ship_progress *progress; /* its stop and left_out; who writes counts, and ship_measure() */
};

/* Pushes everything into sink, names sorted, so that the same tree always gives the same archive. */
int ship_walk(const struct ship_walk *w, struct ship_sink *sink, struct kennel_error **err) MUST_CHECK;

/* The same without content and attributes: no file is opened. */
int ship_scan(const struct ship_walk *w, struct ship_sink *sink, struct kennel_error **err) MUST_CHECK;

/* The top directory, its owner as it is inside. */
int ship_walk_look_at_top(const struct ship_walk *w, struct stat *ret, struct kennel_error **err) MUST_CHECK;

/* Does overlay hide what is below this directory? */
bool ship_is_opaque(int fd);

struct ship_size {
	uint64_t entries,
		bytes; /* bytes: what is really there of the files, once where they have several names */
	uint64_t blocks; /* of 4096 bytes, each file's rounded up, one more for a directory */
};

/* How much a walk will give. Reads no file. */
int ship_measure(const struct ship_walk *w, struct ship_size *ret, struct kennel_error **err) MUST_CHECK;

#endif
