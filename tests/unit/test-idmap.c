/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-idmap.c - which range of ids root's sandboxes get, from files that anybody may have edited. */
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "idmap/idmap.h"
#include "idmap/map.h"
#include "idmap/subid.h"
#include "sys/sys.h"

static int inject_openat2; /* errno, or 0 */

int __real_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
	if (inject_openat2) {
		errno = inject_openat2;
		return -1;
	}
	return __real_sys_openat2(dir_fd, path, how);
}

/* want 0: root has no usable range */
static const struct {
	const char *subuid, *subgid;
	uint32_t want;
} given[] = {
	{ "root:100000:65536\n", "root:100000:65536\n", 100000 },
	{ "0:100000:65536", "0:100000:65536", 100000 },
	{ "root:100000:65536\n", "0:100000:65536\n", 100000 },
	{ "me:1:65536\nroot:200000:70000\n", "root:200000:65536\n", 200000 },
	{ "", "", 0 },
	{ "root:100000:65536\n", "", 0 },
	{ "", "root:100000:65536\n", 0 },
	{ "roots:100000:65536\n", "roots:100000:65536\n", 0 },
	{ "root:100000:65535\n", "root:100000:65536\n", 0 },
	{ "root:100000:65536\n", "root:100000:65535\n", 0 },
	/* the first one that both have, and the groups' may be larger on both sides */
	{ "root:100000:65536\nroot:300000:65536\n", "root:200000:65536\nroot:300000:65536\n", 300000 },
	{ "root:1000:1\nroot:100000:65536\n", "root:1000:1\nroot:90000:100000\n", 100000 },
	{ "root:100000:65536\n", "root:100001:65536\n", 0 },
	/* root inside would be root outside */
	{ "root:0:65536\n", "root:0:65536\n", 0 },
	{ "root:0:4294967295\nroot:70000:65536\n", "root:0:4294967295\n", 70000 },
	/* 4294967295 is "no id" */
	{ "root:4294901759:65536\n", "root:4294901759:65536\n", 4294901759 },
	{ "root:4294901760:65536\n", "root:4294901760:65536\n", 0 },
	{ "root:4294967295:4294967295\n", "root:4294967295:4294967295\n", 0 },
	{ "root:4294967296:65536\n", "root:4294967296:65536\n", 0 },
	{ "root:-1:65536\n", "root:-1:65536\n", 0 },
	{ "root: 100000:65536\n", "root: 100000:65536\n", 0 },
	{ "root:100000:65536\r\n", "root:100000:65536\r\n", 0 },
	{ "root:100000\n", "root:100000\n", 0 },
	{ "#root:100000:65536\n\n:::\n", "#root:100000:65536\n", 0 },
	{ "root:100000:0\n", "root:100000:0\n", 0 },
};

static void test_idmap_find_root_takes_what_users_and_groups_have(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
		struct idmap m = { 7, 7 };
		int r = idmap_find_root(given[i].subuid, given[i].subgid, &m);

		if (r != (given[i].want ? 1 : 0))
			fail_msg("row %zu: %d", i, r);
		assert_int_equal(m.base, given[i].want ? given[i].want : 7);
		assert_int_equal(m.count, given[i].want ? IDMAP_DEFAULT_COUNT : 7);
	}
}

static void test_idmap_find_root_line_longer_than_any_name_is_passed_over(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct idmap m;

	/*
	 * Cut in the middle of the count it would look like a small range, or like a large one that is not
	 * there.
	 */
	for (unsigned i = 0; i < 495; i++)
		buf_puts(&b, "x");
	buf_puts(&b, ":524288:655360000\nroot:100000:65536\n");
	assert_int_equal(idmap_find_root(buf_str(&b), "root:100000:65536\n", &m), 1);
	assert_int_equal(m.base, 100000);
	const struct idmap_files files = { buf_str(&b), "", "", "" };
	assert_int_equal(idmap_find_free(&files, &m, NULL), 1);
	assert_int_equal(m.base, 524288);
}

