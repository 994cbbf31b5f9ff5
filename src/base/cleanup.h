/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/cleanup.h - ownership: every owner frees itself at the end of its scope, and is handed on by take_*().
 *
 * A descriptor that is not there is -EBADF. Cleanup keeps errno, so "return fail_errno()" after a failing
 * call is safe; close() is never retried (Linux has freed the number even on EINTR).
 */
#ifndef KENNEL_BASE_CLEANUP_H
#define KENNEL_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_freep(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}
#define _cleanup_free_ __attribute__((cleanup(cleanup_freep)))

static inline void close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)!close(fd);
	errno = saved;
}

static inline void cleanup_closep(int *fd)
{
	close_fd(*fd);
}
#define _cleanup_close_ __attribute__((cleanup(cleanup_closep)))

static inline void cleanup_closedirp(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	errno = saved;
}
#define _cleanup_closedir_ __attribute__((cleanup(cleanup_closedirp)))

static inline void cleanup_fclosep(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}
#define _cleanup_fclose_ __attribute__((cleanup(cleanup_fclosep)))

static inline int take_fd(int *fd)
{
	int r = *fd;

	*fd = -EBADF;
	return r;
}

/* Replaces what *fd owns: closes the old one. */
static inline void replace_fd(int *fd, int new_fd)
{
	close_fd(*fd);
	*fd = new_fd;
}

#define take_ptr(p) \
	({ \
		__typeof__(p) p_ = (p); \
		__typeof__(*p_) v_ = *p_; \
		*p_ = NULL; \
		v_; \
	})

#endif
