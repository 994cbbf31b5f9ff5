/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-registry.c - the runtime directory: who may own it, entries of the living and of the dead, their
 * text.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/registry.h"
#include "sys/sys.h"

static uint32_t random_values[32]; /* what getrandom() gives, in turn */
static unsigned random_n, random_next;

ssize_t __real_getrandom(void *data, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *data, size_t size, unsigned flags)
{
	if (!random_n)
		return __real_getrandom(data, size, flags);
	memcpy(data, &random_values[random_next++ % random_n], sizeof(uint32_t));
	return sizeof(uint32_t);
}

struct fixture {
	char dir[40];
	int dir_fd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/kennel-registry-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	random_n = random_next = 0;
	close(f->dir_fd);
	assert_int_equal(nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
	free(f);
	return 0;
}

static int add(const struct fixture *f, const char *id, const char *created)
{
	_cleanup_buf_ struct buf b = { 0 };

	registry_put(&b, "created", created);
	return registry_add(f->dir_fd, id, &b, NULL);
}

static const struct {
	const char *value, *text;
} escapes[] = {
	{ "plain", "k\tplain\n" },
	{ "", "k\t\n" },
	{ "a\tb\nc\\d", "k\ta\\tb\\nc\\\\d\n" },
	{ "\\n", "k\t\\\\n\n" },
	{ "\n\n", "k\t\\n\\n\n" },
	{ "ends\\", "k\tends\\\\\n" },
	{ "\xff\x01 \xe2\x82\xac", "k\t\xff\x01 \xe2\x82\xac\n" },
};

static void test_registry_put_comes_back_from_parse(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
		_cleanup_buf_ struct buf b = { 0 };
		struct registry_entry e = { 0 };

		registry_put(&b, "k", escapes[i].value);
		assert_string_equal(buf_str(&b), escapes[i].text);
		assert_int_equal(registry_parse(buf_str(&b), &e, NULL), 0);
		assert_string_equal(registry_get(&e, "k", 0), escapes[i].value);
		assert_null(registry_get(&e, "k", 1));
		assert_null(registry_get(&e, "", 0));
		strv_done(&e.keys);
		strv_done(&e.values);
	}
}

static const struct {
	const char *text;
	int code;
	const char *message; /* or the values of key "k", each with "|" */
} texts[] = {
	{ "", 0, "" },
	{ "\n\n", 0, "" },
	{ "k\ta\nother\tx\nk\tb", 0, "a|b|" },
	{ "k\ta\tb\n", 0, "a\tb|" },
	{ "k\tx\\qy\\\n", 0, "xqy\\|" },
	{ "k\n", -KENNEL_E_CORRUPT, "line 1 has no tab" },
	{ "k\ta\nbad\n", -KENNEL_E_CORRUPT, "line 2 has no tab" },
};

static void test_registry_parse_texts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_buf_ struct buf got = { 0 };
		struct registry_entry e = { 0 };

		assert_int_equal(registry_parse(texts[i].text, &e, &err), texts[i].code);
		for (size_t n = 0; registry_get(&e, "k", n); n++)
			buf_printf(&got, "%s|", registry_get(&e, "k", n));
		assert_string_equal(texts[i].code ? kennel_error_message(err) : buf_str(&got),
				    texts[i].message);
		strv_done(&e.keys);
		strv_done(&e.values);
	}
}

