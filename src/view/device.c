/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/device.c - see device.h. libfuse tells a failed answer to whoever gives it, which is itself for some
 * (the first one of all, what it does not know), so this is done below it. Before 3.13 it can't be.
 */
#include "view/device.h"

#define FUSE_USE_VERSION 34
#include <fuse3/fuse_lowlevel.h>

#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "view/device-config.h"

#if KENNEL_HAVE_FUSE_CUSTOM_IO

/* What we tell without having been asked may fail: the kernel has forgotten what it is about. */
static bool is_answer(const struct iovec *iov, int n)
{
	const struct fuse_out_header *header = n > 0 ? iov[0].iov_base : NULL;

	return header && iov[0].iov_len >= sizeof(*header) && header->unique;
}

static ssize_t give(int fd, struct iovec *iov, int n, void *data)
{
	ssize_t done = writev(fd, iov, n);

	/* ENOENT: nobody waits for it any more. Also the second time, if the first was taken after all. */
	if (done < 0 && errno != ENOENT && is_answer(iov, n)) {
		done = writev(fd, iov, n);
		if (done < 0 && errno != ENOENT)
			_exit(1);
	}
	return done;
}

static ssize_t take(int fd, void *buf, size_t size, void *data)
{
	return read(fd, buf, size);
}

int device_attach(struct fuse_session *session, int fuse_fd)
{
	static const struct fuse_custom_io io = { .writev = give, .read = take };

	return fuse_session_custom_io(session, &io, fuse_fd) == 0 ? 0 : -1;
}

#else

int device_attach(struct fuse_session *session, int fuse_fd)
{
	char device[32];

	snprintf(device, sizeof(device), "/dev/fd/%d", fuse_fd);
	return fuse_session_mount(session, device) < 0 ? -1 : 0;
}

#endif
