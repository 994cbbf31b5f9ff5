/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-monitor.c - the monitor's messages, its backlog and its log; plain text out of a terminal's. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "base/cleanup.h"
#include "cli/plain.h"
#include "monitor/backlog.h"
#include "monitor/console-log.h"
#include "monitor/protocol.h"

struct raw {
	struct protocol_head head;
	char data[64];
};

static int parse(const struct raw *m, size_t n, bool from_client)
{
	struct protocol_message got;

	return protocol_parse(m, n, from_client, &got, NULL);
}

static void messages_have_exact_sizes(void **state)
{
	const size_t head = sizeof(struct protocol_head);
	struct raw m = { .head = { PROTOCOL_VERSION, PROTOCOL_INPUT, 3 }, .data = "abc" };
	struct protocol_message got;

	(void)state;
	assert_int_equal(protocol_parse(&m, head + 3, true, &got, NULL), 0);
	assert_int_equal(got.type, PROTOCOL_INPUT);
	assert_int_equal(got.size, 3);
	assert_memory_equal(got.data, "abc", 3);
	assert_int_equal(parse(&m, head + 2, true), -KENNEL_E_CORRUPT);
	assert_int_equal(parse(&m, head + 4, true), -KENNEL_E_CORRUPT);
	assert_int_equal(parse(&m, head - 1, true), -KENNEL_E_CORRUPT);
	assert_int_equal(parse(&m, 0, true), -KENNEL_E_CORRUPT);
	m.head.size = UINT32_MAX;
	assert_int_equal(parse(&m, head + 3, true), -KENNEL_E_CORRUPT);
	m.head = (struct protocol_head){ PROTOCOL_VERSION, PROTOCOL_INPUT, 0 };
	assert_int_equal(parse(&m, head, true), -KENNEL_E_CORRUPT); /* of nothing */
	m.head = (struct protocol_head){ PROTOCOL_VERSION, PROTOCOL_SIZE, sizeof(struct protocol_size) };
	assert_int_equal(parse(&m, head + 4, true), 0);
	assert_int_equal(parse(&m, head + 4, false), -KENNEL_E_CORRUPT); /* of the other side */
	m.head.version++;
	assert_int_equal(parse(&m, head + 4, true), -KENNEL_E_UNSUPPORTED);
	m.head = (struct protocol_head){ PROTOCOL_VERSION, 63, 0 };
	assert_int_equal(parse(&m, head, true), -KENNEL_E_CORRUPT);
}

static void what_is_sent_is_what_is_parsed(void **state)
{
	const struct protocol_attach attach = { { 24, 80 }, PROTOCOL_BACKLOG };
	struct protocol_message got;
	char room[PROTOCOL_ROOM];
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(protocol_send(fds[0], PROTOCOL_ATTACH, &attach, sizeof(attach)), 0);
	assert_int_equal(protocol_receive(fds[1], room, true, &got, NULL), 1);
	assert_int_equal(got.type, PROTOCOL_ATTACH);
	assert_memory_equal(got.data, &attach, sizeof(attach));
	assert_int_equal(protocol_receive(fds[1], room, true, &got, NULL), -KENNEL_E_BUSY);
	close(fds[1]);
	assert_int_equal(protocol_receive(fds[0], room, false, &got, NULL), 0);
	assert_int_equal(protocol_send(fds[0], PROTOCOL_INPUT, "x", 1), -1); /* and no SIGPIPE */
	close(fds[0]);
}

