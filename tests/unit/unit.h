/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/unit.h - cmocka beside our own error macros: include this first, and cmocka.h never.
 *
 * cmocka and base/error.h both have a macro fail(); ours stays, a test says fail_msg().
 */
#ifndef KENNEL_UNIT_H
#define KENNEL_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#undef fail
#undef fail_msg
#define fail_msg(...) \
	do { \
		print_error("ERROR: " __VA_ARGS__); \
		print_error("\n"); \
		_fail(__FILE__, __LINE__); \
	} while (0)

/* A skipped test says why in one line that script/test shows: skip_test("no user namespaces here"). */
#define skip_test(...) \
	do { \
		print_message("SKIP-REASON " __VA_ARGS__); \
		print_message("\n"); \
		skip(); \
	} while (0)

#endif
