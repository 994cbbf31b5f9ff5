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
#include "net/netlink.h"
#include "sys/sys.h"

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
int net_lock(int dir_fd, int *fd)
{
	for (;;) {
		struct stat held, named;
		int r;

		*fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (*fd < 0)
			return -1;
		do
			r = flock(*fd, LOCK_EX);
		while (r < 0 && errno == EINTR);
		if (r == 0 && fstat(*fd, &held) == 0 &&
		    fstatat(dir_fd, LOCK_NAME, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		    held.st_ino == named.st_ino && held.st_dev == named.st_dev)
			return 0;
		int saved = errno;
		close(*fd);
		*fd = -1;
		errno = saved;
		if (r < 0)
			return -1;
	}
}

void net_unlock(int dir_fd, int *fd)
{
	if (*fd < 1)
		return;
	unlinkat(dir_fd, LOCK_NAME, 0);
	close(*fd);
	*fd = -1;
}

static bool leave_bridge(int nl_fd, int dir_fd, int *lock_fd)
{
	unsigned bridge = 0;
	bool used = true, removed = false;

	if (net_lock(dir_fd, lock_fd) == 0 && link_find(nl_fd, NET_BRIDGE, &bridge) == 0 && bridge &&
	    link_has_ports(nl_fd, bridge, &used) == 0 && !used)
		removed = link_remove(nl_fd, NET_BRIDGE) == 0;
	net_unlock(dir_fd, lock_fd);
	return removed;
}

void net_clean_run(struct net_clean *c)
{
	if (c->nl_fd < 1)
		return;
	if (c->lock_fd > 0)
		close(c->lock_fd);
	c->lock_fd = -1;
	if (c->rules_fd > 0)
		close(c->rules_fd);
	if (c->names_fd > 0)
		close(c->names_fd);
	for (unsigned i = 0; i < c->n; i++)
		(void)!link_remove(c->nl_fd, c->outer[i]); /* gone already with its other end */
	if (c->bridge)
		(void)!leave_bridge(c->nl_fd, c->dir_fd, &c->lock_fd);
}

int net_clean_gc(int dir_fd)
{
	unsigned bridge = 0;
	bool is = false;
	int nl_fd = netlink_open(NETLINK_ROUTE), lock_fd = -1, removed = 0;

	if (nl_fd < 0)
		return 0;
	if (link_find(nl_fd, NET_BRIDGE, &bridge) == 0 && bridge && link_is_bridge(nl_fd, bridge, &is) == 0 &&
	    is)
		removed = leave_bridge(nl_fd, dir_fd, &lock_fd);
	close(nl_fd);
	return removed;
}