static const struct {
	struct idmap_files files;
	uint32_t want;
} free_ranges[] = {
	{ { "", "", "", "" }, 524288 },
	{ { "me:100000:65536\n", "", "root:x:0:0::/:/bin/sh\n", "root:x:0:\n" }, 524288 },
	{ { "me:524288:65536\n", "", "", "" }, 589824 },
	{ { "", "me:524288:65536\n", "", "" }, 589824 },
	{ { "me:524288:1\n", "", "", "" }, 589824 },
	{ { "me:589823:1\n", "", "", "" }, 589824 },
	{ { "me:589824:1\n", "", "", "" }, 524288 },
	{ { "me:524287:1\n", "", "", "" }, 524288 },
	{ { "me:100000:524288\n", "", "", "" }, 655360 },
	/* ids of users and of groups, which a directory service gives anywhere */
	{ { "", "", "d:x:524300:1::/:/bin/sh\n", "" }, 589824 },
	{ { "", "", "d:x:524300\n", "" }, 589824 },
	{ { "", "", "", "d:x:524300:me\n" }, 589824 },
	{ { "", "", "d:x:5243x0:1::/:\nd:524300\n", "" }, 524288 },
	/* out of order, overlapping, one within another */
	{ { "a:655360:65536\nb:524288:65536\n", "c:524288:200000\nd:530000:10\n", "", "" }, 786432 },
	{ { "a:524288:4294443008\n", "", "", "" }, 0 },
	{ { "a:524288:1878454272\n", "", "", "" }, 1878982656 },
	{ { "a:524288:1878523903\n", "", "", "" }, 0 },
	{ { "a:4294967295:4294967295\n", "", "", "" }, 524288 },
};

static void test_idmap_find_free_nobody_has_it(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(free_ranges); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct idmap m = { 0, 0 };
		int r = idmap_find_free(&free_ranges[i].files, &m, &err);

		if (r != (free_ranges[i].want ? 1 : 0) || m.base != free_ranges[i].want)
			fail_msg("row %zu: %d, base %u", i, r, m.base);
		assert_int_equal(m.count, r ? IDMAP_DEFAULT_COUNT : 0);
		assert_null(err);
	}
}

static void test_idmap_find_free_ten_thousand_users(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct idmap m;

	/* Backwards, which is the worst order for anything that tries one candidate after another. */
	for (unsigned i = 10000; i-- > 0;)
		buf_printf(&b, "user%u:%u:65536\n", i, 524288 + i * 65536);
	assert_int_equal(buf_check(&b, NULL), 0);
	const struct idmap_files files = { buf_str(&b), buf_str(&b), "", "" };
	assert_int_equal(idmap_find_free(&files, &m, NULL), 1);
	assert_int_equal(m.base, 524288 + 10000u * 65536);
}

static const struct {
	const char *map;
	uint32_t want;
} maps[] = {
	{ "         0          0 4294967295\n", 4294967295 },
	{ "0 1000 1\n", 1 },
	{ "0 1000 1\n1 100000 65536\n", 65537 },
	{ "1 100000 65536\n0 1000 1\n", 65537 },
	{ "0 1000 1\n2 100000 65536\n", 1 },
	{ "1 0 1\n", 0 },
	{ "1000 1000 1\n", 0 },
	{ "0 0 4294967295\n4294967295 0 4294967295\n", 4294967295 },
	{ "0 0 0\n", 0 },
	{ "", 0 },
	{ "text\n", 0 },
};

static void test_idmap_count_from_zero_lines_in_any_order(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		if (idmap_count_from_zero(maps[i].map) != maps[i].want)
			fail_msg("row %zu: %u", i, idmap_count_from_zero(maps[i].map));
}

static const struct {
	const char *text;
	bool want;
} services[] = {
	{ "", false },
	{ "passwd: files sss\n", false },
	{ "subid: files\n", false },
	{ "subid:\tfiles sss\n", false },
	{ "subid:\n", false },
	{ "subid:   # none\n", false },
	{ "passwd: x\nsubid: sss\n", true },
	{ "subid:sss", true },
	{ "subid: filesx\n", true },
	{ "#subid: sss\n", false },
};

