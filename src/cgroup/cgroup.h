/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/cgroup.h - one control group per sandbox that needs one: limits and the device policy.
 *
 * Works on cgroup v2, on v1 and on hybrid: the group is made in every hierarchy that a wish needs, below the caller's own group, as
 * kennel-ID. Nothing is made where nothing is wished for, because a start without limits should not pay for it.
 */
#ifndef KENNEL_CGROUP_CGROUP_H
#define KENNEL_CGROUP_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "device/device.h"

struct cgroup_wish {
	uint64_t memory_bytes, pids, cpus_milli;        /* 0: none */
	const struct device_policy *devices;            /* NULL: none */
};

struct cgroup;

/* Makes the group(s) and sets the limits. *ret is NULL where nothing was wished. A wish that can't be had is an error that names it and the remedy. */
int cgroup_new(const char *id, const struct cgroup_wish *wish, struct cgroup **ret, struct kennel_error **err) MUST_CHECK;
/* Moves a process in, into every hierarchy used. */
int cgroup_attach(struct cgroup *cg, pid_t pid, struct kennel_error **err) MUST_CHECK;
/* Ends every process in it (cgroup.kill, or freezer and SIGKILL) and removes it; patient for a short while. Safe to call twice. */
int cgroup_destroy(struct cgroup *cg, struct kennel_error **err);
struct cgroup *cgroup_free(struct cgroup *cg);

/* Directories of the group, for somebody who must remove them after we were killed: count, and the i-th as (parent descriptor, name). Borrowed. */
unsigned cgroup_dirs(const struct cgroup *cg);
int cgroup_dir(const struct cgroup *cg, unsigned i, const char **ret_name);

/* Removes empty kennel-* groups whose sandbox is gone: alive() says of an id whether it lives. Returns how many, or a code. */
int cgroup_gc(bool (*alive)(void *data, const char *id), void *data, struct kennel_error **err) MUST_CHECK;

#endif
