/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-bus.c - what the relay to a session bus changes in a line, and where it says a message ends. */
#include "unit.h"

#include <string.h>

#include "base/macro.h"
#include "net/bus.h"

static void test_line_says_the_uid_outside(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
		unsigned uid;
		bool begin;
	} t[] = {
		{ "AUTH EXTERNAL 30\r\n", "AUTH EXTERNAL 31303030\r\n", 1000, false },
		{ "AUTH EXTERNAL 30\r\n", "AUTH EXTERNAL 30\r\n", 0, false },
		{ "AUTH EXTERNAL 31303030\r\n", "AUTH EXTERNAL 34323934393637323934\r\n", 4294967294u,
		  false },
		{ "AUTH EXTERNAL what ever\r\n", "AUTH EXTERNAL 37\r\n", 7, false },
		{ "AUTH EXTERNAL\r\n", "AUTH EXTERNAL\r\n", 7, false },
		{ "AUTH EXTERNAL \r\n", "AUTH EXTERNAL \r\n", 7, false },
		{ "AUTH\r\n", "AUTH\r\n", 7, false },
		{ "AUTH EXTERNALLY 30\r\n", "AUTH EXTERNALLY 30\r\n", 7, false },
		{ "NEGOTIATE_UNIX_FD\r\n", "NEGOTIATE_UNIX_FD\r\n", 7, false },
		{ "BEGIN\r\n", "BEGIN\r\n", 7, true },
		{ "BEGIN now\r\n", "BEGIN now\r\n", 7, true },
		{ "BEGINNING\r\n", "BEGINNING\r\n", 7, false },
		{ "\r\n", NULL, 7, false },
		{ "AUTH\n", NULL, 7, false },
		{ "AUTH\r", NULL, 7, false },
		{ "AU\tTH\r\n", NULL, 7, false },
		{ "AUTH\r\nBEGIN\r\n", NULL, 7, false },
		{ "\xc3\xa4\r\n", NULL, 7, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char ret[NET_BUS_LINE];
		bool begin = true;
		size_t n = net_bus_line(t[i].in, strlen(t[i].in), t[i].uid, ret, &begin);

		assert_int_equal(n, t[i].out ? strlen(t[i].out) : 0);
		assert_memory_equal(ret, t[i].out ? t[i].out : "", n);
		assert_int_equal(begin, t[i].begin);
	}
}

static void test_descriptors_are_refused_in_the_same_room(void **state)
{
	char ask[] = "NEGOTIATE_UNIX_FD\r\n", other[] = "NEGOTIATE_UNIX", begin[] = "BEGIN\r\n";

	net_bus_refuse_fds(ask, strlen(ask));
	assert_string_equal(ask, "NEGOTIATE_NOTHING\r\n");
	net_bus_refuse_fds(other, strlen(other));
	assert_string_equal(other, "NEGOTIATE_UNIX");
	net_bus_refuse_fds(begin, strlen(begin));
	assert_string_equal(begin, "BEGIN\r\n");
}

static void test_line_has_a_limit_and_no_zero_bytes(void **state)
{
	char line[NET_BUS_LINE + 1], ret[NET_BUS_LINE];
	bool begin;

	memset(line, 'A', sizeof(line));
	memcpy(line + NET_BUS_LINE - 1, "\r\n", 2);
	assert_int_equal(net_bus_line(line, NET_BUS_LINE + 1, 7, ret, &begin), 0);
	memcpy(line + NET_BUS_LINE - 2, "\r\n", 2);
	assert_int_equal(net_bus_line(line, NET_BUS_LINE, 7, ret, &begin), NET_BUS_LINE);
	assert_int_equal(net_bus_line("A\0H\r\n", 5, 7, ret, &begin), 0);
}

static void test_message_ends_behind_its_body(void **state)
{
	static const struct {
		uint8_t head[NET_BUS_HEAD];
		size_t rest;
	} t[] = {
		{ { 'l', 1, 0, 1, 5, 0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0 }, 16 + 5 },
		{ { 'l', 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 17, 0, 0, 0 }, 24 + 256 },
		{ { 'B', 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 9 }, 16 + 256 },
		{ { 'l' }, 0 },
		{ { 'L' }, SIZE_MAX },
		{ { 0 }, SIZE_MAX },
		{ { 'l', 1, 0, 1, 255, 255, 255, 255 }, SIZE_MAX },
		{ { 'l', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255 }, SIZE_MAX },
		{ { 'l', 1, 0, 1, 0, 0, 0, 8 }, SIZE_MAX }, /* just too much, with the head */
		{ { 'l', 1, 0, 1, 240, 255, 255, 7 }, (128u << 20) - 16 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(net_bus_rest(t[i].head), t[i].rest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_says_the_uid_outside),
		cmocka_unit_test(test_descriptors_are_refused_in_the_same_room),
		cmocka_unit_test(test_line_has_a_limit_and_no_zero_bytes),
		cmocka_unit_test(test_message_ends_behind_its_body),
	};

	return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}
