/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/peer.c - see peer.h. */
#include "monitor/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define QUEUE 128 /* of clients that nobody has taken yet */

/* asm-generic/socket.h, Linux 6.5 */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Through the descriptor of the directory: its own path may be longer than a socket's can be. */
static struct sockaddr_un address(int dir_fd, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	return a;
}

int peer_listen(int dir_fd, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr_un a = address(dir_fd, name);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return fail_errno(err, "make the monitor's socket");
	if (fchmodat(dir_fd, name, 0600, 0) < 0 || listen(fd, QUEUE) < 0) {
		int r = fail_errno(err, "make the monitor's socket");

		(void)!unlinkat(dir_fd, name, 0);
		return r;
	}
	return take_fd(&fd);
}

int peer_connect(int dir_fd, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const struct sockaddr_un a = address(dir_fd, name);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return take_fd(&fd);
	if (fd >= 0 && (errno == ENOENT || errno == ECONNREFUSED))
		return fail(err, KENNEL_E_NOTFOUND, "no monitor listens");
	return fail_errno(err, "connect to the monitor");
}

static bool same_namespace(int proc_fd, const char *name)
{
	struct stat theirs, ours;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	return fstatat(proc_fd, name, &theirs, 0) == 0 && stat(path, &ours) == 0 &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

int peer_check(int fd, struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, proc_fd = -EBADF;
	struct ucred who;
	socklen_t size = sizeof(who), pidfd_size = sizeof(pidfd);
	char path[32];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return fail_errno(err, "see who speaks");
	if (who.pid <= 0 || (who.uid != geteuid() && who.uid != 0))
		return fail(err, KENNEL_E_PERM, "it is not yours");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &pidfd_size) < 0)
		pidfd = sys_pidfd_open(who.pid, 0);
	snprintf(path, sizeof(path), "/proc/%d", who.pid);
	proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	if (pidfd < 0 || proc_fd < 0 || !same_namespace(proc_fd, "ns/user") ||
	    !same_namespace(proc_fd, "ns/pid") || poll(&ended, 1, 0) != 0)
		return fail(err, KENNEL_E_PERM, "it is not to be spoken to from inside of a sandbox");
	return 0;
}
