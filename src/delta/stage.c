/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/stage.c - see stage.h.
 *
 * Content is shared where both ends are on one file system that can (FICLONE), else copied piece by piece,
 * and holes stay holes.
 */
#include "delta/stage.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define CHUNK (8u << 20)
#define PLAIN_CHUNK (256u << 10)

static ssize_t copy_plain(int in_fd, int out_fd, off_t at, size_t size)
{
	_cleanup_free_ char *data = malloc(PLAIN_CHUNK);

	if (!data)
		return -1;
	ssize_t n = pread(in_fd, data, MIN(size, (size_t)PLAIN_CHUNK), at);
	return n <= 0 ? n : pwrite(out_fd, data, (size_t)n, at);
}

static ssize_t copy_piece(int in_fd, int out_fd, off_t at, size_t size, bool *plain)
{
	if (!*plain) {
		off_t from = at, to = at;
		ssize_t n = copy_file_range(in_fd, &from, out_fd, &to, size, 0);

		/* 0 in the middle of a file: some file systems do not say that they can't */
		if (n > 0 || (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS &&
			      errno != EOPNOTSUPP && errno != EPERM))
			return n;
		*plain = true;
	}
	return copy_plain(in_fd, out_fd, at, size);
}

static int copy_range(int in_fd, int out_fd, off_t from, off_t to, const char *shown, bool *plain,
		      struct kennel_error **err)
{
	while (from < to) {
		ssize_t n = copy_piece(in_fd, out_fd, from, (size_t)MIN(to - from, (off_t)CHUNK), plain);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "copy \"%s\"", shown);
		if (n == 0)
			return fail(err, KENNEL_E_BUSY, "\"%s\" became shorter while it was read", shown);
		from += n;
	}
	return 0;
}

static int copy_data(int in_fd, int out_fd, off_t size, const char *shown, struct kennel_error **err)
{
	bool plain = false;

	if (size == 0)
		return 0;
	if (sys_ioctl_int(out_fd, FICLONE, (unsigned long)in_fd) == 0)
		return 0;
	for (off_t at = 0; at < size;) {
		off_t data = lseek(in_fd, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO) /* nothing but a hole up to the end */
			break;
		hole = data < at ? -1 : lseek(in_fd, data, SEEK_HOLE);
		if (hole <= data) { /* a file system without holes, or one that lies */
			data = at;
			hole = size;
		}
		hole = MIN(hole, size);
		int r = data < hole ? copy_range(in_fd, out_fd, data, hole, shown, &plain, err) : 0;
		if (r < 0)
			return r;
		at = hole;
	}
	return ftruncate(out_fd, size) < 0 ? fail_errno(err, "copy \"%s\"", shown) : 0;
}

static int make_file(int dir_fd, const char *name, const struct stage_item *item, struct kennel_error **err)
{
	struct stat before, after;
	_cleanup_close_ int out_fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (out_fd < 0)
		return fail_errno(err, "make a copy of \"%s\"", item->shown);
	if (fstat(item->fd, &before) < 0)
		return fail_errno(err, "look at \"%s\"", item->shown);
	int r = copy_data(item->fd, out_fd, before.st_size, item->shown, err);
	if (r == 0)
		r = attr_apply(out_fd, item->shown, &item->attr, false, err);
	if (r < 0)
		return r;
	if (fstat(item->fd, &after) < 0)
		return fail_errno(err, "look at \"%s\"", item->shown);
	if (after.st_size != before.st_size || after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
	    after.st_ctim.tv_nsec != before.st_ctim.tv_nsec)
		return fail(err, KENNEL_E_BUSY, "\"%s\" changed while it was read", item->shown);
	return 0;
}

int stage_finish(int dir_fd, const char *name, const char *shown, const struct attr *a,
		 struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open the copy of \"%s\"", shown) :
			attr_apply(fd, shown, a, false, err);
}

int stage_make(int dir_fd, const char *name, const struct stage_item *item, struct kennel_error **err)
{
	mode_t type = item->attr.mode & S_IFMT;
	int r;

	switch (type) {
	case S_IFREG:
		return make_file(dir_fd, name, item, err);
	case S_IFDIR:
		r = mkdirat(dir_fd, name, 0700);
		break;
	case S_IFLNK:
		r = symlinkat(item->target, dir_fd, name);
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		r = mknodat(dir_fd, name, type | 0600, type == S_IFIFO ? 0 : item->rdev);
		break;
	default:
		return fail(err, KENNEL_E_TYPE, "\"%s\" is of a kind that can't be copied", item->shown);
	}
	if (r < 0)
		return fail_errno(err, "make a copy of \"%s\"", item->shown);
	return type == S_IFDIR ? 0 : stage_finish(dir_fd, name, item->shown, &item->attr, err);
}
