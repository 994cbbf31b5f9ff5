/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-log.c - reading what a container's console has shown: two files, the older one first, then what
 * comes.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "container/container.h"
#include "monitor/console-log.h"

#define LOOK_AGAIN_MS 200

struct reading {
	struct store store;
	struct container c;
	int (*write)(void *data, const char *bytes, size_t n);
	void *data;
	int fd; /* of the newest */
};

static int open_log(const struct container *c, const char *file)
{
	return openat(c->dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

static int read_file(int fd, struct buf *ret, struct kennel_error **err)
{
	return fd < 0 ? 0 : buf_read_fd(ret, fd, 2 * CONSOLE_LOG_MAX, err);
}

/* Where the last so many lines begin. */
static size_t last_lines(const struct buf *b, unsigned lines)
{
	size_t at = b->len;

	if (!lines)
		return 0;
	if (at && b->data[at - 1] == '\n')
		at--;
	while (at && (b->data[at - 1] != '\n' || --lines))
		at--;
	return at;
}

static bool is_replaced(const struct reading *l)
{
	struct stat now, ours;

	return l->fd < 0 || fstat(l->fd, &ours) < 0 ||
	       (fstatat(l->c.dir_fd, CONSOLE_LOG, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		now.st_ino != ours.st_ino);
}

/* Return: 1 the reader has had enough, 0. */
static int read_on(struct reading *l)
{
	char room[8192];
	ssize_t n;

	while ((n = read(l->fd, room, sizeof(room))) > 0)
		if (l->write(l->data, room, (size_t)n) != 0)
			return 1;
	return 0;
}

static int follow(struct reading *l, struct kennel_error **err)
{
	for (;;) {
		/* in this order: what is written between the two is read in the last round */
		bool runs = container_is_held(&l->c, &(struct container_holder){ 0 });

		if (read_on(l))
			return 0;
		if (is_replaced(l)) {
			close_fd(l->fd);
			l->fd = open_log(&l->c, CONSOLE_LOG);
		} else if (!runs) {
			return 0;
		} else if (poll(NULL, 0, LOOK_AGAIN_MS) < 0 && errno != EINTR) {
			return fail_errno(err, "wait");
		}
	}
}

static int show(struct reading *l, unsigned lines, struct kennel_error **err)
{
	_cleanup_close_ int old_fd = open_log(&l->c, CONSOLE_LOG_OLD);
	_cleanup_buf_ struct buf b = { 0 };

	l->fd = open_log(&l->c, CONSOLE_LOG);
	if (l->fd < 0 && errno != ENOENT)
		return fail_errno(err, "read the console log");
	int r = read_file(old_fd, &b, err);
	if (r == 0)
		r = read_file(l->fd, &b, err);
	if (r < 0)
		return r;
	size_t from = last_lines(&b, lines);
	return b.len > from && l->write(l->data, b.data + from, b.len - from) != 0;
}

int kennel_log(const char *store, const char *name, unsigned lines, int follow_it,
	       int (*write)(void *data, const char *bytes, size_t n), void *data, struct kennel_error **err)
{
	struct reading l = {
		.store = STORE_NONE, .c = CONTAINER_NONE, .write = write, .data = data, .fd = -EBADF
	};

	int r = store_open(store, false, &l.store, err);
	if (r == 0)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no container \"%s\"", name),
			 "\"kennel list\" shows those that are");
	else if (r > 0)
		r = container_open(&l.store, name, &l.c, err);
	if (r == 0)
		r = show(&l, lines, err);
	if (r == 0 && follow_it)
		r = follow(&l, err);
	close_fd(l.fd);
	container_done(&l.c);
	store_done(&l.store);
	return MIN(r, 0);
}