static void test_subid_service_is_named_only_beside_files(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (subid_service_is_named(services[i].text) != services[i].want)
			fail_msg("row %zu", i);
}

static void test_idmap_pick_root_is_steady(void **state)
{
	struct idmap a, b;

	assert_int_equal(idmap_pick_root(&a, NULL), 0);
	assert_int_equal(idmap_pick_root(&b, NULL), 0);
	assert_int_equal(a.base, b.base);
	assert_int_equal(a.count, IDMAP_DEFAULT_COUNT);
	assert_true(a.base > 0 && a.base <= UINT32_MAX - a.count);
}

static void test_idmap_identity_has_root(void **state)
{
	struct idmap m;
	bool initial;

	assert_int_equal(idmap_identity(&m, NULL), 0);
	assert_int_equal(m.base, 0);
	assert_true(m.count > 0);
	assert_int_equal(idmap_is_initial(&initial, NULL), 0);
	assert_int_equal(initial, m.count == UINT32_MAX);
}

static void test_idmap_put_identity_splits_as_the_own_map(void **state)
{
	static const struct {
		const char *own;
		uint32_t end;
		const char *want;
	} cases[] = {
		{ "         0          0 4294967295\n", 65536, "0 0 65536\n" },
		{ "0 100000 1001\n1001 1001 1\n1002 101001 64534\n", 65536,
		  "0 0 1001\n1001 1001 1\n1002 1002 64534\n" },
		{ "0 100000 1001\n1001 1001 1\n1002 101001 64534\n", 1002, "0 0 1001\n1001 1001 1\n" },
		{ "0 1001 1\n", 1, "0 0 1\n" },
		{ "", 65536, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		idmap_put_identity(&b, cases[i].own, cases[i].end);
		assert_string_equal(buf_str(&b), cases[i].want);
	}
}

static void test_idmap_write_a_proc_that_is_not_proc_is_refused(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	inject_openat2 = EXDEV;
	int r = idmap_write(-EBADF, &(struct idmap){ 100000, 65536 }, &err);
	inject_openat2 = 0;
	assert_int_equal(r, -KENNEL_E_IO);
	assert_string_equal(kennel_error_message(err),
			    "open uid_map of the sandbox: Invalid cross-device link");
}

/* In a child in a new user namespace that waits for its map: which id outside is root inside? */
static int wait_and_tell(int go_fd)
{
	char c;

	if (read(go_fd, &c, 1) != 1 || sys_setresuid(0, 0, 0) < 0)
		return 1;
	/* Ten ids only: the eleventh is none. */
	return sys_setresuid(10, 10, 10) == 0 || errno != EINVAL ? 2 : 0;
}

static void test_idmap_write_maps_fewer_than_65536_ids(void **state)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	struct idmap m = { .base = 300000, .count = 10 };
	_cleanup_error_ struct kennel_error *err = NULL;
	char name[32];
	int go[2], status;
	bool initial;

	assert_int_equal(idmap_is_initial(&initial, NULL), 0);
	if (geteuid() != 0 || !initial)
		skip_test("needs root");
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		_exit(wait_and_tell(go[0]));
	assert_true(pid > 0);
	snprintf(name, sizeof(name), "/proc/%d", pid);
	_cleanup_close_ int proc_fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = idmap_write(proc_fd, &m, &err);
	int again = idmap_write(proc_fd, &m, &err);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(go[0]);
	close(go[1]);
	assert_int_equal(r, 0);
	assert_int_equal(again, -KENNEL_E_PERM);
	assert_string_equal(kennel_error_message(err), "map 10 ids from 300000 on: Operation not permitted");
	assert_int_equal(status, 0);
}