static void a_descriptor_comes_with_a_message_or_is_closed(void **state)
{
	const uint32_t index = 3;
	struct protocol_message got;
	char room[PROTOCOL_ROOM];
	int fds[2], ends[2], came_fd;
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(protocol_send_fd(fds[0], PROTOCOL_MASTER, &index, sizeof(index), ends[1]), 0);
	assert_int_equal(protocol_receive_fd(fds[1], room, false, &got, &came_fd, NULL), 1);
	assert_int_equal(got.type, PROTOCOL_MASTER);
	assert_true(came_fd >= 0 && fcntl(came_fd, F_GETFD) == FD_CLOEXEC);
	assert_int_equal(write(came_fd, "x", 1), 1);
	close(came_fd);
	/* one without, then one that nobody asked for, and one with a message that is refused */
	assert_int_equal(protocol_send(fds[0], PROTOCOL_MASTER, &index, sizeof(index)), 0);
	assert_int_equal(protocol_receive_fd(fds[1], room, false, &got, &came_fd, NULL), 1);
	assert_true(came_fd < 0);
	assert_int_equal(protocol_send_fd(fds[0], PROTOCOL_MASTER, &index, sizeof(index), ends[1]), 0);
	assert_int_equal(protocol_receive(fds[1], room, false, &got, NULL), 1);
	assert_int_equal(protocol_send_fd(fds[0], PROTOCOL_MASTER, &index, 1, ends[1]), 0);
	assert_int_equal(protocol_receive_fd(fds[1], room, false, &got, &came_fd, NULL), -KENNEL_E_CORRUPT);
	assert_true(came_fd < 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(read(ends[0], &c, 1), 0); /* nobody has the other end */
	close(ends[0]);
	close(fds[0]);
	close(fds[1]);
}

static void a_backlog_keeps_what_came_last(void **state)
{
	struct backlog *b = calloc(1, sizeof(*b));
	char piece[1000];
	size_t n;

	(void)state;
	assert_non_null(b);
	for (unsigned i = 0; i < 100; i++) {
		memset(piece, 'a' + (int)(i % 26), sizeof(piece));
		backlog_add(b, piece, sizeof(piece));
	}
	assert_int_equal(b->written, 100000);
	assert_int_equal(backlog_oldest(b), 100000 - BACKLOG_SIZE);
	for (uint64_t place = backlog_oldest(b); place < b->written; place += n) {
		const char *data = backlog_at(b, place, &n);

		assert_true(n > 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(data[i], 'a' + (int)((place + i) / 1000 % 26));
	}
	backlog_at(b, b->written, &n);
	assert_int_equal(n, 0);
	free(b);
}

static void a_log_is_turned_over(void **state)
{
	char dir[] = "/tmp/kennel-unit-log-XXXXXX", piece[4096];
	struct console_log log;
	struct stat now, old;

	(void)state;
	assert_non_null(mkdtemp(dir));
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(console_log_open(dir_fd, CONSOLE_LOG, CONSOLE_LOG_OLD, &log, NULL), 0);
	memset(piece, 'x', sizeof(piece));
	for (unsigned i = 0; i < CONSOLE_LOG_MAX / sizeof(piece); i++)
		console_log_add(&log, piece, sizeof(piece));
	assert_int_equal(fstatat(dir_fd, CONSOLE_LOG_OLD, &old, 0), -1);
	console_log_add(&log, "new\n", 4);
	assert_int_equal(fstatat(dir_fd, CONSOLE_LOG_OLD, &old, 0), 0);
	assert_int_equal(old.st_size, CONSOLE_LOG_MAX);
	console_log_close(&log);
	assert_int_equal(console_log_open(dir_fd, CONSOLE_LOG, CONSOLE_LOG_OLD, &log, NULL), 0); /* goes on */
	console_log_add(&log, "more\n", 5);
	console_log_close(&log);
	assert_int_equal(fstatat(dir_fd, CONSOLE_LOG, &now, 0), 0);
	assert_int_equal(now.st_size, 9);
	assert_int_equal(now.st_mode & 07777, 0600);
	unlinkat(dir_fd, CONSOLE_LOG_OLD, 0);
	/* a link is not followed */
	unlinkat(dir_fd, CONSOLE_LOG, 0);
	assert_int_equal(symlinkat("/dev/null", dir_fd, CONSOLE_LOG), 0);
	assert_true(console_log_open(dir_fd, CONSOLE_LOG, CONSOLE_LOG_OLD, &log, NULL) < 0);
	unlinkat(dir_fd, CONSOLE_LOG, 0);
	close(dir_fd);
	assert_int_equal(rmdir(dir), 0);
}

static void assert_plain(const char *bytes, const char *expected)
{
	for (size_t cut = 0; cut <= strlen(bytes); cut++) { /* sequences may be cut anywhere */
		_cleanup_buf_ struct buf b = { 0 };
		struct plain p = { 0 };

		plain_add(&p, bytes, cut, &b);
		plain_add(&p, bytes + cut, strlen(bytes) - cut, &b);
		assert_string_equal(buf_str(&b), expected);
	}
}

static void sequences_are_left_out(void **state)
{
	(void)state;
	assert_plain("plain\r\n\ttext\n", "plain\n\ttext\n");
	assert_plain("\033[1;31mred\033[0m \033[2J\033[Hx", "red x");
	assert_plain("\033]0;title\007a\033]52;c;eA==\033\\b\033Pq\033\\c", "abc");
	assert_plain("\033(Bx\033cy\033=z", "xyz");
	assert_plain("\303\244 \302\2335n \302\251 \b\177.", "\303\244 5n \302\251 .");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_have_exact_sizes),
		cmocka_unit_test(what_is_sent_is_what_is_parsed),
		cmocka_unit_test(a_descriptor_comes_with_a_message_or_is_closed),
		cmocka_unit_test(a_backlog_keeps_what_came_last),
		cmocka_unit_test(a_log_is_turned_over),
		cmocka_unit_test(sequences_are_left_out),
	};

	return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
