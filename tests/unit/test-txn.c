/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-txn.c - a transaction happens or does not: killed in any of its system calls, with
 * every kind of file, and failing where a disk is full or broken.
 *
 * A fixture has "old", the tree that is changed, "new", what is put into it, and "state".
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/journal.h"
#include "delta/txn.h"
#include "path/remove.h"
#include "sys/sys.h"
#include "txn-trees.h"

/* Two thousand forks: memory that is only kept to find uses after free() would be copied in each. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=1";
}

/* The Nth call fails with this errno. */
static struct {
	int error;
	unsigned at, seen;
	bool no_exchange;
} inject;

int __real_sys_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name,
			 unsigned flags);
int __wrap_sys_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name,
			 unsigned flags);
int __wrap_sys_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name, unsigned flags)
{
	if (inject.no_exchange && flags) {
		errno = EINVAL;
		return -1;
	}
	if (inject.error && ++inject.seen == inject.at) {
		errno = inject.error;
		return -1;
	}
	return __real_sys_renameat2(old_dir, old_name, new_dir, new_name, flags);
}

struct fixture {
	char dir[64];
	int dir_fd, old_fd, new_fd, state_fd;
	bool far_state; /* on another mount: stages are in the tree */
	struct strv said;
};

static void same_picture(const char *got, const char *want, const char *when, unsigned n)
{
	if (strcmp(got, want) == 0)
		return;
	fprintf(stderr, "got:\n%s\nwant:\n%s\n", got, want); /* print_error() cuts */
	fail_msg("%s %u", when, n);
}

