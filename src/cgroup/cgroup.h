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

#define CGROUP_NO_LIMIT UINT64_MAX

/* What may be read from and written to one disk in a second; CGROUP_NO_LIMIT: as much as it can. */
struct cgroup_io {
	uint64_t read_bytes, write_bytes, reads, writes;
	unsigned major, minor; /* of a whole disk, see cgroup_io_disk() */
};

struct cgroup_wish {
	uint64_t memory_bytes, pids, cpus_milli; /* 0: none */
	/* Beside the memory; not said, it is none where there is a limit of memory. */
	bool has_swap;
	uint64_t swap_bytes; /* CGROUP_NO_LIMIT: as much as there is */
	const char *cpuset; /* a list as of cpulist.h; NULL: all that there are */
	const struct cgroup_io *io; /* NULL: none */
	const struct device_policy *devices; /* NULL: none */
	/*
	 * It lives on behind its caller: apart from the caller's session, and it can be frozen if that can
	 * be had.
	 */
	bool background;
	bool delegate; /* a v2 group that cgroup_delegate() can hand over, if there can be one */
	bool no_scope; /* systemd is not asked for one: it has just been, and did not answer */
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

/*
 * Hands the v2 group over to root of the inside, who may then make groups in it, up to the limits that it has
 * itself. Return: 1, 0 there is none that could be, or a code.
 */
int cgroup_delegate(const struct cgroup *cg, uid_t uid, gid_t gid, struct kennel_error **err) MUST_CHECK;

/* Moves a running process in, into every hierarchy used; slow, see above. */
int cgroup_attach(struct cgroup *cg, pid_t pid, struct kennel_error **err) MUST_CHECK;
/*
 * Ends every process in it and removes it with all groups made inside; patient for two seconds. Safe to call
 * twice; NULL is fine.
 */
int cgroup_destroy(struct cgroup *cg, struct kennel_error **err);
/*
 * Removes one directory of a group, with what was made in it. System calls only: the janitor does it beside a
 * dead monitor. -1 and errno: EBUSY there are processes in it still.
 */
int cgroup_remove_named(int parent_fd, const char *name);
/*
 * Freezes or thaws all processes of the group that kennel made for the process whose /proc/PID/cgroup of_text
 * is. Waits until they stand still. Return: 0, UNSUPPORTED where it has no such group, or another code.
 */
int cgroup_freeze(const char *of_text, bool freeze, struct kennel_error **err) MUST_CHECK;
/* Return: 1, 0, or a negative code where it can't be frozen. */
int cgroup_is_frozen(const char *of_text);
/*
 * Allows or denies the asked rules of which in the same group, where that has a device policy; all: all
 * that it is to allow from now on, defaults included (v2 takes it as a whole). Return: 1, 0 there is no
 * policy, so nothing had to be done, or a code.
 */
int cgroup_permit(const char *of_text, const struct device_policy *all, const struct device_policy *which,
		  bool on, struct kennel_error **err) MUST_CHECK;

/*
 * Sets the limits of one controller (enum cgroup_ctl) of the same group anew, to those of the wish; what is
 * not wished for is lifted. Return: 0, UNSUPPORTED where the group has not got the controller, or another
 * code.
 */
int cgroup_limit(const char *of_text, unsigned ctl, const struct cgroup_wish *wish, struct kennel_error **err)
	MUST_CHECK;
/*
 * The disk that can be limited for a file or directory on it, or for a block device. Return: 0, or
 * UNSUPPORTED where it is on none (memory, network, several disks in one).
 */
int cgroup_io_disk(int fd, unsigned *ret_major, unsigned *ret_minor, struct kennel_error **err) MUST_CHECK;
/*
 * Calls say() with the name and value of each limit that the same group has, as the options have them; none
 * where there is no group.
 */
int cgroup_limits_read(const char *of_text, int (*say)(void *data, const char *name, const char *value),
		       void *data, struct kennel_error **err) MUST_CHECK;
/*
 * How often a process of the group was killed because memory_bytes were not enough; 0 where that is
 * unknown.
 */
uint64_t cgroup_oom_kills(const struct cgroup *cg);
/* Which limits that was for, and others that something has run into, as far as the kernel counts. */
enum cgroup_hit {
	CGROUP_HIT_MEMORY = 1 << 0, /* killed: memory_bytes */
	CGROUP_HIT_SWAP = 1 << 1, /* killed: memory_bytes and swap_bytes together */
	CGROUP_HIT_INNER = 1 << 2, /* killed: of a group that was made inside */
	CGROUP_HIT_OUTER = 1 << 3, /* killed: of a group around it, or all memory of the machine */
	CGROUP_HIT_PIDS = 1 << 4, /* no process could be made */
};
unsigned cgroup_limits_hit(const struct cgroup *cg);
/*
 * v1: a file in which "THAWED" lets the group run again, for who has to end it; -EBADF where v2 needs none.
 */
int cgroup_thaw_fd(const struct cgroup *cg);
/*
 * Groups that the inside has made in a group that was handed over belong to its root, and an ordinary user
 * can't remove them: are there any? Removing them is for a process in the inside's user namespace, once
 * nothing runs.
 */
bool cgroup_has_inner(const struct cgroup *cg);
void cgroup_remove_inner(const struct cgroup *cg);
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
#define CGROUP_JOIN_MAX 8
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
 * it lives. uid is ours as it is seen here. Returns how many directories, or a code.
 */
int cgroup_gc(bool (*alive)(void *data, const char *id), void *data, uid_t uid, struct kennel_error **err)
	MUST_CHECK;

static inline void cleanup_cgroupp(struct cgroup **cg)
{
	*cg = cgroup_free(*cg);
}
#define _cleanup_cgroup_ __attribute__((cleanup(cleanup_cgroupp)))

#endif
