/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-tty.c - the proxy between two ptys: one plays the caller's terminal, the other is the sandbox's.
 *
 * "Person" is the master of the caller's terminal, where what a person types goes in and what a person sees
 * comes out; "program" is the slave of the sandbox's, with the modes that a program inside would set. Two
 * wrapped calls bring about what this machine would not do by itself: a terminal that can't be opened anew,
 * and a kernel without TIOCGPTPEER.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* ours is another */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/macro.h"
#include "path/path.h"
#include "sys/sys.h"
#include "tty/proxy.h"
#include "tty/tty.h"

static bool reopen_fails, peer_fails;

int __real_path_reopen(int pin_fd, uint64_t flags, struct kennel_error **err);
int __wrap_path_reopen(int pin_fd, uint64_t flags, struct kennel_error **err);
int __real_sys_ioctl_int(int fd, unsigned long request, unsigned long arg);
int __wrap_sys_ioctl_int(int fd, unsigned long request, unsigned long arg);

int __wrap_path_reopen(int pin_fd, uint64_t flags, struct kennel_error **err)
{
	return reopen_fails ? fail(err, KENNEL_E_PERM, "injected") : __real_path_reopen(pin_fd, flags, err);
}

int __wrap_sys_ioctl_int(int fd, unsigned long request, unsigned long arg)
{
	if (!peer_fails)
		return __real_sys_ioctl_int(fd, request, arg);
	errno = ENOTTY;
	return -1;
}

struct fixture {
	int person_fd, terminal_fd; /* the caller's terminal: master and slave */
	int master_fd, program_fd; /* the sandbox's */
	struct tty_proxy *proxy;
};

static void open_pty(int *ret_master, int *ret_slave)
{
	*ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_master >= 0);
	assert_int_equal(grantpt(*ret_master), 0);
	assert_int_equal(unlockpt(*ret_master), 0);
	*ret_slave = open(ptsname(*ret_master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
}

static void make_raw(int fd)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(fd, TCSANOW, &t), 0);
}

