/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/cgroup.h - one control group per sandbox that needs one: limits and the device policy.
 *
 * Works on cgroup v2, on v1 and on hybrid: the group is made in every hierarchy that a wish needs, as
 * kennel-ID (place.c says where). Nothing is made where nothing is wished for, because a start without limits
 * should not pay for it.
 *
 * How a process gets in matters: writing another process's id makes the kernel wait for a grace period, some
 * 10 ms where it was idle. A child that is born into the group (v2) or moves itself alone (v1) costs a
 * thousandth of that, so the start path uses those two. In either case a cgroup namespace must be unshared
 * afterwards, for its root is the group at that moment.
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
	uint64_t memory_bytes, pids, cpus_milli; /* 0: none */
	const struct device_policy *devices; /* NULL: none */
	const char *mountinfo; /* /proc/self/mountinfo where the caller has it; NULL: read here */
	/*
	 * Told of each directory before it is made, so that somebody can remove it if we are killed right
	 * after, the last one first; the descriptor is borrowed for as long as the group lives. NULL: nobody.
	 */
	void (*note)(void *data, int parent_fd, const char *name);
	void *note_data;
};

struct cgroup;

/*
 * Makes the group(s) and sets the limits. *ret is NULL where nothing was wished. A wish that can't be had is
 * an error that names it and the remedy. The id (letters, digits, "._-") must be registered before:
 * cgroup_gc() removes empty groups of unknown ids.
 */
int cgroup_new(const char *id, const struct cgroup_wish *wish, struct cgroup **ret, struct kennel_error **err)
	MUST_CHECK;

/* v2: for clone3's CLONE_INTO_CGROUP; -EBADF where no v2 group is used. Borrowed. */
int cgroup_clone_fd(const struct cgroup *cg);
/*
 * v1: the child writes "0" to each of these descriptors while it has one thread. They take the opener's
 * rights, so also inside a user namespace, and must be shut before the sandbox's program runs (they are
 * close-on-exec). Borrowed.
 */
unsigned cgroup_entries(const struct cgroup *cg);
int cgroup_entry_fd(const struct cgroup *cg, unsigned i);

/* Moves a running process in, into every hierarchy used; slow, see above. */
int cgroup_attach(struct cgroup *cg, pid_t pid, struct kennel_error **err) MUST_CHECK;
/*
 * Ends every process in it and removes it with all groups made inside; patient for two seconds. Safe to call
 * twice; NULL is fine.
 */
int cgroup_destroy(struct cgroup *cg, struct kennel_error **err);
/* Only the memory and descriptors; the group itself stays. */
struct cgroup *cgroup_free(struct cgroup *cg);

/*
 * Directories of the group, for somebody who must remove them after we were killed: count, and the i-th as
 * (parent descriptor, name). Borrowed.
 */
unsigned cgroup_dirs(const struct cgroup *cg);
int cgroup_dir(const struct cgroup *cg, unsigned i, const char **ret_name);

/*
 * The groups that another process is in and we are not, for a process of ours that is to go there: born
 * into clone_fd (v2; or -EBADF), or writing "0" to each of entry_fds (v1). of_text is that process's
 * /proc/PID/cgroup.
 */
#define CGROUP_JOIN_MAX 4
struct cgroup_join {
	int clone_fd;
	int entry_fds[CGROUP_JOIN_MAX];
	unsigned n_entries;
};
int cgroup_join_open(const char *of_text, struct cgroup_join *ret, struct kennel_error **err) MUST_CHECK;
void cgroup_join_done(struct cgroup_join *j);
#define _cleanup_cgroup_join_ __attribute__((cleanup(cgroup_join_done)))

/*
 * Removes empty kennel-* groups that are ours by uid and whose sandbox is gone: alive() says of an id whether
 * it lives. Returns how many directories, or a code.
 */
int cgroup_gc(bool (*alive)(void *data, const char *id), void *data, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_cgroupp(struct cgroup **cg)
{
	*cg = cgroup_free(*cg);
}
#define _cleanup_cgroup_ __attribute__((cleanup(cleanup_cgroupp)))

#endif
