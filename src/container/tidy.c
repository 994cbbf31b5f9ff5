/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/tidy.c - see tidy.h. */
#include "container/tidy.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "conf/name.h"
#include "container/layers.h"
#include "sys/sys.h"

#define PASSING "passing"
#define ALL_PASSING ".passing"
#define VOLUME_WAIT_MS 5000u /* for mounts of a sandbox that has just ended */

static int open_all(const struct store *s)
{
	return s->fd < 0 ? -1 : openat(s->fd, ALL_PASSING, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int passing_announce(const struct store *s, const char *name, struct kennel_error **err)
{
	_cleanup_buf_ struct buf pid = { 0 };

	int r = name_check(name, err);
	if (r < 0)
		return r;
	buf_printf(&pid, "%d\n", getpid());
	for (;;) {
		if (mkdirat(s->fd, ALL_PASSING, 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make \"%s/" ALL_PASSING "\"", s->path);
		_cleanup_close_ int dir_fd = open_all(s);
		if (dir_fd < 0 && errno != ENOENT)
			return fail_errno(err, "open \"%s/" ALL_PASSING "\"", s->path);
		_cleanup_close_ int fd =
			dir_fd < 0 ? -1 :
				     openat(dir_fd, name,
					    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 && write(fd, pid.data, pid.len) == (ssize_t)pid.len)
			return 0;
		/* The last one who left has just removed the directory: again. */
		if (fd >= 0 || (errno != ENOENT && errno != EEXIST))
			return fail_errno(err, "write \"%s/" ALL_PASSING "/%s\"", s->path, name);
		if (errno == EEXIST)
			return hint(err, fail(err, KENNEL_E_EXISTS, "\"%s\" is being made or removed", name),
				    "choose another name");
	}
}

int passing_mark(int dir_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, PASSING, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? fail_errno(err, "make the file \"" PASSING "\"") : 0;
}

void passing_forget(const struct store *s, const char *name)
{
	_cleanup_close_ int dir_fd = open_all(s);

	if (dir_fd < 0)
		return;
	(void)!unlinkat(dir_fd, name, 0);
	(void)!unlinkat(s->fd, ALL_PASSING, AT_REMOVEDIR); /* where it was the last one */
}

bool passing_is(const struct container *c)
{
	return c->dir_fd >= 0 && faccessat(c->dir_fd, PASSING, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void passing_start(const struct container *c, const struct store *s)
{
	_cleanup_close_ int dir_fd = passing_is(c) ? open_all(s) : -EBADF;

	if (dir_fd >= 0)
		close_fd(
			openat(dir_fd, c->name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
}

void passing_end(struct container *c, const struct store *s, container_wipe_fn wipe)
{
	char temp[STORE_TEMP_SIZE];

	if (!passing_is(c) || c->lock_fd < 0)
		return;
	container_close_data(c, VOLUME_WAIT_MS);
	if (container_retire(c, s, temp, NULL) < 0)
		return;
	if (wipe(NULL, c->dir_fd, c->path, NULL) == 0)
		(void)!unlinkat(s->fd, temp, AT_REMOVEDIR);
	passing_forget(s, c->name);
	(void)!layers_sweep(s, wipe, NULL, NULL);
}

/* Is that the pid of a process that is there? */
static bool has_maker(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	char text[16];
	uint32_t pid;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[MAX(n, (ssize_t)0)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (parse_u32(text, &pid) < 0)
		return false;
	_cleanup_close_ int pidfd = sys_pidfd_open((pid_t)pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	return pidfd >= 0 && poll(&ended, 1, 0) == 0;
}

static void sweep_one(const struct store *s, int dir_fd, const char *name, container_wipe_fn wipe)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	struct container_holder h;

	if (has_maker(dir_fd, name))
		return;
	if (container_open(s, name, &c, NULL) < 0 || !passing_is(&c)) {
		passing_forget(s, name);
		return;
	}
	if (!container_is_held(&c, &h) && container_lock(&c, NULL, NULL) == 0)
		passing_end(&c, s, wipe);
}

static void sweep_passing(const struct store *s, container_wipe_fn wipe)
{
	int dir_fd = open_all(s);
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);

	for (const struct dirent *e; d && (e = readdir(d));)
		if (name_check(e->d_name, NULL) == 0)
			sweep_one(s, dirfd(d), e->d_name, wipe);
	if (d)
		(void)!unlinkat(s->fd, ALL_PASSING, AT_REMOVEDIR);
}

void store_tidy(const struct store *s, container_wipe_fn wipe)
{
	/* That one can't go is for "gc" to tell. */
	(void)!store_sweep(s, wipe, NULL, NULL, NULL);
	layers_tidy(s, wipe);
	sweep_passing(s, wipe);
}
