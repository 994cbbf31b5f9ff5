/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-enter.c - kennel_enter(), init as the last step of it, and the way into another one's groups. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "run/init.h"
#include "run/program-file.h"
#include "sys/sys.h"

static struct kennel_spec *words(const char *command)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	struct kennel_spec *spec;

	assert_int_equal(kennel_spec_new(&spec, NULL), 0);
	assert_int_equal(kennel_spec_set(spec, "tty", "no", NULL), 0);
	assert_int_equal(kennel_spec_set(spec, "net", "none", NULL), 0);
	assert_int_equal(kennel_spec_set_command(spec, argv, NULL), 0);
	return spec;
}

static void test_enter_runs_a_command_in_a_sandbox_and_tells_when_that_has_ended(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL, *gone = NULL;
	struct kennel_spec *sleeper = words("exec sleep 100"),
			   *exits = words("test -e /proc/1/comm && exit 7");
	struct kennel_sandbox *sb = NULL;
	char id[32];
	int status = -1;

	(void)state;
	if (geteuid() != 0)
		skip_test("needs root");
	if (kennel_sandbox_start(sleeper, &sb, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	snprintf(id, sizeof(id), "%s", kennel_sandbox_id(sb));
	if (kennel_enter(id, exits, &status, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_int_equal(status, 7);
	status = -1;
	if (kennel_enter_last(id, exits, &status, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_int_equal(status, 7);
	assert_int_equal(kennel_sandbox_count_oom_kills(sb), 0); /* none where nothing is counted */
	assert_int_equal(kennel_sandbox_limits_hit(sb), 0);
	assert_string_equal(kennel_limit_hit_name(KENNEL_HIT_SWAP), "memory+swap");
	assert_null(kennel_limit_hit_name((enum kennel_limit_hit)0));
	/* only the sandbox itself is a child of ours: nobody is left to be waited for */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), 0);
	assert_int_equal(kennel_stop(id, 0, 20000, &status, &err), 0);
	assert_int_equal(status, 0);
	kennel_sandbox_free(sb);
	assert_int_equal(kennel_stop(id, 0, 0, NULL, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_enter(id, exits, &status, &gone), -KENNEL_E_NOTFOUND);
	assert_non_null(strstr(kennel_error_message(gone), id));
	kennel_spec_free(sleeper);
	kennel_spec_free(exits);
}

/* Runs init as an entering process does. Return: what it reported; no bytes: the command runs. */
static ssize_t become(const char *command, struct init_report *ret, int *ret_status)
{
	int report[2];

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	_cleanup_close_ int program_fd = program_file_init(NULL);
	assert_true(program_fd >= 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char fd_text[16], flags[16];
		const char *const argv[] = {
			"kennel-enter", fd_text, "-1", flags, "", "/", command, "3", NULL
		};
		const char *const env[] = { "PATH=/usr/bin:/bin", NULL };
		int fd = fcntl(report[1], F_DUPFD, 20);

		snprintf(fd_text, sizeof(fd_text), "%d", fd);
		snprintf(flags, sizeof(flags), "%u", INIT_BECOME);
		sys_execveat(program_fd, "", (char *const *)argv, (char *const *)env, AT_EMPTY_PATH);
		_exit(99);
	}
	close(report[1]);
	ssize_t n = read(report[0], ret, sizeof(*ret));
	if (n == 0)
		kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	close(report[0]);
	return n;
}

static void test_init_becomes_the_command_and_is_silent(void **state)
{
	struct init_report report;
	int status;

	(void)state;
	assert_int_equal(become("sleep", &report, &status), 0);
	assert_true(WIFSIGNALED(status)); /* it is the command itself that the signal met */
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void test_init_tells_what_it_could_not_become(void **state)
{
	struct init_report report;
	int status;

	(void)state;
	assert_int_equal(become("no-such-command", &report, &status), sizeof(report));
	assert_int_equal(report.step, INIT_STEP_EXEC);
	assert_int_equal(report.errnum, ENOENT);
	assert_int_equal(WEXITSTATUS(status), 127);
	assert_int_equal(become("/etc/passwd", &report, &status), sizeof(report));
	assert_int_equal(report.errnum, EACCES);
	assert_int_equal(WEXITSTATUS(status), 126);
}

static void test_join_leaves_alone_what_kennel_did_not_make(void **state)
{
	static const char *const texts[] = { "", "0::/user.slice/session-3.scope\n",
					     "4:memory:/docker/abc\n0::/\n", "rubbish\n\n:::\n",
					     "0::/mykennel-x/y\n" };
	struct cgroup_join join;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		if (cgroup_join_open(texts[i], &join, &err) < 0)
			fail_msg("\"%s\": %s", texts[i], kennel_error_message(err));
		assert_true(join.clone_fd < 0);
		assert_int_equal(join.n_entries, 0);
	}
}

static void test_join_refuses_a_group_above_what_we_see(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct cgroup_join join;

	(void)state;
	assert_int_equal(cgroup_join_open("0::/../kennel-1234\n", &join, &err), -KENNEL_E_UNSUPPORTED);
	assert_non_null(kennel_error_hint(err));
	assert_int_equal(cgroup_join_open("0::/../other\n", &join, NULL), 0);
}

static void test_join_refuses_a_group_that_is_not_there(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf own = { 0 }, text = { 0 };
	struct cgroup_join join;

	(void)state;
	assert_int_equal(buf_read_fd(&own, fd, 1 << 16, NULL), 0);
	if (!own.len)
		skip_test("no control groups here");
	/* every line with a group of ours behind it that nobody made */
	for (char *line = own.data, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		buf_printf(&text, "%s/kennel-nobody\n", line);
	}
	int r = cgroup_join_open(buf_str(&text), &join, &err);
	if (r == 0)
		skip_test("no control groups here");
	assert_non_null(strstr(kennel_error_message(err), "open the sandbox's control group"));
	assert_true(join.clone_fd < 0);
	assert_int_equal(join.n_entries, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enter_runs_a_command_in_a_sandbox_and_tells_when_that_has_ended),
		cmocka_unit_test(test_init_becomes_the_command_and_is_silent),
		cmocka_unit_test(test_init_tells_what_it_could_not_become),
		cmocka_unit_test(test_join_leaves_alone_what_kennel_did_not_make),
		cmocka_unit_test(test_join_refuses_a_group_above_what_we_see),
		cmocka_unit_test(test_join_refuses_a_group_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
