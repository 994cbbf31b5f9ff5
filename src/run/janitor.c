/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/janitor.c - see janitor.h. The task runs on a small stack of its own in our address space and shares
 * our thread-local storage: it may only touch errno once the monitor is dead, so until then it sits in one
 * bare ppoll() that can't fail.
 */
#include "run/janitor.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/cgroup.h"
#include "run/hooks.h"
#include "sys/sys.h"

#define STACK_SIZE (128u << 10) /* only what is used becomes memory */
/* of 2 ms each: a group can be removed once its last process has been reaped */
#define CGROUP_TRIES 500

struct janitor {
	int pidfd;
	void *stack;
};

static void wait_gone(int pidfd)
{
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	(void)!sys_poll(&fd, 1, 5000);
}

__attribute__((no_sanitize("address", "undefined"))) static int janitor_main(void *data)
{
	struct janitor_work *w = data;
	struct pollfd fd = { .fd = w->monitor_pidfd, .events = POLLIN };

	sys_prctl(PR_SET_NAME, (unsigned long)"kjanitor", 0, 0, 0);
	sys_setsid();
	/* libc's poll() would make the monitor's thread cancellable, whose thread data it sees */
	while (sys_poll(&fd, 1, -1) <= 0)
		;
	if (w->thaw_fd >= 0)
		(void)!write(w->thaw_fd, "THAWED", 6);
	if (w->nat_pidfd >= 0)
		sys_pidfd_send_signal(w->nat_pidfd, SIGKILL, 0);
	if (w->init_pidfd >= 0) {
		/* at level fs init ends its descendants itself */
		sys_pidfd_send_signal(w->init_pidfd, SIGTERM, 0);
		wait_gone(w->init_pidfd);
		sys_pidfd_send_signal(w->init_pidfd, SIGKILL, 0);
		wait_gone(w->init_pidfd);
	}
	for (unsigned i = 0; i < w->n_views; i++)
		sys_pidfd_send_signal(w->view_pidfds[i], SIGKILL, 0);
	net_clean_run(&w->net);
	for (unsigned i = w->n_dirs; i-- > 0;)
		for (unsigned k = 0; k < CGROUP_TRIES; k++) {
			if (cgroup_remove_named(w->dirs[i].parent_fd, w->dirs[i].name) == 0 || errno != EBUSY)
				break;
			clock_pause_ms(2);
		}
	for (unsigned i = 0; w->id && i < JANITOR_MAX_BESIDE; i++)
		if (w->beside[i][0])
			unlinkat(w->registry_fd, w->beside[i], 0);
	if (w->id)
		unlinkat(w->registry_fd, w->id, 0);
	if (w->hooks && w->mount_ns_fd && *w->mount_ns_fd >= 0)
		close(*w->mount_ns_fd);
	if (w->hooks)
		hooks_end_killed(w->hooks);
	if (w->lock_fd > 0) {
		sys_close_range(0, (unsigned)w->lock_fd - 1, 0);
		sys_close_range((unsigned)w->lock_fd + 1, ~0U, 0);
	}
	_exit(0);
}

void janitor_note_dir(struct janitor_work *work, int parent_fd, const char *name)
{
	if (work->n_dirs == JANITOR_MAX_DIRS)
		return;
	snprintf(work->dirs[work->n_dirs].name, sizeof(work->dirs[0].name), "%s", name);
	work->dirs[work->n_dirs].parent_fd = parent_fd;
	/* We may be killed anywhere: the count comes last. */
	__atomic_store_n(&work->n_dirs, work->n_dirs + 1, __ATOMIC_RELEASE);
}

int janitor_new(struct janitor_work *work, struct janitor **ret, struct kennel_error **err)
{
	_cleanup_free_ struct janitor *j = malloc(sizeof(*j));
	sigset_t all, old;

	if (!j)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*j = (struct janitor){ .pidfd = -EBADF };
	j->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
			0);
	if (j->stack == MAP_FAILED)
		return fail_errno(err, "make a stack");
	sigfillset(&all);
	/* it inherits this: no handler of the caller may ever run on that stack */
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = sys_clone_on_stack(janitor_main, (char *)j->stack + STACK_SIZE,
				       CLONE_VM | CLONE_FILES | CLONE_PIDFD, work, &j->pidfd);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0) {
		munmap(j->stack, STACK_SIZE);
		errno = saved;
		return fail_errno(err, "start the janitor");
	}
	*ret = take_ptr(&j);
	return 0;
}

struct janitor *janitor_free(struct janitor *j)
{
	if (!j)
		return NULL;
	siginfo_t info;
	sys_pidfd_send_signal(j->pidfd, SIGKILL, 0);
	while (sys_waitid_pidfd(j->pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	close_fd(j->pidfd);
	munmap(j->stack, STACK_SIZE);
	free(j);
	return NULL;
}
