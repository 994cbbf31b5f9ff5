/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/clean.c - see clean.h. */
#include "net/clean.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/link.h"

#define LOCK_NAME ".net"

void net_clean_note(struct net_clean *c, const char *outer)
{
	if (c->n == NET_CLEAN_MAX || strlen(outer) >= NET_NAME_SIZE)
		return;
	memcpy(c->outer[c->n], outer, strlen(outer) + 1);
	__atomic_store_n(&c->n, c->n + 1, __ATOMIC_RELEASE);
}

/*
 * The file is there only while it is used. So who has waited for the lock may have one of a file that is
 * gone, which no other will ask for: it tries again.
 */
int net_lock(int dir_fd)
{
	for (;;) {
		struct stat held, named;
		int fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd < 0)
			return -1;
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR) {
				int saved = errno;

				close(fd);
				errno = saved;
				return -1;
			}
		if (fstat(fd, &held) == 0 && fstatat(dir_fd, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		    held.st_ino == named.st_ino && held.st_dev == named.st_dev)
			return fd;
		close(fd);
	}
}

void net_unlock(int dir_fd, int lock_fd)
{
	if (lock_fd < 0)
		return;
	unlinkat(dir_fd, LOCK_NAME, 0);
	close(lock_fd);
}

static void leave_bridge(const struct net_clean *c)
{
	unsigned bridge = 0;
	bool used = true;
	int lock_fd = net_lock(c->dir_fd);

	if (lock_fd >= 0 && link_find(c->nl_fd, NET_BRIDGE, &bridge) == 0 && bridge &&
	    link_has_ports(c->nl_fd, bridge, &used) == 0 && !used)
		(void)!link_remove(c->nl_fd, NET_BRIDGE);
	net_unlock(c->dir_fd, lock_fd);
}

void net_clean_run(const struct net_clean *c)
{
	if (c->nl_fd < 1)
		return;
	if (c->rules_fd > 0)
		close(c->rules_fd);
	if (c->names_fd > 0)
		close(c->names_fd);
	for (unsigned i = 0; i < c->n; i++)
		(void)!link_remove(c->nl_fd, c->outer[i]); /* gone already with its other end */
	if (c->bridge)
		leave_bridge(c);
}
