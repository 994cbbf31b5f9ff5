/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/errand.h - work that only root of the sandbox's user namespace may do, on behalf of an ordinary user.
 *
 * A process joins the namespace, becomes its root, works on descriptors that it inherited, and sends back its
 * error or a few bytes. It never touches the sandbox's mounts by name, and the sandbox's processes
 * can't trace it: it is not dumpable.
 */
#ifndef KENNEL_RUN_ERRAND_H
#define KENNEL_RUN_ERRAND_H

#include "base/buf.h"
#include "base/error.h"

typedef int (*errand_fn)(void *data, struct buf *out, struct kennel_error **err);

/* For work that holds a directory open for each level of a tree. */
void errand_raise_file_limit(void);

/*
 * user_ns_fd: below 0 for a process that stays who it is. Return: what work returned, its error with it; out
 * gets what work put into its own out.
 */
int errand_run(int user_ns_fd, errand_fn work, void *data, struct buf *out, struct kennel_error **err)
	MUST_CHECK;

/*
 * The same in less time: the process shares our memory, and we stand still until it has ended. So what work
 * changes in memory is changed for us, but its table of descriptors is its own: what it opens or closes is
 * not so for us. out is NULL.
 */
int errand_share(int user_ns_fd, errand_fn work, void *data, struct kennel_error **err) MUST_CHECK;

/*
 * A new user namespace with all ids of the caller and nobody in it, for several errands. Return: 0 or a code.
 */
int errand_namespace(int *ret_fd, struct kennel_error **err) MUST_CHECK;

/* The same with the ids of another user, for root. */
struct idmap_user;
int errand_namespace_of(const struct idmap_user *map, int *ret_fd, struct kennel_error **err) MUST_CHECK;

/* The same in a user namespace that is made for this alone, with all ids of the caller (idmap/user.h). */
int errand_alone(errand_fn work, void *data, struct buf *out, struct kennel_error **err) MUST_CHECK;

#endif
