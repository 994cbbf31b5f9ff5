/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/walk.h - everything in an upper directory, one after the other; or in several that lie on each other,
 * as the one that an overlay shows.
 *
 * In the order of a tree: a directory, what is in it, then its next sibling; siblings by the bytes of their
 * names. What vanishes meanwhile is left out. Of several trees the uppermost that has a name counts; a
 * directory goes on into those below it, down to one that is opaque or has something else of that name, and
 * the whole is opaque then. A deletion stays one, for what lies below them all may have the name, but in an
 * opaque directory, where it would delete nothing.
 */
#ifndef KENNEL_DELTA_WALK_H
#define KENNEL_DELTA_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "delta/dirs.h"

struct walk_name {
	size_t at; /* of the name, in delta_walk.names */
	unsigned tree;
	unsigned char type; /* DT_*; of the way up: was the directory above covered? */
};

struct walk_entry {
	const char *rel; /* "a/b": below the upper */
	size_t rel_len, name_at;
	size_t depth; /* number of directories that it lies in, below the upper */
	unsigned char type; /* DT_*, as readdir(3) says it; may be DT_UNKNOWN */
	bool opaque; /* a directory that hides what is below all trees */
	unsigned tree; /* the uppermost that has it */
	struct stat st; /* unless plain */
};

struct delta_walk {
	struct dirs *trees; /* the uppermost first; each as deep as it has the current directory */
	unsigned n_trees;
	size_t depth; /* of the current directory */
	struct buf path; /* and where it is */
	bool covered; /* it hides what is below all trees, or is in one that does */
	struct buf names; /* those of todo, one behind the other */
	struct walk_name *todo; /* last in, first out; an empty name: go up */
	size_t n, room;
	struct buf rel;
	const char *opaque; /* name of the xattr */
	/* A path: only it, what is in it, and the directories that lead there. NULL: all. */
	const char *below;
	bool plain; /* neither sorted nor looked at, beyond what readdir(3) says */
	bool lenient; /* directories that may not be read are left out, and counted: */
	uint64_t denied;
	int *next_fds; /* by tree: of the directory that was returned last, and is to be entered */
	bool next; /* is there one? */
	bool next_covered;
	bool lost; /* a directory was moved while we were in it: what is beside it was not seen */
};

/*
 * Takes upper_fd, also on failure. All but these fields of *w are set by it: opaque, below, plain, lenient.
 */
int delta_walk_begin(struct delta_walk *w, int upper_fd, struct kennel_error **err) MUST_CHECK;
/* The same of n > 0 directories, the uppermost first. */
int delta_walk_begin_stack(struct delta_walk *w, const int *upper_fds, unsigned n, struct kennel_error **err)
	MUST_CHECK;
/* Return: 1, 0 at the end, or a negative code. The entry is good until the next call. */
int delta_walk_next(struct delta_walk *w, struct walk_entry *ret, struct kennel_error **err) MUST_CHECK;
/* The entry that was returned last was a directory: don't look into it. */
void delta_walk_skip(struct delta_walk *w);

/* The directory that an entry lies in, in the tree that has it. Borrowed, until the next call. */
static inline int delta_walk_dir_fd(const struct delta_walk *w, const struct walk_entry *e)
{
	return dirs_fd(&w->trees[e->tree]);
}
/* The entry itself, which is a directory. Likewise. */
static inline int delta_walk_own_fd(const struct delta_walk *w, const struct walk_entry *e)
{
	return w->next_fds[e->tree];
}
void delta_walk_done(struct delta_walk *w);

static inline void cleanup_delta_walkp(struct delta_walk *w)
{
	delta_walk_done(w);
}
#define _cleanup_walk_ __attribute__((cleanup(cleanup_delta_walkp)))

#endif
