/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-janitor.c - what is left when a monitor is killed.
 *
 * Each test forks a "monitor" that starts a janitor in a directory of its own, and ends it in one way. This
 * process is the subreaper, so the janitor of a dead monitor is its child then and can be waited for.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/janitor.h"
#include "sys/sys.h"

struct fixture {
	char dir[40];
	int dir_fd;
	int ready[2];
};

enum end { END_KILL, END_KILL_GROUP, END_EXIT, END_FREE };

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/kennel-janitor-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mknodat(f->dir_fd, "00000001", S_IFREG | 0600, 0), 0);
	assert_int_equal(mknodat(f->dir_fd, "00000002", S_IFREG | 0600, 0), 0);
	assert_int_equal(mkdirat(f->dir_fd, "group", 0755), 0);
	assert_int_equal(pipe2(f->ready, O_CLOEXEC), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlinkat(f->dir_fd, "00000001", 0);
	assert_int_equal(unlinkat(f->dir_fd, "00000002", 0), 0);
	unlinkat(f->dir_fd, "group", AT_REMOVEDIR);
	close(f->dir_fd);
	assert_int_equal(rmdir(f->dir), 0);
	close(f->ready[0]);
	close(f->ready[1]);
	free(f);
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	return 0;
}

static bool exists(const struct fixture *f, const char *name)
{
	return faccessat(f->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A process that only sleeps, in place of init: its pidfd; the pid goes through the pipe for the test. */
static int start_sleeper(const struct fixture *f, int *ret_pid)
{
	struct clone_args args = { .flags = CLONE_PIDFD, .exit_signal = SIGCHLD };
	int pidfd = -EBADF;

	args.pidfd = (uintptr_t)&pidfd;
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	*ret_pid = pid;
	return pidfd;
}

static _Noreturn void monitor(struct fixture *f, enum end end)
{
	struct janitor_work work = { .monitor_pidfd = sys_pidfd_open(getpid(), 0),
				     .registry_fd = f->dir_fd,
				     .init_pidfd = -EBADF,
				     .nat_pidfd = -EBADF };
	struct janitor *j = NULL;
	int pid;

	setpgid(0, 0);
	if (janitor_new(&work, &j, NULL) < 0)
		_exit(50);
	/* Filled in after the start, as the launcher does. */
	work.init_pidfd = start_sleeper(f, &pid);
	work.id = "00000001";
	work.dirs[0].parent_fd = f->dir_fd;
	snprintf(work.dirs[0].name, sizeof(work.dirs[0].name), "%s", "group");
	work.dirs[1].parent_fd = f->dir_fd;
	snprintf(work.dirs[1].name, sizeof(work.dirs[1].name), "%s", "was never there");
	work.n_dirs = 2;
	if (write(f->ready[1], &pid, sizeof(pid)) != sizeof(pid))
		_exit(51);
	if (end == END_FREE) {
		j = janitor_free(j);
		sys_pidfd_send_signal(work.init_pidfd, SIGKILL, 0);
		/* No zombie of it may be left; the sleeper is the only other child. */
		int n = 0;
		while (waitpid(-1, NULL, __WALL) > 0)
			n++;
		_exit(j || n != 1 ? 52 : 0);
	}
	if (end == END_EXIT)
		_exit(0);
	for (;;)
		pause();
}

/* The janitor is out of the monitor's group and session once it has a session of its own. */
static void wait_for_session(pid_t monitor, pid_t sleeper)
{
	char path[64], text[128];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", monitor, monitor);
	for (int i = 0; i < 60000; i++, usleep(1000)) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		char *s = text;
		for (pid_t pid; (pid = (pid_t)strtol(s, &s, 10)) > 0;)
			if (pid != sleeper && getsid(pid) == pid)
				return;
	}
	fail_msg("the janitor has no session of its own");
}

/* Runs a monitor to its end and waits for all that it left; returns its wait status. */
static int run_monitor(struct fixture *f, enum end end)
{
	int sleeper, status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		monitor(f, end);
	assert_int_equal(read(f->ready[0], &sleeper, sizeof(sleeper)), sizeof(sleeper));
	_cleanup_close_ UNUSED int sleeper_fd = sys_pidfd_open(sleeper, 0);
	if (end == END_KILL)
		assert_int_equal(kill(pid, SIGKILL), 0);
	if (end == END_KILL_GROUP) {
		wait_for_session(pid, sleeper);
		assert_int_equal(kill(-pid, SIGKILL), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* Orphans: the sleeper, killed by the janitor, and the janitor itself. */
	unsigned orphans = 0;
	while (waitpid(-1, NULL, __WALL) > 0)
		orphans++;
	assert_int_equal(errno, ECHILD);
	assert_int_equal(orphans, end == END_FREE ? 0 : 2);
	return status;
}

static void test_janitor_cleans_when_the_monitor_is_killed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(WTERMSIG(run_monitor(f, END_KILL)), SIGKILL);
	assert_false(exists(f, "00000001"));
	assert_false(exists(f, "group"));
	assert_true(exists(f, "00000002"));
}

static void test_janitor_survives_a_kill_of_the_process_group(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(WTERMSIG(run_monitor(f, END_KILL_GROUP)), SIGKILL);
	assert_false(exists(f, "00000001"));
	assert_false(exists(f, "group"));
}

static void test_janitor_cleans_when_the_monitor_just_exits(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(run_monitor(f, END_EXIT), 0);
	assert_false(exists(f, "00000001"));
	assert_false(exists(f, "group"));
}

static void test_janitor_free_does_nothing_else(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(run_monitor(f, END_FREE), 0);
	assert_true(exists(f, "00000001"));
	assert_true(exists(f, "group"));
}

static void test_janitor_free_of_none(void **state)
{
	assert_null(janitor_free(NULL));
}

static void assert_same_mask(const sigset_t *a, const sigset_t *b)
{
	for (int sig = 1; sig < 65; sig++)
		assert_int_equal(sigismember(a, sig), sigismember(b, sig));
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A caller that blocks nothing, handles signals and waits for any child sees nothing of it. */
static void test_janitor_new_is_invisible_to_its_caller(void **state)
{
	struct fixture *f = *state;
	struct janitor_work work = { .monitor_pidfd = sys_pidfd_open(getpid(), 0),
				     .registry_fd = f->dir_fd,
				     .init_pidfd = -EBADF,
				     .nat_pidfd = -EBADF };
	unsigned fds = count_fds();
	sigset_t before, after;
	struct janitor *j = NULL;

	sigprocmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(janitor_new(&work, &j, NULL), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_same_mask(&before, &after);
	errno = 0;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_null(janitor_free(j));
	assert_true(exists(f, "00000001"));
	close(work.monitor_pidfd);
	assert_int_equal(count_fds(), fds - 1); /* fds: with the pidfd */
}

static bool fail_mmap;
static bool fail_clone;

void *__real_mmap64(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (fail_mmap) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap64(addr, length, prot, flags, fd, offset);
}

int __real_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd);
int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd);
int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd)
{
	if (fail_clone) {
		errno = EAGAIN;
		return -1;
	}
	return __real_clone(fn, stack, flags, arg, pidfd);
}

static void test_janitor_new_failure_is_told(void **state)
{
	struct janitor_work work = { .monitor_pidfd = -EBADF, .init_pidfd = -EBADF, .nat_pidfd = -EBADF };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct janitor *j = NULL;
	sigset_t before, after;

	fail_mmap = true;
	int r = janitor_new(&work, &j, &err);
	fail_mmap = false;
	assert_int_equal(r, -KENNEL_E_NOMEM);
	assert_string_equal(kennel_error_message(err), "make a stack: Cannot allocate memory");
	sigprocmask(SIG_SETMASK, NULL, &before);
	fail_clone = true;
	r = janitor_new(&work, &j, &err);
	fail_clone = false;
	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(r, -KENNEL_E_LIMIT);
	assert_string_equal(kennel_error_message(err), "start the janitor: Resource temporarily unavailable");
	assert_same_mask(&before, &after);
	assert_null(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_janitor_cleans_when_the_monitor_is_killed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_janitor_survives_a_kill_of_the_process_group, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_janitor_cleans_when_the_monitor_just_exits, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_janitor_free_does_nothing_else, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_janitor_new_is_invisible_to_its_caller, set_up,
						tear_down),
		cmocka_unit_test(test_janitor_free_of_none),
		cmocka_unit_test(test_janitor_new_failure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
