/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/child-guest.h - the part of run/child.c that makes the root around a guest's kernel (run/vm.h).
 * System calls alone, as there; what fails ends the process.
 */
#ifndef KENNEL_RUN_CHILD_GUEST_H
#define KENNEL_RUN_CHILD_GUEST_H

#include "run/child.h"

struct child_at { /* where we are, for the report */
	const struct child_plan *p;
	struct child_report report;
	int top_fd; /* iff there is another root above the copy's */
	int place_fds[CHILD_MAX_PLACES]; /* in our own table; those that are shared are the parent's, too */
	/* mounts of the copy, which is read-only once all is in it: hostfs shows it to the guest's root */
	int tree_fds[CHILD_MAX_FDS + 16];
	unsigned n_tree;
};

_Noreturn void child_die(struct child_at *at, enum child_step step);

/* The root that the copy will be a directory of: an empty file system, on top of the pile. */
void child_guest_begin(struct child_at *at);
/* The root of the copy becomes its directory. Return: 0, or -1 and errno. */
int child_guest_take_tree(struct child_at *at, int mount_fd);
/* One more mount of the copy. */
void child_guest_keep(struct child_at *at, int mount_fd);
/*
 * What an ordinary user's child will take, found while it has the user's own rights: root inside may not go
 * through directories of a group that is none of its own.
 */
void child_find_places(struct child_at *at);
/*
 * What stands in the root around the copy. An ordinary user's child takes it from its own copy of the mounts:
 * nobody could lock these against root inside, but nobody there has the right to change a mount.
 */
void child_take_places(struct child_at *at);
/* All that stands beside the copy; and nothing stands in the copy that the guest has of its own. */
void child_guest_furnish(struct child_at *at, int tree_fd);
/* Nothing is made in the copy any more. */
void child_guest_close(struct child_at *at);

#endif
