/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/helper.c - see helper.h. */
#include "net/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/sys.h"

#define NOBODY_ID 65534u
#define ABOVE_ALL 32 /* of NET_HELPER_FDS_MAX */

static int start(void (*main)(const void *data), const void *data, const char *name,
		 const struct net_helper_group *group, int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND, .pidfd = (uintptr_t)&pidfd };
	sigset_t all, old;

	if (group && group->clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)group->clone_fd;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0) {
		(void)!sys_setsid();
		sys_prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
		main(data);
		_exit(1);
	}
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	if (pid < 0)
		return -1;
	*ret_pidfd = pidfd;
	return 0;
}

int net_helper_start(void (*main)(const void *data), const void *data, const char *name, int *ret_pidfd)
{
	return start(main, data, name, NULL, ret_pidfd);
}

struct ready {
	void (*main)(const void *data, int report_fd);
	const void *data;
	const struct net_helper_group *group;
	int report_fd;
};

static void run_ready(const void *data)
{
	const struct ready *r = data;

	for (unsigned i = 0; r->group && i < r->group->n_entries; i++)
		if (write(r->group->entry_fds[i], "0", 1) != 1) {
			(void)!write(r->report_fd, &errno, sizeof(errno));
			return;
		}
	r->main(r->data, r->report_fd);
}

int net_helper_start_ready(void (*main)(const void *data, int report_fd), const void *data, const char *name,
			   const struct net_helper_group *group, int *ret_pidfd)
{
	int pidfd = -1, report[2], errnum = ESRCH;
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -1;
	const struct ready ready = { main, data, group, report[1] };
	if (start(run_ready, &ready, name, group, &pidfd) < 0)
		errnum = errno;
	close(report[1]);
	do
		n = pidfd < 0 ? 0 : read(report[0], &errnum, sizeof(errnum));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == (ssize_t)sizeof(errnum) && errnum == 0) {
		*ret_pidfd = pidfd;
		return 0;
	}
	net_helper_end(pidfd);
	errno = errnum;
	return -1;
}

void net_helper_end(int pidfd)
{
	siginfo_t info;

	if (pidfd < 0)
		return;
	(void)!sys_pidfd_send_signal(pidfd, SIGKILL, 0);
	while (sys_waitid_pidfd(pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	close(pidfd);
}

int net_helper_keep_fds(const int *fds, unsigned n)
{
	int high[NET_HELPER_FDS_MAX];

	for (unsigned i = 0; i < n; i++) {
		high[i] = fcntl(fds[i], F_DUPFD, ABOVE_ALL);
		if (high[i] < 0)
			return -1;
	}
	for (unsigned i = 0; i < n; i++)
		if (dup2(high[i], (int)i) < 0)
			return -1;
	return sys_close_range(n, ~0U, 0);
}

int net_helper_become_nobody(uint32_t caps)
{
	const struct sys_cap_data data[2] = { { .effective = caps, .permitted = caps } };

	if (sys_setgroups(0, NULL) < 0 || sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    sys_setresgid(NOBODY_ID, NOBODY_ID, NOBODY_ID) < 0 ||
	    sys_setresuid(NOBODY_ID, NOBODY_ID, NOBODY_ID) < 0 || sys_capset(data) < 0)
		return -1;
	return sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

int net_helper_keep_caps(uint32_t caps)
{
	const struct sys_cap_data data[2] = { { .effective = caps, .permitted = caps, .inheritable = caps } };

	if (geteuid() == 0) {
		if (sys_prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0 ||
		    sys_capset(data) < 0)
			return -1;
		for (unsigned cap = 0; cap < 32; cap++)
			if ((caps & 1u << cap) &&
			    sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
				return -1;
	}
	return sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
