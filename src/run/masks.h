/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/masks.h - entries of /proc and /sys that are covered inside, at level `ns` and above. */
#ifndef KENNEL_RUN_MASKS_H
#define KENNEL_RUN_MASKS_H

#include "run/child.h"

/*
 * What tells of the machine or acts on it: runc's default masked paths that kernels since 5.12 have. Entries
 * that a kernel lacks are passed over. The file systems below /sys/kernel (debug, tracing, security) are
 * mounts of the host and not in a new sysfs at all. At level `user` permissions refuse most of these already;
 * a mask is then the second wall.
 */
extern const struct child_mask masks[];
extern const unsigned masks_n;

/* Level `ns` has root's own ids, so what acts on the whole kernel gets a read-only bind on itself there. */
extern const char *const read_only_paths[];
extern const unsigned read_only_paths_n;

#endif
