/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-errand.c - work as root of a user namespace: what comes back of it, copied or shared. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/errand.h"

struct note {
	uid_t uid;
	int dumpable, fd;
	char *text;
};

static int work(void *data, struct buf *out, struct kennel_error **err)
{
	struct note *n = data;

	n->uid = geteuid();
	n->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	n->text = strdup("made inside");
	close(n->fd);
	return out ? 2 : 1;
}

static int refuse(void *data, struct buf *out, struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_BUSY, "no room for %s", (const char *)data), "make some");
}

static int die(void *data, struct buf *out, struct kennel_error **err)
{
	raise(SIGKILL);
	return 0;
}

static int namespace_fd;

static int set_up(void **state)
{
	namespace_fd = -EBADF;
	return 0;
}

static bool have_namespace(void)
{
	return namespace_fd >= 0 || errand_namespace(&namespace_fd, NULL) == 0;
}

static int tear_down(void **state)
{
	close_fd(namespace_fd);
	return 0;
}

static void test_errand_share_memory_is_ours_descriptors_are_not(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	_cleanup_close_ int fd = dup(STDERR_FILENO);
	struct note n = { .uid = 1, .fd = fd };

	if (!have_namespace())
		skip_test("no user namespaces for this user");
	assert_int_equal(errand_share(namespace_fd, work, &n, &err), 1);
	assert_int_equal(n.uid, 0);
	assert_int_equal(n.dumpable, 0);
	assert_string_equal(n.text, "made inside");
	free(n.text);
	/* closed there, open here, and whoever may look at us may still */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), dumpable);
}

static void test_errand_share_error_comes_back_with_its_hint(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	if (!have_namespace())
		skip_test("no user namespaces for this user");
	assert_int_equal(errand_share(namespace_fd, refuse, (char[]){ "more" }, &err), -KENNEL_E_BUSY);
	assert_string_equal(kennel_error_message(err), "no room for more");
	assert_string_equal(kennel_error_hint(err), "make some");
}

static void test_errand_share_killed_is_an_error(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	if (!have_namespace())
		skip_test("no user namespaces for this user");
	assert_int_equal(errand_share(namespace_fd, die, NULL, &err), -KENNEL_E_IO);
	assert_non_null(strstr(kennel_error_message(err), "without a word"));
}

static void test_errand_run_memory_stays_there(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf out = { 0 };
	struct note n = { .uid = 1, .fd = -1 };

	if (!have_namespace())
		skip_test("no user namespaces for this user");
	assert_int_equal(errand_run(namespace_fd, work, &n, &out, &err), 2);
	assert_int_equal(n.uid, 1);
	assert_null(n.text);
	assert_int_equal(errand_run(namespace_fd, refuse, (char[]){ "it" }, &out, &err), -KENNEL_E_BUSY);
	assert_string_equal(kennel_error_hint(err), "make some");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errand_share_memory_is_ours_descriptors_are_not),
		cmocka_unit_test(test_errand_share_error_comes_back_with_its_hint),
		cmocka_unit_test(test_errand_share_killed_is_an_error),
		cmocka_unit_test(test_errand_run_memory_stays_there),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