static void test_registry_list_oldest_first_and_the_dead_removed(void **state)
{
	struct fixture *f = *state;
	struct registry_entry *list = NULL;
	size_t n = 0, removed = 0;

	_cleanup_close_ int one_fd = add(f, "00000001", "300");
	_cleanup_close_ int two_fd = add(f, "ffffffff", "100");
	_cleanup_close_ int three_fd = add(f, "0000000a", "300");
	int dead_fd = add(f, "dddddddd", "1");
	assert_true(one_fd >= 0 && two_fd >= 0 && three_fd >= 0 && dead_fd >= 0);
	close(dead_fd);
	/* names that are no ids are nobody's business */
	static const char *const others[] = { "0000000", "000000001", "ABCDEF01", "note" };
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(mknodat(f->dir_fd, others[i], S_IFREG | 0600, 0), 0);

	assert_int_equal(registry_list(f->dir_fd, NULL, &list, &n, &removed, NULL), 0);
	assert_int_equal(n, 3);
	assert_int_equal(removed, 1);
	assert_string_equal(list[0].id, "ffffffff");
	assert_string_equal(list[1].id, "00000001");
	assert_string_equal(list[2].id, "0000000a");
	assert_string_equal(registry_get(&list[1], "created", 0), "300");
	registry_entries_free(list, n);
	assert_int_equal(registry_list(f->dir_fd, "0000000", &list, &n, &removed, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(removed, 0);
	registry_entries_free(list, n);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(faccessat(f->dir_fd, others[i], F_OK, 0), 0);
}

static void test_registry_is_alive_while_the_lock_is_held(void **state)
{
	struct fixture *f = *state;
	int fd = add(f, "0123abcd", "1");

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_true(registry_is_alive(f->dir_fd, "0123abcd"));
	assert_false(registry_is_alive(f->dir_fd, "0123abce"));
	assert_false(registry_is_alive(f->dir_fd, "../0123abcd"));
	assert_false(registry_is_alive(f->dir_fd, ""));
	close(fd);
	assert_false(registry_is_alive(f->dir_fd, "0123abcd"));
	assert_int_equal(faccessat(f->dir_fd, "0123abcd", F_OK, 0), -1);
}

static void test_registry_list_fifo_and_damaged_entries(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct registry_entry *list = NULL;
	size_t n = 0, removed = 0;

	assert_int_equal(mkfifoat(f->dir_fd, "0000000f", 0600), 0); /* must not block */
	assert_int_equal(registry_list(f->dir_fd, NULL, &list, &n, &removed, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(removed, 1);
	registry_entries_free(list, n);

	_cleanup_close_ int fd = openat(f->dir_fd, "00000bad", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "no tab\n", 7), 7);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(registry_list(f->dir_fd, NULL, &list, &n, &removed, &err), -KENNEL_E_CORRUPT);
	assert_string_equal(kennel_error_message(err), "the entry of \"00000bad\": line 1 has no tab");
}

static void test_registry_add_taken_or_too_large_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	_cleanup_close_ int fd = add(f, "00000001", "1");
	assert_true(fd >= 0);
	assert_int_equal(registry_add(f->dir_fd, "00000001", &b, &err), -KENNEL_E_EXISTS);
	assert_string_equal(kennel_error_message(err), "name an entry of the runtime directory: File exists");
	for (unsigned i = 0; i < 9 * 1024; i++) {
		char kilobyte[1024];

		memset(kilobyte, 'x', sizeof(kilobyte));
		buf_add(&b, kilobyte, sizeof(kilobyte));
	}
	assert_int_equal(registry_add(f->dir_fd, "00000002", &b, &err), -KENNEL_E_LIMIT);
	assert_string_equal(kennel_error_message(err),
			    "an entry of the runtime directory would have 9437184 bytes");
	assert_int_equal(faccessat(f->dir_fd, "00000002", F_OK, 0), -1);
}

static void test_registry_make_id_takes_a_free_one(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	char id[REGISTRY_ID_SIZE] = "untouched";

	_cleanup_close_ UNUSED int fd = add(f, "000000aa", "1");
	random_values[0] = random_values[1] = 0xaa;
	random_values[2] = 0xbeef;
	random_n = 3;
	assert_int_equal(registry_make_id(f->dir_fd, id, &err), 0);
	assert_string_equal(id, "0000beef");
	random_n = 1;
	snprintf(id, sizeof(id), "untouched");
	assert_int_equal(registry_make_id(f->dir_fd, id, &err), -KENNEL_E_EXISTS);
	assert_string_equal(kennel_error_message(err), "16 random ids in a row were taken");
	assert_string_equal(id, "untouched");
}

enum runtime {
	RUNTIME_FRESH,
	RUNTIME_OURS,
	RUNTIME_OPEN,
	RUNTIME_LINK,
	RUNTIME_FILE,
	RUNTIME_FOREIGN,
	RUNTIME_NONE,
	RUNTIME_RELATIVE,
	RUNTIME_GONE
};

static const struct {
	enum runtime what;
	int code;
	const char *message, *hint; /* parts */
} runtimes[] = {
	{ RUNTIME_FRESH, 0, NULL, NULL },
	{ RUNTIME_OURS, 0, NULL, NULL },
	{ RUNTIME_OPEN, KENNEL_E_PERM, "/kennel\" is open to other users", "look at what it holds" },
	{ RUNTIME_LINK, KENNEL_E_TYPE, "/kennel\" is not a directory", "look at what it is" },
	{ RUNTIME_FILE, KENNEL_E_TYPE, "/kennel\" is not a directory", "look at what it is" },
	{ RUNTIME_FOREIGN, KENNEL_E_PERM, "open \"", NULL },
	{ RUNTIME_NONE, KENNEL_E_NOTFOUND, "XDG_RUNTIME_DIR is not set", "set XDG_RUNTIME_DIR" },
	{ RUNTIME_RELATIVE, KENNEL_E_NOTFOUND, "XDG_RUNTIME_DIR is not set", "set XDG_RUNTIME_DIR" },
	{ RUNTIME_GONE, KENNEL_E_NOTFOUND, "open \"/proc/self/gone\"", "XDG_RUNTIME_DIR says so" },
};

/* As an ordinary user, in a child. Return: 0, or the line that is wrong. */
static int open_as_user(size_t row, const char *dir)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct stat st;
	char name[64];

	snprintf(name, sizeof(name), "%s/kennel", dir);
	if (geteuid() == 0 &&
	    (sys_setresgid(65534, 65534, 65534) < 0 || sys_setresuid(65534, 65534, 65534) < 0))
		return __LINE__ & 0x7f;
	umask(0);
	setenv("XDG_RUNTIME_DIR", runtimes[row].what == RUNTIME_RELATIVE ? "relative" : dir, 1);
	if (runtimes[row].what == RUNTIME_GONE)
		setenv("XDG_RUNTIME_DIR", "/proc/self/gone", 1);
	if (runtimes[row].what == RUNTIME_NONE)
		unsetenv("XDG_RUNTIME_DIR");
	if (runtimes[row].what == RUNTIME_OURS && mkdir(name, 0700) < 0)
		return __LINE__ & 0x7f;
	if (runtimes[row].what == RUNTIME_OPEN && mkdir(name, 0710) < 0)
		return __LINE__ & 0x7f;
	if (runtimes[row].what == RUNTIME_LINK && symlink("/tmp", name) < 0)
		return __LINE__ & 0x7f;
	if (runtimes[row].what == RUNTIME_FILE && mknod(name, S_IFREG | 0600, 0) < 0)
		return __LINE__ & 0x7f;
	_cleanup_close_ int fd = registry_open(&err);
	if (!runtimes[row].code)
		return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0700 ? 0 : __LINE__ & 0x7f;
	if (fd != -runtimes[row].code || !strstr(kennel_error_message(err), runtimes[row].message))
		return __LINE__ & 0x7f;
	if (!runtimes[row].hint)
		return 0;
	return kennel_error_hint(err) && strstr(kennel_error_hint(err), runtimes[row].hint) ? 0 :
											      __LINE__ & 0x7f;
}

static void test_registry_open_refuses_what_others_may_touch(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		void *inner;
		int status;

		if (runtimes[i].what == RUNTIME_FOREIGN && geteuid() != 0)
			continue;
		assert_int_equal(set_up(&inner), 0);
		struct fixture *f = inner;
		if (geteuid() == 0)
			assert_int_equal(fchown(f->dir_fd, 65534, 65534), 0);
		if (runtimes[i].what == RUNTIME_FOREIGN)
			assert_int_equal(mkdirat(f->dir_fd, "kennel", 0700), 0);
		pid_t pid = fork();
		if (pid == 0)
			_exit(open_as_user(i, f->dir));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(tear_down(&inner), 0);
		if (status)
			fail_msg("row %zu: status %x", i, status);
	}
}

static void test_registry_open_of_root_is_in_run(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct stat st, run;

	if (geteuid() != 0)
		skip_test("needs root");
	_cleanup_close_ int fd = registry_open(&err);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(lstat("/run/kennel", &run), 0);
	assert_true(st.st_ino == run.st_ino && st.st_dev == run.st_dev);
	assert_int_equal(st.st_mode & 07777, 0700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry_put_comes_back_from_parse),
		cmocka_unit_test(test_registry_parse_texts),
		cmocka_unit_test_setup_teardown(test_registry_list_oldest_first_and_the_dead_removed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_registry_is_alive_while_the_lock_is_held, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_registry_list_fifo_and_damaged_entries, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_registry_add_taken_or_too_large_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_registry_make_id_takes_a_free_one, set_up, tear_down),
		cmocka_unit_test(test_registry_open_refuses_what_others_may_touch),
		cmocka_unit_test(test_registry_open_of_root_is_in_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
