/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-path.c - looking things up below a root that somebody hostile may have written.
 *
 * Every test gets a fresh directory in /tmp that holds "root" and, beside it, "secret": a lookup that reaches
 * the secret has left its root. The races are run against a thread that swaps two names with RENAME_EXCHANGE
 * as fast as it can.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "path/path.h"
#include "sys/sys.h"

static unsigned inject_count; /* so many calls of openat2 fail with inject_errno */
static int inject_errno;
static unsigned openat2_calls;
static long inject_magic; /* what statfs() says instead of the truth, unless 0 */

int __real_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
	openat2_calls++;
	if (inject_count) {
		inject_count--;
		errno = inject_errno;
		return -1;
	}
	return __real_sys_openat2(dir_fd, path, how);
}

int __real_sys_fgetfsmagic(int fd, long *ret_magic);
int __wrap_sys_fgetfsmagic(int fd, long *ret_magic);
int __wrap_sys_fgetfsmagic(int fd, long *ret_magic)
{
	int r = __real_sys_fgetfsmagic(fd, ret_magic);

	if (r == 0 && inject_magic)
		*ret_magic = inject_magic;
	return r;
}

struct fixture {
	char dir[32];
	int dir_fd, root_fd;
};

static void write_file(int dir_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/kennel-path-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->dir_fd, "root", 0755), 0);
	f->root_fd = openat(f->dir_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_file(f->dir_fd, "secret", "secret");
	assert_int_equal(mkdirat(f->root_fd, "sub", 0755), 0);
	write_file(f->root_fd, "secret", "decoy");
	write_file(f->root_fd, "sub/file", "inside");
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

	inject_count = 0;
	inject_magic = 0;
	close(f->root_fd);
	close(f->dir_fd);
	assert_int_equal(nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
	free(f);
	return 0;
}

/* What a pin leads to, read through path_reopen(). */
static void assert_pin_reads(int pin_fd, const char *text)
{
	_cleanup_buf_ struct buf b = { 0 };

	assert_true(pin_fd >= 0);
	_cleanup_close_ int fd = path_reopen(pin_fd, O_RDONLY, NULL);
	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(&b, fd, 1000, NULL), 0);
	assert_string_equal(buf_str(&b), text);
}

static void test_path_pin_gives_a_close_on_exec_path_descriptor(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = path_pin(f->root_fd, "sub/file", 0, NULL);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
	assert_pin_reads(fd, "inside");
}

static void test_path_pin_failures_have_code_and_text(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		uint64_t flags;
		int r;
		const char *text;
	} table[] = {
		{ "nope", 0, -KENNEL_E_NOTFOUND, "find \"nope\" in the root: No such file or directory" },
		{ "sub/file", O_DIRECTORY, -KENNEL_E_TYPE, "find \"sub/file\" in the root: Not a directory" },
		{ "sub/file/x", 0, -KENNEL_E_TYPE, "find \"sub/file/x\" in the root: Not a directory" },
		{ "", 0, -KENNEL_E_NOTFOUND, "find \"\" in the root: No such file or directory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_int_equal(path_pin(f->root_fd, table[i].path, table[i].flags, &err), table[i].r);
		assert_string_equal(kennel_error_message(err), table[i].text);
	}
}

