/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/txn-place.h - inside of a transaction: one journal with what it speaks of, opened; moving its
 * places to the old or the new state. Shared by txn.c (begin to commit), txn-settle.c and txn-recover.c.
 */
#ifndef KENNEL_DELTA_TXN_PLACE_H
#define KENNEL_DELTA_TXN_PLACE_H

#include "base/strv.h"
#include "delta/journal.h"
#include "delta/txn.h"

struct place {
	struct journal j;
	int dir_fd; /* STATE/NNNNNN */
	int log_fd; /* its journal, for appending */
	int root_fd;
	int *stage_fds; /* as many as j.n_stages */
	char *parent; /* the directory that was looked up last, below the root */
	int parent_fd;
	const struct txn_hooks *hooks;
	const struct timespec *old_ctimes; /* NULL, or of each put: another one there now is BUSY */
};

#define PLACE_EMPTY \
	{ \
		.dir_fd = -EBADF, .log_fd = -EBADF, .root_fd = -EBADF, .parent_fd = -EBADF \
	}

void place_done(struct place *p);
#define _cleanup_place_ __attribute__((cleanup(place_done)))

/* Locks a state directory. Return: descriptor, 0 somebody else has it, or a negative code. */
int state_lock(int state_fd, int *ret_fd, struct kennel_error **err) MUST_CHECK;

/* Appends to the journal and brings it to the disk. */
int place_log(struct place *p, const struct buf *lines, struct kennel_error **err) MUST_CHECK;
int place_log_state(struct place *p, enum journal_state state, struct kennel_error **err) MUST_CHECK;

/* A directory below the root, O_PATH, following no link; cached: borrowed. */
int place_find_dir(struct place *p, const char *path, int *ret_fd, struct kennel_error **err) MUST_CHECK;
/* The parent of path (borrowed) and the last name of path. */
int place_find(struct place *p, const char *path, int *ret_fd, const char **ret_name,
	       struct kennel_error **err) MUST_CHECK;

/* Did a lookup end for want of something on the way? */
bool is_gone(const struct kennel_error *err);

/* A stage by its number, opened. Borrowed. */
int place_stage(struct place *p, uint32_t i, int *ret_fd, struct kennel_error **err) MUST_CHECK;

#define SLOT_SIZE 32
void slot_name(size_t i, bool other, char ret[SLOT_SIZE]);

/* The inode number of dir_fd/name, 0 where there is nothing. */
int inode_at(int dir_fd, const char *name, uint64_t *ret, struct kennel_error **err) MUST_CHECK;

enum settle_result { SETTLE_DONE, SETTLE_FOREIGN }; /* foreign: neither the old nor the new thing is there */

/*
 * One place to its new or old thing, from wherever an interruption left it. Return: enum settle_result or
 * code.
 */
int settle_put(struct place *p, size_t i, bool to_new, struct kennel_error **err) MUST_CHECK;

/*
 * All of it. Going on after a failure where keep_going; the first error is told. *ret_foreign counts places
 * that were left alone; those are said.
 */
int settle_all(struct place *p, bool to_new, bool keep_going, size_t *ret_foreign, struct kennel_error **err)
	MUST_CHECK;
int settle_times(struct place *p, bool to_new, struct kennel_error **err) MUST_CHECK;

/* Lines that say since when the new things are there: what is newer was changed by somebody else. */
int place_put_settled(struct place *p, struct buf *b, struct kennel_error **err) MUST_CHECK;

/* The old things are back: notes that (restored.h). */
int place_note_restored(struct place *p, int state_fd, struct kennel_error **err) MUST_CHECK;

/* Brings everything in the stages' file systems to the disk. */
int place_sync(struct place *p, struct kennel_error **err) MUST_CHECK;

/*
 * Old things are in their places and on the disk: writes that down, takes the stages away, or gives them
 * another name where keep, and makes the times of their parents what they were.
 */
int place_remove_stages(struct place *p, bool keep, struct kennel_error **err) MUST_CHECK;

/* Opens STATE/id. Return: 1, 0 it never began. */
int place_load(int state_fd, const char *id, struct place *ret, struct kennel_error **err) MUST_CHECK;

/*
 * Can't its root, or a file system of it, be had now: not mounted, not in this mount namespace, failing, or
 * removed? Then nothing can be told of it, nor done. *why says which.
 */
bool place_is_away(struct place *p, struct kennel_error **why);

/* Ids in STATE, ascending. */
int state_list(int state_fd, struct strv *ret, struct kennel_error **err) MUST_CHECK;
int state_remove(int state_fd, const char *id, struct kennel_error **err) MUST_CHECK;

/* txn_recover() under a lock that the caller has. */
int recover_locked(int state_fd, const struct txn_hooks *hooks, struct kennel_error **err) MUST_CHECK;

void hooks_say(const struct txn_hooks *h, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
