/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-delta.h - what a kennel_delta is, for the other files of the public API. */
#ifndef KENNEL_API_DELTA_H
#define KENNEL_API_DELTA_H

#include <kennel/delta.h>

#include "delta/tree.h"

struct kennel_delta {
	struct delta_tree *tree;
};

/*
 * The user namespace in which the ids of a container's delta are what they are inside; owner: of its store,
 * root or somebody whose word on other ids than the own counts nothing. Leaves *ret_fd alone where root needs
 * none.
 */
int delta_open_namespace(const struct manifest *m, uid_t owner, int *ret_fd, struct kennel_error **err)
	MUST_CHECK;

/*
 * delta_tree_open() for a container on all its layers. Its volume stays mounted as long as the tree is open.
 */
struct container;
int delta_open_held(struct container *c, struct manifest *m, int delta_fd, int ns_fd, struct delta_tree **ret,
		    struct kennel_error **err) MUST_CHECK;

/*
 * Which mount a clean absolute path lies in, and where below it. Pure.
 */
unsigned delta_locate(const struct manifest *m, const char *path, const char **ret_rel);
/*
 * A descriptor that the sandbox's monitor holds, by its number there: of the delta, of the user namespace
 * whose root reads it. Return: descriptor or code.
 */
struct copy_sandbox;
int delta_open_monitors_fd(const struct copy_sandbox *sb, const char *number, int flags,
			   struct kennel_error **err) MUST_CHECK;

#endif
