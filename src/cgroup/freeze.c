/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/freeze.c - making all processes of a group stand still, and go on.
 *
 * v2 has it in every group: cgroup.freeze asks, cgroup.events answers; a frozen process can be killed. v1
 * has a hierarchy for it: freezer.state asks and answers, and a signal waits there until the group is
 * thawed, so whoever ends a group thaws it first.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cgroup/group.h"

#define STEP_MS 2
#define STEPS 1000 /* two seconds: a process that waits for a dead disk never stands still */

#define NO_GROUP_HINT \
	"it takes a control group of its own: as root, or where one was delegated (see \"kennel check\")"

static bool file_says(int dir_fd, const char *file, const char *word)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[256];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strstr(text, word) != NULL;
}

static bool stands_still(int dir_fd, bool v2)
{
	return v2 ? file_says(dir_fd, "cgroup.events", "frozen 1") :
		    file_says(dir_fd, "freezer.state", "FROZEN");
}

static bool runs(int dir_fd, bool v2)
{
	return v2 ? file_says(dir_fd, "cgroup.events", "frozen 0") :
		    file_says(dir_fd, "freezer.state", "THAWED");
}

int cgroup_freeze(const char *of_text, bool freeze, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF;
	bool v2;

	int r = cgroup_open_made(of_text, CGROUP_FREEZER, &dir_fd, &v2, err);
	if (r < 0)
		return r;
	if (r == 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "it has no control group that could be frozen"),
			    NO_GROUP_HINT);
	return cgroup_freeze_dir(dir_fd, v2, freeze, err);
}

int cgroup_freeze_dir(int dir_fd, bool v2, bool freeze, struct kennel_error **err)
{
	if (cgroup_write(dir_fd, v2 ? "cgroup.freeze" : "freezer.state",
			 v2 ? (freeze ? "1" : "0") : (freeze ? "FROZEN" : "THAWED")) < 0)
		return fail_errno(err, "write to the freezer of the control group");
	for (unsigned i = 0; i < STEPS; i++) {
		if (freeze ? stands_still(dir_fd, v2) : runs(dir_fd, v2))
			return 0;
		clock_pause_ms(STEP_MS);
	}
	return hint(
		err,
		fail(err, KENNEL_E_BUSY, freeze ? "not all of it stands still" : "not all of it goes on"),
		"a process of it waits for a disk or a file system that does not answer: see ps -eo stat,wchan,cmd");
}

int cgroup_is_frozen(const char *of_text)
{
	_cleanup_close_ int dir_fd = -EBADF;
	bool v2;

	int r = cgroup_open_made(of_text, CGROUP_FREEZER, &dir_fd, &v2, NULL);
	return r <= 0 ? -KENNEL_E_UNSUPPORTED : stands_still(dir_fd, v2);
}

int cgroup_thaw_fd(const struct cgroup *cg)
{
	for (unsigned i = 0; cg && i < cg->n; i++)
		if (!cg->dirs[i].v2 && cg->dirs[i].ctls & CGROUP_FREEZER)
			return openat(cg->dirs[i].fd, "freezer.state", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return -EBADF;
}
