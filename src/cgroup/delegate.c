/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroup/delegate.c - a group that root of the inside may do with as it likes, below the limits. */
#include <fcntl.h>
#include <unistd.h>

#include "cgroup/group.h"

/* See "Delegation" in the kernel's cgroup-v2.rst, and /sys/kernel/cgroup/delegate. */
static int hand_over(int dir_fd, const char *file, uid_t uid, gid_t gid)
{
	int r = *file ? fchownat(dir_fd, file, uid, gid, AT_SYMLINK_NOFOLLOW) :
			fchownat(dir_fd, "", uid, gid, AT_EMPTY_PATH);

	return r < 0 && errno == ENOENT && *file ? 0 : r;
}

int cgroup_delegate(const struct cgroup *cg, uid_t uid, gid_t gid, struct kennel_error **err)
{
	static const char *const files[] = { "", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control",
					     "memory.oom.group" };

	for (unsigned i = 0; cg && i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];

		if (!d->v2 || d->inside_fd < 0)
			continue;
		cgroup_enable_all(d->fd); /* that it can limit its own, where ours may */
		for (size_t k = 0; k < ARRAY_SIZE(files); k++)
			if (hand_over(d->inside_fd, files[k], uid, gid) < 0)
				return fail_errno(err, "hand a control group over to the sandbox");
		return 1;
	}
	return 0;
}
