/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/txn.h - a transaction on the files of a tree: all of it happens, or nothing does.
 *
 * New things are made in a stage, a hidden directory (0700) on the mount of what they are for. Then it is
 * written down what goes where, all of that is brought to the disk, and each place is exchanged with the
 * stage by one rename, so the previous things are in the stage, untouched, until the next transaction: that
 * makes an exact undo. Killed at any instant, txn_recover() finds the old state (or the new one, once
 * txn_commit() said so).
 *
 * Everything is found by descriptor below the root and no link is ever followed. A state directory belongs
 * to one committer: STATE/lock, STATE/NNNNNN/journal, STATE/NNNNNN/files (the stage for its own mount).
 */
#ifndef KENNEL_DELTA_TXN_H
#define KENNEL_DELTA_TXN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "delta/stage.h"

/* What begins so is ours wherever it stands, and never part of a change. */
#define TXN_STAGE_PREFIX ".kennel-commit-"

struct txn;

struct txn_hooks {
	bool (*stop)(void *data); /* asked between steps: shall it be taken back? NULL: never */
	void (*progress)(void *data, uint64_t entries, uint64_t bytes);
	void (*say)(void *data, const char *text); /* one line for a person */
	void *data;
};

/*
 * Locks the state directory (BUSY where another process has it), makes sure that nothing unfinished is in
 * there, and begins. root_fd is borrowed; root is its path, which a recovery after a reboot opens.
 */
int txn_begin(int state_fd, int root_fd, const char *root, const char *what, const struct txn_hooks *hooks,
	      struct txn **ret, struct kennel_error **err) MUST_CHECK;

/*
 * All paths are relative to the root, in an order in which parents come first. No path may be below one that
 * was dropped, nor below one that was put unless that was a directory: then it becomes a part of it.
 *
 * old is what is there now: NULL, nothing.
 */
int txn_put(struct txn *t, const char *path, const struct stage_item *item, const struct stat *old,
	    struct kennel_error **err) MUST_CHECK;
/* Puts another name of mate, a file of the tree, which must still be that inode. */
int txn_link(struct txn *t, const char *path, const char *mate, const struct stat *mate_st,
	     const struct stat *old, struct kennel_error **err) MUST_CHECK;
int txn_drop(struct txn *t, const char *path, const struct stat *old, struct kennel_error **err) MUST_CHECK;
/* Other attributes for a directory that stays. */
int txn_meta(struct txn *t, const char *path, const struct attr *to, struct kennel_error **err) MUST_CHECK;
/* What the times of a directory will be in which something changes; without it they are those of now. */
int txn_times(struct txn *t, const char *path, const struct timespec to[2], struct kennel_error **err)
	MUST_CHECK;

/*
 * Makes it happen. On failure everything is as it was (or the error says what a later txn_recover() has to
 * do).
 */
int txn_commit(struct txn *t, struct kennel_error **err) MUST_CHECK;

/* Ends it; what was not committed leaves no trace. */
struct txn *txn_free(struct txn *t);

/*
 * Finishes what a killed process left, in one line each to hooks->say. Return: how many; 0 also where another
 * process is at work right now.
 */
int txn_recover(int state_fd, const struct txn_hooks *hooks, struct kennel_error **err) MUST_CHECK;

struct txn_past { /* the transaction that can be undone */
	char *root, *what;
	uint64_t when;
	size_t n; /* places */
};

/*
 * Brings back what was before the last transaction. force: also what was changed since by somebody else
 * (which is lost then), else that is BUSY. Return: 1 done (ret set), 0 there is nothing to undo, or a
 * negative code.
 */
int txn_undo(int state_fd, bool force, const struct txn_hooks *hooks, struct txn_past *ret,
	     struct kennel_error **err) MUST_CHECK;
/* Only looks. Return as above. */
int txn_last(int state_fd, struct txn_past *ret, struct kennel_error **err) MUST_CHECK;
void txn_past_done(struct txn_past *p);

#endif
