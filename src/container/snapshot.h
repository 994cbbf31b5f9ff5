/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/snapshot.h - what a container was once.
 *
 *   STORE/NAME/snapshots/SNAP/
 *     config, manifest    of that time; no manifest: it had never been started
 *     taken               lines "taken<tab>NANOSECONDS" (since 1970) and "comment<tab>TEXT"
 *     storage, delta/ ... where the store shares blocks by itself; else the manifest's frozen layers are all
 */
#ifndef KENNEL_CONTAINER_SNAPSHOT_H
#define KENNEL_CONTAINER_SNAPSHOT_H

#include "base/strv.h"
#include "container/container.h"

#define SNAPSHOT_DIR "snapshots"
#define SNAPSHOT_TAKEN "taken"
#define SNAPSHOT_NEW ".new-" /* in front of the name of one that is being made */

struct snapshot {
	char *name;
	int64_t taken_ns;
	char *comment; /* "" */
};

struct snapshots {
	struct snapshot *items; /* the oldest first */
	size_t n;
};

int snapshots_read(const struct container *c, struct snapshots *ret, struct kennel_error **err) MUST_CHECK;
void snapshots_done(struct snapshots *s);

/* "snap" and a number that none has. The caller's. */
int snapshots_next_name(const struct container *c, char **ret, struct kennel_error **err) MUST_CHECK;

/* Text of the file "taken". Appends. */
int snapshot_describe(const char *comment, struct buf *text, struct kennel_error **err) MUST_CHECK;

/*
 * The directory of one as if it were a container: config and manifest can be read. NOTFOUND with a hint.
 */
int snapshot_open(const struct container *c, const char *name, struct container *ret,
		  struct kennel_error **err) MUST_CHECK;

/* Takes its name away; *ret_temp, in the directory of snapshots, is the caller's to remove. */
int snapshot_retire(const struct container *c, const char *name, char **ret_temp, struct kennel_error **err)
	MUST_CHECK;
/* The directory of snapshots; made where it is not there. Return: descriptor or a negative code. */
int snapshots_open_dir(const struct container *c, bool make, struct kennel_error **err) MUST_CHECK;

/* What killed processes left in it: snapshots that were being made or removed. The caller holds its lock. */
bool snapshots_have_leftovers(const struct container *c);
int snapshots_sweep(const struct container *c, container_wipe_fn wipe, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_snapshotsp(struct snapshots *s)
{
	snapshots_done(s);
}
#define _cleanup_snapshots_ __attribute__((cleanup(cleanup_snapshotsp)))

#endif