static void set_nonblock(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

static int setup(void **state)
{
	static struct fixture f;

	reopen_fails = peer_fails = false;
	open_pty(&f.person_fd, &f.terminal_fd);
	open_pty(&f.master_fd, &f.program_fd);
	set_nonblock(f.person_fd);
	set_nonblock(f.program_fd);
	f.proxy = NULL;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->proxy = tty_proxy_free(f->proxy);
	close_fd(f->person_fd);
	close_fd(f->terminal_fd);
	close_fd(f->master_fd);
	close_fd(f->program_fd);
	return 0;
}

static void start(struct fixture *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(tty_proxy_new(f->terminal_fd, f->terminal_fd, f->master_fd, &f->proxy, &err), 0);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* One turn of the owner's loop. Return: what dispatch said; 1 also where nothing happened in time. */
static int turn(struct tty_proxy *p, int timeout_ms, struct kennel_error **err)
{
	struct pollfd fds[TTY_PROXY_FDS];
	unsigned n = tty_proxy_poll(p, fds);

	if (poll(fds, n, timeout_ms) <= 0)
		return 1;
	return tty_proxy_dispatch(p, fds, n, err);
}

static void expect_at(struct fixture *f, int fd, const char *text)
{
	char got[256] = "";
	size_t len = 0;

	for (double end = now() + 5; len < strlen(text) && now() < end;) {
		assert_int_equal(turn(f->proxy, 10, NULL), 1);
		ssize_t n = read(fd, got + len, sizeof(got) - 1 - len);
		if (n > 0)
			len += (size_t)n;
	}
	assert_string_equal(got, text);
}

/* --- modes --- */

static void test_new_raw_and_free_restores(void **state)
{
	struct fixture *f = *state;
	struct termios before = { 0 }, now_is = { 0 }, inside; /* 0: they are compared with their padding */
	struct tty_start first;

	assert_int_equal(tcgetattr(f->terminal_fd, &before), 0);
	before.c_cc[VERASE] = 8;
	before.c_iflag |= IUTF8;
	assert_int_equal(tcsetattr(f->terminal_fd, TCSANOW, &before), 0);
	tty_start_read(&first, f->terminal_fd, f->terminal_fd);
	assert_true(first.has_size && first.has_modes);
	start(f);
	assert_int_equal(tcgetattr(f->terminal_fd, &now_is), 0);
	assert_int_equal(now_is.c_lflag & (ISIG | ICANON | ECHO | IEXTEN), 0);
	assert_int_equal(now_is.c_oflag & OPOST, 0);
	/*
	 * the sandbox's terminal gets the keys of the caller's, but from its maker: a program may be running
	 * on it
	 */
	assert_int_equal(tcgetattr(f->program_fd, &inside), 0);
	assert_int_not_equal(inside.c_cc[VERASE], 8);
	assert_int_equal(sys_ioctl(f->program_fd, TCSETS, first.modes), 0);
	assert_int_equal(tcgetattr(f->program_fd, &inside), 0);
	assert_int_equal(inside.c_cc[VERASE], 8);
	assert_true(inside.c_iflag & IUTF8);
	assert_true(inside.c_lflag & ICANON);
	f->proxy = tty_proxy_free(f->proxy);
	assert_int_equal(tcgetattr(f->terminal_fd, &now_is), 0);
	assert_memory_equal(&now_is, &before, sizeof(before));
}

static void test_terminal_stays_blocking_throughout(void **state)
{
	struct fixture *f = *state;
	int before = fcntl(f->terminal_fd, F_GETFL);

	assert_false(before & O_NONBLOCK);
	start(f);
	assert_int_equal(fcntl(f->terminal_fd, F_GETFL), before);
	assert_int_equal(write(f->person_fd, "abc\r", 4), 4);
	assert_int_equal(turn(f->proxy, 1000, NULL), 1);
	assert_int_equal(fcntl(f->terminal_fd, F_GETFL), before);
	f->proxy = tty_proxy_free(f->proxy);
	assert_int_equal(fcntl(f->terminal_fd, F_GETFL), before);
}

static void test_resize_copies_the_size_and_signals(void **state)
{
	struct fixture *f = *state;
	struct winsize size = { .ws_row = 33, .ws_col = 121 }, got = { 0 };
	struct termios cooked, t;

	assert_int_equal(sys_ioctl(f->person_fd, TIOCSWINSZ, &size), 0);
	start(f);
	assert_int_equal(sys_ioctl(f->program_fd, TIOCGWINSZ, &got), 0);
	assert_int_equal(got.ws_row, 33);
	assert_int_equal(got.ws_col, 121);
	size.ws_col = 80;
	assert_int_equal(sys_ioctl(f->person_fd, TIOCSWINSZ, &size), 0);
	/* a shell that stopped us has put its own modes back */
	assert_int_equal(tcgetattr(f->program_fd, &cooked), 0);
	assert_int_equal(tcsetattr(f->terminal_fd, TCSANOW, &cooked), 0);
	tty_proxy_resize(f->proxy);
	assert_int_equal(sys_ioctl(f->program_fd, TIOCGWINSZ, &got), 0);
	assert_int_equal(got.ws_col, 80);
	assert_int_equal(tcgetattr(f->terminal_fd, &t), 0);
	assert_int_equal(t.c_lflag & (ISIG | ICANON), 0);
}

static void test_is_terminal(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(tty_is_terminal(f->terminal_fd));
	assert_false(tty_is_terminal(null_fd));
	assert_false(tty_is_terminal(-EBADF));
	close_fd(take_fd(&f->person_fd));
	assert_false(tty_is_terminal(f->terminal_fd));
}

static void test_new_master_that_is_none_is_refused_and_leaves_the_modes(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct termios t;

	assert_int_equal(tty_proxy_new(f->terminal_fd, f->terminal_fd, -EBADF, &f->proxy, &err),
			 -KENNEL_E_IO);
	assert_string_equal(kennel_error_message(err), "prepare the sandbox's terminal: Bad file descriptor");
	assert_int_equal(tcgetattr(f->terminal_fd, &t), 0);
	assert_true(t.c_lflag & ICANON);
}

/* --- bytes --- */

static void test_keys_pass_through_unchanged(void **state)
{
	struct fixture *f = *state;

	start(f);
	make_raw(f->program_fd);
	assert_int_equal(write(f->person_fd, "a\x03\x1a\x1c\x11\x13\r\n\x7f\xff", 10), 10);
	expect_at(f, f->program_fd, "a\x03\x1a\x1c\x11\x13\r\n\x7f\xff");
	assert_int_equal(write(f->program_fd, "\x1b[31mred\r\n", 10), 10);
	expect_at(f, f->person_fd, "\x1b[31mred\r\n");
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

/* Sends total bytes from one end and checks them at the other, both ends going on by odd pieces. */
static void carry(struct fixture *f, int from_fd, int to_fd, size_t total)
{
	static unsigned char out[8192], in[8192];
	size_t sent = 0, got = 0, piece = 1;

	for (double end = now() + 50; got < total;) {
		ssize_t n;

		piece = (piece * 31 + 7) % sizeof(out) + 1;
		size_t len = MIN(piece, total - sent);
		for (size_t i = 0; i < len; i++)
			out[i] = pattern(sent + i);
		n = len ? write(from_fd, out, len) : 0;
		if (n > 0)
			sent += (size_t)n;
		assert_int_equal(turn(f->proxy, 1, NULL), 1);
		while ((n = read(to_fd, in, piece)) > 0)
			for (ssize_t i = 0; i < n; i++, got++)
				assert_int_equal(in[i], pattern(got));
		assert_true(now() < end);
	}
	assert_int_equal(sent, total);
}

static void test_megabytes_pass_in_both_directions(void **state)
{
	struct fixture *f = *state;

	start(f);
	make_raw(f->program_fd);
	carry(f, f->program_fd, f->person_fd, 50 << 20);
	carry(f, f->person_fd, f->program_fd, 1 << 20);
}

static void test_megabyte_passes_where_the_terminal_can_not_be_opened_anew(void **state)
{
	struct fixture *f = *state;

	reopen_fails = true;
	start(f);
	make_raw(f->program_fd);
	carry(f, f->program_fd, f->person_fd, 1 << 20);
	carry(f, f->person_fd, f->program_fd, 1 << 20);
	assert_false(fcntl(f->terminal_fd, F_GETFL) & O_NONBLOCK);
}

static size_t fill(int fd)
{
	char block[4096];
	size_t total = 0;
	ssize_t n;

	memset(block, 'x', sizeof(block));
	while ((n = write(fd, block, sizeof(block))) > 0 && total < (8 << 20))
		total += (size_t)n;
	return total;
}

/* Whoever does not read makes the other side wait, and the loop neither blocks nor spins meanwhile. */
static void check_backpressure(struct fixture *f, int from_fd)
{
	size_t total = 0;
	unsigned idle = 0;
	double begin = now();

	for (int i = 0; i < 4000 && idle < 5; i++) {
		struct pollfd fds[TTY_PROXY_FDS];
		unsigned n = tty_proxy_poll(f->proxy, fds);

		total += fill(from_fd);
		if (poll(fds, n, 20) == 0)
			idle++;
		else
			assert_int_equal(tty_proxy_dispatch(f->proxy, fds, n, NULL), 1);
	}
	assert_int_equal(idle, 5);
	assert_true(total < (1 << 20));
	assert_true(now() - begin < 50);
}

static void test_terminal_that_stands_still_stops_the_program(void **state)
{
	struct fixture *f = *state;

	start(f);
	make_raw(f->program_fd);
	check_backpressure(f, f->program_fd);
}

static void test_terminal_that_stands_still_does_not_block_the_small_writes(void **state)
{
	struct fixture *f = *state;

	reopen_fails = true;
	start(f);
	make_raw(f->program_fd);
	alarm(20); /* a write that blocks ends the test by a signal */
	check_backpressure(f, f->program_fd);
	alarm(0);
}

static void test_program_that_does_not_read_stops_the_typing(void **state)
{
	struct fixture *f = *state;

	start(f);
	make_raw(f->program_fd);
	check_backpressure(f, f->person_fd);
}

/* --- ends --- */

static void test_program_closes_and_opens_its_terminal_again(void **state)
{
	struct fixture *f = *state;
	char name[64];

	snprintf(name, sizeof(name), "%s", ptsname(f->master_fd));
	for (int variant = 0; variant < 2; variant++) {
		peer_fails = variant == 1;
		start(f);
		make_raw(f->program_fd);
		assert_int_equal(write(f->program_fd, "one", 3), 3);
		close(f->program_fd);
		expect_at(f, f->person_fd, "one");
		/*
		 * with no slave open there is nothing to do: no error, and no spinning but for the first look
		 */
		unsigned busy = 0;
		for (int i = 0; i < 10; i++) {
			struct pollfd fds[TTY_PROXY_FDS];
			unsigned n = tty_proxy_poll(f->proxy, fds);

			if (poll(fds, n, 5) > 0) {
				busy++;
				assert_int_equal(tty_proxy_dispatch(f->proxy, fds, n, NULL), 1);
			}
		}
		assert_true(busy <= 1);
		f->program_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
		assert_true(f->program_fd >= 0);
		make_raw(f->program_fd);
		assert_int_equal(write(f->program_fd, "two", 3), 3);
		assert_int_equal(write(f->person_fd, "k", 1), 1); /* any event will do */
		expect_at(f, f->person_fd, "two");
		expect_at(f, f->program_fd, "k");
		f->proxy = tty_proxy_free(f->proxy);
	}
}

static void test_terminal_that_hangs_up_is_an_error(void **state)
{
	struct fixture *f = *state;

	for (int variant = 0; variant < 3; variant++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		int r = 1;

		reopen_fails = variant == 1;
		start(f);
		make_raw(f->program_fd);
		if (variant == 2) /* also with no room for what is typed */
			check_backpressure(f, f->person_fd);
		close_fd(take_fd(&f->person_fd));
		for (int i = 0; i < 10 && r == 1; i++)
			r = turn(f->proxy, 1000, &err);
		assert_int_equal(r, -KENNEL_E_IO);
		assert_string_equal(kennel_error_message(err), "the terminal hung up");
		f->proxy = tty_proxy_free(f->proxy);
		close_fd(f->terminal_fd);
		open_pty(&f->person_fd, &f->terminal_fd);
		set_nonblock(f->person_fd);
	}
}

static void test_input_that_is_no_terminal_ends_with_the_key_for_it(void **state)
{
	struct fixture *f = *state;
	char got[32] = "";
	int in[2], out[2];
	ssize_t n = -1;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(tty_proxy_new(in[0], out[1], f->master_fd, &f->proxy, NULL), 0);
	assert_int_equal(write(in[1], "line\n", 5), 5);
	close(in[1]);
	for (int i = 0; i < 20; i++)
		assert_int_equal(turn(f->proxy, 10, NULL), 1);
	assert_int_equal(read(f->program_fd, got, sizeof(got)), 5);
	assert_string_equal(got, "line\n");
	n = read(f->program_fd, got, sizeof(got));
	assert_int_equal(n, 0);
	/* the echo of the line, which a cooked terminal makes */
	assert_true(read(out[0], got, sizeof(got)) >= 6);
	assert_memory_equal(got, "line\r\n", 6);
	f->proxy = tty_proxy_free(f->proxy);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

static void test_drain_shows_the_rest_and_is_bounded(void **state)
{
	struct fixture *f = *state;
	char block[6000], got[8192];
	size_t len = 0;
	ssize_t n;

	start(f);
	make_raw(f->program_fd);
	memset(block, 'd', sizeof(block));
	len = fill(f->program_fd);
	assert_true(len > 4096);
	double begin = now();
	tty_proxy_drain(f->proxy); /* nobody reads: what fits is written, then it gives up */
	assert_true(now() - begin < 4);
	assert_true(read(f->person_fd, got, sizeof(got)) > 0);
	while ((n = read(f->person_fd, got, sizeof(got))) > 0)
		;
	begin = now();
	tty_proxy_drain(f->proxy);
	assert_true(now() - begin < 4);
	while ((n = read(f->person_fd, got, sizeof(got))) > 0)
		;

	/* the ordinary case: the last words of a program that is gone */
	f->proxy = tty_proxy_free(f->proxy);
	for (int variant = 0; variant < 2; variant++) {
		peer_fails = variant == 1;
		start(f);
		while (read(f->person_fd, got, sizeof(got)) > 0)
			turn(f->proxy, 0, NULL);
		if (f->program_fd >= 0) {
			assert_int_equal(write(f->program_fd, "bye", 3), 3);
			close_fd(take_fd(&f->program_fd));
		} else {
			int fd = open(ptsname(f->master_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);

			assert_int_equal(write(fd, "bye", 3), 3);
			close(fd);
		}
		begin = now();
		tty_proxy_drain(f->proxy);
		assert_true(now() - begin < 0.5);
		n = read(f->person_fd, got, sizeof(got));
		assert_true(n >= 3);
		assert_memory_equal(got + n - 3, "bye", 3);
		f->proxy = tty_proxy_free(f->proxy);
	}
}

static void test_dispatch_other_descriptors_are_refused(void **state)
{
	struct fixture *f = *state;
	struct pollfd fds[TTY_PROXY_FDS] = { 0 };

	start(f);
	assert_int_equal(tty_proxy_dispatch(f->proxy, fds, 2, NULL), -KENNEL_E_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_raw_and_free_restores),
		TEST(test_terminal_stays_blocking_throughout),
		TEST(test_resize_copies_the_size_and_signals),
		TEST(test_is_terminal),
		TEST(test_new_master_that_is_none_is_refused_and_leaves_the_modes),
		TEST(test_keys_pass_through_unchanged),
		TEST(test_megabytes_pass_in_both_directions),
		TEST(test_megabyte_passes_where_the_terminal_can_not_be_opened_anew),
		TEST(test_terminal_that_stands_still_stops_the_program),
		TEST(test_terminal_that_stands_still_does_not_block_the_small_writes),
		TEST(test_program_that_does_not_read_stops_the_typing),
		TEST(test_program_closes_and_opens_its_terminal_again),
		TEST(test_terminal_that_hangs_up_is_an_error),
		TEST(test_input_that_is_no_terminal_ends_with_the_key_for_it),
		TEST(test_drain_shows_the_rest_and_is_bounded),
		TEST(test_dispatch_other_descriptors_are_refused),
	};

	return cmocka_run_group_tests_name("tty", tests, NULL, NULL);
}
