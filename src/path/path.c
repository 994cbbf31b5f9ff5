/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/path.c - see path.h.
 *
 * path_reopen() goes through /proc/self/fd; the descriptor of /proc is opened once and verified to be a real
 * procfs root (PROC_SUPER_MAGIC, inode 1), so a tmpfs that was mounted over /proc can't send us to another
 * file (CVE-2015-1334).
 */
#include "path/path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sys/sys.h"

#define PIN_TRIES 128

static int path_resolve(int root_fd, const char *path, const struct open_how *how, struct kennel_error **err)
{
	for (unsigned i = 0; i < PIN_TRIES; i++) {      /* EAGAIN: someone renamed under us */
		int fd = sys_openat2(root_fd, path, how);
		if (fd >= 0)
			return fd;
		if (errno == ENOSYS)
			return hint(err, fail_errno(err, "find \"%s\"", path),
				    "kennel needs Linux " KENNEL_OLDEST_KERNEL " or later");
		if (errno != EAGAIN && errno != EINTR)
			return fail_errno(err, "find \"%s\" in the root", path);
	}
	return fail(err, KENNEL_E_BUSY, "\"%s\" kept changing while it was looked up", path);
}

int path_pin(int root_fd, const char *path, uint64_t flags, struct kennel_error **err)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (flags & (O_DIRECTORY | O_NOFOLLOW)),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return path_resolve(root_fd, path, &how, err);
}

int path_pin_plain(int root_fd, const char *path, uint64_t flags, struct kennel_error **err)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | (flags & (O_DIRECTORY | O_NOFOLLOW)),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};

	return path_resolve(root_fd, path, &how, err);
}

int path_open(int root_fd, const char *path, uint64_t flags, struct kennel_error **err)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return path_resolve(root_fd, path, &how, err);
}

int path_make_dirs(int root_fd, const char *path, unsigned mode, struct kennel_error **err)
{
	_cleanup_strv_ struct strv parts = { 0 };
	int r = strv_split(&parts, path, '/', err);
	if (r < 0)
		return r;
	_cleanup_close_ int at_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	if (at_fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	for (size_t i = 0; i < parts.n; i++) {
		const char *name = parts.items[i];

		if (strcmp(name, "..") == 0)
			return fail(err, KENNEL_E_INVALID, "\"..\" in \"%s\"", path);
		if (mkdirat(at_fd, name, i + 1 == parts.n ? mode : 0755) < 0 && errno != EEXIST)
			return fail_errno(err, "make directory \"%s\"", path);
		const struct open_how how = {
			.flags = O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW,
			.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
		};
		int next_fd = path_resolve(at_fd, name, &how, err);
		if (next_fd < 0)
			return wrap(err, next_fd, "make directory \"%s\"", path);
		replace_fd(&at_fd, next_fd);
	}
	return take_fd(&at_fd);
}

int path_open_proc(struct kennel_error **err)
{
	_cleanup_close_ int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open \"/proc\"");
	long magic;
	struct stat st;
	if (sys_fgetfsmagic(fd, &magic) < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"/proc\"");
	if (magic != PROC_SUPER_MAGIC || st.st_ino != 1)
		return fail(err, KENNEL_E_UNSUPPORTED, "\"/proc\" is not a proc file system");
	return take_fd(&fd);
}

int path_reopen(int pin_fd, uint64_t flags, struct kennel_error **err)
{
	_cleanup_close_ int proc_fd = path_open_proc(err);
	if (proc_fd < 0)
		return proc_fd;
	char name[64];
	snprintf(name, sizeof(name), "self/fd/%d", pin_fd);
	int fd = openat(proc_fd, name, (int)flags | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "reopen a file") : fd;
}

int path_find_tool(const char *name, char **ret, struct kennel_error **err)
{
	static const char *const dirs[] = { "/usr/bin", "/usr/sbin",	  "/bin",
					    "/sbin",	"/usr/local/bin", "/usr/local/sbin" };

	if (strchr(name, '/') || !*name)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not a program's name", name);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = NULL;
		struct stat st;

		if (asprintf(&path, "%s/%s", dirs[i], name) < 0) {
			path = NULL;
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111)) {
			*ret = take_ptr(&path);
			return 1;
		}
	}
	return 0;
}
