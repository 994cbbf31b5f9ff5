/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/journal.h - what a transaction on files is about to do, written down before it does it.
 *
 * A text file of lines "key<tab>field...<tab>#CRC"; the sum is over the bytes of the line in front of it.
 * What follows a damaged or unfinished line was never believed by anybody and is ignored, so a write that a
 * power failure cut off did not happen. The last state line says how things stand:
 *
 *   (none)      content is being staged; nothing was changed
 *   prepared    everything is staged and written down: places are changed now, one by one
 *   committed   all of them hold the new things, the stage holds the previous ones
 *   undo        places are changed back
 *   back        all of them hold the old things; the stage and this file may go
 *   over        a later transaction stands: likewise, but this one can't be undone any more
 *
 * Interrupted in "prepared", the old state is made again; in "undo", the new one, from which it can be undone
 * once more. Which of its two things a place has is told by inode number, so any subset of the changes may
 * have reached the disk, in any order.
 */
#ifndef KENNEL_DELTA_JOURNAL_H
#define KENNEL_DELTA_JOURNAL_H

#include <stdint.h>

#include "base/buf.h"
#include "delta/attr.h"

enum journal_state {
	JOURNAL_STAGING,
	JOURNAL_PREPARED,
	JOURNAL_COMMITTED,
	JOURNAL_UNDO,
	JOURNAL_BACK,
	JOURNAL_OVER,
};

struct journal_stage { /* a hidden directory on the file system of what it is for */
	char *dir; /* where it is, below the root; NULL: in the directory of the journal itself */
	char *name;
};

struct journal_put { /* old or new may be 0: there is nothing */
	char *path; /* below the root, without a "/" in front */
	uint32_t stage; /* the other one of the two is in this stage, called by the number of this line */
	uint64_t old_ino, new_ino;
	struct timespec old_ctime; /* that counts for the old thing (restored.h), before it was touched */
	struct timespec settled; /* change time of what is there, once committed */
};

struct journal_meta { /* a directory that stays but gets other attributes */
	char *path;
	uint64_t ino;
	struct timespec old_ctime;
	struct attr from, to;
};

struct journal_times { /* a directory in which something changes */
	char *path;
	uint64_t ino;
	struct timespec from[2], to[2];
};

struct journal {
	enum journal_state state;
	char *root; /* path of the tree that is changed */
	uint64_t root_ino;
	char *what; /* whose changes, for people */
	uint64_t when; /* seconds since 1970 */
	struct journal_stage *stages;
	size_t n_stages;
	struct journal_put *puts;
	size_t n_puts;
	struct journal_meta *metas;
	size_t n_metas;
	struct journal_times *times;
	size_t n_times;
	size_t good; /* bytes up to the end of the last good line */
};

/* Each appends one line to b. */
void journal_put_head(struct buf *b, const struct journal *j);
void journal_put_stage(struct buf *b, const struct journal_stage *s);
void journal_put_put(struct buf *b, const struct journal_put *p);
void journal_put_meta(struct buf *b, const struct journal_meta *m);
void journal_put_times(struct buf *b, const struct journal_times *t);
void journal_put_settled(struct buf *b, size_t i, const struct timespec *settled);
/* The new thing at a place is another one by now: an undo that is forced moves that one away. */
void journal_put_became(struct buf *b, size_t i, uint64_t new_ino);
void journal_put_state(struct buf *b, enum journal_state state);

/*
 * Pure. Return: 1, 0 there is not even a head (the transaction never began), or a negative code: a format
 * of the future, or damage in front of a state line, which no power failure makes.
 */
int journal_parse(const char *text, size_t len, struct journal *ret, struct kennel_error **err) MUST_CHECK;

/* Room for one more; NULL without memory. */
void *journal_grow(void *items, size_t *n, size_t size);
void journal_done(struct journal *j);

#endif
