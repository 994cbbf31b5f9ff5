/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-shift.c - ids moved from one range to another, in owners, ACLs and capabilities; its record. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "ship/shift-record.h"

static const struct shift_ids up = { 0, 100000, 65536 };

static void test_shift_check_ids_common_ids_are_refused(void **state)
{
	static const struct {
		struct shift_ids ids;
		const char *said; /* NULL: taken */
	} rows[] = {
		{ { 0, 100000, 65536 }, NULL },
		{ { 100000, 0, 65536 }, NULL },
		{ { 0, 65536, 65536 }, NULL },
		{ { 4294901759, 0, 65536 }, NULL },
		{ { 0, 65535, 65536 }, "in common" },
		{ { 65535, 0, 65536 }, "in common" },
		{ { 5, 5, 1 }, "in common" },
		{ { 0, 100000, 0 }, "no ids" },
		{ { 0, 4294901760, 65536 }, "more than there are" },
		{ { 4294967295, 0, 1 }, "more than there are" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		int r = shift_check_ids(&rows[i].ids, &err);

		assert_int_equal(r, rows[i].said ? -KENNEL_E_INVALID : 0);
		if (rows[i].said)
			assert_non_null(strstr(kennel_error_message(err), rows[i].said));
	}
}

static void test_shift_id_old_new_or_neither(void **state)
{
	static const struct {
		uint32_t id, result;
		int r;
	} rows[] = {
		{ 0, 100000, 1 },	{ 65535, 165535, 1 },		{ 65536, 65536, -1 },
		{ 99999, 99999, -1 },	{ 100000, 100000, 0 },		{ 165535, 165535, 0 },
		{ 165536, 165536, -1 }, { UINT32_MAX, UINT32_MAX, -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t id;

		assert_int_equal(shift_id(&up, rows[i].id, &id), rows[i].r);
		assert_int_equal(id, rows[i].result);
	}
}

static void test_shift_acl_named_users_and_groups_alone(void **state)
{
	uint8_t acl[] = {
		2, 0, 0, 0, /* version */
		1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* the owner */
		2, 0, 6, 0, 0xe8, 3,	0,    0, /* user 1000 */
		4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* the group */
		8, 0, 4, 0, 5,	  0,	0,    0, /* group 5 */
	};
	const uint8_t moved_user[] = { 0x88, 0x8a, 1, 0 }, moved_group[] = { 0xa5, 0x86, 1, 0 };

	assert_int_equal(shift_acl(&up, acl, sizeof(acl)), 0);
	assert_memory_equal(acl + 16, moved_user, 4);
	assert_memory_equal(acl + 32, moved_group, 4);
	assert_int_equal(acl[8], 0xff);
	/* once more: they are in the new range */
	assert_int_equal(shift_acl(&up, acl, sizeof(acl)), 0);
	assert_memory_equal(acl + 16, moved_user, 4);
	acl[16] = 0;
	acl[18] = 9;
	assert_int_equal(shift_acl(&up, acl, sizeof(acl)), -1);
	assert_int_equal(shift_acl(&up, acl, sizeof(acl) - 1), -1);
	assert_int_equal(shift_acl(&up, acl, 3), -1);
}

static void test_shift_caps_with_and_without_a_root(void **state)
{
	const struct shift_ids down = { 100000, 0, 65536 };
	uint8_t caps[SHIFT_CAPS_MAX] = { 1, 0, 0, 2, 0, 0x20 }, before[SHIFT_CAPS_MAX];
	size_t size = 20;

	memcpy(before, caps, sizeof(caps));
	assert_int_equal(shift_caps(&up, caps, &size), 0);
	assert_int_equal(size, 24);
	assert_int_equal(caps[0], 1);
	assert_int_equal(caps[3], 3);
	assert_memory_equal(caps + 20, ((const uint8_t[]){ 0xa0, 0x86, 1, 0 }), 4);
	assert_int_equal(shift_caps(&up, caps, &size), 0);
	assert_int_equal(size, 24);
	assert_int_equal(shift_caps(&down, caps, &size), 0);
	assert_int_equal(size, 20);
	assert_memory_equal(caps, before, 20);
	caps[3] = 1;
	assert_int_equal(shift_caps(&up, caps, &size), -1);
	size = 12;
	assert_int_equal(shift_caps(&up, caps, &size), -1);
}

static void test_shift_record_text_and_back(void **state)
{
	_cleanup_buf_ struct buf text = { 0 }, again = { 0 };
	struct shift_record r = { .ids = up, .dev = 5, .ino = 7 }, back = { 0 };
	struct shift_special s = {
		.path = strdup("a\tb\n"), .dev = 5, .ino = 9, .uid = 1, .gid = 2, .mode = 04755
	};

	s.acl = malloc(4);
	s.acl_size = 4;
	memcpy(s.acl, "\0\1\xfe\xff", 4);
	assert_int_equal(shift_record_add(&r, &s, NULL), 0);
	s = (struct shift_special){ .path = strdup("z"), .dev = 5, .ino = 8 };
	assert_int_equal(shift_record_add(&r, &s, NULL), 0);
	shift_record_sort(&r);
	shift_record_format(&r, &text);
	assert_int_equal(shift_record_parse(buf_str(&text), &back, NULL), 0);
	shift_record_format(&back, &again);
	assert_string_equal(buf_str(&again), buf_str(&text));
	const struct shift_special *found = shift_record_find(&back, 5, 9);
	assert_string_equal(found->path, "a\tb\n");
	assert_int_equal(found->mode, 04755);
	assert_int_equal(found->acl_size, 4);
	assert_null(shift_record_find(&back, 5, 10));
	shift_record_done(&r);
	shift_record_done(&back);
}

static void test_shift_record_parse_damaged_names_the_line(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "", "cut off" },
		{ "kennel-convert\t1\n", "cut off" },
		{ "kennel-convert\t2\n", "line 1" },
		{ "kennel-convert\t1\nids\t0\t5\t10\nroot\t1\t2\n", "line 2" },
		{ "kennel-convert\t1\nids\t0\t50\t10\nroot\t1\n", "line 3" },
		{ "kennel-convert\t1\nids\t0\t50\t10\nroot\t1\t2\nspecial\t/etc/x\t1\t2\t0\t0\t0\t-\t-\t-\n",
		  "line 4" },
		{ "kennel-convert\t1\nids\t0\t50\t10\nroot\t1\t2\nspecial\tx\t1\t2\t0\t0\t4096\t-\t-\t-\n",
		  "line 4" },
		{ "kennel-convert\t1\nids\t0\t50\t10\nroot\t1\t2\nspecial\tx\t1\t2\t0\t0\t1\t-\t-\tabc\n",
		  "line 4" },
		{ "kennel-convert\t1\nids\t0\t50\t10\nroot\t1\t2\nspecial\tx\t1\t2\t0\t0\t1\t-\t-\n",
		  "line 4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct shift_record r = { 0 };

		assert_int_equal(shift_record_parse(rows[i].text, &r, &err), -KENNEL_E_CORRUPT);
		assert_non_null(strstr(kennel_error_message(err), rows[i].said));
	}
}

static void test_kennel_convert_refuses_what_it_can_not_mean(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_convert_options o = { .size = sizeof(o) - 1, .from = -1, .to = 100000 };
	struct kennel_converted done;

	assert_int_equal(kennel_convert("/", &o, &done, NULL), -KENNEL_E_INVALID);
	o.size = sizeof(o);
	int r = kennel_convert("/", &o, &done, &err);
	assert_int_equal(r, geteuid() == 0 ? -KENNEL_E_INVALID : -KENNEL_E_PERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shift_check_ids_common_ids_are_refused),
		cmocka_unit_test(test_shift_id_old_new_or_neither),
		cmocka_unit_test(test_shift_acl_named_users_and_groups_alone),
		cmocka_unit_test(test_shift_caps_with_and_without_a_root),
		cmocka_unit_test(test_shift_record_text_and_back),
		cmocka_unit_test(test_shift_record_parse_damaged_names_the_line),
		cmocka_unit_test(test_kennel_convert_refuses_what_it_can_not_mean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
