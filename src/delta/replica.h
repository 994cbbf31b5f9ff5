/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/replica.h - exact copies of files, several at a time: content with its holes, owner, mode, times,
 * extended attributes (access lists and capabilities are such). Labels of security modules are each machine's
 * own and stay behind.
 *
 * One task walks and says what is to be copied; threads make regular files, which is nearly all of the work.
 * No name is ever followed. Not for a task that shares another's memory (errand_share()).
 */
#ifndef KENNEL_DELTA_REPLICA_H
#define KENNEL_DELTA_REPLICA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

struct replica_hooks {
	/*
	 * Called some ten times a second by who walks, with what was done so far. Return: not 0: stop
	 * (INTERRUPTED). Or NULL.
	 */
	int (*step)(void *data, uint64_t entries, uint64_t bytes);
	void *data;
};

struct replica;

struct replica_options {
	/*
	 * The overlay's own attributes in this namespace ("user.overlay.") mean nothing in the copy and are
	 * left out, but those of an overlay inside (user.overlay.overlay.X). NULL: all are copied.
	 */
	const char *own_prefix;
	struct replica_hooks hooks;
};

int replica_new(const struct replica_options *o, struct replica **ret, struct kennel_error **err) MUST_CHECK;
/* Ends the threads, whatever they do. NULL is fine. Return: NULL. */
struct replica *replica_free(struct replica *r);

/* A directory whose copy is being filled. */
struct replica_dir;
/* Notes the attributes of from_fd for its copy. opaque: an attribute that it gets as well ("y"), or NULL. */
int replica_dir_begin(struct replica *r, int from_fd, const char *opaque, struct replica_dir **ret,
		      struct kennel_error **err) MUST_CHECK;
/*
 * All that is in it was said; takes d. to_fd, the copy, is opened for reading and gets its attributes once
 * the last file is there.
 */
int replica_dir_end(struct replica *r, struct replica_dir *d, int to_fd, struct kennel_error **err)
	MUST_CHECK;
/* Takes d where things went wrong. NULL is fine. */
void replica_dir_drop(struct replica *r, struct replica_dir *d);

struct replica_item {
	int from_fd, to_fd; /* the directories; borrowed */
	unsigned tree; /* of the same d and tree, from_fd is the same directory */
	const char *name; /* in both */
	const struct stat *st; /* what it was found to be */
	bool now; /* it is there when this returns */
};

/*
 * A file of a directory d. Unless it is to be there now, a regular one may come only before replica_finish()
 * returns.
 */
int replica_file(struct replica *r, struct replica_dir *d, const struct replica_item *item,
		 struct kennel_error **err) MUST_CHECK;

/* Something was made without a copy, by a link. */
int replica_count(struct replica *r, struct kennel_error **err) MUST_CHECK;

/* Waits until all is there. The first error of a thread is told by this or an earlier call. */
int replica_finish(struct replica *r, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_replicap(struct replica **r)
{
	replica_free(*r);
}
#define _cleanup_replica_ __attribute__((cleanup(cleanup_replicap)))

#endif
