/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/remove.c - see remove.h.
 *
 * One directory is open at a time, and the way up is "..": a tree may be deeper than there are descriptors or
 * stack. A directory is read from its beginning again each time we come back to it, where only what is still
 * there is seen.
 */
#include "path/remove.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "sys/sys.h"

static int enter(int dir_fd, const char *name)
{
	const struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	int fd = sys_openat2(dir_fd, name, &how);

	if (fd >= 0 || errno != EACCES)
		return fd;
	/* An ordinary user's own directory without rights. */
	return fchmodat(dir_fd, name, 0700, 0) < 0 ? -1 : sys_openat2(dir_fd, name, &how);
}

/* Return: 1 gone, 0 a directory that has something in it, -1. */
static int remove_entry(int dir_fd, const char *name, unsigned char type)
{
	if (type != DT_DIR) {
		if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
			return 1;
		if (errno != EISDIR && errno != EPERM)
			return -1;
	}
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 1;
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : -1;
}

/*
 * Removes what is in fd up to the first directory that is not empty. Return: 1 and its name, 0 all is gone,
 * -1.
 */
static int remove_entries(int fd, struct strv *into, struct kennel_error **err)
{
	int own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (!d) {
		close_fd(own_fd);
		return fail_errno(err, "read a directory");
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read a directory") : 0;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int r = remove_entry(fd, e->d_name, e->d_type);
		if (r < 0 && errno == EACCES && fchmod(fd, 0700) == 0)
			r = remove_entry(fd, e->d_name, e->d_type);
		if (r < 0)
			return fail_errno(err, "remove \"%s\"", e->d_name);
		if (r == 0) {
			r = strv_add(into, e->d_name, err);
			return r < 0 ? r : 1;
		}
	}
}

static int leave(int *fd, struct strv *path, struct kennel_error **err)
{
	_cleanup_free_ char *name = take_ptr(&path->items[--path->n]);
	int up_fd = openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (up_fd < 0)
		return fail_errno(err, "go back in a tree");
	replace_fd(fd, up_fd);
	if (unlinkat(up_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return fail_errno(err, "remove \"%s\"", name);
	return 0;
}

int path_remove_tree(int dir_fd, const char *name, struct kennel_error **err)
{
	_cleanup_strv_ struct strv path = { 0 };
	int r = remove_entry(dir_fd, name, DT_UNKNOWN);

	if (r != 0)
		return r > 0 ? 0 : fail_errno(err, "remove \"%s\"", name);
	_cleanup_close_ int fd = enter(dir_fd, name);
	if (fd < 0)
		return fail_errno(err, "open \"%s\"", name);
	for (;;) {
		r = remove_entries(fd, &path, err);
		if (r < 0)
			return r;
		if (r == 0 && path.n == 0)
			break;
		if (r == 0) {
			r = leave(&fd, &path, err);
			if (r < 0)
				return r;
			continue;
		}
		int next_fd = enter(fd, path.items[path.n - 1]);
		if (next_fd < 0)
			return fail_errno(err, "open \"%s\"", path.items[path.n - 1]);
		replace_fd(&fd, next_fd);
	}
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ?
		       fail_errno(err, "remove \"%s\"", name) :
		       0;
}
