/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check-child.h - the throwaway process in which "kennel check" tries what a start will do.
 *
 * It makes its own namespaces and does in them, one after the other, what run/child.c would, notes what came
 * of each, and ends; with it goes all that it made. System calls only, as there.
 */
#ifndef KENNEL_RUN_CHECK_CHILD_H
#define KENNEL_RUN_CHECK_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#define CHECK_LOWERS_MAX 32u

enum check_try {
	CHECK_TRY_IDS, /* become root of the user namespace */
	CHECK_TRY_MOUNT_NS,
	CHECK_TRY_IPC_NS,
	CHECK_TRY_UTS_NS,
	CHECK_TRY_CGROUP_NS,
	CHECK_TRY_NET_NS,
	CHECK_TRY_TMPFS,
	CHECK_TRY_USER_XATTR,
	CHECK_TRY_LAYER_FD, /* overlay takes its layers by descriptor */
	CHECK_TRY_OVERLAY, /* mounted */
	CHECK_TRY_WRITE, /* and a file could be made in it */
	CHECK_TRY_PROC,
	CHECK_TRY_SYS,
	CHECK_TRY_DEVPTS,
	CHECK_TRY_FUSE_OPEN,
	CHECK_TRY_FUSE_MOUNT,
	CHECK_TRY_TAP,
	CHECK_TRY_MEMORY_FILE,
	CHECK_TRY_FILTER,
	CHECK_TRIES,
};

#define CHECK_NOT_TRIED (-1)

struct check_shared { /* a shared mapping */
	int32_t errnum[CHECK_TRIES]; /* 0: worked; CHECK_NOT_TRIED; else the errno */
	/* By the parent, before the go; n_lowers 0: a directory of the child's own. */
	int lower_fds[CHECK_LOWERS_MAX];
	unsigned n_lowers;
	int delta_fd; /* the same; -EBADF: the child makes one */
};

struct sock_fprog;
struct check_child {
	struct check_shared *shared;
	int go_fd; /* read end of a pipe: 'g' is the go */
	int parent_pidfd;
	bool user_ns;
	bool fuse, tap; /* try these too */
	const struct sock_fprog *filter;
};

_Noreturn void check_child_main(const struct check_child *p);

#endif
