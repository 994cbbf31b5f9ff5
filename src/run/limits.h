/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/limits.h - the limits of a spec: as what a control group takes, and as room for changes.
 */
#ifndef KENNEL_RUN_LIMITS_H
#define KENNEL_RUN_LIMITS_H

#include <stdbool.h>

#include "cgroup/cgroup.h"
#include "conf/spec.h"

/* Is there one that needs a control group? */
bool run_limits_any(const struct spec *s);
/*
 * Puts them into *ret. delta_fd: where the changes are on disk, -EBADF in memory. *io must live as long as
 * *ret, and so must the spec. INVALID: rates without a disk that they could be meant for.
 */
int run_limits_wish(const struct spec *s, int delta_fd, struct cgroup_io *io, struct cgroup_wish *ret,
		    struct kennel_error **err) MUST_CHECK;
/* The controller (enum cgroup_ctl) of a limit by its key; 0: it is none, or has none. */
unsigned run_limits_ctl(const char *key);

/* Bytes and inodes of the file system in memory that has the changes, or what is not kept of them. */
uint64_t run_limits_room(const struct spec *s, uint64_t total_memory);
uint64_t run_limits_inodes(uint64_t bytes);
/*
 * Gives it another size while it is used. user_ns_fd: of its owner, -EBADF where that is ours. INVALID:
 * there is more in it.
 */
int run_limits_resize(int delta_fd, int user_ns_fd, uint64_t bytes, struct kennel_error **err) MUST_CHECK;
#endif
