/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-cg.c - control groups below the own one as a program uses them. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/macro.h"

static void test_change_refuses_what_leaves_the_own_group(void **state)
{
	static const char *const paths[] = { "/x", "..", "a/../b", "../x", "x/..", "a//../b" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(kennel_cg_change(KENNEL_CG_CREATE, paths[i], NULL, NULL), -KENNEL_E_INVALID);
		assert_int_equal(kennel_cg_change(KENNEL_CG_KILL, paths[i], NULL, NULL), -KENNEL_E_INVALID);
	}
	assert_int_equal(kennel_cg_change(KENNEL_CG_KILL, ".", NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_FREEZE, "", NULL, NULL), -KENNEL_E_INVALID);
}

static void test_words_are_checked(void **state)
{
	struct kennel_list *list;

	assert_int_equal(kennel_cg_change(KENNEL_CG_MOVE, "x", NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_CREATE, "x", "y", NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_MOVE, "x", "-1", NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_SET, "x", "pids.max", NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_SET, "x", "a/b=1", NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_CHOWN, "x", "1", NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_change(KENNEL_CG_TASKS, "x", NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_read(KENNEL_CG_CREATE, "", NULL, &list, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_cg_read(KENNEL_CG_GET, "", NULL, &list, NULL), -KENNEL_E_INVALID);
}

static void test_group_is_made_looked_at_and_removed(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *list;
	char name[32];

	snprintf(name, sizeof(name), "unit-cg-%d", getpid());
	if (kennel_cg_change(KENNEL_CG_CREATE, name, NULL, &err) < 0)
		skip_test("no control group can be made here");
	assert_int_equal(kennel_cg_read(KENNEL_CG_TASKS, name, NULL, &list, &err), 0);
	assert_null(kennel_list_detail(list, 0, "pid", 0));
	kennel_list_free(list);
	assert_int_equal(kennel_cg_change(KENNEL_CG_KILL, name, NULL, &err), 0);
	assert_int_equal(kennel_cg_change(KENNEL_CG_REMOVE, name, NULL, &err), 0);
	assert_int_equal(kennel_cg_read(KENNEL_CG_LIST, name, NULL, &list, NULL), -KENNEL_E_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change_refuses_what_leaves_the_own_group),
		cmocka_unit_test(test_words_are_checked),
		cmocka_unit_test(test_group_is_made_looked_at_and_removed),
	};

	return cmocka_run_group_tests_name("cg", tests, NULL, NULL);
}
