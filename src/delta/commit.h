/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/commit.h - which changes of a delta can be made to its base, and making them.
 *
 * Three steps: commit_collect() lists the changes and judges each; the caller chooses; commit_apply() makes
 * what was chosen, as one transaction (txn.h).
 *
 * A change conflicts where the host has changed too since the sandbox took the file: the host's change time
 * is later than the birth of what the delta has in its place. It is left where it can't be made: owners
 * that an ordinary user can't give, directories that this user may not write, sockets, /proc and its like.
 */
#ifndef KENNEL_DELTA_COMMIT_H
#define KENNEL_DELTA_COMMIT_H

#include "delta/diff.h"
#include "delta/restored.h"
#include "delta/txn.h"

enum commit_verdict { COMMIT_FINE, COMMIT_CONFLICT, COMMIT_LEFT };

enum commit_rights { /* what it lets others do, once it is there */
		     COMMIT_SETUID = 1 << 0,
		     COMMIT_SETGID = 1 << 1,
		     COMMIT_CAPABILITY = 1 << 2,
		     COMMIT_DEVICE = 1 << 3,
};

struct commit_entry {
	char *path; /* inside, absolute; on the host below the root */
	unsigned mount;
	char *rel, *link_to;
	enum delta_kind kind;
	unsigned bits;
	struct stat before, after;
	enum commit_verdict verdict;
	char *reason; /* unless it is fine */
	unsigned rights;
	bool chosen;
	bool there; /* the host has something, host is what */
	struct stat host;
};

struct commit {
	struct delta_tree *tree; /* borrowed */
	int root_fd; /* what is changed */
	char *root; /* its path */
	struct commit_entry *items; /* in the order of a tree */
	size_t n;
};

/* own: a path on the host, and what is below it, that is never touched (the state directory); or
 * NULL. restored: what looks changed but is not; or NULL. */
int commit_collect(struct delta_tree *tree, const char *own, const struct restored *restored,
		   struct commit *ret, struct kennel_error **err) MUST_CHECK;
void commit_done(struct commit *c);

/* Chooses what is at or below path (absolute, clean), and nothing else after commit_choose_none(). */
void commit_choose_none(struct commit *c);
/* Return: how many there are. */
size_t commit_choose(struct commit *c, const char *path);
/* One of them; as below. */
void commit_choose_one(struct commit *c, size_t i, bool chosen);
/* A directory that is added comes with what is chosen in it. */
void commit_choose_parents(struct commit *c);

/*
 * Makes what is chosen and fine (where force, also what conflicts). *ret_n: how many.
 */
int commit_apply(struct commit *c, int state_fd, const char *what, bool force, const struct txn_hooks *hooks,
		 size_t *ret_n, struct kennel_error **err) MUST_CHECK;

#endif
