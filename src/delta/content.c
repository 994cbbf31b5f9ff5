/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/content.c - see content.h.
 *
 * Small files that have no holes are read and written: for them looking for holes and copy_file_range(),
 * which goes through a pipe page by page, take longer than the copying.
 */
#include "delta/content.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define CHUNK (8u << 20)

static ssize_t copy_plain(const struct content *c, int in_fd, int out_fd, off_t at, size_t size)
{
	size_t done = 0;

	ssize_t n = pread(in_fd, c->buffer, MIN(size, (size_t)CONTENT_BUFFER), at);
	while (n > 0 && done < (size_t)n) {
		ssize_t m = pwrite(out_fd, c->buffer + done, (size_t)n - done, at + (off_t)done);

		if (m < 0 && errno == EINTR)
			continue;
		if (m < 0)
			return -1;
		done += (size_t)m;
	}
	return n;
}

static ssize_t copy_piece(struct content *c, int in_fd, int out_fd, off_t at, size_t size)
{
	if (!c->no_range && size > CONTENT_BUFFER) {
		off_t from = at, to = at;
		ssize_t n = copy_file_range(in_fd, &from, out_fd, &to, size, 0);

		/* 0 in the middle of a file: some file systems do not say that they can't */
		if (n > 0 || (n < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS &&
			      errno != EOPNOTSUPP && errno != EPERM))
			return n;
		c->no_range = true;
	}
	return copy_plain(c, in_fd, out_fd, at, size);
}

static int copy_range(struct content *c, int in_fd, int out_fd, off_t from, off_t to, const char *shown,
		      struct kennel_error **err)
{
	while (from < to) {
		ssize_t n = copy_piece(c, in_fd, out_fd, from, (size_t)MIN(to - from, (off_t)CHUNK));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "copy \"%s\"", shown);
		if (n == 0)
			return fail(err, KENNEL_E_BUSY, "\"%s\" became shorter while it was read", shown);
		from += n;
		int r = c->step ? c->step(c->data, (size_t)n, err) : 0;
		if (r)
			return r;
	}
	return 0;
}

static int copy_sparse(struct content *c, int in_fd, int out_fd, off_t size, const char *shown,
		       struct kennel_error **err)
{
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
		int r = data < hole ? copy_range(c, in_fd, out_fd, data, hole, shown, err) : 0;
		if (r)
			return r;
		at = hole;
	}
	return ftruncate(out_fd, size) < 0 ? fail_errno(err, "copy \"%s\"", shown) : 0;
}

static bool is_shared(struct content *c, int in_fd, int out_fd)
{
	if (c->no_clone)
		return false;
	if (sys_ioctl_int(out_fd, FICLONE, (unsigned long)in_fd) == 0)
		return true;
	/* of another file than this one it says the same */
	c->no_clone = errno == EOPNOTSUPP || errno == EXDEV || errno == ENOTTY || errno == ENOSYS;
	return false;
}

int content_copy(struct content *c, int in_fd, const struct stat *st, int out_fd, const char *shown,
		 struct kennel_error **err)
{
	_cleanup_free_ char *own = NULL;

	if (st->st_size == 0)
		return 0;
	if (is_shared(c, in_fd, out_fd))
		return c->step ? c->step(c->data, (size_t)st->st_size, err) : 0;
	if (!c->buffer) {
		c->buffer = own = malloc(CONTENT_BUFFER);
		if (!own)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	bool dense = st->st_size <= (off_t)CONTENT_BUFFER && st->st_blocks * 512 >= st->st_size;
	int r = dense ? copy_range(c, in_fd, out_fd, 0, st->st_size, shown, err) :
			copy_sparse(c, in_fd, out_fd, st->st_size, shown, err);
	if (own)
		c->buffer = NULL;
	return r;
}
