/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-sockets.c - keys of X: which are taken, files that end anywhere; connections that are lent. */
#include "unit.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "net/helper.h"
#include "net/lend.h"
#include "run/sockets.h"
#include "sys/sys.h"

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

static struct sockaddr_un in_dir(int dir_fd, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	return a;
}

static int borrow(int dir_fd)
{
	const struct sockaddr_un at = in_dir(dir_fd, "lent");
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return net_lend_take(fd);
}

static void test_lends_connections_until_the_monitor_ends(void **state)
{
	char dir[] = "/tmp/kennel-lend-XXXXXX", byte = 0;
	int pidfd = -1;

	assert_non_null(mkdtemp(dir));
	_cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct sockaddr_un at = in_dir(dir_fd, "real");
	/* before there is a server that it could hold open */
	pid_t monitor = fork();
	if (monitor == 0) {
		(void)!sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		pause();
		_exit(0);
	}
	int server_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server_fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(server_fd, 8), 0);
	_cleanup_close_ int monitor_fd = sys_pidfd_open(monitor, 0);
	_cleanup_close_ int real_fd = openat(dir_fd, "real", O_PATH | O_CLOEXEC);
	const struct net_lend_spec spec = { .dir_fd = dir_fd,
					    .monitor_pidfd = monitor_fd,
					    .names = { "lent" },
					    .target_fds = { real_fd },
					    .n = 1 };

	assert_int_equal(net_lend_start(&spec, &pidfd, NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		_cleanup_close_ int fd = borrow(dir_fd);
		_cleanup_close_ int other_fd = accept4(server_fd, NULL, NULL, SOCK_CLOEXEC);

		assert_true(fd >= 0 && other_fd >= 0);
		assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
		assert_int_equal(write(other_fd, "x", 1), 1);
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'x');
	}
	/* nobody listens any more: it goes on, and says no */
	close(server_fd);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(borrow(dir_fd), -1);
	kill(monitor, SIGKILL);
	waitpid(monitor, NULL, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	assert_int_equal(poll(&ended, 1, 60000), 1);
	assert_int_not_equal(faccessat(dir_fd, "lent", F_OK, AT_SYMLINK_NOFOLLOW), 0);
	net_helper_end(pidfd);
	assert_int_equal(unlinkat(dir_fd, "real", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_local_keys_of_the_display),
		cmocka_unit_test(test_knows_all_names_of_the_spec),
		cmocka_unit_test(test_ends_where_an_entry_is_cut_off),
		cmocka_unit_test(test_lends_connections_until_the_monitor_ends),
	};

	return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}
