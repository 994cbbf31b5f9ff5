/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Unit tests of src/net: pure parts by table, the filter run by the kernel on a socket pair, pasta played by
 * scripts.
 */
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cmocka.h>
#undef fail                     /* base/error.h has its own */

#include "base/cleanup.h"
#include "net/nat.h"
#include "path/path.h"
#include "sys/sys.h"

#define F4 NET_DNS_FORWARD4
#define F6 NET_DNS_FORWARD6

static const char *tool;        /* what path_find_tool() finds; NULL nothing */

int __wrap_path_find_tool(const char *name, char **ret, struct kennel_error **err);
int __wrap_path_find_tool(const char *name, char **ret, struct kennel_error **err)
{
	assert_string_equal(name, "pasta");
	if (!tool)
		return 0;
	*ret = strdup(tool);
	assert_non_null(*ret);
	return 1;
}

static void test_net_resolv_conf_table(void **state)
{
	static const struct {
		const char *host, *inside;
	} cases[] = {
		/* loopback resolvers */
		{ "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n",
		  "nameserver " F4 "\noptions edns0 trust-ad\nsearch lan\n" },
		{ "nameserver 127.0.0.1", "nameserver " F4 "\noptions edns0\n" },
		{ "nameserver ::1\n", "nameserver " F6 "\noptions edns0\n" },
		{ "nameserver ::1\nnameserver 127.0.0.1\n",
		  "nameserver " F6 "\nnameserver " F4 "\noptions edns0\n" },
		{ "nameserver 0.0.0.0\n", "nameserver " F4 "\noptions edns0\n" },
		{ "nameserver ::\n", "nameserver " F6 "\noptions edns0\n" },
		{ "nameserver ::ffff:127.0.0.1\n", "nameserver " F6 "\noptions edns0\n" },
		/* ordinary ones stay, the forwarding address comes last where there is room */
		{ "nameserver 192.0.2.1\n", "nameserver 192.0.2.1\nnameserver " F4 "\n" },
		{ "nameserver 2001:db8::1\n", "nameserver 2001:db8::1\nnameserver " F6 "\n" },
		{ "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n",
		  "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n" },
		/* pasta forwards to the first of the family only */
		{ "nameserver 127.0.0.1\nnameserver 8.8.8.8\n",
		  "nameserver " F4 "\nnameserver 8.8.8.8\noptions edns0\n" },
		{ "nameserver 8.8.8.8\nnameserver 127.0.0.1\n", "nameserver 8.8.8.8\nnameserver " F4 "\n" },
		{ "nameserver 127.0.0.1\nnameserver 127.0.0.2\n", "nameserver " F4 "\noptions edns0\n" },
		/* scoped and link-local IPv6 */
		{ "nameserver fe80::1%eth0\n", "nameserver " F6 "\noptions edns0\n" },
		{ "nameserver fe80::1\nnameserver 9.9.9.9\n",
		  "nameserver " F6 "\nnameserver 9.9.9.9\nnameserver " F4 "\noptions edns0\n" },
		{ "nameserver 2001:db8::1%2\n", "nameserver " F6 "\noptions edns0\n" },
		/* nothing, nonsense */
		{ "", "nameserver " F4 "\noptions edns0\n" },
		{ "\n\n", "nameserver " F4 "\noptions edns0\n" },
		{ "nameserver\nnameserver \nnameserver x\nnameserver 1.2.3\nnameservers 1.2.3.4\n"
		  "NAMESERVER 1.2.3.4\n",
		  "nameserver " F4 "\noptions edns0\n" },
		{ "nameserver 127.0.0.1%lo\n", "nameserver " F4 "\noptions edns0\n" },
		{ "nameserver 11111111111111111111111111111111111111111111111111111111111111\n",
		  "nameserver " F4 "\noptions edns0\n" },
		/* other lines */
		{ "# by hand\n; too\ndomain example.org\nsearch a b\t c\noptions ndots:2\n"
		  "sortlist 1.2.3.0\nfoo bar\n"
		  " search no\nnameserver\t 5.5.5.5 # mine\n",
		  "nameserver 5.5.5.5\nnameserver " F4
		  "\ndomain example.org\nsearch a b\t c\noptions ndots:2\nsortlist 1.2.3.0\n" },
		{ "options edns01\nnameserver 127.0.0.1\r\n",
		  "nameserver " F4 "\noptions edns01\noptions edns0\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_free_ char *text = NULL;

		assert_int_equal(net_resolv_conf(cases[i].host, &text, &err), 0);
		if (strcmp(text, cases[i].inside) != 0)
			print_message("host's: %s\n", cases[i].host);
		assert_string_equal(text, cases[i].inside);
	}
}

static bool has_pair(const struct strv *argv, const char *option, const char *value)
{
	for (size_t i = 0; i + 1 < argv->n; i++) {
		if (strcmp(argv->items[i], option) == 0 && strcmp(argv->items[i + 1], value) == 0)
			return true;
	}
	return false;
}

static void test_net_nat_argv_closes_everything(void **state)
{
	static const char *const ports[] = { "-t", "-u", "-T", "-U" };
	const struct net_nat_spec with = { .userns_fd = 7, .netns_fd = 8 },
				  without = { .userns_fd = -EBADF, .netns_fd = 8 };

	for (unsigned i = 0; i < 2; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_strv_ struct strv argv = { 0 };

		assert_int_equal(
			net_nat_argv("/usr/bin/pasta", i ? &without : &with, i ? 0 : 65534, &argv, &err), 0);
		assert_string_equal(argv.items[0], "/usr/bin/pasta");
		assert_null(argv.items[argv.n]);
		for (size_t p = 0; p < ARRAY_SIZE(ports); p++)
			assert_true(has_pair(&argv, ports[p], "none"));
		assert_true(strv_has(&argv, "--no-map-gw"));
		assert_true(strv_has(&argv, "--config-net"));
		assert_true(strv_has(&argv, "--foreground"));
		assert_true(has_pair(&argv, "--dns-forward", F4));
		assert_true(has_pair(&argv, "--dns-forward", F6));
		assert_true(has_pair(&argv, "--pid", "/proc/self/fd/2"));
		assert_string_equal(argv.items[argv.n - 1], "--netns=/proc/self/fd/0");
		assert_int_equal(strv_has(&argv, "--userns=/proc/self/fd/1"), i == 0);
		assert_int_equal(strv_has(&argv, "--netns-only"), i == 1);
		assert_int_equal(strv_has(&argv, "--runas=65534:65534"), i == 0);
	}
}

/* Does the frame pass? A unix datagram socket runs the same filters, on the bytes that are sent. */
static bool passes(int pair[2], const void *frame, size_t len)
{
	char got[2048];

	assert_int_equal(send(pair[0], frame, len, 0), len);
	return recv(pair[1], got, sizeof(got), MSG_DONTWAIT) == (ssize_t)len;
}

static size_t make_frame(unsigned char *frame, const char *dst)
{
	memset(frame, 0xee, 1500);
	bool v6 = strchr(dst, ':');
	size_t at = v6 ? 38 : 30;

	memcpy(frame + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, dst, frame + at), 1);
	return at + (v6 ? 16 : 4);
}

