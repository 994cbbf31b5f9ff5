/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-stop.c - ending a sandbox from another process: asked first, killed after a while.
 *
 * init hands what it is sent on to the command. A killed init takes everything inside along where there is
 * a pid namespace. Where there is none (level fs) it is the death of the monitor that makes init end all
 * its descendants.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-running.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/cgroup.h"
#include "run/power-off.h"
#include "run/registry.h"
#include "run/vm-freeze.h"
#include "sys/sys.h"

#define KILL_MS 10000 /* for what can't be refused, on a machine that is busy */
#define LEAVE_MS 10000 /* for the monitor to put things in order */
#define SHORTLY_MS 100
#define NAP_MS 5

static bool ends_in(int pidfd, int timeout_ms)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	int n;

	do
		n = poll(&fd, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/*
 * When the entry is gone, so is the rest, and a container may be started again. One whose monitor asks a
 * person what becomes of the changes keeps it: that is no failure. A monitor mostly ends at once after that,
 * and its end wakes us; inotify would, too, but closing it takes the kernel longer than the whole stop.
 */
static void wait_unlisted(const char *id, pid_t monitor)
{
	_cleanup_close_ int dir_fd = registry_open(NULL);
	_cleanup_close_ int monitor_pidfd = sys_pidfd_open(monitor, 0);
	const int64_t begun = clock_ms();
	int64_t waited;

	while (dir_fd >= 0 && registry_is_alive(dir_fd, id) && (waited = clock_ms() - begun) < LEAVE_MS) {
		struct pollfd fd = { .fd = monitor_pidfd, .events = POLLIN };

		if (poll(&fd, 1, waited < SHORTLY_MS ? 1 : NAP_MS) > 0) /* its janitor may have more to do */
			replace_fd(&monitor_pidfd, -EBADF);
	}
}

static int signal_of_init(pid_t init)
{
	char path[32], program[256];

	snprintf(path, sizeof(path), "/proc/%d/exe", init);
	ssize_t n = readlink(path, program, sizeof(program) - 1);
	program[MAX(n, (ssize_t)0)] = '\0';
	return power_off_signal(program, POWER_OFF_SYSTEMD_HALT);
}

static int ask(const struct kennel_list *list, const struct copy_sandbox *sb, int pidfd, int sig,
	       struct kennel_error **err)
{
	if (!sig)
		sig = kennel_list_value(list, 0, "boot") ? signal_of_init(sb->init) : SIGTERM;
	if (sys_pidfd_send_signal(pidfd, sig, 0) < 0 && errno != ESRCH)
		return fail_errno(err, "send a signal");
	return 0;
}

/* What is frozen hears no signal, and in v1 is not even killed. */
static void thaw(const struct kennel_list *list, const struct copy_sandbox *sb, int pidfd)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (running_cgroup(sb, pidfd, &text, NULL) == 0 && cgroup_is_frozen(buf_str(&text)) > 0)
		(void)!cgroup_freeze(buf_str(&text), false, NULL);
	if (running_is_guest(list) && vm_is_frozen(sb->init))
		(void)!vm_thaw(sb->init, NULL);
}

static int kill_all(const struct kennel_list *list, const struct copy_sandbox *sb, int pidfd,
		    struct kennel_error **err)
{
	const bool has_pid_ns = strcmp(kennel_list_value(list, 0, "isolate"), "fs") != 0;
	_cleanup_close_ int monitor_pidfd = has_pid_ns ? -EBADF : sys_pidfd_open(sb->monitor, 0);
	int target_fd = has_pid_ns ? pidfd : monitor_pidfd;

	/* Still its monitor: the number was read before there was a descriptor. */
	if (!has_pid_ns && (monitor_pidfd < 0 || ends_in(pidfd, 0)))
		return 0;
	if (sys_pidfd_send_signal(target_fd, SIGKILL, 0) < 0 && errno != ESRCH)
		return fail_errno(err, "kill the sandbox");
	if (!ends_in(pidfd, KILL_MS))
		return hint(
			err, fail(err, KENNEL_E_BUSY, "the sandbox does not end"),
			"a process of it waits for a disk or a file system that does not answer: see ps -eo stat,wchan,cmd");
	return 0;
}

int kennel_stop(const char *id, int sig, int timeout_ms, int *ret_killed, struct kennel_error **err)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct kennel_list *list = NULL;
	struct copy_sandbox sb;
	bool killed = false;

	int r = running_open(id, &sb, &pidfd, &root_fd, &list, err);
	if (r < 0)
		return wrap(err, r, "stop \"%s\"", id);
	close_fd(take_fd(&root_fd)); /* holds its mounts */
	thaw(list, &sb, pidfd);
	if (timeout_ms != 0)
		r = ask(list, &sb, pidfd, sig, err);
	if (r == 0 && (timeout_ms == 0 || !ends_in(pidfd, timeout_ms))) {
		killed = true;
		r = kill_all(list, &sb, pidfd, err);
	}
	if (r == 0)
		wait_unlisted(kennel_list_value(list, 0, "id"), sb.monitor);
	kennel_list_free(list);
	if (r == 0 && ret_killed)
		*ret_killed = killed;
	return r < 0 ? wrap(err, r, "stop \"%s\"", id) : 0;
}
