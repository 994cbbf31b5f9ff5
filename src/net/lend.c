/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/lend.c - see lend.h. The process is of helper.h's kind: system calls alone. */
#include "net/lend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/helper.h"
#include "sys/sys.h"

#define BACKLOG 64

enum { FD_MONITOR, FD_REPORT, FD_SOCKETS }; /* then, of each, where we listen and what it stands for */

static int listen_fd(unsigned i)
{
	return FD_SOCKETS + 2 * (int)i;
}

static int target_fd(unsigned i)
{
	return FD_SOCKETS + 2 * (int)i + 1;
}

static int connect_to(int pin_fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/proc/self/fd/" };
	const size_t end = strlen(to.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	to.sun_path[end] = (char)('0' + pin_fd / 10);
	to.sun_path[end + 1] = (char)('0' + pin_fd % 10);
	if (to.sun_path[end] == '0')
		memmove(to.sun_path + end, to.sun_path + end + 1, 2);
	if (fd >= 0 &&
	    (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 || fcntl(fd, F_SETFL, 0) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void send_fd(int to_fd, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)),
				 .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (char[]){ 0 }, 1 };
	const struct msghdr m = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };

	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	(void)!sendmsg(to_fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Who gets nothing is told by the end. */
static void lend(unsigned i)
{
	_cleanup_close_ int to_fd = accept4(listen_fd(i), NULL, NULL, SOCK_CLOEXEC);
	_cleanup_close_ int fd = to_fd < 0 ? -1 : connect_to(target_fd(i));

	if (fd >= 0)
		send_fd(to_fd, fd);
}

static void serve(unsigned n)
{
	for (;;) {
		struct pollfd fds[1 + NET_LEND_MAX] = { { .fd = FD_MONITOR, .events = POLLIN } };

		for (unsigned i = 0; i < n; i++)
			fds[1 + i] = (struct pollfd){ .fd = listen_fd(i), .events = POLLIN };
		if (sys_poll(fds, 1 + n, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[0].revents)
			return;
		for (unsigned i = 0; i < n; i++)
			if (fds[1 + i].revents)
				lend(i);
	}
}

/* In the directory, by a name alone: its path may be longer than an address can be. */
static int listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, name, strnlen(name, sizeof(at.sun_path) - 1));
	/* whoever can be there is of the sandbox, where it has other ids */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || chmod(name, 0666) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -1;
	return fd;
}

static void remove_names(const struct net_lend_spec *spec)
{
	for (unsigned i = 0; i < spec->n; i++)
		(void)!unlink(spec->names[i]);
}

static void run(const void *data, int report_fd)
{
	const struct net_lend_spec *spec = data;
	int fds[FD_SOCKETS + 2 * NET_LEND_MAX] = {
		[FD_MONITOR] = spec->monitor_pidfd, [FD_REPORT] = report_fd
	};
	const unsigned n = spec->n;
	int errnum = fchdir(spec->dir_fd) < 0 ? errno : 0;

	for (unsigned i = 0; i < n && !errnum; i++) {
		fds[listen_fd(i)] = listen_at(spec->names[i]);
		fds[target_fd(i)] = spec->target_fds[i];
		errnum = fds[listen_fd(i)] < 0 ? errno : 0;
	}
	/* as root it may have been given the socket of another user */
	if (!errnum && (net_helper_keep_fds(fds, FD_SOCKETS + 2 * n) < 0 ||
			net_helper_keep_caps(1u << CAP_DAC_OVERRIDE) < 0))
		errnum = errno;
	(void)!write(errnum ? report_fd : FD_REPORT, &errnum, sizeof(errnum));
	if (!errnum) {
		close(FD_REPORT);
		serve(n);
	}
	remove_names(spec); /* killed during the start, nobody else would */
	_exit(errnum != 0);
}

int net_lend_start(const struct net_lend_spec *spec, int *ret_pidfd, struct kennel_error **err)
{
	return net_helper_start_ready(run, spec, "kennel-lend", NULL, ret_pidfd) < 0 ?
		       fail_errno(err, "start who makes connections to sockets") :
		       0;
}
