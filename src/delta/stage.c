/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/stage.c - see stage.h. */
#include "delta/stage.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "delta/content.h"

static int make_file(int dir_fd, const char *name, const struct stage_item *item, struct kennel_error **err)
{
	struct content content = { 0 };
	struct stat before, after;
	_cleanup_close_ int out_fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (out_fd < 0)
		return fail_errno(err, "make a copy of \"%s\"", item->shown);
	if (fstat(item->fd, &before) < 0)
		return fail_errno(err, "look at \"%s\"", item->shown);
	int r = content_copy(&content, item->fd, &before, out_fd, item->shown, err);
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
