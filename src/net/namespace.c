/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/namespace.c - a network namespace for a sandbox that has no user namespace of its own.
 *
 * pasta needs CAP_SYS_ADMIN over the network namespace that it serves, for as long as it runs. If that
 * namespace belongs to ours, this is CAP_SYS_ADMIN over the machine. So it is made inside a user namespace
 * which nobody lives in and which maps no id: pasta joins that one and is nothing here, while root in the
 * sandbox rules the network namespace as before, being root of the parent.
 *
 * A process is needed to make the two: unshare() would take ourselves along. It shares our descriptors, opens
 * its own namespaces into them, tells the numbers and is gone.
 */
#include "net/nat.h"

#include "base/cleanup.h"
#include "sys/sys.h"

struct namespace_report {
	int fds[2];             /* user, network */
	int errnum;
};

/* After clone: system calls only. */
static _Noreturn void open_own(int report_fd)
{
	struct namespace_report report = {
		.fds = {
			open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
			open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
		},
	};
	report.errnum = report.fds[0] < 0 || report.fds[1] < 0 ? errno : 0;
	(void)!write(report_fd, &report, sizeof(report));
	_exit(0);
}

int net_namespace_new(int *ret_userns_fd, int *ret_netns_fd, struct kennel_error **err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	_cleanup_close_ int pidfd = -EBADF;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_FILES | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uintptr_t)&pidfd,
	};
	int pid = sys_clone3(&args, sizeof(args));
	if (pid < 0)
		return fail_errno(err, "make a network namespace");
	if (pid == 0)
		open_own(write_fd);
	siginfo_t info;
	while (sys_waitid_pidfd(pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	/* Our write end is open: nothing to read must not mean waiting for ever. */
	(void)!fcntl(read_fd, F_SETFL, O_NONBLOCK);
	struct namespace_report report;
	if (read(read_fd, &report, sizeof(report)) != sizeof(report))
		return fail(err, KENNEL_E_IO, "the maker of a network namespace was killed");
	_cleanup_close_ int userns_fd = report.fds[0];
	_cleanup_close_ int netns_fd = report.fds[1];
	if (report.errnum) {
		errno = report.errnum;
		return fail_errno(err, "open a new network namespace");
	}
	*ret_userns_fd = take_fd(&userns_fd);
	*ret_netns_fd = take_fd(&netns_fd);
	return 0;
}