static void test_net_nat_filter_drops_loopback_only(void **state)
{
	static const struct {
		const char *dst;
		bool pass;
	} cases[] = {
		{ "127.0.0.1", false },
		{ "127.255.255.255", false },
		{ "0.0.0.0", false },
		{ "0.1.2.3", false },
		{ "126.255.255.255", true },
		{ "128.0.0.0", true },
		{ "1.0.0.0", true },
		{ "10.0.127.1", true },
		{ "169.254.1.1", true },
		{ "255.255.255.255", true },
		{ "224.0.0.251", true },
		{ "::1", false },
		{ "::", false },
		{ "::127.0.0.1", false },
		{ "::ffff:127.0.0.1", false },
		{ "::ffff:0.0.0.0", false },
		{ "::ffff:8.8.8.8", false },
		{ "::1:0:1", true },
		{ "::fffe:127.0.0.1", true },
		{ "1::1", true },
		{ "0:1::1", true },
		{ "0:0:1::1", true },
		{ "0:0:0:1::1", true },
		{ "::1:7f00:1", true },
		{ "fe80::1", true },
		{ "ff02::1", true },
		{ F6, true },
		{ "64:ff9b::127.0.0.1", true },
	};
	unsigned char frame[1500];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, net_nat_filter(),
				    sizeof(struct sock_fprog)),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = make_frame(frame, cases[i].dst);

		bool whole = passes(pair, frame, sizeof(frame)), cut = passes(pair, frame, len);

		if (whole != cases[i].pass || cut != cases[i].pass)
			print_message("frame to %s\n", cases[i].dst);
		assert_int_equal(whole, cases[i].pass);
		assert_int_equal(cut, cases[i].pass);
	}
	(void)make_frame(frame, "8.8.8.8");
	assert_false(passes(pair, frame, 33));          /* cut inside of the address */
	(void)make_frame(frame, "1::1");
	assert_false(passes(pair, frame, 41));
	assert_false(passes(pair, frame, 13));
	memcpy(frame + 12, "\x08\x06", 2);
	assert_true(passes(pair, frame, 42));           /* ARP */
	close(pair[0]);
	close(pair[1]);
}