/* Ways out that must all end at root/secret, or nowhere. */
static void test_path_pin_never_leaves_the_root(void **state)
{
	struct fixture *f = *state;
	char absolute[64];
	static const char *const paths[] = {
		"../secret", "/../secret", "sub/../../secret", "../../../../../../secret",
		"rel",	     "abs-up",	   "sub/rel-deep",     "dir-up/secret",
		"chain",
	};

	assert_int_equal(symlinkat("../secret", f->root_fd, "rel"), 0);
	assert_int_equal(symlinkat("/../secret", f->root_fd, "abs-up"), 0);
	assert_int_equal(symlinkat("../../secret", f->root_fd, "sub/rel-deep"), 0);
	assert_int_equal(symlinkat("../..", f->root_fd, "dir-up"), 0);
	assert_int_equal(symlinkat("sub/rel-deep", f->root_fd, "chain"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_close_ int pin_fd = path_pin(f->root_fd, paths[i], 0, NULL);
		_cleanup_close_ int fd = path_open(f->root_fd, paths[i], O_RDONLY, NULL);
		_cleanup_buf_ struct buf b = { 0 };

		assert_pin_reads(pin_fd, "decoy");
		assert_true(fd >= 0);
		assert_int_equal(buf_read_fd(&b, fd, 100, NULL), 0);
		assert_string_equal(buf_str(&b), "decoy");
	}
	snprintf(absolute, sizeof(absolute), "%s/secret", f->dir);
	assert_int_equal(symlinkat(absolute, f->root_fd, "abs"), 0);
	assert_int_equal(path_pin(f->root_fd, "abs", 0, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(path_pin(f->root_fd, absolute, 0, NULL), -KENNEL_E_NOTFOUND);
}

static void test_path_pin_refuses_magic_links_and_loops(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char magic[32];

	snprintf(magic, sizeof(magic), "self/fd/%d", f->dir_fd);
	assert_int_equal(path_pin(proc_fd, magic, 0, NULL), -KENNEL_E_TYPE);
	assert_int_equal(path_pin(proc_fd, "self/root", 0, NULL), -KENNEL_E_TYPE);
	assert_int_equal(symlinkat("loop", f->root_fd, "loop"), 0);
	assert_int_equal(path_pin(f->root_fd, "loop", 0, NULL), -KENNEL_E_TYPE);
}

static void test_path_pin_nofollow_pins_the_link_itself(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(symlinkat("sub/file", f->root_fd, "link"), 0);
	_cleanup_close_ int fd = path_pin(f->root_fd, "link", O_NOFOLLOW, NULL);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void test_path_pin_plain_refuses_any_link(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(symlinkat("sub", f->root_fd, "dirlink"), 0);
	assert_int_equal(symlinkat("file", f->root_fd, "sub/link"), 0);
	assert_int_equal(path_pin_plain(f->root_fd, "dirlink/file", 0, &err), -KENNEL_E_TYPE);
	assert_non_null(strstr(kennel_error_message(err), "\"dirlink/file\""));
	assert_int_equal(path_pin_plain(f->root_fd, "sub/link", 0, NULL), -KENNEL_E_TYPE);
	_cleanup_close_ int fd = path_pin_plain(f->root_fd, "/sub/file", 0, NULL);
	assert_pin_reads(fd, "inside");
}

static void test_path_pin_takes_long_and_odd_names(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { " ",
					     "\n",
					     "-rf",
					     "\\",
					     "a\377b",
					     "...",
					     "%s%n",
					     "'\"" };
	char name[257];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	write_file(f->root_fd, name, "long");
	_cleanup_close_ int fd = path_pin(f->root_fd, name, 0, NULL);
	assert_pin_reads(fd, "long");
	name[255] = 'n';
	name[256] = '\0';
	assert_int_equal(path_pin(f->root_fd, name, 0, NULL), -KENNEL_E_INVALID);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		write_file(f->root_fd, names[i], names[i]);
		_cleanup_close_ int odd_fd = path_pin(f->root_fd, names[i], 0, NULL);
		assert_pin_reads(odd_fd, names[i]);
	}
}

static void test_path_pin_eagain_is_retried(void **state)
{
	struct fixture *f = *state;

	inject_errno = EAGAIN;
	inject_count = 100;
	openat2_calls = 0;
	_cleanup_close_ int fd = path_pin(f->root_fd, "sub/file", 0, NULL);
	assert_int_equal(openat2_calls, 101);
	assert_pin_reads(fd, "inside");
}

static void test_path_pin_eintr_is_retried(void **state)
{
	struct fixture *f = *state;

	inject_errno = EINTR;
	inject_count = 3;
	_cleanup_close_ int fd = path_pin(f->root_fd, "sub/file", 0, NULL);
	assert_pin_reads(fd, "inside");
}

static void test_path_pin_eagain_without_end_is_reported(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	inject_errno = EAGAIN;
	inject_count = 100000;
	assert_int_equal(path_pin(f->root_fd, "sub", 0, &err), -KENNEL_E_BUSY);
	assert_string_equal(kennel_error_message(err), "\"sub\" kept changing while it was looked up");
}

static void test_path_pin_without_openat2_names_the_oldest_kernel(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	inject_errno = ENOSYS;
	inject_count = 1;
	openat2_calls = 0;
	assert_int_equal(path_pin(f->root_fd, "sub", 0, &err), -KENNEL_E_UNSUPPORTED);
	assert_int_equal(openat2_calls, 1);
	assert_non_null(strstr(kennel_error_hint(err), KENNEL_OLDEST_KERNEL));
}

static void test_path_open_is_close_on_exec_and_makes_nothing(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int fd = path_open(f->root_fd, "sub/file", O_RDONLY, NULL);

	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(path_open(f->root_fd, "sub/new", O_WRONLY, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(path_open(f->root_fd, "sub", O_WRONLY, NULL), -KENNEL_E_TYPE);
}

static void test_path_make_dirs_makes_parents_and_takes_what_is_there(void **state)
{
	struct fixture *f = *state;
	struct stat st, again;
	mode_t mask = umask(0);

	_cleanup_close_ int fd = path_make_dirs(f->root_fd, "/sub//a/b/./c/", 0700, NULL);
	umask(mask);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstatat(f->root_fd, "sub/a", &again, 0), 0);
	assert_int_equal(again.st_mode & 07777, 0755);
	_cleanup_close_ int second_fd = path_make_dirs(f->root_fd, "sub/a/b/c", 0755, NULL);
	assert_int_equal(fstat(second_fd, &again), 0);
	assert_int_equal(again.st_ino, st.st_ino);
	_cleanup_close_ int self_fd = path_make_dirs(f->root_fd, "/", 0755, NULL);
	assert_int_equal(fstat(self_fd, &st), 0);
	assert_int_equal(fstat(f->root_fd, &again), 0);
	assert_int_equal(again.st_ino, st.st_ino);
}

static void test_path_make_dirs_follows_no_link_and_no_dotdot(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		int r;
		const char *text;
	} table[] = {
		{ "../out", -KENNEL_E_INVALID, "\"..\" in \"../out\"" },
		{ "sub/../../out", -KENNEL_E_INVALID, "\"..\" in \"sub/../../out\"" },
		{ "up/out", -KENNEL_E_TYPE, "make directory \"up/out\"" },
		{ "abs/out", -KENNEL_E_TYPE, "make directory \"abs/out\"" },
		{ "sub/file/x", -KENNEL_E_TYPE, "make directory \"sub/file/x\"" },
		{ "dangling", -KENNEL_E_TYPE, "make directory \"dangling\"" },
	};

	assert_int_equal(symlinkat("..", f->root_fd, "up"), 0);
	assert_int_equal(symlinkat(f->dir, f->root_fd, "abs"), 0);
	assert_int_equal(symlinkat("../made-outside", f->root_fd, "dangling"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_int_equal(path_make_dirs(f->root_fd, table[i].path, 0755, &err), table[i].r);
		assert_non_null(strstr(kennel_error_message(err), table[i].text));
	}
	assert_int_equal(faccessat(f->dir_fd, "out", F_OK, 0), -1);
	assert_int_equal(faccessat(f->dir_fd, "made-outside", F_OK, 0), -1);
}

static void test_path_reopen_keeps_the_pinned_file_after_a_swap(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int pin_fd = path_pin(f->root_fd, "sub/file", 0, NULL);

	assert_int_equal(unlinkat(f->root_fd, "sub/file", 0), 0);
	assert_int_equal(symlinkat("../../secret", f->root_fd, "sub/file"), 0);
	assert_pin_reads(pin_fd, "inside");
}

static void test_path_reopen_refuses_a_false_proc(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	inject_magic = TMPFS_MAGIC;
	assert_int_equal(path_reopen(f->root_fd, O_RDONLY, &err), -KENNEL_E_UNSUPPORTED);
	assert_string_equal(kennel_error_message(err), "\"/proc\" is not a proc file system");
}

static void test_path_reopen_of_nothing_is_told(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(path_reopen(1000000, O_RDONLY, &err), -KENNEL_E_NOTFOUND);
	assert_string_equal(kennel_error_message(err), "reopen a file: No such file or directory");
}

static void test_path_clean_table(void **state)
{
	static const struct {
		const char *path, *clean;
	} table[] = {
		{ "/", "/" },
		{ "//", "/" },
		{ "/.", "/" },
		{ "/./", "/" },
		{ "/a", "/a" },
		{ "/a/", "/a" },
		{ "//a//b///c//", "/a/b/c" },
		{ "/a/./b/.", "/a/b" },
		{ "/...", "/..." },
		{ "/..a/b..", "/..a/b.." },
		{ "/ /\n", "/ /\n" },
		{ "", NULL },
		{ "a", NULL },
		{ "./a", NULL },
		{ "/..", NULL },
		{ "/a/../b", NULL },
		{ "/a/..", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_free_ char *clean = NULL;
		int r = path_clean(table[i].path, &clean, &err);

		if (table[i].clean) {
			assert_int_equal(r, 0);
			assert_string_equal(clean, table[i].clean);
		} else {
			assert_int_equal(r, -KENNEL_E_INVALID);
			assert_null(clean);
			assert_non_null(strstr(kennel_error_message(err), table[i].path));
		}
	}
}

static void test_path_is_below_compares_whole_names(void **state)
{
	static const struct {
		const char *path, *dir;
		bool below;
	} table[] = {
		{ "/", "/", true },	{ "/a", "/", true },	 { "/a", "/a", true },
		{ "/a/b", "/a", true }, { "/ab", "/a", false },	 { "/a", "/a/b", false },
		{ "/", "/a", false },	{ "/b/a", "/a", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (path_is_below(table[i].path, table[i].dir) != table[i].below)
			fail_msg("\"%s\" below \"%s\"", table[i].path, table[i].dir);
}

static void test_path_find_tool_takes_names_only(void **state)
{
	static const char *const bad[] = { "", "/bin/sh", "../bin/sh", "a/b" };
	_cleanup_free_ char *path = NULL, *none = NULL;

	assert_int_equal(path_find_tool("sh", &path, NULL), 1);
	assert_int_equal(path[0], '/');
	assert_int_equal(access(path, X_OK), 0);
	assert_int_equal(path_find_tool("kennel-no-such-tool", &none, NULL), 0);
	assert_null(none);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(path_find_tool(bad[i], &none, NULL), -KENNEL_E_INVALID);
}

static void test_path_find_tool_does_not_look_into_path_variable(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = NULL, *old = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");

	write_file(f->dir_fd, "kennel-planted", "#!/bin/sh\n");
	assert_int_equal(fchmodat(f->dir_fd, "kennel-planted", 0755, 0), 0);
	setenv("PATH", f->dir, 1);
	int r = path_find_tool("kennel-planted", &path, NULL);
	setenv("PATH", old, 1);
	assert_int_equal(r, 0);
}

/* races */

struct swapper {
	int dir_fd;
	const char *a, *b;
	atomic_bool stop;
	atomic_uint swaps;
};

static void *swap_until_told(void *arg)
{
	struct swapper *s = arg;

	while (!atomic_load(&s->stop))
		if (sys_renameat2(s->dir_fd, s->a, s->dir_fd, s->b, RENAME_EXCHANGE) == 0)
			atomic_fetch_add(&s->swaps, 1);
	return NULL;
}

/*
 * Returns once swaps happen, for on a busy machine the lookups could be over before the thread gets a
 * processor.
 */
static pthread_t start_swapping(struct swapper *s)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, swap_until_told, s), 0);
	while (atomic_load(&s->swaps) == 0)
		usleep(100);
	return thread;
}

static void stop_swapping(struct swapper *s, pthread_t thread)
{
	atomic_store(&s->stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* A directory and a link out of the root change places all the time: every answer is inside, or an error. */
static void test_path_pin_race_with_exchange_never_leaves_the_root(void **state)
{
	struct fixture *f = *state;
	struct swapper s = { .dir_fd = f->root_fd, .a = "sub", .b = "evil" };
	unsigned inside = 0, decoys = 0, errors = 0;

	write_file(f->root_fd, "file", "decoy");
	write_file(f->dir_fd, "file", "secret");
	assert_int_equal(symlinkat("../../..", f->root_fd, "evil"), 0);
	pthread_t thread = start_swapping(&s);
	unsigned n = 0;
	/* on a busy machine the other thread may hold the names apart for long */
	for (; n < 3000 || (!inside && n < 3000000); n++) {
		_cleanup_close_ int fd =
			path_open(f->root_fd, n % 2 ? "sub/file" : "sub/../sub/file", O_RDONLY, NULL);
		char text[8] = "";

		if (fd < 0) {
			errors++;
			continue;
		}
		assert_true(read(fd, text, sizeof(text) - 1) > 0);
		assert_string_not_equal(text, "secret");
		if (strcmp(text, "inside") == 0)
			inside++;
		else
			decoys++;
	}
	stop_swapping(&s, thread);
	assert_int_equal(inside + decoys + errors, n);
	assert_true(inside > 0);
}

static void test_path_make_dirs_race_with_exchange_makes_nothing_outside(void **state)
{
	struct fixture *f = *state;
	struct swapper s = { .dir_fd = f->root_fd, .a = "sub", .b = "evil" };
	unsigned made = 0;

	assert_int_equal(symlinkat("..", f->root_fd, "evil"), 0);
	pthread_t thread = start_swapping(&s);
	for (unsigned i = 0; i < 2000 || (!made && i < 2000000); i++) {
		_cleanup_close_ int fd = path_make_dirs(f->root_fd, "sub/planted/deep", 0755, NULL);

		if (fd >= 0)
			made++;
	}
	stop_swapping(&s, thread);
	assert_true(made > 0);
	assert_int_equal(faccessat(f->dir_fd, "planted", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_path_pin_gives_a_close_on_exec_path_descriptor),
		T(test_path_pin_failures_have_code_and_text),
		T(test_path_pin_never_leaves_the_root),
		T(test_path_pin_refuses_magic_links_and_loops),
		T(test_path_pin_nofollow_pins_the_link_itself),
		T(test_path_pin_plain_refuses_any_link),
		T(test_path_pin_takes_long_and_odd_names),
		T(test_path_pin_eagain_is_retried),
		T(test_path_pin_eintr_is_retried),
		T(test_path_pin_eagain_without_end_is_reported),
		T(test_path_pin_without_openat2_names_the_oldest_kernel),
		T(test_path_open_is_close_on_exec_and_makes_nothing),
		T(test_path_make_dirs_makes_parents_and_takes_what_is_there),
		T(test_path_make_dirs_follows_no_link_and_no_dotdot),
		T(test_path_reopen_keeps_the_pinned_file_after_a_swap),
		T(test_path_reopen_refuses_a_false_proc),
		T(test_path_reopen_of_nothing_is_told),
		T(test_path_clean_table),
		T(test_path_is_below_compares_whole_names),
		T(test_path_find_tool_takes_names_only),
		T(test_path_find_tool_does_not_look_into_path_variable),
		T(test_path_pin_race_with_exchange_never_leaves_the_root),
		T(test_path_make_dirs_race_with_exchange_makes_nothing_outside),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
