/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/child-pin.c - see child-pin.h. */
#include "run/child-pin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/sys.h"

static int pin_type(int root_fd, const char *path, int type)
{
	const struct open_how how = {
		/* no O_NOFOLLOW: it would pin a link that comes last instead of failing */
		.flags = (uint64_t)(O_PATH | O_CLOEXEC | type),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do
		fd = sys_openat2(root_fd, path, &how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd;
}

int child_pin(int root_fd, const char *path)
{
	return pin_type(root_fd, path, 0);
}

int child_pin_made(int root_fd, const char *path, bool is_dir, unsigned mode)
{
	char part[PATH_MAX];
	/* else a file in that place fails later, as EINVAL of the mount */
	const int type = is_dir ? O_DIRECTORY : 0;
	int fd = pin_type(root_fd, path, type);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	for (size_t i = 0;; i++) {
		if (i >= sizeof(part)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		part[i] = path[i];
		if (path[i] != '/' && path[i] != '\0')
			continue;
		part[i] = '\0';
		/*
		 * The parent directory is pinned each time, so a link in between can't send mkdir elsewhere.
		 */
		size_t slash = i;
		while (slash && part[slash] != '/')
			slash--;
		int dir_fd = root_fd;
		if (slash) {
			part[slash] = '\0';
			dir_fd = child_pin(root_fd, part);
			if (dir_fd < 0)
				return -1;
			part[slash] = '/';
		}
		const char *name = part + (slash ? slash + 1 : 0);
		bool last = path[i] == '\0';
		int r;
		if (last && !is_dir) {
			r = openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
			if (r >= 0)
				r = close(r);
		} else {
			r = mkdirat(dir_fd, name, last ? mode : 0755);
			if (r == 0 && last && (mode & 01000))
				r = fchmodat(dir_fd, name, mode, 0);
		}
		if (dir_fd != root_fd)
			close(dir_fd);
		if (r < 0 && errno != EEXIST)
			return -1;
		if (last)
			return pin_type(root_fd, path, type);
		part[i] = '/';
	}
}
