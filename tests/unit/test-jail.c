/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sys/jail.h, in a child: there is no way back. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "sys/jail.h"
#include "sys/sys.h"

static const struct jail_call few[] = {
	{ SYS_exit_group },
	{ SYS_getppid },
	{ SYS_socket, 1, UINT32_MAX, AF_UNIX },
	{ SYS_openat, 3, ~(uint32_t)O_CLOEXEC, O_RDONLY },
};

/* Return: 0, or which line was wrong. */
static int in_jail(void)
{
	if (sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || jail_enter(few, ARRAY_SIZE(few)) < 0)
		return __LINE__;
	if (syscall(SYS_getppid) <= 0)
		return __LINE__;
	if (syscall(SYS_getpid) != -1 || errno != EPERM)
		return __LINE__;
	if (syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) < 0)
		return __LINE__;
	if (syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) != -1 || errno != EPERM)
		return __LINE__;
	if (syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC) < 0)
		return __LINE__;
	if (syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR) != -1 || errno != EPERM)
		return __LINE__;
	/* bits above those that the kernel looks at are no way around */
	if (syscall(SYS_socket, AF_INET | 1ul << 32, SOCK_STREAM, 0) != -1 || errno != EPERM)
		return __LINE__;
	return 0;
}

static void test_jail_lets_through_what_the_list_names(void **state)
{
	int status;
	const pid_t pid = fork();

	if (pid == 0)
		syscall(SYS_exit_group, in_jail());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_jail_refuses_too_long_a_list(void **state)
{
	const struct jail_call many[JAIL_CALLS_MAX + 1] = { 0 };

	assert_int_equal(jail_enter(many, ARRAY_SIZE(many)), -1);
	assert_int_equal(errno, E2BIG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jail_lets_through_what_the_list_names),
		cmocka_unit_test(test_jail_refuses_too_long_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
