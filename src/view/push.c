/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/push.c - content that the kernel gets unasked, with the first open of a file.
 *
 * Whoever opens a small file reads it, and a program or library is mapped and then read in a dozen pieces, as
 * its pages are touched. Each piece makes the reader wait for us; a push makes nobody wait. Only where nobody
 * has or had the file open: then no page of it can be locked by a read that waits for us in turn.
 */
#include "view/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CHUNK (128u << 10)
#define ANY_FILE_MAX CHUNK
#define PROGRAM_MAX (2u << 20)

/* Reads as much as there is. Negative errno if that is nothing. */
static ssize_t read_chunk(int fd, char *to, size_t size, off_t at)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = pread(fd, to + len, size - len, at + (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !len)
			return -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

bool push_file(struct view *v, const struct node *n, int fd, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size;

	if (!S_ISREG(st->st_mode) || !size || size > PROGRAM_MAX)
		return false;
	_cleanup_free_ char *data = malloc(MIN(size, (uint64_t)CHUNK));
	if (!data)
		return false;
	for (uint64_t at = 0; at < size;) {
		size_t want = MIN(size - at, (uint64_t)CHUNK);
		struct fuse_bufvec part = FUSE_BUFVEC_INIT(want);

		if (read_chunk(fd, data, want, (off_t)at) != (ssize_t)want)
			return false; /* it is changing */
		if (!at && size > ANY_FILE_MAX && memcmp(data, "\177ELF", 4))
			return false;
		part.buf[0].mem = data;
		if (fuse_lowlevel_notify_store(v->session, n->id, (off_t)at, &part, 0) < 0)
			return false;
		at += want;
	}
	return true;
}
