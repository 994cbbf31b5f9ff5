/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-label.c - labels of security modules, in directories that look like those of /proc: what would be
 * written for the next program, and where.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/label.h"

static void test_label_parse_takes_modes_and_ends_off(void **state)
{
	static const struct {
		const char *text, *label;
		bool apparmor;
	} cases[] = {
		{ "unconfined\n", "unconfined", true },
		{ "kennel (unconfined)\n", "kennel", true },
		{ "/usr/bin/a b (enforce)", "/usr/bin/a b", true },
		{ "kennel//&:box:x (mixed)\n", "kennel//&:box:x", true },
		{ "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023",
		  "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", false },
		{ "_", "_", false },
		{ "\n", "", false },
		{ "", "", false },
		{ " (enforce)", "", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		/* with the NUL, as SELinux has it */
		assert_int_equal(label_parse(cases[i].text, strlen(cases[i].text) + 1, &b),
				 cases[i].apparmor);
		assert_string_equal(buf_str(&b), cases[i].label);
	}
}

struct proc {
	char path[64];
	int fd, theirs_fd, ours_fd;
};

static const char *const dirs[] = { "theirs",	   "theirs/attr",      "theirs/attr/apparmor",
				    "thread-self", "thread-self/attr", "thread-self/attr/apparmor" };

static int set_up(void **state)
{
	struct proc *p = calloc(1, sizeof(*p));

	*state = p;
	memcpy(p->path, "/tmp/test-label.XXXXXX", sizeof("/tmp/test-label.XXXXXX"));
	if (!mkdtemp(p->path))
		return -1;
	p->fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(p->fd, dirs[i], 0700) < 0)
			return -1;
	p->theirs_fd = openat(p->fd, "theirs", O_PATH | O_DIRECTORY | O_CLOEXEC);
	p->ours_fd = openat(p->fd, "thread-self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->theirs_fd < 0 || p->ours_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	static const char *const files[] = { "current", "exec", "apparmor/current", "apparmor/exec" };
	struct proc *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		for (size_t d = 1; d < ARRAY_SIZE(dirs); d += 3) {
			_cleanup_buf_ struct buf b = { 0 };

			buf_printf(&b, "%s/%s", dirs[d], files[i]);
			(void)unlinkat(p->fd, buf_str(&b), 0);
		}
	for (size_t i = ARRAY_SIZE(dirs); i-- > 0;)
		(void)unlinkat(p->fd, dirs[i], AT_REMOVEDIR);
	close_fd(p->theirs_fd);
	close_fd(p->ours_fd);
	close_fd(p->fd);
	int r = rmdir(p->path);
	free(p);
	return r;
}

static void put(const struct proc *p, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(p->fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect_text(const struct proc *p, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(p->fd, file, O_RDONLY | O_CLOEXEC);
	char got[128];
	ssize_t n = read(fd, got, sizeof(got) - 1);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void read_and_write(const struct proc *p, unsigned n)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_labels_ struct labels l = { 0 };

	if (labels_read(p->theirs_fd, p->ours_fd, &l, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_int_equal(l.n, n);
	assert_int_equal(labels_write(&l, p->fd), 0);
}

static void test_labels_without_a_module_are_none(void **state)
{
	read_and_write(*state, 0);
}

static void test_labels_that_are_equal_are_left_alone(void **state)
{
	put(*state, "theirs/attr/apparmor/current", "kennel (enforce)\n");
	put(*state, "thread-self/attr/apparmor/current", "kennel (complain)\n");
	put(*state, "theirs/attr/current", "a:b:c:s0");
	put(*state, "thread-self/attr/current", "a:b:c:s0");
	read_and_write(*state, 0);
}

static void test_labels_of_apparmor_go_to_its_own_file(void **state)
{
	put(*state, "theirs/attr/apparmor/current", "kennel-box (enforce)\n");
	put(*state, "thread-self/attr/apparmor/current", "unconfined\n");
	put(*state, "thread-self/attr/apparmor/exec", "");
	/* the old file says the same once more */
	put(*state, "theirs/attr/current", "kennel-box (enforce)\n");
	put(*state, "thread-self/attr/current", "unconfined\n");
	read_and_write(*state, 1);
	expect_text(*state, "thread-self/attr/apparmor/exec", "exec kennel-box");
}

static void test_labels_of_an_old_kernel_and_of_two_modules(void **state)
{
	put(*state, "theirs/attr/current", "kennel-box (enforce)\n");
	put(*state, "thread-self/attr/current", "unconfined\n");
	put(*state, "thread-self/attr/exec", "");
	read_and_write(*state, 1);
	expect_text(*state, "thread-self/attr/exec", "exec kennel-box");
	put(*state, "theirs/attr/current", "u:r:box_t:s0:c1,c2");
	put(*state, "thread-self/attr/current", "u:r:staff_t:s0");
	put(*state, "theirs/attr/apparmor/current", "box (kill)\n");
	put(*state, "thread-self/attr/apparmor/current", "user (unconfined)\n");
	put(*state, "thread-self/attr/apparmor/exec", "");
	put(*state, "thread-self/attr/exec", "");
	read_and_write(*state, 2);
	expect_text(*state, "thread-self/attr/apparmor/exec", "exec box");
	expect_text(*state, "thread-self/attr/exec", "u:r:box_t:s0:c1,c2");
}

static void test_labels_fail_closed(void **state)
{
	const struct proc *p = *state;
	_cleanup_labels_ struct labels l = { 0 };
	char many[4200];

	put(p, "theirs/attr/current", "u:r:box_t:s0");
	/* ours can't be read: then it isn't the same; and there is nowhere to write to */
	assert_int_equal(labels_read(p->theirs_fd, p->ours_fd, &l, NULL), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(labels_write(&l, p->fd), -1);
	assert_int_equal(errno, ENOENT);
	labels_done(&l);
	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	put(p, "theirs/attr/current", many);
	assert_int_equal(labels_read(p->theirs_fd, p->ours_fd, &l, NULL), -KENNEL_E_UNSUPPORTED);
	assert_int_equal(symlinkat("/etc/hostname", p->fd, "theirs/attr/apparmor/current"), 0);
	assert_true(labels_read(p->theirs_fd, p->ours_fd, &l, NULL) < 0);
	assert_int_equal(l.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_label_parse_takes_modes_and_ends_off),
		cmocka_unit_test_setup_teardown(test_labels_without_a_module_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_labels_that_are_equal_are_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_labels_of_apparmor_go_to_its_own_file, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_labels_of_an_old_kernel_and_of_two_modules, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_labels_fail_closed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
