/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-copy.c - words, the hold on a sandbox's process, and copying below a root that is a directory of
 * the test's own.
 */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "run/copy.h"
#include "sys/sys.h"

static int inject_errno; /* read by the wrappers, also in the process that copies */
static bool inject_clone;

int __real_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
	if (!inject_errno)
		return __real_sys_openat2(dir_fd, path, how);
	errno = inject_errno;
	return -1;
}

int __real_sys_clone3(struct clone_args *args, size_t size);
int __wrap_sys_clone3(struct clone_args *args, size_t size);
int __wrap_sys_clone3(struct clone_args *args, size_t size)
{
	if (!inject_clone)
		return __real_sys_clone3(args, size);
	errno = EAGAIN;
	return -1;
}

struct place {
	char top[64];
	int root_fd; /* top/root: the inside */
};

static void write_file(const char *top, const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_text(const char *top, const char *name, const char *text)
{
	char path[256], got[256] = "";

	snprintf(path, sizeof(path), "%s/%s", top, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char root[96];

	snprintf(p->top, sizeof(p->top), "/tmp/kennel-copy-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(root, sizeof(root), "%s/root", p->top);
	assert_int_equal(mkdir(root, 0755), 0);
	p->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->root_fd >= 0);
	inject_errno = 0;
	inject_clone = false;
	*state = p;
	return 0;
}

static void remove_all(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (const struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(fd, e->d_name, 0) < 0)
			remove_all(fd, e->d_name);
	if (d)
		closedir(d);
	(void)!unlinkat(parent_fd, name, AT_REMOVEDIR);
}

static int teardown(void **state)
{
	struct place *p = *state;

	close_fd(p->root_fd);
	remove_all(AT_FDCWD, p->top);
	free(p);
	return 0;
}

static int copy(struct place *p, bool out, const char *source, const char *target, struct kennel_error **err)
{
	const struct copy_request q = {
		.root_fd = p->root_fd, .out = out, .source = source, .target = target
	};

	return copy_run(&q, err);
}

static void test_split_word_tells_the_two_kinds_apart(void **state)
{
	static const struct {
		const char *word;
		int result;
		const char *id, *path;
	} cases[] = {
		{ "abc:/x", 1, "abc", "/x" },
		{ "abc:x:y", 1, "abc", "x:y" },
		{ "/a:b", 0, NULL, NULL },
		{ "./a:b", 0, NULL, NULL },
		{ "d/a:b", 0, NULL, NULL },
		{ "plain", 0, NULL, NULL },
		{ ".a:b", 0, NULL, NULL },
		{ "", -KENNEL_E_INVALID, NULL, NULL },
		{ ":/x", -KENNEL_E_INVALID, NULL, NULL },
		{ "abc:", -KENNEL_E_INVALID, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_free_ char *id = NULL;
		const char *path = NULL;

		assert_int_equal(copy_split_word(cases[i].word, &id, &path, &err), cases[i].result);
		assert_int_equal(!id, !cases[i].id);
		if (id) {
			assert_string_equal(id, cases[i].id);
			assert_string_equal(path, cases[i].path);
		}
	}
}

static void test_parse_idmap_takes_ranges_and_no(void **state)
{
	static const char *const bad[] = {
		"", "1", "1:", ":1", "1:0", "x:1", "-1:5", "4294967295:2", "111111111111111111:1"
	};
	struct copy_sandbox sb = { 0 };

	assert_int_equal(copy_parse_idmap("no", &sb, NULL), 0);
	assert_false(sb.mapped);
	assert_int_equal(copy_parse_idmap(NULL, &sb, NULL), 0);
	assert_int_equal(copy_parse_idmap("524288:65536", &sb, NULL), 0);
	assert_true(sb.mapped && sb.map.base == 524288 && sb.map.count == 65536);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(copy_parse_idmap(bad[i], &sb, NULL), -KENNEL_E_CORRUPT);
}

static void test_open_root_refuses_a_process_that_is_not_the_sandbox(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	int pidfd = -1, root_fd = -1;
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	/* a child of the "monitor", but in our own namespaces: pivot_root() has not been yet */
	struct copy_sandbox sb = { .init = child, .monitor = getpid() };
	assert_int_equal(copy_open_root(&sb, &pidfd, &root_fd, &err), -KENNEL_E_BUSY);
	assert_non_null(strstr(kennel_error_message(err), "still being made"));
	error_clear(&err);
	/* a number that belongs to another process now */
	sb.monitor = 1;
	assert_int_equal(copy_open_root(&sb, &pidfd, &root_fd, &err), -KENNEL_E_NOTFOUND);
	assert_string_equal(kennel_error_message(err), "the sandbox has ended");
	error_clear(&err);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(copy_open_root(&sb, &pidfd, &root_fd, &err), -KENNEL_E_NOTFOUND);
	assert_int_equal(pidfd, -1);
	assert_int_equal(root_fd, -1);
}

/* Its mount namespace is its own, its root still ours: the moment between clone3() and pivot_root(). */
static void test_open_root_before_the_pivot_is_refused(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	int pidfd = -1, root_fd = -1, ready[2];
	char c;

	if (geteuid() != 0)
		skip_test("needs root");
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		if (sys_unshare(CLONE_NEWNS) == 0)
			(void)!write(ready[1], "r", 1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	struct copy_sandbox sb = { .init = child, .monitor = getpid() };
	int r = copy_open_root(&sb, &pidfd, &root_fd, &err);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(r, -KENNEL_E_BUSY);
}

static void test_copy_links_stay_below_the_root(void **state)
{
	struct place *p = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	char target[128], link[128];

	snprintf(target, sizeof(target), "%s/got", p->top);
	snprintf(link, sizeof(link), "%s/root/out", p->top);
	write_file(p->top, "secret", "secret");
	assert_int_equal(symlink(p->top, link), 0); /* absolute: no such place below the root */
	assert_int_equal(copy(p, true, "/out/secret", target, &err), -KENNEL_E_NOTFOUND);
	error_clear(&err);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("..", link), 0); /* ".." of the root is the root */
	assert_int_equal(copy(p, true, "/out/secret", target, &err), -KENNEL_E_NOTFOUND);
	error_clear(&err);
	assert_int_equal(copy(p, true, "/../../secret", target, &err), -KENNEL_E_NOTFOUND);
	error_clear(&err);
	snprintf(target, sizeof(target), "%s/secret", p->top);
	assert_int_equal(copy(p, false, target, "/out/copied", &err), 0);
	assert_text(p->top, "root/copied", "secret");
}

static void test_copy_into_a_directory_of_nobody_is_refused(void **state)
{
	struct place *p = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	char source[128], dir[128];
	struct stat st;

	if (geteuid() != 0)
		skip_test("needs root");
	snprintf(source, sizeof(source), "%s/f", p->top);
	write_file(p->top, "f", "text");
	const struct copy_request q = { .root_fd = p->root_fd,
					.source = source,
					.target = "/d/f",
					.mapped = true,
					.map = { 500000, 1000 } };
	snprintf(dir, sizeof(dir), "%s/root/d", p->top);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(copy_run(&q, &err), -KENNEL_E_PERM);
	assert_non_null(strstr(kennel_error_message(err), "belongs to nobody inside"));
	error_clear(&err);
	assert_int_equal(chown(dir, 500000, 501000), 0); /* one past the range */
	assert_int_equal(copy_run(&q, &err), -KENNEL_E_PERM);
	error_clear(&err);
	assert_int_equal(chown(dir, 500000, 500999), 0);
	assert_int_equal(copy_run(&q, &err), 0);
	snprintf(dir, sizeof(dir), "%s/root/d/f", p->top);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_uid, 500000);
}

static void test_copy_failures_leave_the_caller_as_it_was(void **state)
{
	struct place *p = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	char target[128];
	sigset_t before, after;

	snprintf(target, sizeof(target), "%s/got", p->top);
	write_file(p->top, "root/f", "text");
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	inject_errno = EAGAIN;
	assert_int_equal(copy(p, true, "/f", target, &err), -KENNEL_E_LIMIT);
	assert_non_null(strstr(kennel_error_message(err), "find \"/f\""));
	error_clear(&err);
	inject_errno = ENOSYS;
	assert_int_equal(copy(p, true, "/f", target, &err), -KENNEL_E_UNSUPPORTED);
	error_clear(&err);
	inject_errno = 0;
	inject_clone = true;
	assert_int_equal(copy(p, true, "/f", target, &err), -KENNEL_E_LIMIT);
	assert_non_null(strstr(kennel_error_message(err), "start a process for the copying"));
	error_clear(&err);
	inject_clone = false;
	assert_int_equal(copy(p, true, "/f", target, &err), 0);
	assert_text(p->top, "got", "text");
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < NSIG; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	assert_int_equal(waitpid(-1, NULL, __WALL | WNOHANG), -1); /* no process is left */
	assert_int_equal(errno, ECHILD);
}

static int hits;

static void count_hit(int sig)
{
	hits++;
}

static void test_copy_with_a_signal_pending_is_stopped_and_the_signal_kept(void **state)
{
	struct place *p = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct sigaction count = { .sa_handler = count_hit };
	struct sigaction before;
	sigset_t term;
	char target[128], dir[128];

	snprintf(target, sizeof(target), "%s/got", p->top);
	snprintf(dir, sizeof(dir), "%s/root/d", p->top);
	assert_int_equal(mkdir(dir, 0755), 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(dir, sizeof(dir), "root/d/%d", i);
		write_file(p->top, dir, "");
	}
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigaction(SIGTERM, &count, &before);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	raise(SIGTERM);
	assert_int_equal(copy(p, true, "/d", target, &err), -KENNEL_E_INTERRUPTED);
	assert_int_equal(hits, 0);
	pthread_sigmask(SIG_UNBLOCK, &term, NULL);
	assert_int_equal(hits, 1);
	sigaction(SIGTERM, &before, NULL);
	assert_int_equal(access(target, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_word_tells_the_two_kinds_apart),
		cmocka_unit_test(test_parse_idmap_takes_ranges_and_no),
		cmocka_unit_test(test_open_root_refuses_a_process_that_is_not_the_sandbox),
		cmocka_unit_test(test_open_root_before_the_pivot_is_refused),
		cmocka_unit_test_setup_teardown(test_copy_links_stay_below_the_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy_into_a_directory_of_nobody_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_copy_failures_leave_the_caller_as_it_was, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_copy_with_a_signal_pending_is_stopped_and_the_signal_kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
