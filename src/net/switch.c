/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/switch.c - joining and leaving a private network: see switch.h.
 *
 * Names come and go under a lock on the directory. Who has waited for it may hold a directory that was
 * removed meanwhile, and tries again.
 */
#include "net/switch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/helper.h"
#include "sys/sys.h"

#define DIR_PREFIX "net-"
#define DIR_NAME (sizeof(DIR_PREFIX) + NET_SWITCH_NAME)
#define MEMBERS_MAX 1024u

static void dir_name(const char *name, char ret[DIR_NAME])
{
	memcpy(ret, DIR_PREFIX, strlen(DIR_PREFIX));
	memset(ret + strlen(DIR_PREFIX), 0, DIR_NAME - strlen(DIR_PREFIX));
	memcpy(ret + strlen(DIR_PREFIX), name, strnlen(name, NET_SWITCH_NAME - 1));
}

/* By way of the descriptor: the path of a runtime directory may be longer than an address can be. */
static void put_address(int dir_fd, uint16_t number, struct sockaddr_un *ret)
{
	char digits[12];
	size_t n = 0, end = strlen("/proc/self/fd/");

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX, .sun_path = "/proc/self/fd/" };
	for (unsigned fd = (unsigned)dir_fd; n == 0 || fd; fd /= 10)
		digits[n++] = (char)('0' + fd % 10);
	while (n)
		ret->sun_path[end++] = digits[--n];
	ret->sun_path[end++] = '/';
	net_switch_digits(number, ret->sun_path + end);
}

int net_switch_connect(int dir_fd, uint16_t number)
{
	struct sockaddr_un to;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	put_address(dir_fd, number, &to);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int lock(int dir_fd)
{
	int r;

	do
		r = flock(dir_fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r;
}

/* Under the lock. */
static void remove_dead(int dir_fd)
{
	char list[2048];
	ssize_t n;

	if (lseek(dir_fd, 0, SEEK_SET) < 0)
		return;
	while ((n = getdents64(dir_fd, list, sizeof(list))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(list + at);
			int number = net_switch_number(d->d_name), fd;

			at += d->d_reclen;
			if (number < 0)
				continue;
			fd = net_switch_connect(dir_fd, (uint16_t)number);
			if (fd >= 0)
				close(fd);
			else if (errno == ECONNREFUSED)
				(void)!unlinkat(dir_fd, d->d_name, 0);
		}
}

/* One that was removed while the lock was waited for is nobody's; a new one may have its name. */
static bool is_there(int runtime_fd, const char *dir, int dir_fd)
{
	struct stat held, named;

	return fstat(dir_fd, &held) == 0 && fstatat(runtime_fd, dir, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void net_switch_sweep(int runtime_fd, int dir_fd, const char *name)
{
	char dir[DIR_NAME];

	dir_name(name, dir);
	if (lock(dir_fd) < 0)
		return;
	remove_dead(dir_fd);
	if (is_there(runtime_fd, dir, dir_fd))
		(void)!unlinkat(runtime_fd, dir, AT_REMOVEDIR); /* where others are in it, it stays */
	(void)!flock(dir_fd, LOCK_UN);
}

/* With the lock on it, and there. */
static int open_locked(int runtime_fd, const char *dir)
{
	for (;;) {
		if (mkdirat(runtime_fd, dir, 0700) < 0 && errno != EEXIST)
			return -1;
		int fd = openat(runtime_fd, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -1;
		const int locked = lock(fd);
		if (locked == 0 && is_there(runtime_fd, dir, fd))
			return fd;
		int saved = errno;
		close(fd);
		errno = saved;
		if (locked < 0)
			return -1;
	}
}

/* Binding a name is what takes it. */
static int take_number(int dir_fd, const char *who, uint16_t *ret, int *ret_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return fail_errno(err, "make a socket");
	for (unsigned i = 0; i < MEMBERS_MAX; i++) {
		struct sockaddr_un at;

		*ret = net_switch_pick(who, i);
		put_address(dir_fd, *ret, &at);
		if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
		if (errno != EADDRINUSE)
			return fail_errno(err, "take a place in the network");
	}
	return hint(err, fail(err, KENNEL_E_LIMIT, "no address is left in the network"),
		    "end some of its sandboxes, or take another name");
}

int net_switch_join(int runtime_fd, const char *name, const char *who, struct net_switch *ret,
		    int *ret_socket_fd, struct kennel_error **err)
{
	struct net_switch sw = { .pidfd = -EBADF, .runtime_fd = runtime_fd };
	char dir[DIR_NAME];

	memcpy(sw.name, name, strnlen(name, sizeof(sw.name) - 1));
	dir_name(name, dir);
	_cleanup_close_ int dir_fd = open_locked(runtime_fd, dir);
	if (dir_fd < 0)
		return fail_errno(err, "open \"%s\" in the runtime directory", dir);
	remove_dead(dir_fd);
	int r = take_number(dir_fd, who, &sw.number, ret_socket_fd, err);
	(void)!flock(dir_fd, LOCK_UN);
	if (r < 0)
		return r;
	sw.dir_fd = take_fd(&dir_fd);
	*ret = sw;
	return 0;
}

void net_switch_leave(struct net_switch *sw)
{
	if (sw->dir_fd < 1)
		return;
	net_helper_end(sw->pidfd);
	net_switch_sweep(sw->runtime_fd, sw->dir_fd, sw->name);
	close_fd(sw->dir_fd);
	*sw = (struct net_switch){ .pidfd = -EBADF };
}

unsigned net_switch_gc(int runtime_fd)
{
	_cleanup_close_ int fd = openat(runtime_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	unsigned n = 0;

	if (!list)
		return 0;
	fd = -EBADF; /* the list's now */
	while ((d = readdir(list))) {
		if (strncmp(d->d_name, DIR_PREFIX, strlen(DIR_PREFIX)) != 0)
			continue;
		_cleanup_close_ int dir_fd =
			openat(runtime_fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;
		if (dir_fd < 0)
			continue;
		net_switch_sweep(runtime_fd, dir_fd, d->d_name + strlen(DIR_PREFIX));
		n += fstatat(runtime_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0;
	}
	closedir(list);
	return n;
}
