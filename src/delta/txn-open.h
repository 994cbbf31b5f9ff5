/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/txn-open.h - inside of a transaction that is not committed yet; shared by txn.c and txn-stage.c. */
#ifndef KENNEL_DELTA_TXN_OPEN_H
#define KENNEL_DELTA_TXN_OPEN_H

#include "delta/txn-place.h"

struct fs_id { /* things can be renamed within it */
	uint64_t mount;
	uint32_t major, minor;
};

struct open_dir { /* a staged directory that is not full yet */
	char *path; /* as the caller calls it */
	char *staged; /* in the stage */
	struct attr attr;
};

struct link_mate {
	dev_t dev;
	ino_t ino;
	uint32_t stage;
	char *staged;
};

struct want_times {
	char *path;
	struct timespec to[2];
	bool given;
};

struct txn {
	struct place p;
	int state_fd, lock_fd;
	char id[16];
	bool done;
	struct fs_id *stage_ids; /* as many as stages */
	struct timespec *old_ctimes; /* as many as puts */
	size_t n_ctimes;
	struct open_dir *dirs;
	size_t n_dirs, room_dirs;
	struct link_mate *mates; /* a hash table, open addressed */
	size_t n_mates, room_mates;
	struct want_times *times;
	size_t n_times;
	char *into; /* the staged directory that was used last */
	int into_fd;
	uint64_t entries, bytes;
};

/* The parent of a path below the root, for the caller. */
int parent_of(const char *path, char **ret, struct kennel_error **err) MUST_CHECK;

/* A line for the times of a directory, which stay what they are. */
int txn_add_times(struct txn *t, const char *path, const struct stat *st, struct kennel_error **err)
	MUST_CHECK;

/* A new place: its line, and the stage that its other thing goes to. */
int txn_add_put(struct txn *t, const char *path, const struct stat *old, struct kennel_error **err)
	MUST_CHECK;

#endif
