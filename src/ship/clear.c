/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/clear.c - removes a tree: one directory open at a time, the way up by "..", so depth costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "ship/tree.h"

/*
 * Removes what it can, up to a directory with something in it: what was in front of that is gone, so the list
 * is never gone through again from its beginning. Return: 1 and its name, 0 all is gone, or a code.
 */
static int empty_of_files(int fd, char ret_name[256], struct kennel_error **err)
{
	int dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);

	if (!d) {
		int r = fail_errno(err, "read a directory");

		close_fd(dir_fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read a directory") : 0;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_type != DT_DIR && unlinkat(fd, e->d_name, 0) == 0)
			continue;
		if (unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return fail_errno(err, "remove \"%s\"", e->d_name);
		snprintf(ret_name, 256, "%s", e->d_name);
		return 1;
	}
}

int ship_tree_clear(int dir_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t depth = 0;
	char name[256];

	if (fd < 0)
		return fail_errno(err, "open a directory");
	for (;;) {
		int r = empty_of_files(fd, name, err);
		if (r < 0 || (r == 0 && depth == 0))
			return r;
		int next_fd = openat(fd, r ? name : "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next_fd < 0)
			return fail_errno(err, "remove a directory");
		depth = r ? depth + 1 : depth - 1;
		replace_fd(&fd, next_fd);
	}
}
