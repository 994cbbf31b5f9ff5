/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-sockets.c - keys of X: which are taken, and files that end anywhere. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "run/sockets.h"

static void entry(struct buf *b, unsigned family, const char *display, const char *key)
{
	const char *const fields[] = { "host", display, "NAME", key };
	const char head[2] = { (char)(family >> 8), (char)family };

	buf_add(b, head, 2);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char size[2] = { 0, (char)strlen(fields[i]) };

		buf_add(b, size, 2);
		buf_puts(b, fields[i]);
	}
}

static void test_takes_local_keys_of_the_display(void **state)
{
	static const char expected[] = "\xff\xff\0\0\0\1"
				       "7\0\4NAME\0\1A"
				       "\xff\xff\0\0\0\0\0\4NAME\0\1C";
	_cleanup_buf_ struct buf file = { 0 }, keys = { 0 };

	entry(&file, 256, "7", "A");
	entry(&file, 256, "77", "B");
	entry(&file, 65535, "", "C");
	entry(&file, 0, "7", "D");
	assert_int_equal(sockets_x_keys(file.data, file.len, "7", &keys), 2);
	assert_int_equal(keys.len, sizeof(expected) - 1);
	assert_memory_equal(keys.data, expected, keys.len);
}

static void test_ends_where_an_entry_is_cut_off(void **state)
{
	_cleanup_buf_ struct buf file = { 0 };
	size_t whole;

	entry(&file, 256, "7", "A");
	whole = file.len;
	entry(&file, 256, "7", "B");
	for (size_t n = 0; n <= file.len; n++) {
		_cleanup_buf_ struct buf keys = { 0 };
		/* of its own, so that a byte too many is seen */
		_cleanup_free_ char *copy = malloc(n + !n);

		assert_non_null(copy);
		memcpy(copy, file.data, n);
		assert_int_equal(sockets_x_keys(copy, n, "7", &keys), (n >= whole) + (n == file.len));
	}
	_cleanup_buf_ struct buf none = { 0 };
	assert_int_equal(sockets_x_keys("\1\0\xff\xff", 4, "7", &none), 0);
}

/* Names that the spec takes, and that nobody finds, would be refused at the start alone. */
static void test_knows_all_names_of_the_spec(void **state)
{
	static const char *const names[] = { "wayland", "x11", "pipewire", "pulseaudio", "ssh-auth" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct spec *spec = spec_new(NULL);
		struct sockets found;

		assert_int_equal(spec_set(spec, "socket", names[i], NULL), 0);
		int r = sockets_find(spec, &found, &err);
		assert_int_not_equal(r, -KENNEL_E_INVALID);
		if (r == 0)
			sockets_done(&found);
		spec_free(spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_local_keys_of_the_display),
		cmocka_unit_test(test_knows_all_names_of_the_spec),
		cmocka_unit_test(test_ends_where_an_entry_is_cut_off),
	};

	return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}