/* ---- pasta played by a script ---- */

static char dir[] = "/tmp/kennel-test-net-XXXXXX";
static char script[sizeof(dir) + 16];
static int netns_fd = -EBADF;

static int script_setup(void **state)
{
	netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns_fd < 0 || !mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	snprintf(script, sizeof(script), "%s/pasta", dir);
	return 0;
}

static int script_teardown(void **state)
{
	(void)!unlink(script);
	close_fd(netns_fd);
	return rmdir(dir);
}

static void play(const char *body, unsigned mode)
{
	(void)!unlink(script);
	FILE *f = fopen(script, "we");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", body);
	fclose(f);
	assert_int_equal(chmod(script, mode), 0);
	tool = script;
}

/* Starts what play() made, waits, and returns the code of net_nat_wait(). */
static int play_wait(const char *body, unsigned mode, int timeout_ms, struct kennel_error **err)
{
	const struct net_nat_spec spec = { .userns_fd = -EBADF, .netns_fd = netns_fd };
	struct net_nat *nat = NULL;

	if (access("/dev/net/tun", F_OK) < 0) {
		print_message("skip: this machine has no /dev/net/tun\n");
		skip();
	}
	play(body, mode);
	assert_int_equal(net_nat_start(&spec, &nat, err), 0);
	assert_true(net_nat_pidfd(nat) >= 0);
	int r = net_nat_wait(nat, timeout_ms, err);
	int pidfd = fcntl(net_nat_pidfd(nat), F_DUPFD_CLOEXEC, 3);
	assert_null(net_nat_free(nat));
	siginfo_t info;
	/* reaped: nothing is left */
	assert_int_equal(sys_waitid_pidfd(pidfd, &info, WEXITED | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	close(pidfd);
	return r;
}

static void test_net_nat_wait_failures_are_told(void **state)
{
	static const struct {
		const char *body;
		unsigned mode;
		int timeout_ms, code;
		const char *text;
	} cases[] = {
		{ "echo 'No routable interface' >&2; exit 1", 0755, 5000, KENNEL_E_IO,
		  "pasta: No routable interface" },
		{ "echo 'No interface for IPv4' >&2; echo 'Interface not usable' >&2; exit 1", 0755, 5000,
		  KENNEL_E_IO, "pasta: Interface not usable" },
		{ "echo 'unrecognized option' >&2; echo Usage: pasta >&2; echo '  -x' >&2; exit 1", 0755,
		  5000, KENNEL_E_IO, "pasta: unrecognized option" },
		{ "echo 'Failed to send 9 bytes to syslog' >&2; echo \"Don't run as root. Changing\" >&2; "
		  "echo >&2; echo why >&2",
		  0755, 5000, KENNEL_E_IO, "pasta: why" },
		{ "printf 'a\\033[2Jb' >&2", 0755, 5000, KENNEL_E_IO, "pasta: a\\x1b[2Jb" },
		{ "printf 123 >&2", 0755, 5000, KENNEL_E_IO, "pasta: 123" }, /* no line: not a pid file */
		{ "exit 0", 0755, 5000, KENNEL_E_IO, "pasta ended without a word" },
		{ "i=0; while [ $i -lt 20000 ]; do echo long line of many; i=$((i+1)); done >&2", 0755, 20000,
		  KENNEL_E_IO, "pasta: long line of many" },
		{ "exec sleep 60", 0755, 50, KENNEL_E_BUSY, "pasta was not ready after 50 ms" },
		{ "exit 0", 0644, 5000, KENNEL_E_PERM, "execute pasta: Permission denied" },
		{ "echo 1 >&2; exec sleep 60", 0755, 5000, KENNEL_E_IO,
		  "pasta has no tap device to close the host's loopback on" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		if (i + 1 == ARRAY_SIZE(cases) && geteuid() != 0)
			break;  /* only root may look at the descriptors of a process of another id */
		int r = play_wait(cases[i].body, cases[i].mode, cases[i].timeout_ms, &err);
		assert_string_equal(kennel_error_message(err), cases[i].text);
		assert_int_equal(r, -cases[i].code);
	}
}

static void test_net_nat_start_clean_process(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	setenv("KENNEL_TEST_LEAK", "1", 1);
	/* without close-on-exec, as a caller of the library may have */
	int leak = open("/dev/null", O_RDONLY);
	assert_true(leak >= 0);
	/* The shell sets some variables itself, and has the script open on 10 or higher. */
	int r = play_wait("for fd in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$fd ] && list=\"$list $fd\"; done\n"
			  "echo \"${KENNEL_TEST_LEAK-clean} $HOME,$list,$(id -u)\" >&2", 0755, 5000, &err);
	close(leak);
	unsetenv("KENNEL_TEST_LEAK");
	assert_int_equal(r, -KENNEL_E_IO);
	assert_non_null(strstr(kennel_error_message(err), "pasta: clean ,,"));
	if (geteuid() == 0)
		assert_string_equal(kennel_error_message(err), "pasta: clean ,,65534");
}

static void test_net_nat_start_missing_has_hint(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct net_nat_spec spec = { .userns_fd = -EBADF, .netns_fd = netns_fd };
	struct net_nat *nat = NULL;

	tool = NULL;
	assert_int_equal(net_nat_available(), 0);
	assert_int_equal(net_nat_start(&spec, &nat, &err), -KENNEL_E_MISSING);
	assert_string_equal(kennel_error_message(err), "pasta is not installed");
	assert_non_null(strstr(kennel_error_hint(err), "passt"));
	assert_null(nat);
	tool = "/usr/bin/pasta";
	assert_int_equal(net_nat_available(), 1);
}

static void test_net_nat_free_null_is_fine(void **state)
{
	assert_null(net_nat_free(NULL));
}

static void test_net_loopback_up_in_new_namespace(void **state)
{
	if (geteuid() != 0) {
		print_message("skip: needs root for a network namespace\n");
		skip();
	}
	pid_t pid = fork();
	if (pid == 0) {
		struct sockaddr_in a = { .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					 .sin_port = htons(9) };
		int fd = sys_unshare(CLONE_NEWNET) < 0 ? -1 : socket(AF_INET, SOCK_DGRAM, 0);
		int before = connect(fd, (struct sockaddr *)&a, sizeof(a)), up = net_loopback_up();
		int after = connect(fd, (struct sockaddr *)&a, sizeof(a));

		_exit(fd >= 0 && before < 0 && up == 0 && after == 0 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static unsigned count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_net_namespace_new_gives_two_descriptors(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct stat mine, theirs;
	int user_fd = -EBADF, net_fd = -EBADF;
	unsigned before = count_fds();

	int r = net_namespace_new(&user_fd, &net_fd, &err);
	if (r == -KENNEL_E_PERM || r == -KENNEL_E_LIMIT) {
		print_message("skip: no user namespaces here: %s\n", kennel_error_message(err));
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(count_fds(), before + 2);
	assert_int_equal(fcntl(user_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(net_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(net_fd, &theirs), 0);
	assert_int_equal(stat("/proc/self/ns/net", &mine), 0);
	assert_int_not_equal(mine.st_ino, theirs.st_ino);
	assert_int_equal(fstat(user_fd, &theirs), 0);
	assert_int_equal(stat("/proc/self/ns/user", &mine), 0);
	assert_int_not_equal(mine.st_ino, theirs.st_ino);
	close(user_fd);
	close(net_fd);
}

static void test_net_namespace_new_no_descriptors_left_is_limit(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct rlimit saved, low;
	int user_fd = -EBADF, net_fd = -EBADF;
	unsigned before = count_fds();
	int free_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
	close(free_fd);
	low = (struct rlimit) { .rlim_cur = (rlim_t)free_fd + 4, .rlim_max = saved.rlim_max };
	/* pipe, pidfd, and one more: the second namespace has none */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	int r = net_namespace_new(&user_fd, &net_fd, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
	if (r == -KENNEL_E_PERM)
		skip();
	assert_int_equal(r, -KENNEL_E_LIMIT);
	assert_string_equal(kennel_error_message(err), "open a new network namespace: Too many open files");
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_net_resolv_conf_table),
		cmocka_unit_test(test_net_nat_argv_closes_everything),
		cmocka_unit_test(test_net_nat_filter_drops_loopback_only),
		cmocka_unit_test(test_net_nat_wait_failures_are_told),
		cmocka_unit_test(test_net_nat_start_clean_process),
		cmocka_unit_test(test_net_nat_start_missing_has_hint),
		cmocka_unit_test(test_net_nat_free_null_is_fine),
		cmocka_unit_test(test_net_namespace_new_gives_two_descriptors),
		cmocka_unit_test(test_net_namespace_new_no_descriptors_left_is_limit),
		cmocka_unit_test(test_net_loopback_up_in_new_namespace),
	};

	return cmocka_run_group_tests(tests, script_setup, script_teardown);
}
