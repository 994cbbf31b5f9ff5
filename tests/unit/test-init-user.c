/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-init-user.c - the lookup of users that kennel-init does, fed the files that a hostile sandbox
 * would write.
 *
 * It is compiled in here a second time, under the sanitizers that the freestanding program can't have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"

#include "run/init-user.c"

static char tmp_dir[] = "/tmp/kennel-test-init-user-XXXXXX";
static char passwd[64], group[64], fifo[64];

static void write_file(const char *path, const void *data, size_t len)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
}

#define PASSWD \
	"root:x:0:0:root:/root:/bin/bash\n" \
	"# a comment\n" \
	"+::::::\n" \
	":x:5:5::/:/bin/sh\n" \
	"noid:x::5::/:/bin/sh\n" \
	"badid:x:12a:5::/:/bin/sh\n" \
	"minus:x:-1:5::/:/bin/sh\n" \
	"toobig:x:4294967295:5::/:/bin/sh\n" \
	"wrap:x:4294967296:5::/:/bin/sh\n" \
	"short:x:7\n" \
	"bare:x:70:71\n" \
	"relative:x:72:72:a,b c:home:bash\n" \
	"alice:x:1000:1001:Alice,,,:/home/alice:/bin/zsh:more:fields\n" \
	"alice:x:1:1:second:/:/bin/sh\n" \
	"bob:x:1002:1003::/home/bob:/bin/sh" /* no newline */
#define GROUP \
	"root:x:0:\n" \
	"audio:x:29:alice,bob\n" \
	"alices:x:30:alicea,xalice,alic\n" \
	"video:x:44:bob,alice\n" \
	"bad:x:y:alice\n" \
	"extra:x:45:alice:bob\n" \
	"primary:x:1001:alice\n" \
	"none:x:46\n" \
	"last:x:47:alice"

static void test_user_find_reads_the_files(void **state)
{
	static const struct {
		const char *spec;
		int result;
		uint32_t uid, gid;
		const char *name, *home, *shell;
		unsigned n_groups;
		uint32_t groups[6];
	} cases[] = {
		{ "root", 0, 0, 0, "root", "/root", "/bin/bash", 1, { 0 } },
		{ "0", 0, 0, 0, "root", "/root", "/bin/bash", 1, { 0 } },
		{ "alice", 0, 1000, 1001, "alice", "/home/alice", "/bin/zsh", 5, { 1001, 29, 44, 45, 47 } },
		{ "1000", 0, 1000, 1001, "alice", "/home/alice", "/bin/zsh", 5, { 1001, 29, 44, 45, 47 } },
		{ "alice:video", 0, 1000, 44, "alice", "/home/alice", "/bin/zsh", 1, { 44 } },
		{ "alice:99", 0, 1000, 99, "alice", "/home/alice", "/bin/zsh", 1, { 99 } },
		{ "bob", 0, 1002, 1003, "bob", "/home/bob", "/bin/sh", 3, { 1003, 29, 44 } },
		{ "bare", 0, 70, 71, "bare", "/", "/bin/sh", 1, { 71 } },
		{ "relative", 0, 72, 72, "relative", "/", "/bin/sh", 1, { 72 } },
		{ "5555", 0, 5555, 5555, "5555", "/", "/bin/sh", 1, { 5555 } },
		{ "5555:last", 0, 5555, 47, "5555", "/", "/bin/sh", 1, { 47 } },
		{ "4294967294", 0, ID_MAX, ID_MAX, "4294967294", "/", "/bin/sh", 1, { ID_MAX } },
		{ .spec = "4294967295", .result = -ENOENT },
		{ .spec = "99999999999999999999999", .result = -ENOENT },
		{ .spec = "noid", .result = -ENOENT },
		{ .spec = "badid", .result = -ENOENT },
		{ .spec = "minus", .result = -ENOENT },
		{ .spec = "toobig", .result = -ENOENT },
		{ .spec = "wrap", .result = -ENOENT },
		{ .spec = "short", .result = -ENOENT },
		{ .spec = "alic", .result = -ENOENT },
		{ .spec = "alicee", .result = -ENOENT },
		{ .spec = "+", .result = -ENOENT },
		{ .spec = "-1", .result = -ENOENT },
		{ .spec = "alice:none2", .result = -ENOENT },
		{ .spec = "alice:bad", .result = -ENOENT },
		{ .spec = "", .result = -EINVAL },
		{ .spec = ":", .result = -EINVAL },
		{ .spec = "alice:", .result = -EINVAL },
		{ .spec = ":audio", .result = -EINVAL },
		{ .spec = "a::b", .result = -EINVAL },
	};

	write_file(passwd, PASSWD, strlen(PASSWD));
	write_file(group, GROUP, strlen(GROUP));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct init_user u;
		int r = init_user_find(cases[i].spec, passwd, group, &u);

		if (r != cases[i].result)
			fail_msg("\"%s\": %d", cases[i].spec, r);
		if (r < 0)
			continue;
		assert_int_equal(u.uid, cases[i].uid);
		assert_int_equal(u.gid, cases[i].gid);
		assert_string_equal(u.env_user + 5, cases[i].name);
		assert_memory_equal(u.env_user, "USER=", 5);
		assert_memory_equal(u.env_logname, "LOGNAME=", 8);
		assert_string_equal(u.env_logname + 8, cases[i].name);
		assert_memory_equal(u.env_home, "HOME=", 5);
		assert_string_equal(u.env_home + 5, cases[i].home);
		assert_memory_equal(u.env_shell, "SHELL=", 6);
		assert_string_equal(init_user_shell(&u), cases[i].shell);
		assert_int_equal(u.n_groups, cases[i].n_groups);
		assert_memory_equal(u.groups, cases[i].groups, u.n_groups * sizeof(u.groups[0]));
	}
}

