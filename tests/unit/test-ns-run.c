/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-ns-run.c - a command in new namespaces: the words of it, and one run. */
#include "unit.h"

#include <sched.h>

#include <kennel/kennel.h>

#include "base/error.h"
#include "run/ns-run.h"

static void test_ns_kinds_parse_names_all_or_refused(void **state)
{
	static const struct {
		const char *words;
		uint64_t kinds; /* 0: refused */
	} rows[] = {
		{ "user", CLONE_NEWUSER },
		{ "mount,pid", CLONE_NEWNS | CLONE_NEWPID },
		{ "net,,ipc", CLONE_NEWNET | CLONE_NEWIPC },
		{ "all", CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
				 CLONE_NEWUTS | CLONE_NEWCGROUP | 0x80 },
		{ "", 0 },
		{ ",", 0 },
		{ "mnt", 0 },
		{ "user,User", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t kinds = 0;
		int r = ns_kinds_parse(rows[i].words, &kinds, NULL);

		assert_int_equal(r, rows[i].kinds ? 0 : -KENNEL_E_INVALID);
		assert_true(kinds == rows[i].kinds);
	}
}

static void test_ns_ids_parse_numbers_alone(void **state)
{
	static const char *const wrong[] = { "",   ":",	   "root", "0:", ":0", "4294967295", "0:4294967295",
					     "-1", "1:2:3" };
	uint32_t uid = 7, gid = 7;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(ns_ids_parse(wrong[i], &uid, &gid, NULL), -KENNEL_E_INVALID);
	assert_int_equal(uid, 7);
	assert_int_equal(ns_ids_parse("5", &uid, &gid, NULL), 0);
	assert_true(uid == 5 && gid == 5);
	assert_int_equal(ns_ids_parse("0:9", &uid, &gid, NULL), 0);
	assert_true(uid == 0 && gid == 9);
}

static void test_kennel_ns_run_passes_the_exit_code(void **state)
{
	static const char *const good[] = { "/bin/sh", "-c", "exit 5", NULL }, *const none[] = { NULL };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_ns_options o = { .size = sizeof(o), .namespaces = "user", .map = KENNEL_NS_MAP_ROOT };
	int status = -1;

	assert_int_equal(kennel_ns_run(&o, none, &status, NULL), -KENNEL_E_INVALID);
	o.size--;
	assert_int_equal(kennel_ns_run(&o, good, &status, NULL), -KENNEL_E_INVALID);
	o.size++;
	int r = kennel_ns_run(&o, good, &status, &err);
	if (r == -KENNEL_E_PERM || r == -KENNEL_E_UNSUPPORTED)
		skip_test("no user namespaces for this user");
	assert_int_equal(r, 0);
	assert_int_equal(status, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ns_kinds_parse_names_all_or_refused),
		cmocka_unit_test(test_ns_ids_parse_numbers_alone),
		cmocka_unit_test(test_kennel_ns_run_passes_the_exit_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
