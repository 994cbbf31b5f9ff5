/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-spawn.c - programs that are started while their starter goes on. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/spawn.h"

#define WORD(s) ((char *)(s)) /* what exec() takes, and does not change */

static char *const env[] = { WORD("KENNEL_TEST=seen"), NULL };

static int status_of(pid_t pid)
{
	int status = -1;

	assert_true(waitpid(pid, &status, 0) == pid);
	return status;
}

static struct sys_spawn shell(char *const argv[], bool wait)
{
	return (struct sys_spawn){ .path = "/bin/sh", .argv = argv, .envp = env, .wait = wait };
}

static void test_spawn_runs_with_argv_and_env(void **state)
{
	char *const argv[] = { WORD("sh"), WORD("-c"), WORD("test \"$KENNEL_TEST\" = seen && exit 7"), NULL };

	for (int wait = 0; wait < 2; wait++) {
		struct sys_spawn s = shell(argv, wait);
		pid_t pid = sys_spawn(&s);

		assert_true(pid > 0);
		int status = status_of(pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
		sys_spawn_done(&s);
	}
}

/* As at a login, whatever the caller has done to its own signals and descriptors. */
static void test_spawn_fresh_has_nothing_of_the_caller(void **state)
{
	char *const argv[] = { WORD("sh"), WORD("-c"),
			       WORD("test \"$PWD\" = / && ! test -e /proc/self/fd/200 && "
				    "grep -q '^SigBlk:.0*$' /proc/self/status && "
				    "grep -q '^SigIgn:.0*$' /proc/self/status && exit 7"),
			       NULL };
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR);
	const int sources[] = { null_fd, null_fd, null_fd };
	struct sys_spawn s = shell(argv, true);
	sigset_t some, old;

	assert_int_equal(dup2(null_fd, 200), 200); /* not close-on-exec */
	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, &old);
	signal(SIGPIPE, SIG_IGN);
	s.sources = sources;
	s.n_sources = 3;
	s.fresh = true;
	pid_t pid = sys_spawn(&s);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(200);
	assert_true(pid > 0);
	int status = status_of(pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void test_spawn_missing_program_is_an_error_or_exit_code(void **state)
{
	char *const argv[] = { WORD("nothing"), NULL };
	struct sys_spawn s = { .path = "/nonexistent/nothing", .argv = argv, .envp = env, .wait = true };

	errno = 0;
	assert_true(sys_spawn(&s) == -1 && errno == ENOENT);
	assert_true(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD); /* it was waited for */

	s.wait = false;
	pid_t pid = sys_spawn(&s);
	assert_true(pid > 0);
	int status = status_of(pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == SYS_SPAWN_FAILED && s.errnum == ENOENT);
	sys_spawn_done(&s);
}

static void test_spawn_hands_descriptors_over(void **state)
{
	int ends[2];
	char text[8] = "";

	assert_true(pipe2(ends, O_CLOEXEC) == 0);
	const int sources[] = { ends[1] };
	char command[32];
	snprintf(command, sizeof(command), "echo hello >&%d", ends[1] + 1);
	char *const argv[] = { WORD("sh"), WORD("-c"), command, NULL };
	struct sys_spawn s = shell(argv, true);
	s.sources = sources;
	s.n_sources = 1;
	s.first = ends[1] + 1;
	pid_t pid = sys_spawn(&s);
	close_fd(ends[1]);
	assert_true(pid > 0 && status_of(pid) == 0);
	assert_true(read(ends[0], text, sizeof(text)) == 6 && memcmp(text, "hello\n", 6) == 0);
	close_fd(ends[0]);
}

static void test_spawn_descriptor_beyond_the_limit_is_reported(void **state)
{
	char *const argv[] = { WORD("sh"), WORD("-c"), WORD(":"), NULL };
	const int sources[] = { 0 };
	struct sys_spawn s = shell(argv, true);

	s.sources = sources;
	s.n_sources = 1;
	s.first = 1 << 30;
	assert_true(sys_spawn(&s) == -1 && errno == EBADF);
}

static void test_spawn_session_and_signals(void **state)
{
	char *const argv[] = { WORD("sh"), WORD("-c"), WORD("test $(cut -d' ' -f6 /proc/$$/stat) = $$"),
			       NULL };
	struct sys_spawn s = shell(argv, true);
	sigset_t before = { 0 }, after = { 0 }; /* the kernel fills a part of them */

	s.session = true;
	sigprocmask(SIG_SETMASK, NULL, &before);
	pid_t pid = sys_spawn(&s);
	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_true(pid > 0 && status_of(pid) == 0);
	assert_true(memcmp(&before, &after, sizeof(before)) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spawn_runs_with_argv_and_env),
		cmocka_unit_test(test_spawn_fresh_has_nothing_of_the_caller),
		cmocka_unit_test(test_spawn_missing_program_is_an_error_or_exit_code),
		cmocka_unit_test(test_spawn_hands_descriptors_over),
		cmocka_unit_test(test_spawn_descriptor_beyond_the_limit_is_reported),
		cmocka_unit_test(test_spawn_session_and_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
