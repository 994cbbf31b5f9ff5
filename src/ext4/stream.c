/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ext4/stream.c - see stream.h. */
#include "ext4/stream.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/macro.h"

int stream_corrupt(struct kennel_error **err, const char *what)
{
	return fail(err, KENNEL_E_CORRUPT, "the image is damaged: %s", what);
}

static int read_all(int fd, void *data, size_t len, struct kennel_error **err)
{
	for (char *p = data; len;) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read from %s", EXT4_PROGRAM);
		if (n == 0)
			return fail(err, KENNEL_E_CORRUPT, "%s ended without a word", EXT4_PROGRAM);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int stream_next(int fd, struct ext4_record *ret, char *data, struct kennel_error **err)
{
	int r = read_all(fd, ret, sizeof(*ret), err);

	if (r == 0 && ret->len > EXT4_RECORD_MAX)
		r = stream_corrupt(err, "a record that is too long");
	return r == 0 ? read_all(fd, data, ret->len, err) : r;
}

int stream_failed(char *data, size_t len, struct kennel_error **err)
{
	_cleanup_buf_ struct buf words = { 0 };

	data[MIN(len, EXT4_RECORD_MAX - 1)] = '\0';
	buf_safe(&words, data);
	return hint(err, stream_corrupt(err, buf_str(&words)),
		    "make a copy of it, then look with: e2fsck -f");
}
