/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/console-log.c - see console-log.h. */
#include "monitor/console-log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static int open_newest(const struct console_log *log)
{
	return openat(log->dir_fd, log->file,
		      O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
}

int console_log_open(int dir_fd, const char *file, const char *old_file, struct console_log *ret,
		     struct kennel_error **err)
{
	struct stat st;

	*ret = (struct console_log){ .dir_fd = dir_fd };
	snprintf(ret->file, sizeof(ret->file), "%s", file);
	snprintf(ret->old_file, sizeof(ret->old_file), "%s", old_file);
	ret->fd = open_newest(ret);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
		return fail_errno(err, "open the console log");
	if (!S_ISREG(st.st_mode))
		return hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" of the container is not a file", file),
			    "remove it");
	ret->size = (uint64_t)st.st_size;
	return 0;
}

static void rotate(struct console_log *log)
{
	if (renameat(log->dir_fd, log->file, log->dir_fd, log->old_file) < 0)
		return;
	close_fd(log->fd);
	log->fd = open_newest(log);
	log->size = 0;
}

void console_log_add(struct console_log *log, const void *data, size_t n)
{
	if (log->fd < 0)
		return;
	if (log->size + n > CONSOLE_LOG_MAX && log->size)
		rotate(log);
	ssize_t done = write(log->fd, data, n);
	log->size += done > 0 ? (uint64_t)done : 0;
}

static void rename_one(int dir_fd, char old[48], const char *new)
{
	if (renameat(dir_fd, old, dir_fd, new) < 0)
		(void)!unlinkat(dir_fd, old, 0);
	snprintf(old, 48, "%s", new);
}

void console_log_rename(struct console_log *log, const char *file, const char *old_file)
{
	rename_one(log->dir_fd, log->file, file);
	rename_one(log->dir_fd, log->old_file, old_file);
}

void console_log_close(struct console_log *log)
{
	close_fd(log->fd);
	log->fd = -EBADF;
}
