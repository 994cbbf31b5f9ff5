/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-clone.h - freezing a container's changes, for snapshots and for clones that share with it. */
#ifndef KENNEL_API_CLONE_H
#define KENNEL_API_CLONE_H

#include "container/container.h"
#include "container/snapshot.h"
#include "delta/manifest.h"

/* A container that nobody runs and nobody else changes. */
struct clone_source {
	struct store store;
	struct container c;
	struct buf config;
	struct manifest manifest; /* no base: it was never started */
	int hold_fd; /* of the layers that it names by now */
};
#define CLONE_SOURCE_NONE \
	{ \
		.store = STORE_NONE, .c = CONTAINER_NONE, .hold_fd = -EBADF \
	}

/* Return: 0; BUSY with ret_running (may be NULL), who runs it: then it is open all the same. */
int clone_source_open(const char *path, const char *name, struct clone_source *ret,
		      struct container_holder *ret_running, struct kennel_error **err) MUST_CHECK;
/* The same without any lock, only to look. */
int clone_source_look(const char *path, const char *name, struct clone_source *ret, struct kennel_error **err)
	MUST_CHECK;
void clone_source_done(struct clone_source *s);

/* What a snapshot remembers of a moment; or NULL for a clone. */
struct clone_moment {
	const char *name;
	const char *comment;
};

/*
 * Its changes become a layer, and so does its base, if it has one of its own; s->manifest says so then. What
 * has not changed since the last time needs none. A snapshot of that moment comes along.
 */
int clone_freeze(struct clone_source *s, const struct clone_moment *moment, struct kennel_error **err)
	MUST_CHECK;

/*
 * Many layers below s become one; ret_hold keeps that until a manifest names it. Does nothing where there are
 * few.
 */
int clone_flatten(struct clone_source *s, int *ret_hold, struct kennel_error **err) MUST_CHECK;

/* The same with all of them, into another store on the same file system. */
int clone_carry(struct clone_source *s, const struct store *to, int *ret_hold, struct kennel_error **err)
	MUST_CHECK;

/* The files of a snapshot into a directory. */
int clone_put_moment(const struct clone_source *s, int dir_fd, const struct clone_moment *moment,
		     struct kennel_error **err) MUST_CHECK;

/* Where it lies, for storage/. */
struct storage_at clone_place(const struct container *c);
/* A base that is not frozen yet, of one that runs, has to stay where it is. Refuses that, with a hint. */
int clone_check_base(const struct clone_source *s, struct kennel_error **err) MUST_CHECK;
/* The empty delta of a layer that was just made. ret_layer_fd: or NULL. Return: its descriptor, or a code. */
int clone_make_layer_delta(const struct store *store, const char *id, int *ret_layer_fd,
			   struct kennel_error **err) MUST_CHECK;
/* A base of its own, wherever it lies: *ret_fd, or -EBADF where it has none. */
int clone_open_base(struct clone_source *s, int *ret_fd, struct kennel_error **err) MUST_CHECK;
/* One more layer, id, on what it stands on; and what kennel planted is no part of it. */
int clone_stand_on(struct clone_source *s, const char *id, struct kennel_error **err) MUST_CHECK;

/* Its manifest, if it has one. */
int clone_put_manifest(int dir_fd, const struct clone_source *s, struct kennel_error **err) MUST_CHECK;

struct clone_copy {
	const char *store; /* of the origin, as the caller named it */
	bool whole; /* all that is seen inside, as a base of its own; the origin is not locked */
	bool changes_only; /* its own changes, over the layers that it stands on */
	int (*tick)(void *data, uint64_t done, uint64_t total);
	void *data;
	uint64_t *ret_left_out; /* of a whole one: files that could not be read or made */
};

/*
 * Fills a new container's places with a copy; s->manifest is the new one's then. config is changed where the
 * new one has another base.
 */
int clone_copy(struct clone_source *s, const struct container_room *room, const struct clone_copy *how,
	       struct buf *config, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_clone_sourcep(struct clone_source *s)
{
	clone_source_done(s);
}
#define _cleanup_clone_source_ __attribute__((cleanup(cleanup_clone_sourcep)))

#endif
