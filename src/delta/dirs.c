/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/dirs.c - see dirs.h. */
#include "delta/dirs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define OPEN_MAX_LEVELS 8
#define PIN_TRIES 64
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

static int pin_part(int dir_fd, const char *part, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = -1;

	for (unsigned i = 0; i < PIN_TRIES; i++) { /* EAGAIN: something was renamed meanwhile */
		fd = sys_openat2(dir_fd, part, &how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

int dirs_pin(int root_fd, const char *rel, int flags)
{
	_cleanup_close_ int at_fd = -EBADF;
	char part[PATH_MAX];

	while (strlen(rel) >= sizeof(part)) {
		size_t len = sizeof(part) - 1;

		while (len && rel[len] != '/')
			len--;
		memcpy(part, rel, len);
		part[len] = '\0';
		int fd = pin_part(at_fd >= 0 ? at_fd : root_fd, part, O_PATH | O_DIRECTORY);
		if (fd < 0)
			return -1;
		replace_fd(&at_fd, fd);
		rel += len + 1;
	}
	return pin_part(at_fd >= 0 ? at_fd : root_fd, *rel ? rel : ".", flags);
}

int dirs_open_file(int root_fd, const char *rel)
{
	_cleanup_close_ int pin_fd = dirs_pin(root_fd, rel, O_PATH);
	char path[32];
	struct stat st;

	if (pin_fd < 0 || fstat(pin_fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pin_fd);
	return open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
}

int dirs_begin(struct dirs *d, int fd, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = fd;
	struct stat st;

	*d = (struct dirs){ 0 };
	d->levels = calloc(32, sizeof(*d->levels));
	if (!d->levels)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	d->room = 32;
	if (fstat(root_fd, &st) < 0)
		return fail_errno(err, "look at a directory");
	d->levels[0] = (struct dirs_level){ .fd = take_fd(&root_fd), .dev = st.st_dev, .ino = st.st_ino };
	d->n = d->first_open = 1;
	return 0;
}

void dirs_done(struct dirs *d)
{
	for (size_t i = 0; i < d->n; i++)
		close_fd(d->levels[i].fd);
	free(d->levels);
	buf_done(&d->path);
	*d = (struct dirs){ 0 };
}

int dirs_open(const struct dirs *d, const char *name)
{
	return openat(dirs_fd(d), name, DIR_FLAGS);
}

int dirs_enter(struct dirs *d, const char *name, int fd, struct kennel_error **err)
{
	_cleanup_close_ int new_fd = fd;
	struct stat st;

	if (fstat(new_fd, &st) < 0)
		return fail_errno(err, "look at a directory");
	if (d->n == d->room) {
		struct dirs_level *levels = reallocarray(d->levels, d->room * 2, sizeof(*levels));

		if (!levels)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		d->levels = levels;
		d->room *= 2;
	}
	if (d->path.len)
		buf_puts(&d->path, "/");
	buf_puts(&d->path, name);
	int r = buf_check(&d->path, err);
	if (r < 0)
		return r;
	d->levels[d->n++] = (struct dirs_level){
		.fd = take_fd(&new_fd),
		.dev = st.st_dev,
		.ino = st.st_ino,
		.path_len = d->path.len,
	};
	if (d->n - d->first_open > OPEN_MAX_LEVELS)
		replace_fd(&d->levels[d->first_open++].fd, -EBADF);
	return 0;
}

static bool is_level(int fd, const struct dirs_level *l)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

int dirs_leave(struct dirs *d)
{
	_cleanup_close_ int from_fd = d->levels[--d->n].fd;
	struct dirs_level *to = &d->levels[d->n - 1];

	d->path.len = to->path_len;
	if (d->path.data)
		d->path.data[d->path.len] = '\0';
	if (to->fd >= 0)
		return 1;
	d->first_open = d->n - 1;
	_cleanup_close_ int fd = from_fd < 0 ? -1 : openat(from_fd, "..", DIR_FLAGS);
	if (!is_level(fd, to))
		replace_fd(&fd, dirs_pin(d->levels[0].fd, buf_str(&d->path), DIR_FLAGS));
	if (!is_level(fd, to))
		return 0;
	to->fd = take_fd(&fd);
	return 1;
}
