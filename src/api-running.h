/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-running.h - a running sandbox by its id, held so that it can't become another one. */
#ifndef KENNEL_API_RUNNING_H
#define KENNEL_API_RUNNING_H

#include <kennel/kennel.h>

#include "base/buf.h"
#include "run/copy.h"

/*
 * Its processes by number and its entry as a list of one, the caller's. Also of one whose command has ended.
 */
int running_read(const char *id, struct copy_sandbox *sb, struct kennel_list **ret_list,
		 struct kennel_error **err) MUST_CHECK;

/*
 * Its first process as a pidfd, its root directory, and its entry as a list of one (unless ret_list is NULL).
 * All are the caller's. Return: 0, or a negative code: NOTFOUND there is none.
 */
int running_open(const char *id, struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd,
		 struct kennel_list **ret_list, struct kennel_error **err) MUST_CHECK;

/* Has it a kernel of its own, which alone sees its files as they are? */
bool running_is_guest(const struct kennel_list *list);

/* As running_open(), for who wants its files; UNSUPPORTED where those are a guest's. */
int running_open_files(const char *id, struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd,
		       struct kennel_error **err) MUST_CHECK;

/*
 * The control groups of its first process as /proc has them, read while pidfd says that it still is that
 * one.
 */
int running_cgroup(const struct copy_sandbox *sb, int pidfd, struct buf *ret, struct kennel_error **err)
	MUST_CHECK;

#endif