static void test_user_find_endless_fields_and_lines_are_passed_over(void **state)
{
	static const char tail[] = ":/bin/sh\nnul:x:9:9::/\0nul:/bin/\0\n\0:x:1:1\ngood:x:7:8::/g:/s\n";
	const size_t size = 3 << 20;
	_cleanup_free_ char *text = malloc(size);
	struct init_user u;

	/* a line of a megabyte, then a user whose home is longer than any, then NULs, then a good line */
	memset(text, 'a', size);
	memcpy(text + (1 << 20), "\nlong:x:5:6::/", 14);
	memcpy(text + (1 << 20) + 5000, tail, sizeof(tail) - 1);
	write_file(passwd, text, (1 << 20) + 5000 + sizeof(tail) - 1);
	assert_int_equal(init_user_find("good", passwd, "/nowhere", &u), 0);
	assert_int_equal(u.uid, 7);
	assert_int_equal(init_user_find("long", passwd, "/nowhere", &u), 0);
	assert_string_equal(u.env_home, "HOME=/");
	assert_int_equal(init_user_find("nul", passwd, "/nowhere", &u), 0);
	assert_string_equal(u.env_home, "HOME=/");
	assert_string_equal(init_user_shell(&u), "/bin/sh");
	assert_int_equal(init_user_find("a", passwd, "/nowhere", &u), -ENOENT);

	/* a group with a member name of a megabyte in front of the right one, and 2000 groups of one user */
	size_t at = (size_t)snprintf(text, size, "big:x:10:");
	memset(text + at, 'm', 1 << 20);
	at += 1 << 20;
	at += (size_t)snprintf(text + at, size - at, ",good,\n");
	for (int i = 0; i < 2000; i++)
		at += (size_t)snprintf(text + at, size - at, "g%d:x:%d:good\n", i, 1000 + i);
	write_file(group, text, at);
	assert_int_equal(init_user_find("good", passwd, group, &u), 0);
	assert_int_equal(u.n_groups, INIT_GROUPS_MAX);
	assert_int_equal(u.groups[1], 10);
	assert_int_equal(init_user_find("good:g1999", passwd, group, &u), 0);
	assert_int_equal(u.gid, 2999);
}

static void test_user_find_fifo_device_directory_do_not_hang(void **state)
{
	struct init_user u;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(init_user_find("root", fifo, fifo, &u), -ENOENT);
	assert_int_equal(init_user_find("root", tmp_dir, tmp_dir, &u), -ENOENT);
	assert_int_equal(init_user_find("root", "/dev/zero", "/dev/zero", &u), -ENOENT);
	assert_int_equal(init_user_find("12", "/nowhere", "/dev/zero", &u), 0);
	assert_int_equal(u.uid, 12);
}

static int make_tmp_dir(void **state)
{
	if (!mkdtemp(tmp_dir))
		return -1;
	snprintf(passwd, sizeof(passwd), "%s/passwd", tmp_dir);
	snprintf(group, sizeof(group), "%s/group", tmp_dir);
	snprintf(fifo, sizeof(fifo), "%s/fifo", tmp_dir);
	return 0;
}

static int remove_tmp_dir(void **state)
{
	unlink(passwd);
	unlink(group);
	unlink(fifo);
	return rmdir(tmp_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_find_reads_the_files),
		cmocka_unit_test(test_user_find_endless_fields_and_lines_are_passed_over),
		cmocka_unit_test(test_user_find_fifo_device_directory_do_not_hang),
	};

	return cmocka_run_group_tests_name("init-user", tests, make_tmp_dir, remove_tmp_dir);
}
