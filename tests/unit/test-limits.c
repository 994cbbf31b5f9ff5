/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-limits.c - the words of limits, lists of processors, and what of them a control group takes. */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cpulist.h"
#include "cgroup/layout.h"
#include "conf/limits.h"
#include "run/limits.h"

static void test_cpulist_parse_table(void **state)
{
	static const struct {
		const char *text;
		int n;
	} rows[] = {
		{ "0", 1 },	 { "0-3,5", 5 },	{ "5,0-3\n", 5 }, { "1,1,1-1", 1 },
		{ "8191", 1 },	 { "0-8191", 8192 },	{ "", -1 },	  { "\n", -1 },
		{ "8192", -1 },	 { "99999999999", -1 }, { "3-1", -1 },	  { "1-", -1 },
		{ "-1", -1 },	 { "1,", -1 },		{ "1 2", -1 },	  { "0-3:1/2", -1 },
		{ "1\n\n", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cpulist list;

		if (cpulist_parse(rows[i].text, &list) != rows[i].n)
			fail_msg("\"%s\"", rows[i].text);
	}
}

static void test_cpulist_missing_is_the_first_one(void **state)
{
	struct cpulist a, b;

	assert_int_equal(cpulist_parse("0-3,64,70", &a), 6);
	assert_int_equal(cpulist_parse("0-64", &b), 65);
	assert_int_equal(cpulist_missing(&a, &b), 70);
	assert_int_equal(cpulist_missing(&b, &a), 4);
	assert_int_equal(cpulist_missing(&a, &a), -1);
}

static void test_limits_set_takes_and_refuses(void **state)
{
	static const struct {
		int (*set)(struct limits *l, const char *value, struct kennel_error **err);
		const char *value, *refusal;
	} rows[] = {
		{ limits_set_swap, "max", NULL },
		{ limits_set_swap, "64M", NULL },
		{ limits_set_swap, "much", "\"much\" is not a size" },
		{ limits_set_cpuset, "0,2", NULL },
		{ limits_set_cpuset, "0\n", "is no list of processors" },
		{ limits_set_io, "read=1M,write=2M,riops=3,wiops=4", NULL },
		{ limits_set_io, "read=1M,,write=2M", "neither KEY=RATE nor a full path" },
		{ limits_set_io, "read=1M,read=2M", "\"read\" is given twice" },
		{ limits_set_io, "read=0", "\"0\" is no rate for \"read\"" },
		{ limits_set_io, "riops=1K", "\"1K\" is no rate for \"riops\"" },
		{ limits_set_io, "speed=1", "there is no rate \"speed\"" },
		{ limits_set_io, "/dev/sda", "names no rate" },
		{ limits_set_io, "read=1,/dev/../x", "\"..\"" },
		{ limits_set_io, "", "neither KEY=RATE" },
		{ limits_set_io, "read=99999999T", "no rate" },
	};
	struct limits l = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		int r = rows[i].set(&l, rows[i].value, &err);

		assert_int_equal(r, rows[i].refusal ? -KENNEL_E_INVALID : 0);
		if (rows[i].refusal && !strstr(kennel_error_message(err), rows[i].refusal))
			fail_msg("\"%s\": %s", rows[i].value, kennel_error_message(err));
	}
	assert_int_equal(l.swap_bytes, 64u << 20);
	assert_string_equal(l.cpuset, "0,2");
	assert_int_equal(l.io.write_bytes, 2u << 20);
	assert_int_equal(l.io.writes, 4);
	assert_int_equal(limits_set_io(&l, "write=1,/dev/a,b//c", NULL), 0);
	assert_string_equal(l.io.where, "/dev/a,b/c");
	assert_true(limits_has_io(&l));
	assert_int_equal(limits_set_io(&l, "max", NULL), 0);
	assert_int_equal(limits_set_cpuset(&l, "all", NULL), 0);
	assert_null(l.cpuset);
	assert_false(limits_has_io(&l));
	limits_done(&l);
}

static void set(struct spec *s, const char *key, const char *value)
{
	assert_int_equal(spec_set(s, key, value, NULL), 0);
}

static void test_run_limits_room_is_the_smaller_one(void **state)
{
	struct spec *s = spec_new(NULL);

	assert_int_equal(run_limits_room(s, 4096), 2048);
	set(s, "disk", "10");
	assert_int_equal(run_limits_room(s, 4096), 10);
	set(s, "size", "7");
	assert_int_equal(run_limits_room(s, 4096), 7);
	set(s, "size", "70");
	assert_int_equal(run_limits_room(s, 4096), 10);
	assert_int_equal(spec_check(s, NULL), 0);
	set(s, "keep", "box"); /* whose changes are elsewhere */
	assert_int_equal(run_limits_room(s, 4096), 70);
	assert_int_equal(spec_check(s, NULL), -KENNEL_E_UNSUPPORTED);
	spec_free(s);
}

static void test_run_limits_wish_finds_the_disk(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct cgroup_wish wish = { 0 };
	struct spec *s = spec_new(NULL);
	struct cgroup_io io;

	assert_false(run_limits_any(s));
	set(s, "io", "read=5");
	assert_true(run_limits_any(s));
	assert_int_equal(run_limits_wish(s, -EBADF, &io, &wish, &err), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(err), "changes are in memory"));
	assert_non_null(strstr(kennel_error_hint(err), "name one"));
	error_clear(&err);
	set(s, "io", "read=5,/proc");
	assert_int_equal(run_limits_wish(s, -EBADF, &io, &wish, &err), -KENNEL_E_UNSUPPORTED);
	assert_non_null(strstr(kennel_error_message(err), "on no disk of its own"));
	spec_free(s);
}

static void test_run_limits_ctl_of_keys(void **state)
{
	assert_int_equal(run_limits_ctl("swap"), CGROUP_MEMORY);
	assert_int_equal(run_limits_ctl("io"), CGROUP_IO);
	assert_int_equal(run_limits_ctl("disk"), 0);
	assert_int_equal(run_limits_ctl("net"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpulist_parse_table),
		cmocka_unit_test(test_cpulist_missing_is_the_first_one),
		cmocka_unit_test(test_limits_set_takes_and_refuses),
		cmocka_unit_test(test_run_limits_room_is_the_smaller_one),
		cmocka_unit_test(test_run_limits_wish_finds_the_disk),
		cmocka_unit_test(test_run_limits_ctl_of_keys),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