static void test_idmap_lines_add_what_meets_or_is_none_is_refused(void **state)
{
	static const struct {
		const char *words[3];
		const char *said; /* NULL: taken */
	} rows[] = {
		{ { "0:100000:65536" }, NULL },
		{ { "0:1000" }, NULL },
		{ { "0:1000:1", "1:100000:65535" }, NULL },
		{ { "10:5:5", "0:10:10" }, NULL },
		{ { "0:4294967294:1" }, NULL },
		{ { "0:5:10", "9:100:1" }, "mapped already by 0:5:10" },
		{ { "5:5:1", "0:100:10" }, "mapped already by 5:5:1" },
		{ { "0:5:10", "20:14:1" }, "taken already by 0:5:10" },
		{ { "0:5:10", "20:0:100" }, "taken already" },
		{ { "0:0:0" }, "no ids" },
		{ { "0:4294967295:1" }, "more than there are" },
		{ { "4294967295:0:1" }, "more than there are" },
		{ { "1:2:4294967295" }, "more than there are" },
		{ { "" }, "no range" },
		{ { "0" }, "no range" },
		{ { "0:" }, "no range" },
		{ { ":0:1" }, "no range" },
		{ { "0:0:" }, "no range" },
		{ { "0:0:1:" }, "no range" },
		{ { "0:-1:1" }, "no range" },
		{ { "0:4294967296:1" }, "no range" },
		{ { " 0:0:1" }, "no range" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct idmap_lines l = { .n = 0 };
		int r = 0;

		for (size_t w = 0; r == 0 && rows[i].words[w]; w++)
			r = idmap_lines_add(&l, rows[i].words[w], &err);
		assert_int_equal(r, rows[i].said ? -KENNEL_E_INVALID : 0);
		if (rows[i].said)
			assert_non_null(strstr(kennel_error_message(err), rows[i].said));
	}
}

static void test_idmap_lines_find_and_format(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct idmap_lines l = { .n = 0 }, again = { .n = 0 };
	uint32_t id = 0;

	assert_int_equal(idmap_lines_add(&l, "5:100:10", NULL), 0);
	assert_int_equal(idmap_lines_add(&l, "0:1000", NULL), 0);
	assert_int_equal(idmap_lines_find(&l, 14, &id), 1);
	assert_int_equal(id, 109);
	assert_int_equal(idmap_lines_find(&l, 0, &id), 1);
	assert_int_equal(id, 1000);
	assert_int_equal(idmap_lines_find(&l, 15, &id), 0);
	assert_int_equal(idmap_lines_find(&l, 1, &id), 0);
	idmap_lines_format(&l, &b);
	assert_string_equal(buf_str(&b), "5 100 10\n0 1000 1\n");
	assert_int_equal(idmap_lines_parse(&again, buf_str(&b), NULL), 0);
	assert_memory_equal(&again, &l, sizeof(l.items[0]) * 2);
	assert_int_equal(again.n, 2);
	assert_int_equal(idmap_lines_parse(&again, "x", NULL), 0);
	assert_int_equal(again.n, 2);
}

static void test_idmap_lines_add_no_more_than_the_kernel_takes(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct idmap_lines l = { .n = 0 };

	for (uint32_t i = 0; i < IDMAP_LINES_MAX; i++)
		assert_int_equal(idmap_lines_add_range(&l, &(struct idmap_line){ i, i, 1 }, &err), 0);
	assert_int_equal(idmap_lines_add(&l, "1000:1000", &err), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(err), "340"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idmap_find_root_takes_what_users_and_groups_have),
		cmocka_unit_test(test_idmap_find_root_line_longer_than_any_name_is_passed_over),
		cmocka_unit_test(test_idmap_find_free_nobody_has_it),
		cmocka_unit_test(test_idmap_find_free_ten_thousand_users),
		cmocka_unit_test(test_idmap_count_from_zero_lines_in_any_order),
		cmocka_unit_test(test_subid_service_is_named_only_beside_files),
		cmocka_unit_test(test_idmap_pick_root_is_steady),
		cmocka_unit_test(test_idmap_identity_has_root),
		cmocka_unit_test(test_idmap_put_identity_splits_as_the_own_map),
		cmocka_unit_test(test_idmap_write_a_proc_that_is_not_proc_is_refused),
		cmocka_unit_test(test_idmap_write_maps_fewer_than_65536_ids),
		cmocka_unit_test(test_idmap_lines_add_what_meets_or_is_none_is_refused),
		cmocka_unit_test(test_idmap_lines_find_and_format),
		cmocka_unit_test(test_idmap_lines_add_no_more_than_the_kernel_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
