/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/newer.c - see newer.h. */
#include "delta/newer.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define DEPTH_MAX 500u /* a descriptor each */

bool time_is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

struct look {
	const struct timespec *then;
	uint64_t mount; /* of the tree's top */
};

static int prepend(const char *name, char **path, struct kennel_error **err)
{
	char *longer = NULL;

	if (asprintf(&longer, "%s%s%s", name, *path ? "/" : "", *path ? *path : "") < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	free(*path);
	*path = longer;
	return 1;
}

static int look_into(const struct look *l, int dir_fd, const char *name, unsigned depth, char **ret,
		     struct kennel_error **err);

/* Return: 1 it is newer or has something newer in it, 0. */
static int look_at(const struct look *l, int dir_fd, const char *name, unsigned depth, char **ret,
		   struct kennel_error **err)
{
	struct statx st;

	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "look at \"%s\"", name);
	const struct timespec changed = { st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec };
	if (st.stx_mnt_id != l->mount || time_is_later(&changed, l->then))
		return prepend(name, ret, err);
	if (!S_ISDIR(st.stx_mode))
		return 0;
	int r = depth ? look_into(l, dir_fd, name, depth - 1, ret, err) : prepend(name, ret, err);
	return r > 0 && depth ? prepend(name, ret, err) : r;
}

static int look_into(const struct look *l, int dir_fd, const char *name, unsigned depth, char **ret,
		     struct kennel_error **err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!d) {
		close_fd(fd);
		return fail_errno(err, "read \"%s\"", name);
	}
	while (r == 0) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read \"%s\"", name) : 0;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = look_at(l, fd, e->d_name, depth, ret, err);
	}
	return r;
}

int newer_below(int dir_fd, const char *name, const struct timespec *then, char **ret,
		struct kennel_error **err)
{
	struct statx st;

	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	const struct look l = { .then = then, .mount = st.stx_mnt_id };
	*ret = NULL;
	return look_into(&l, dir_fd, name, DEPTH_MAX, ret, err);
}
