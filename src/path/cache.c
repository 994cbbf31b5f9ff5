/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* path/cache.c - where what can be made again is kept. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "path/path.h"

int path_open_cache(void)
{
	_cleanup_free_ char *path = NULL;
	const char *base = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");

	if (base && base[0] == '/')
		path = strdup(base);
	else if (home && home[0] == '/' && asprintf(&path, "%s/.cache", home) < 0)
		path = NULL;
	if (!path)
		return -EBADF;
	(void)!mkdir(path, 0700);
	_cleanup_close_ int parent_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0)
		return -EBADF;
	(void)!mkdirat(parent_fd, "kennel", 0700);
	return openat(parent_fd, "kennel", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}
