/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-log.c - reading what a container's console has shown: two files, the older one first, then what
 * comes. Those of a container that is itself a file are beside its entry of the runtime directory, and go
 * with it.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-running.h"
#include "base/cleanup.h"
#include "container/container.h"
#include "monitor/console-log.h"
#include "run/registry.h"

#define LOOK_AGAIN_MS 200
#define REBOOT_LOOKS 10 /* while it is started again it has no entry */

struct reading {
	struct store store;
	struct container c;
	const char *path; /* of one in a file; else NULL */
	char id[REGISTRY_ID_SIZE]; /* its sandbox's, of the moment */
	int dir_fd; /* where the log is: borrowed from c, or the runtime directory */
	char file[REGISTRY_BESIDE_SIZE], old_file[REGISTRY_BESIDE_SIZE];
	int (*write)(void *data, const char *bytes, size_t n);
	void *data;
	int fd; /* of the newest */
};

static int open_log(const struct reading *l, const char *file)
{
	return openat(l->dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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
	       (fstatat(l->dir_fd, l->file, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino != ours.st_ino);
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

/* The sandbox that is in the file now, and the names of its log. */
static int find_file(struct reading *l, struct kennel_error **err)
{
	struct kennel_list *list = NULL;

	int r = kennel_list_read(l->path, &list, err);
	if (r == 0 && !kennel_list_value(list, 0, "background"))
		r = hint(err,
			 fail(err, KENNEL_E_UNSUPPORTED,
			      "\"%s\" has no console log: it has the terminal of who runs it", l->path),
			 "what \"kennel start FILE\" runs has one");
	if (r == 0) {
		snprintf(l->id, sizeof(l->id), "%s", kennel_list_value(list, 0, "id"));
		registry_beside(l->id, REGISTRY_LOG, l->file);
		registry_beside(l->id, REGISTRY_LOG_OLD, l->old_file);
	}
	kennel_list_free(list);
	return r;
}

static bool file_runs(struct reading *l)
{
	for (unsigned i = 0; i < REBOOT_LOOKS && !registry_is_alive(l->dir_fd, l->id); i++)
		if (find_file(l, NULL) < 0)
			(void)!poll(NULL, 0, LOOK_AGAIN_MS);
	return registry_is_alive(l->dir_fd, l->id);
}

static int follow(struct reading *l, struct kennel_error **err)
{
	for (;;) {
		/* in this order: what is written between the two is read in the last round */
		bool runs = l->path ? file_runs(l) :
				      container_is_held(&l->c, &(struct container_holder){ 0 });

		if (read_on(l))
			return 0;
		if (is_replaced(l)) {
			close_fd(l->fd);
			l->fd = open_log(l, l->file);
		} else if (!runs) {
			return 0;
		} else if (poll(NULL, 0, LOOK_AGAIN_MS) < 0 && errno != EINTR) {
			return fail_errno(err, "wait");
		}
	}
}

static int show(struct reading *l, unsigned lines, struct kennel_error **err)
{
	_cleanup_close_ int old_fd = open_log(l, l->old_file);
	_cleanup_buf_ struct buf b = { 0 };

	l->fd = open_log(l, l->file);
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

static int open_file(struct reading *l, const char *path, struct kennel_error **err)
{
	l->path = path;
	l->dir_fd = registry_open(err);
	if (l->dir_fd < 0)
		return l->dir_fd;
	int r = find_file(l, err);
	if (r != -KENNEL_E_NOTFOUND)
		return r;
	error_clear(err);
	return hint(err, fail(err, KENNEL_E_NOTFOUND, "nothing runs in \"%s\"", path),
		    "the console log of a container in a file goes with its end");
}

static int open_container(struct reading *l, const char *store, const char *name, struct kennel_error **err)
{
	int r = store_open(store, false, &l->store, err);

	if (r == 0)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no container \"%s\"", name),
			 "\"kennel list\" shows those that are");
	else if (r > 0)
		r = container_open(&l->store, name, &l->c, err);
	snprintf(l->file, sizeof(l->file), "%s", CONSOLE_LOG);
	snprintf(l->old_file, sizeof(l->old_file), "%s", CONSOLE_LOG_OLD);
	l->dir_fd = l->c.dir_fd;
	return r;
}

/* One in a file is known by its last component, too, and by its id, while it runs. */
static bool is_known_by(struct reading *l, const char *name)
{
	l->path = name;
	l->dir_fd = registry_open(NULL);
	if (l->dir_fd >= 0 && find_file(l, NULL) == 0 &&
	    faccessat(l->dir_fd, l->file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return true;
	close_fd(l->dir_fd);
	l->dir_fd = -EBADF;
	l->path = NULL;
	return false;
}

int kennel_log(const char *store, const char *name, unsigned lines, int follow_it,
	       int (*write)(void *data, const char *bytes, size_t n), void *data, struct kennel_error **err)
{
	struct reading l = { .store = STORE_NONE,
			     .c = CONTAINER_NONE,
			     .write = write,
			     .data = data,
			     .dir_fd = -EBADF,
			     .fd = -EBADF };

	int r = strchr(name, '/') ? open_file(&l, name, err) : open_container(&l, store, name, err);
	if (r == -KENNEL_E_NOTFOUND && !store && !strchr(name, '/') && is_known_by(&l, name)) {
		error_clear(err);
		r = 0;
	}
	if (r == 0)
		r = show(&l, lines, err);
	if (r == 0 && follow_it)
		r = follow(&l, err);
	close_fd(l.fd);
	if (l.path)
		close_fd(l.dir_fd);
	container_done(&l.c);
	store_done(&l.store);
	return MIN(r, 0);
}
