/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/graft-inside.h - what graft.c and graft-layer.c do alike, in a process that has no way back. */
#ifndef KENNEL_RUN_GRAFT_INSIDE_H
#define KENNEL_RUN_GRAFT_INSIDE_H

#include "base/error.h"

struct graft;
struct view_plan;

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000 /* linux/stat.h, Linux 5.8 */
#endif

int graft_join_mounts(const struct graft *g, struct kennel_error **err) MUST_CHECK;
int graft_become_root(const struct graft *g, struct kennel_error **err) MUST_CHECK;
/* Return: descriptor, or a code. */
int graft_open_user_ns(const struct graft *g, struct kennel_error **err) MUST_CHECK;

/*
 * graft-layer.c: has the guest do an errand (vm/program/errand.h). words end with NULL. Return: 0, the errno
 * with which it failed, or a code.
 */
int graft_errand(const struct graft *g, const char *const *words, struct kennel_error **err) MUST_CHECK;

/*
 * graft-view.c: v as a detached mount of the sandbox's user namespace, for an ordinary user; its server
 * runs, and ends with that mount. *ret_tree_fd is the caller's.
 */
int graft_make_view(const struct graft *g, const struct view_plan *v, int *ret_tree_fd,
		    struct kennel_error **err) MUST_CHECK;

#endif
