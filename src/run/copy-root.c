/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/copy-root.c - from a runtime entry to the root directory of the sandbox, held so that it can't
 * become another one.
 *
 * A number in a file is not a process: it may have been given to another one since. So the process is
 * opened as a pidfd and as a /proc directory, everything is read through that directory, and at the end
 * the pidfd must still say "runs": then both are one process. That this process is the sandbox's is shown
 * by its parent, the monitor of the entry, and by its namespaces, which are not ours.
 *
 * The entry is there a moment before the sandbox has its own root. Until its pivot_root() the first
 * process sees the machine's own files, and a copy would go there: a root that is our root is refused.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "path/path.h"
#include "run/copy.h"
#include "sys/sys.h"

int copy_parse_idmap(const char *text, struct copy_sandbox *sb, struct kennel_error **err)
{
	char base[16];

	sb->mapped = text && strcmp(text, "no") != 0;
	if (!sb->mapped)
		return 0;
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : sizeof(base);
	if (n < sizeof(base)) {
		memcpy(base, text, n);
		base[n] = '\0';
		if (parse_u32(base, &sb->map.base) == 0 && parse_u32(colon + 1, &sb->map.count) == 0 &&
		    sb->map.count && sb->map.base <= UINT32_MAX - sb->map.count)
			return 0;
	}
	return fail(err, KENNEL_E_CORRUPT, "the id map \"%s\"", text);
}

/* Field 4 of stat; the name in field 2 may hold anything, also ")". */
static int read_parent(int proc_fd, pid_t *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(proc_fd, "stat", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };
	int parent;

	if (fd < 0)
		return fail_errno(err, "look at the sandbox's first process");
	int r = buf_read_fd(&b, fd, 4096, err);
	if (r < 0)
		return r;
	const char *end = strrchr(buf_str(&b), ')');
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return fail(err, KENNEL_E_CORRUPT, "the state of the sandbox's first process");
	*ret = parent;
	return 0;
}

/* 1 the process has a namespace of that kind other than ours, 0 the same one. */
static int has_other_namespace(int proc_fd, int self_fd, const char *name, struct kennel_error **err)
{
	struct stat theirs, ours;

	if (fstatat(proc_fd, name, &theirs, 0) < 0 || fstatat(self_fd, name, &ours, 0) < 0)
		return fail_errno(err, "compare the sandbox's namespaces with ours");
	return theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino;
}

static int refuse_unmade(struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_BUSY, "the sandbox is still being made"),
		    "try again in a moment");
}

static int check_process(const struct copy_sandbox *sb, int proc_fd, int self_fd, struct kennel_error **err)
{
	pid_t parent = 0;

	int r = read_parent(proc_fd, &parent, err);
	if (r < 0)
		return r;
	if (parent != sb->monitor)
		return fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended");
	r = has_other_namespace(proc_fd, self_fd, "ns/mnt", err);
	if (r > 0 && sb->mapped)
		r = has_other_namespace(proc_fd, self_fd, "ns/user", err);
	if (r < 0)
		return r;
	return r ? 0 : refuse_unmade(err);
}

static int open_checked_root(int proc_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat theirs, ours;

	if (fd < 0 || fstat(fd, &theirs) < 0 || stat("/", &ours) < 0)
		return fail_errno(err, "open the sandbox's root");
	if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino)
		return refuse_unmade(err);
	return take_fd(&fd);
}

int copy_open_root(const struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd, struct kennel_error **err)
{
	char name[16];
	_cleanup_close_ int proc_root_fd = path_open_proc(err);

	if (proc_root_fd < 0)
		return proc_root_fd;
	_cleanup_close_ int pidfd = sys_pidfd_open(sb->init, 0);
	if (pidfd < 0)
		return errno == ESRCH ? fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended") :
					fail_errno(err, "open the sandbox's first process");
	snprintf(name, sizeof(name), "%d", sb->init);
	_cleanup_close_ int proc_fd = openat(proc_root_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int self_fd = openat(proc_root_fd, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || self_fd < 0)
		return fail_errno(err, "open the sandbox's first process");
	int r = check_process(sb, proc_fd, self_fd, err);
	_cleanup_close_ int root_fd = r < 0 ? -EBADF : open_checked_root(proc_fd, err);
	if (r == 0 && root_fd < 0)
		r = root_fd;
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	if (poll(&ended, 1, 0) != 0)
		return fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended");
	if (r < 0)
		return r == -KENNEL_E_PERM ? hint(err, r, "only root may look into a sandbox") : r;
	*ret_pidfd = take_fd(&pidfd);
	*ret_root_fd = take_fd(&root_fd);
	return 0;
}
