/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/cpuset.c - which processors a group may use.
 *
 * v2 takes any list, and where none of it can be had the group silently has those of the one above; so we
 * look before. v1 has nothing in a new group, lets nothing into one without processors and memory nodes, and
 * keeps a group's list within that of the one above at any moment: a group of ours with another one inside
 * goes through the union of both lists.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cpulist.h"
#include "cgroup/group.h"

#define LIST_SIZE 4096

int cgroup_cpuset_inherit(int dir_fd)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	_cleanup_close_ int above_fd = openat(dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[LIST_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (above_fd < 0 || cgroup_read(above_fd, files[i], text, sizeof(text)) < 0 ||
		    cgroup_write(dir_fd, files[i], text) < 0)
			return -1;
	return 0;
}

/* Those that the group above really has: 0, or -1 and errno. */
static int read_above(const struct cgroup_dir *d, char *text)
{
	_cleanup_close_ int above_fd = openat(d->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (above_fd < 0)
		return -1;
	if (cgroup_read(above_fd, d->v2 ? "cpuset.cpus.effective" : "cpuset.cpus", text, LIST_SIZE) > 0)
		return 0;
	return cgroup_read(above_fd, "cpuset.effective_cpus", text, LIST_SIZE) > 0 ? 0 : -1;
}

static int check_there(const struct cgroup_dir *d, const char *cpuset, struct kennel_error **err)
{
	struct cpulist asked, above;
	char text[LIST_SIZE];

	if (cpulist_parse(cpuset, &asked) <= 0)
		return fail(err, KENNEL_E_INVALID, "cpuset: \"%s\" is no list of processors", cpuset);
	if (read_above(d, text) < 0)
		return fail_errno(err, "cpuset: read which processors there are");
	if (cpulist_parse(text, &above) < 0)
		return fail(err, KENNEL_E_IO, "the kernel's list of processors \"%s\" is none", text);
	int missing = cpulist_missing(&asked, &above);
	if (missing < 0)
		return 0;
	return hint(err, fail(err, KENNEL_E_INVALID, "cpuset: processor %d can't be had here", missing),
		    "those that there are: %s", text);
}

/* v1: the group and the one inside it. */
static int set_both(const struct cgroup_dir *d, const char *cpuset)
{
	_cleanup_close_ int inside_fd =
		openat(d->fd, CGROUP_INSIDE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char now[LIST_SIZE], both[2 * LIST_SIZE];

	if (inside_fd >= 0) {
		if (cgroup_read(d->fd, "cpuset.cpus", now, sizeof(now)) < 0)
			return -1;
		(void)!snprintf(both, sizeof(both), "%s%s%s", now, *now ? "," : "", cpuset);
		if (cgroup_write(d->fd, "cpuset.cpus", both) < 0 ||
		    cgroup_write(inside_fd, "cpuset.cpus", cpuset) < 0)
			return -1;
	}
	return cgroup_write(d->fd, "cpuset.cpus", cpuset);
}

int cgroup_set_cpuset(const struct cgroup_dir *d, const char *cpuset, struct kennel_error **err)
{
	char all[LIST_SIZE];
	int r = cpuset ? check_there(d, cpuset, err) : 0;

	if (r < 0)
		return r;
	if (!cpuset && d->v2)
		return cgroup_write(d->fd, "cpuset.cpus", "\n") < 0 ?
			       fail_errno(err, "empty \"cpuset.cpus\" of the control group") :
			       0;
	if (!cpuset) {
		if (read_above(d, all) < 0)
			return fail_errno(err, "read which processors there are");
		cpuset = all;
	}
	if ((d->v2 ? cgroup_write(d->fd, "cpuset.cpus", cpuset) : set_both(d, cpuset)) == 0)
		return 0;
	r = fail_errno(err, "cpuset: write \"%s\" to the control group", cpuset);
	if (kennel_error_errno(err ? *err : NULL) == EBUSY)
		return hint(err, r, "a group that the inside has made uses one of the others");
	return r;
}