static bool use_far_state;

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char far[96];

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "%s/kennel-txn-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	f->far_state = use_far_state;
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->dir_fd, "old", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "new", 0755), 0);
	f->old_fd = openat(f->dir_fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->new_fd = openat(f->dir_fd, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(far, sizeof(far), "/tmp/%s", strrchr(f->dir, '/') + 1);
	if (!f->far_state)
		snprintf(far, sizeof(far), "%s/state", f->dir);
	assert_int_equal(mkdir(far, 0700), 0);
	f->state_fd = open(far, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_old(f->old_fd);
	make_new(f->new_fd);
	inject.error = 0;
	inject.no_exchange = false;
	*state = f;
	return 0;
}

static void remove_dir(char *path)
{
	char *name = strrchr(path, '/');

	*name = '\0';
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*name = '/';
	assert_int_equal(path_remove_tree(fd, name + 1, NULL), 0);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char far[96];

	inject.error = 0;
	inject.no_exchange = false;
	close(f->dir_fd);
	close(f->old_fd);
	close(f->new_fd);
	close(f->state_fd);
	strv_done(&f->said);
	remove_dir(f->dir);
	snprintf(far, sizeof(far), "/tmp/%s", strrchr(f->dir, '/') + 1);
	remove_dir(far);
	free(f);
	return 0;
}

static void hear(void *data, const char *text)
{
	assert_int_equal(strv_add(&((struct fixture *)data)->said, text, NULL), 0);
}

/* One of the new tree to its place. */
static int put(struct fixture *f, struct txn *t, const char *path, struct kennel_error **err)
{
	_cleanup_close_ int pin_fd = openat(f->new_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_attr_ struct attr attr = { 0 };
	struct stat st, old;
	char target[64] = "";

	if (pin_fd < 0 || fstat(pin_fd, &st) < 0 || attr_read(pin_fd, path, &attr, NULL) < 0)
		return -1;
	_cleanup_close_ int fd = S_ISREG(st.st_mode) ? openat(f->new_fd, path, O_RDONLY | O_CLOEXEC) : -EBADF;
	const struct stage_item item = {
		.shown = path,
		.attr = attr,
		.rdev = st.st_rdev,
		.fd = fd,
		.target = S_ISLNK(st.st_mode) && readlinkat(pin_fd, "", target, sizeof(target) - 1) > 0 ?
				  target :
				  NULL,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.nlink = st.st_nlink,
	};
	bool there = fstatat(f->old_fd, path, &old, AT_SYMLINK_NOFOLLOW) == 0;
	return txn_put(t, path, &item, there ? &old : NULL, err);
}

static int drop(struct fixture *f, struct txn *t, const char *path, struct kennel_error **err)
{
	struct stat old;

	return fstatat(f->old_fd, path, &old, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : txn_drop(t, path, &old, err);
}

static int times_like_new(struct fixture *f, struct txn *t, const char *path, struct kennel_error **err)
{
	struct stat st;

	if (fstatat(f->new_fd, *path ? path : ".", &st, 0) < 0)
		return -1;
	const struct timespec to[2] = { st.st_atim, st.st_mtim };
	return txn_times(t, path, to, err);
}

static int stage_everything(struct fixture *f, struct txn *t, struct kennel_error **err)
{
	static const char *const puts[] = {
		"added", "added/pipe", "added/sub", "added/x", "added/y", "change"
	};
	static const char *const later[] = { "dtof", "ftod", "ftod/in", "h1", "link", "sparse", "z" };
	_cleanup_attr_ struct attr dir = { 0 };
	struct stat keep;

	int r = times_like_new(f, t, "", err);
	for (size_t i = 0; i < ARRAY_SIZE(puts) && r == 0; i++)
		r = put(f, t, puts[i], err);
	_cleanup_close_ int dir_fd = openat(f->new_fd, "dir", O_PATH | O_CLOEXEC);
	if (r == 0)
		r = attr_read(dir_fd, "dir", &dir, err);
	if (r == 0)
		r = times_like_new(f, t, "dir", err);
	if (r == 0)
		r = txn_meta(t, "dir", &dir, err);
	if (r == 0)
		r = put(f, t, "dir/fresh", err);
	if (r == 0)
		r = put(f, t, "dir/inside", err);
	if (r == 0)
		r = drop(f, t, "dir/other", err);
	for (size_t i = 0; i < ARRAY_SIZE(later) && r == 0; i++)
		r = put(f, t, later[i], err);
	if (r == 0 && geteuid() == 0)
		r = put(f, t, "null", err);
	static const char *const drops[] = { "fifo", "gone", "gonedir", "h2" };
	for (size_t i = 0; i < ARRAY_SIZE(drops) && r == 0; i++)
		r = drop(f, t, drops[i], err);
	if (r == 0 && fstatat(f->old_fd, "keep", &keep, 0) == 0)
		r = txn_link(t, "keep2", "keep", &keep, NULL, err);
	return r;
}

static int commit(struct fixture *f, const struct txn_hooks *hooks, struct kennel_error **err)
{
	char root[80];
	struct txn *t;

	snprintf(root, sizeof(root), "%s/old", f->dir);
	int r = txn_begin(f->state_fd, f->old_fd, root, "a test", hooks, &t, err);
	if (r < 0)
		return r;
	r = stage_everything(f, t, err);
	if (r == 0)
		r = txn_commit(t, err);
	txn_free(t);
	return r;
}

static int undo(struct fixture *f, bool force, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	struct txn_past past = { 0 };
	int r = txn_undo(f->state_fd, force, NULL, &past, err ? err : &why);

	if (why)
		fprintf(stderr, "undo: %s\n", kennel_error_message(why));
	txn_past_done(&past);
	return r;
}

static int recover(struct fixture *f)
{
	const struct txn_hooks hooks = { .say = hear, .data = f };
	_cleanup_error_ struct kennel_error *err = NULL;
	int r = txn_recover(f->state_fd, &hooks, &err);

	if (r < 0)
		fail_msg("recover: %s", kennel_error_message(err));
	return r;
}

static bool stands(struct fixture *f)
{
	struct txn_past past = { 0 };
	int r = txn_last(f->state_fd, &past, NULL);

	assert_true(r >= 0);
	txn_past_done(&past);
	return r > 0;
}

/* Of the state directory, journals only. */
static void state_is_empty(struct fixture *f)
{
	_cleanup_strv_ struct strv names = { 0 };
	DIR *d = fdopendir(openat(f->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	for (const struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0 &&
		    strcmp(e->d_name, "restored") != 0)
			fail_msg("\"%s\" is left in the state directory", e->d_name);
	closedir(d);
}

/* What a commit makes, once for all. The stage of a far state is in the tree as long as it can be undone. */
static char *drop_lines(char *text, const char *with)
{
	char *out = text;

	for (char *line = text; *line;) {
		char *end = strchr(line, '\n') + 1;
		char *hit = strstr(line, with);

		if (!hit || hit > end) {
			memmove(out, line, (size_t)(end - line));
			out += end - line;
		}
		line = end;
	}
	*out = '\0';
	return text;
}

static char *picture_new(struct fixture *f)
{
	return drop_lines(picture(f->old_fd, false), "/" TXN_STAGE_PREFIX);
}

static void test_txn_commit_and_undo(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = picture(f->old_fd, true);
	_cleanup_error_ struct kennel_error *err = NULL;
	struct stat st;

	int r = commit(f, NULL, &err);
	if (r < 0)
		fail_msg("commit: %s", kennel_error_message(err));
	_cleanup_free_ char *after = picture_new(f);
	static const char *const has[] = { "/added 41777 ",	 "/added/y 100640 ",   "/change 104750 ",
					   "/dir 40750 ",	 "/dir/fresh 100644 ", "/ftod 40711 ",
					   "/ftod/in ",		 "/dtof 100604 ",      "/added/sub 40500 ",
					   "/added/pipe 10620 ", "/keep2 100640 " };
	for (size_t i = 0; i < ARRAY_SIZE(has); i++)
		if (!strstr(after, has[i]))
			fail_msg("\"%s\" is not in\n%s", has[i], after);
	static const char *const lacks[] = { "/gone ", "/gonedir", "/fifo", "/h2", "/dir/other", "/dtof/x" };
	for (size_t i = 0; i < ARRAY_SIZE(lacks); i++)
		if (strstr(after, lacks[i]))
			fail_msg("\"%s\" is in\n%s", lacks[i], after);
	assert_int_equal(fstatat(f->old_fd, "z", &st, 0), 0);
	assert_int_equal(st.st_nlink, 3); /* with added/x and added/y */
	assert_int_equal(fstatat(f->old_fd, "dir", &st, 0), 0);
	assert_int_equal(st.st_mtim.tv_sec, 2000003);
	assert_int_equal(fstatat(f->old_fd, "sparse", &st, 0), 0);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_true(stands(f));
	r = undo(f, false, &err);
	if (r < 0)
		fail_msg("undo: %s", kennel_error_message(err));
	assert_int_equal(r, 1);
	_cleanup_free_ char *again = picture(f->old_fd, true);
	same_picture(again, before, "undone", 0);
	state_is_empty(f);
	assert_int_equal(undo(f, false, NULL), 0);
}

/*
 * Stops the tracer at each call that could change something on a disk: between two of them all states are
 * one.
 */
static int trace_changes(void)
{
	static const unsigned calls[] = {
		SYS_openat,	 SYS_openat2,	      SYS_mkdirat,  SYS_mknodat,   SYS_symlinkat,
		SYS_linkat,	 SYS_unlinkat,	      SYS_renameat, SYS_renameat2, SYS_write,
		SYS_pwrite64,	 SYS_copy_file_range, SYS_ioctl,    SYS_ftruncate, SYS_fchown,
		SYS_fchownat,	 SYS_fchmod,	      SYS_fchmodat, SYS_setxattr,  SYS_fsetxattr,
		SYS_removexattr, SYS_utimensat,	      SYS_fsync,    SYS_syncfs,	   SYS_flock,
#ifdef SYS_chmod
		SYS_chmod,	 SYS_rename,
#endif
	};
	struct sock_filter code[2 * ARRAY_SIZE(calls) + 2] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0) };
	size_t n = 1;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog prog = { .len = (unsigned short)n, .filter = code };
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	raise(SIGSTOP); /* the parent sets its options now: without them such calls would fail */
	return sys_seccomp_load(&prog);
}

/* The child does it and is killed on its way into the nth call that changes something. Return: was it? */
static bool killed_at(unsigned n, int (*act)(struct fixture *f), struct fixture *f)
{
	pid_t pid = fork();
	unsigned stops = 0;
	int status;

	if (pid == 0) {
		if (trace_changes() < 0)
			_exit(77);
		_exit(act(f) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP);
	while (WIFSTOPPED(status)) {
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) && ++stops == n)
			kill(pid, SIGKILL);
		ptrace(PTRACE_CONT, pid, NULL, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_test("ptrace is not allowed here");
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		fail_msg("the child failed in call %u", n);
	return WIFSIGNALED(status);
}

static int act_commit(struct fixture *f)
{
	return commit(f, NULL, NULL);
}

static int act_undo(struct fixture *f)
{
	return undo(f, false, NULL);
}

static int act_recover(struct fixture *f)
{
	return txn_recover(f->state_fd, NULL, NULL);
}

static void check_after_kill(struct fixture *f, const char *before, const char *after, const char *when,
			     unsigned n)
{
	bool new = stands(f);
	_cleanup_free_ char *now = new ? picture_new(f) : picture(f->old_fd, true);

	same_picture(now, new ? after : before, when, n);
	if (!new)
		state_is_empty(f);
}

static void kill_everywhere(struct fixture *f, unsigned step)
{
	_cleanup_free_ char *before = picture(f->old_fd, true);
	unsigned n, calls, first;

	step = sample_points(step, &first);
	assert_int_equal(commit(f, NULL, NULL), 0);
	_cleanup_free_ char *after = picture_new(f);
	assert_int_equal(undo(f, false, NULL), 1);
	for (n = first; killed_at(n, act_commit, f); n += step) {
		recover(f);
		check_after_kill(f, before, after, "commit killed in call", n);
		if (stands(f))
			assert_int_equal(undo(f, false, NULL), 1);
		_cleanup_free_ char *now = picture(f->old_fd, true);
		same_picture(now, before, "undone after call", n);
	}
	assert_true(n > 100);
	calls = n - step;
	/* it stands now */
	for (n = first; killed_at(n, act_undo, f); n += step) {
		recover(f);
		check_after_kill(f, before, after, "undo killed in call", n);
		if (!stands(f))
			assert_int_equal(commit(f, NULL, NULL), 0);
	}
	assert_true(n > 50);
	check_after_kill(f, before, after, "undone", 0);
	/* the recovery is killed, and recovered from */
	for (unsigned at = calls / 2; at < calls; at += calls / 6 + 1)
		for (n = first;; n += 10 * step) {
			assert_true(killed_at(at, act_commit, f));
			bool again = killed_at(n, act_recover, f);
			recover(f);
			check_after_kill(f, before, after, "recovery killed in call", n);
			if (stands(f))
				assert_int_equal(undo(f, false, NULL), 1);
			if (!again)
				break;
		}
}

static void test_txn_killed_in_each_call(void **state)
{
	kill_everywhere(*state, 1);
}

static void test_txn_killed_in_each_call_stage_in_the_tree(void **state)
{
	void *inner;
	struct stat here, far;

	if (stat("/dev/shm", &here) < 0 || stat("/tmp", &far) < 0 || here.st_dev == far.st_dev)
		skip_test("/dev/shm and /tmp are one file system");
	use_far_state = true;
	int r = set_up(&inner);
	use_far_state = false;
	assert_int_equal(r, 0);
	kill_everywhere(inner, 5);
	tear_down(&inner);
}

static void test_txn_killed_in_each_call_without_exchange(void **state)
{
	inject.no_exchange = true;
	kill_everywhere(*state, 3);
}

static void test_txn_failing_rename_takes_everything_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = picture(f->old_fd, true);
	static const int errors[] = { EIO, ENOSPC };

	for (size_t e = 0; e < ARRAY_SIZE(errors); e++)
		for (inject.at = 1;; inject.at++) {
			_cleanup_error_ struct kennel_error *err = NULL;

			inject.error = errors[e];
			inject.seen = 0;
			int r = commit(f, NULL, &err);
			bool hit = inject.seen >= inject.at;
			inject.error = 0;
			if (!hit) {
				assert_int_equal(r, 0);
				assert_int_equal(undo(f, false, NULL), 1);
				break;
			}
			assert_int_equal(kennel_error_errno(err), errors[e]);
			_cleanup_free_ char *now = picture(f->old_fd, true);
			same_picture(now, before, "rename", inject.at);
			state_is_empty(f);
		}
	assert_true(inject.at > 10);
}

static bool stop_at_30(void *data)
{
	return ++*(unsigned *)data > 30;
}

static void test_txn_stopped_takes_everything_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = picture(f->old_fd, true);
	_cleanup_error_ struct kennel_error *err = NULL;
	unsigned asked = 0;
	const struct txn_hooks hooks = { .stop = stop_at_30, .data = &asked };

	assert_int_equal(commit(f, &hooks, &err), -KENNEL_E_INTERRUPTED);
	_cleanup_free_ char *now = picture(f->old_fd, true);
	same_picture(now, before, "stopped", 0);
	state_is_empty(f);
}

static void test_txn_second_commit_ends_the_first(void **state)
{
	struct fixture *f = *state;
	struct txn *t;
	char root[80];

	snprintf(root, sizeof(root), "%s/old", f->dir);
	assert_int_equal(commit(f, NULL, NULL), 0);
	_cleanup_free_ char *first = picture(f->old_fd, true);
	assert_int_equal(txn_begin(f->state_fd, f->old_fd, root, "second", NULL, &t, NULL), 0);
	assert_int_equal(drop(f, t, "keep2", NULL), 0);
	assert_int_equal(txn_commit(t, NULL), 0);
	txn_free(t);
	assert_int_equal(undo(f, false, NULL), 1);
	_cleanup_free_ char *now = picture(f->old_fd, true);
	/* h3 has lost the names that the first one kept for its undo */
	same_picture(drop_lines(now, "/h3 "), drop_lines(first, "/h3 "), "second undone", 0);
	assert_int_equal(undo(f, false, NULL), 0);
}

static void test_txn_undo_sees_what_was_changed_since(void **state)
{
	static const char *const paths[] = { "change", "added/sub/later", "gone", "dir" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		void *inner;

		assert_int_equal(set_up(&inner), 0);
		struct fixture *f = inner;
		_cleanup_free_ char *before = picture(f->old_fd, true);
		assert_int_equal(commit(f, NULL, NULL), 0);
		usleep(20000); /* a tick of the file system's clock */
		assert_int_equal(fchmodat(f->old_fd, "added/sub", 0700, 0), 0);
		if (i == 0 || i == 3)
			assert_int_equal(fchmodat(f->old_fd, paths[i], 0111, 0), 0);
		else
			write_file(f->old_fd, paths[i], "later", 0644);
		assert_int_equal(undo(f, false, &err), -KENNEL_E_BUSY);
		assert_non_null(strstr(kennel_error_message(err), "changed since the commit"));
		assert_non_null(kennel_error_hint(err));
		assert_true(stands(f));
		error_clear(&err);
		if (undo(f, true, &err) != 1)
			fail_msg("%s: %s", paths[i], kennel_error_message(err));
		_cleanup_free_ char *now = picture(f->old_fd, true);
		same_picture(now, before, paths[i], 0);
		tear_down(&inner);
	}
}

static void test_txn_changed_while_it_was_staged_is_refused(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct txn *t;
	char root[80];

	snprintf(root, sizeof(root), "%s/old", f->dir);
	assert_int_equal(txn_begin(f->state_fd, f->old_fd, root, "a test", NULL, &t, NULL), 0);
	assert_int_equal(stage_everything(f, t, NULL), 0);
	usleep(20000);
	assert_int_equal(fchmodat(f->old_fd, "gone", 0111, 0), 0);
	set_times(f->old_fd, "gone", 7);
	_cleanup_free_ char *before = picture(f->old_fd, true);
	assert_int_equal(txn_commit(t, &err), -KENNEL_E_BUSY);
	txn_free(t);
	_cleanup_free_ char *now = picture(f->old_fd, true);
	/* but for the second name that "keep" had for a moment */
	same_picture(drop_lines(now, "/keep"), drop_lines(before, "/keep"), "refused", 0);
	state_is_empty(f);
}

static void test_txn_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct txn *t, *second;

	assert_int_equal(txn_begin(f->state_fd, f->old_fd, f->dir, "a test", NULL, &t, NULL), 0);
	assert_int_equal(txn_begin(f->state_fd, f->old_fd, f->dir, "a test", NULL, &second, &err),
			 -KENNEL_E_BUSY);
	assert_string_equal(kennel_error_message(err), "another commit is running");
	assert_int_equal(txn_recover(f->state_fd, NULL, NULL), 0);
	txn_free(t);
	state_is_empty(f);
}

/* Another tree is committed to, with what waits in the same state directory. */
static void commit_elsewhere(struct fixture *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct stat st;
	struct txn *t;

	write_file(f->dir_fd, "elsewhere", "x", 0644);
	assert_int_equal(fstatat(f->dir_fd, "elsewhere", &st, 0), 0);
	int r = txn_begin(f->state_fd, f->dir_fd, f->dir, "another", NULL, &t, &err);
	if (r == 0)
		r = txn_drop(t, "elsewhere", &st, &err);
	if (r == 0)
		r = txn_commit(t, &err);
	if (r < 0)
		fail_msg("elsewhere: %s", kennel_error_message(err));
	txn_free(t);
	assert_int_equal(faccessat(f->dir_fd, "elsewhere", F_OK, 0), -1);
}

static bool was_told(struct fixture *f, const char *text)
{
	for (size_t i = 0; i < f->said.n; i++)
		if (strstr(f->said.items[i], text))
			return true;
	return false;
}

/*
 * A recovery finds somebody else's file where it would put the old one: that stays, and the old one is
 * kept.
 */
static void test_txn_recovery_leaves_foreign_things(void **state)
{
	struct fixture *f = *state;
	unsigned n = 150;
	char text[16] = "";
	struct stat st;

	/* up to the moment after "change" was exchanged */
	for (;; n += 3) {
		assert_true(killed_at(n, act_commit, f));
		if (fstatat(f->old_fd, "change", &st, 0) == 0 && st.st_size == 5)
			break;
		recover(f);
	}
	assert_int_equal(unlinkat(f->old_fd, "change", 0), 0);
	write_file(f->old_fd, "change", "foreign", 0644);
	assert_int_equal(recover(f), 1);
	_cleanup_close_ int fd = openat(f->old_fd, "change", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 7);
	assert_true(was_told(f, "\"/change\" was changed by somebody else"));
	assert_int_equal(recover(f), 0);
}

/* The root is moved away, or something else now; whatever state the commit was killed in. */
static void test_txn_whose_root_is_gone_waits_and_stops_nobody(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = picture(f->old_fd, true);
	unsigned half = 0;

	for (unsigned n = 1, turn = 0; killed_at(n, act_commit, f); n += 13, turn++) {
		assert_int_equal(renameat(f->dir_fd, "old", f->dir_fd, "away"), 0);
		if (turn % 4 == 1)
			write_file(f->dir_fd, "old", "a file", 0644);
		else if (turn % 4 == 2)
			assert_int_equal(mkdirat(f->dir_fd, "old", 0755), 0);
		else if (turn % 4 == 3)
			assert_int_equal(symlinkat("old", f->dir_fd, "old"), 0);
		strv_done(&f->said);
		assert_int_equal(recover(f), 0);
		half += was_told(f, "was cut off half way, and waits");
		commit_elsewhere(f);
		assert_int_equal(undo(f, false, NULL), 1); /* that one */
		(void)!unlinkat(f->dir_fd, "old", turn % 4 == 2 ? AT_REMOVEDIR : 0);
		(void)!unlinkat(f->dir_fd, "elsewhere", 0);
		assert_int_equal(renameat(f->dir_fd, "away", f->dir_fd, "old"), 0);
		recover(f);
		if (stands(f))
			assert_int_equal(undo(f, false, NULL), 1);
		_cleanup_free_ char *now = picture(f->old_fd, true);
		same_picture(now, before, "back again", n);
		state_is_empty(f);
	}
	assert_true(half > 2);
}

static void test_txn_undo_without_the_directory_keeps_what_was_in_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(commit(f, NULL, NULL), 0);
	assert_int_equal(path_remove_tree(f->old_fd, "dir", NULL), 0);
	assert_int_equal(undo(f, false, &err), -KENNEL_E_BUSY);
	error_clear(&err);
	if (undo(f, true, &err) != 1)
		fail_msg("%s", kennel_error_message(err));
	assert_false(stands(f));
	assert_int_equal(faccessat(f->state_fd, "left-00000001/files", F_OK, 0), 0);
	assert_int_equal(path_remove_tree(f->state_fd, "left-00000001", NULL), 0);
}

static void test_journal_every_cut_is_an_earlier_state(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b = { 0 };
	int last = -1;

	assert_int_equal(commit(f, NULL, NULL), 0);
	_cleanup_close_ int fd = openat(f->state_fd, "00000001/journal", O_RDONLY | O_CLOEXEC);
	assert_int_equal(buf_read_fd(&b, fd, 1 << 20, NULL), 0);
	for (size_t len = 0; len <= b.len; len++) {
		struct journal j = { 0 };
		int r = journal_parse(b.data, len, &j, NULL);

		assert_true(r == 0 || r == 1);
		int now = r ? (int)j.state : -1;
		assert_true(now >= last);
		last = now;
		journal_done(&j);
	}
	assert_int_equal(last, JOURNAL_COMMITTED);
	/* damage in the middle is not taken for an unfinished write */
	for (size_t at = 0; at < b.len - 40; at += 7) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct journal j = { 0 };

		b.data[at] ^= 1;
		if (journal_parse(b.data, b.len, &j, &err) != -KENNEL_E_CORRUPT)
			fail_msg("byte %zu", at);
		b.data[at] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_txn_commit_and_undo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_txn_killed_in_each_call, set_up, tear_down),
		cmocka_unit_test(test_txn_killed_in_each_call_stage_in_the_tree),
		cmocka_unit_test_setup_teardown(test_txn_killed_in_each_call_without_exchange, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_txn_failing_rename_takes_everything_back, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_txn_stopped_takes_everything_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_txn_second_commit_ends_the_first, set_up, tear_down),
		cmocka_unit_test(test_txn_undo_sees_what_was_changed_since),
		cmocka_unit_test_setup_teardown(test_txn_changed_while_it_was_staged_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_txn_one_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_txn_recovery_leaves_foreign_things, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_txn_whose_root_is_gone_waits_and_stops_nobody, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_txn_undo_without_the_directory_keeps_what_was_in_it,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal_every_cut_is_an_earlier_state, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
