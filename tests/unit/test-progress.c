/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test-progress.c - the bar's text, and that a signal becomes a "stop". */
#include "unit.h"

#include <pty.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/progress.h"

static void test_progress_line_cases_as_expected(void **state)
{
	static const struct {
		uint64_t done, total;
		double rate;
		enum progress_unit unit;
		size_t columns;
		const char *line;
	} cases[] = {
		{ 0, 0, 0, PROGRESS_BYTES, 79, "writing  0 B" },
		{ 1536, 0, 0, PROGRESS_BYTES, 79, "writing  1.5 KiB" },
		{ 50 << 20, 100 << 20, 10 << 20, PROGRESS_BYTES, 48,
		  "writing   50%  50.0 MiB, 10.0 MiB/s, 0:05 left" },
		{ 50 << 20, 100 << 20, 10 << 20, PROGRESS_BYTES, 60,
		  "writing  [#####......]  50%  50.0 MiB, 10.0 MiB/s, 0:05 left" },
		{ 1, 7201, 1, PROGRESS_FILES, 50, "writing    0%  1 files, 1 files/s, 2:00:00 left" },
		{ 200, 100, 0, PROGRESS_FILES, 30, "writing  100 files, finishi..." },
		{ 100, 100, 7, PROGRESS_FILES, 79, "writing  100 files, finishing 0:00" },
		{ 1, 0, 0, PROGRESS_FILES, 10, "writing..." },
		{ 12, 0, 4, PROGRESS_SHIPPED, 79, "writing  looking at 12 files, 4 files/s" },
		{ 50 << 20, 100 << 20, 0, PROGRESS_SHIPPED, 30, "writing   50%  50.0 MiB" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct progress p = { .what = "writing", .rate = cases[i].rate, .unit = cases[i].unit };
		_cleanup_buf_ struct buf b = { 0 };

		progress_line(&b, &p, cases[i].done, cases[i].total, cases[i].columns);
		assert_string_equal(buf_str(&b), cases[i].line);
	}
}

static void test_progress_line_steps_as_told(void **state)
{
	static const struct {
		uint64_t done, total;
		const char *step;
		size_t columns;
		const char *line;
	} cases[] = {
		{ 0, 0, "fetching", 79, "making  fetching" },
		{ 3, 12, "unpacking", 79, "making  [##........] 3/12  unpacking" },
		{ 3, 12, "unpacking", 30, "making  3/12  unpacking" },
		{ 12, 12, "a\033b", 60, "making  12/12  a\\x1bb" },
		{ 0, 0, NULL, 79, "making  " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct progress p = { .what = "making", .unit = PROGRESS_STEPS, .step = cases[i].step };
		_cleanup_buf_ struct buf b = { 0 };

		progress_line(&b, &p, cases[i].done, cases[i].total, cases[i].columns);
		assert_string_equal(buf_str(&b), cases[i].line);
	}
}

static void test_progress_line_control_bytes_are_escaped(void **state)
{
	const struct progress p = { .what = "a\033[2Jb", .unit = PROGRESS_BYTES };
	_cleanup_buf_ struct buf b = { 0 };

	progress_line(&b, &p, 1, 2, 79);
	assert_null(strchr(buf_str(&b), '\033'));
}

static void test_progress_tick_signal_stops_and_mask_comes_back(void **state)
{
	struct cli cli = { .err_fd = STDERR_FILENO };
	struct progress p;
	sigset_t mask;

	progress_start(&p, &cli, "writing", PROGRESS_BYTES);
	assert_int_equal(progress_tick(&p, 0, 10), 0);
	raise(SIGTERM);
	assert_int_equal(progress_tick(&p, 1, 10), 1);
	assert_int_equal(progress_tick(&p, 2, 10), 1);
	assert_int_equal(p.stopped_by, SIGTERM);
	progress_end(&p);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	assert_false(sigismember(&mask, SIGTERM));
}

static void test_progress_tick_terminal_is_drawn_after_a_second_and_cleared(void **state)
{
	int master, slave;
	char seen[4096];

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	struct cli cli = { .err_fd = slave };
	struct progress p;
	progress_start(&p, &cli, "writing", PROGRESS_BYTES);
	assert_int_equal(progress_tick(&p, 5, 10), 0);
	assert_false(p.shown);
	p.start_ms -= 2000;
	p.drawn_ms -= 2000;
	assert_int_equal(progress_tick(&p, 5, 10), 0);
	assert_true(p.shown);
	progress_end(&p);
	size_t n = 0;   /* the kernel hands it over in pieces */
	while (n < 4 || memcmp(seen + n - 4, "\r\033[K", 4) != 0) {
		ssize_t more = read(master, seen + n, sizeof(seen) - 1 - n);

		assert_true(more > 0);
		n += (size_t)more;
	}
	seen[n] = '\0';
	assert_non_null(strstr(seen, "50%"));
	close_fd(master);
	close_fd(slave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_progress_line_cases_as_expected),
		cmocka_unit_test(test_progress_line_steps_as_told),
		cmocka_unit_test(test_progress_line_control_bytes_are_escaped),
		cmocka_unit_test(test_progress_tick_signal_stops_and_mask_comes_back),
		cmocka_unit_test(test_progress_tick_terminal_is_drawn_after_a_second_and_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
