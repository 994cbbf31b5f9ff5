/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-diff.c - what is a change and what is none: every kind of file, over a base of one and of several
 * trees, read directly and through a user namespace.
 *
 * Every test has a fresh directory with "lower", "over" (a second tree of the base) and "delta/0/upper". The
 * expected changes are lines "KIND PATH BITS", with K for a hard link.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-delta.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "delta/diff.h"
#include "delta/walk.h"
#include "user-ns.h"

struct fixture {
	char dir[40];
	int dir_fd, low_fd, up_fd;
	bool two, all;
	int user_ns_fd;
	struct manifest_plants planted;
	struct delta_tree *tree;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	umask(022);
	snprintf(f->dir, sizeof(f->dir), "/var/tmp/kennel-diff-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->dir_fd, "lower", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "over", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "delta", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "delta/0", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "delta/0/upper", 0755), 0);
	f->low_fd = openat(f->dir_fd, "lower", O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->up_fd = openat(f->dir_fd, "delta/0/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->user_ns_fd = -EBADF;
	*state = f;
	return 0;
}

/* rm knows how to go deeper than PATH_MAX. */
static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[80];

	delta_tree_free(f->tree);
	manifest_plants_done(&f->planted);
	close_fd(f->user_ns_fd);
	close(f->low_fd);
	close(f->up_fd);
	close(f->dir_fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	FILE *p = popen(command, "r");
	assert_non_null(p);
	assert_int_equal(pclose(p), 0);
	free(f);
	return 0;
}

static void write_file(int dir_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void make_dir(int dir_fd, const char *name)
{
	assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
}

static void whiteout(int dir_fd, const char *name)
{
	assert_int_equal(mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)), 0);
}

static void set_xattr(int dir_fd, const char *name, const char *key, const char *value)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fsetxattr(fd, key, value, strlen(value), 0), 0);
}

static void make_opaque(int dir_fd, const char *name)
{
	make_dir(dir_fd, name);
	set_xattr(dir_fd, name, "user.overlay.opaque", "y");
}

static void open_tree(struct fixture *f)
{
	char base[64], over[64];
	struct manifest m = { .user_xattr = true, .view = true };

	snprintf(base, sizeof(base), "%s/lower", f->dir);
	snprintf(over, sizeof(over), "%s/over", f->dir);
	m.base = strdup(base);
	if (f->two)
		assert_int_equal(strv_add(&m.layers, over, NULL), 0);
	assert_int_equal(manifest_add_mount(&m, 0, "/", "base", NULL, NULL), 0);
	assert_int_equal(strv_add(&m.absent, "/absent", NULL), 0);
	m.planted = f->planted;
	f->planted = (struct manifest_plants){ 0 };
	int fd = openat(f->dir_fd, "delta", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(delta_tree_open(&m, fd, f->user_ns_fd, NULL, &f->tree, NULL), 0);
	f->tree->all = f->all;
}

static int note(void *data, const struct delta_change *c, struct kennel_error **err)
{
	static const char *const bits[] = {
		"content", "mode", "owner", "xattr", "link", "time", "opaque", "K"
	};
	struct buf *b = data;

	buf_printf(b, "%c %s", "AMDT"[c->kind], c -> path);
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (c->bits & 1u << i && 1u << i != DELTA_TIME)
			buf_printf(b, " %s", bits[i]);
	if (c->link_to)
		buf_printf(b, "=%s", c->link_to);
	buf_puts(b, "\n");
	assert_int_equal(c->before.st_mode == 0, c->kind == DELTA_ADDED);
	assert_int_equal(c->after.st_mode == 0, c->kind == DELTA_DELETED);
	return 0;
}

static void check_below(struct fixture *f, const char *below, const char *expected)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	if (!f->tree)
		open_tree(f);
	int r = delta_diff(f->tree, below, note, &b, &err);
	assert_string_equal(err ? kennel_error_message(err) : "", "");
	assert_int_equal(r, 0);
	assert_string_equal(buf_str(&b), expected);
}

static void check(struct fixture *f, const char *expected)
{
	check_below(f, NULL, expected);
}

static void test_delta_diff_nothing(void **state)
{
	struct fixture *f = *state;

	write_file(f->low_fd, "a", "1");
	check(f, "");
}

/* A copy-up keeps all but the inode and ctime. */
static void copy_up(struct fixture *f, const char *name)
{
	struct stat st;
	char text[64];
	_cleanup_close_ int low_fd = openat(f->low_fd, name, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int up_fd = openat(f->up_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ssize_t n = read(low_fd, text, sizeof(text));
	assert_int_equal(write(up_fd, text, (size_t)n), n);
	assert_int_equal(fstat(low_fd, &st), 0);
	assert_int_equal(fchmod(up_fd, st.st_mode & 07777), 0);
	assert_int_equal(futimens(up_fd, (struct timespec[]){ st.st_atim, st.st_mtim }), 0);
	assert_int_equal(fsetxattr(up_fd, "user.overlay.origin", "", 0, 0), 0);
}

static void test_delta_diff_copied_up_but_equal_is_no_change(void **state)
{
	struct fixture *f = *state;

	make_dir(f->low_fd, "d");
	write_file(f->low_fd, "d/same", "text");
	write_file(f->low_fd, "d/empty", "");
	write_file(f->low_fd, "d/touched", "text");
	write_file(f->low_fd, "d/sneaky", "text");
	assert_int_equal(symlinkat("to", f->low_fd, "d/link"), 0);
	make_dir(f->up_fd, "d");
	copy_up(f, "d/same");
	copy_up(f, "d/empty");
	copy_up(f, "d/touched");
	assert_int_equal(utimensat(f->up_fd, "d/touched", NULL, 0), 0);
	assert_int_equal(symlinkat("to", f->up_fd, "d/link"), 0);
	/* as long and as old, but another text */
	struct stat st;
	assert_int_equal(fstatat(f->low_fd, "d/sneaky", &st, 0), 0);
	write_file(f->up_fd, "d/sneaky", "tekst" + 1);
	assert_int_equal(utimensat(f->up_fd, "d/sneaky", (struct timespec[]){ st.st_atim, st.st_mtim }, 0),
			 0);
	check(f, "M /d/sneaky content\n");
}

static void test_delta_diff_each_attribute(void **state)
{
	struct fixture *f = *state;

	write_file(f->low_fd, "content", "text");
	write_file(f->low_fd, "longer", "text");
	write_file(f->low_fd, "mode", "text");
	write_file(f->low_fd, "suid", "text");
	write_file(f->low_fd, "xattr", "text");
	write_file(f->low_fd, "xattr-gone", "text");
	write_file(f->low_fd, "xattr-inner", "text");
	set_xattr(f->low_fd, "xattr-gone", "user.a", "1");
	assert_int_equal(symlinkat("here", f->low_fd, "link"), 0);
	make_dir(f->low_fd, "dir");
	write_file(f->up_fd, "content", "toxt");
	write_file(f->up_fd, "longer", "text and more");
	copy_up(f, "mode");
	copy_up(f, "suid");
	copy_up(f, "xattr");
	copy_up(f, "xattr-gone");
	copy_up(f, "xattr-inner");
	assert_int_equal(fchmodat(f->up_fd, "mode", 0600, 0), 0);
	assert_int_equal(fchmodat(f->up_fd, "suid", 04644, 0), 0);
	set_xattr(f->up_fd, "xattr", "user.b", "");
	/* an overlay inside keeps its own under another name */
	set_xattr(f->up_fd, "xattr-inner", "user.overlay.overlay.opaque", "y");
	assert_int_equal(symlinkat("there", f->up_fd, "link"), 0);
	make_dir(f->up_fd, "dir");
	assert_int_equal(fchmodat(f->up_fd, "dir", 01777, 0), 0);
	assert_int_equal(fchmodat(f->dir_fd, "delta/0/upper", 0700, 0), 0);
	check(f, "M / mode\nM /content content\nM /dir mode\nM /link link\nM /longer content\nM /mode mode\n"
		 "M /suid mode\nM /xattr xattr\nM /xattr-gone xattr\nM /xattr-inner xattr\n");
}

static void test_delta_diff_owner(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip_test("needs root: gives files away");
	write_file(f->low_fd, "file", "text");
	copy_up(f, "file");
	assert_int_equal(fchownat(f->up_fd, "file", 0, 7, 0), 0);
	assert_int_equal(symlinkat("a", f->low_fd, "link"), 0);
	assert_int_equal(symlinkat("a", f->up_fd, "link"), 0);
	assert_int_equal(fchownat(f->up_fd, "link", 8, 0, AT_SYMLINK_NOFOLLOW), 0);
	check(f, "M /file owner\nM /link owner\n");
}

static void make_socket(int dir_fd, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir_fd, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
}

static void test_delta_diff_every_kind_added_and_deleted(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		int fd = i ? f->low_fd : f->up_fd;
		const char *prefix = i ? "old" : "new";
		char name[32];

		snprintf(name, sizeof(name), "%s-dir", prefix);
		make_dir(fd, name);
		snprintf(name, sizeof(name), "%s-dir/file", prefix);
		write_file(fd, name, "x");
		snprintf(name, sizeof(name), "%s-fifo", prefix);
		assert_int_equal(mkfifoat(fd, name, 0600), 0);
		snprintf(name, sizeof(name), "%s-link", prefix);
		assert_int_equal(symlinkat("/nowhere", fd, name), 0);
		snprintf(name, sizeof(name), "%s-sock", prefix);
		make_socket(fd, name);
		snprintf(name, sizeof(name), "%s\nline", prefix);
		write_file(fd, name, "x");
	}
	whiteout(f->up_fd, "old-dir");
	whiteout(f->up_fd, "old-fifo");
	whiteout(f->up_fd, "old-link");
	whiteout(f->up_fd, "old-sock");
	whiteout(f->up_fd, "old\nline");
	whiteout(f->up_fd, "never-was");
	check(f, "A /new\nline\nA /new-dir\nA /new-dir/file\nA /new-fifo\nA /new-link\nA /new-sock\n"
		 "D /old\nline\nD /old-dir\nD /old-fifo\nD /old-link\nD /old-sock\n");
}

static void test_delta_diff_devices(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0 || mknodat(f->low_fd, "same", S_IFCHR | 0600, makedev(1, 3)) < 0)
		skip_test("needs root: makes device nodes");
	assert_int_equal(mknodat(f->up_fd, "same", S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_int_equal(mknodat(f->low_fd, "other", S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_int_equal(mknodat(f->up_fd, "other", S_IFCHR | 0600, makedev(1, 5)), 0);
	assert_int_equal(mknodat(f->low_fd, "kind", S_IFCHR | 0600, makedev(1, 3)), 0);
	assert_int_equal(mknodat(f->up_fd, "kind", S_IFBLK | 0600, makedev(1, 3)), 0);
	check(f, "T /kind\nM /other link\n");
}

static void test_delta_diff_retyped(void **state)
{
	struct fixture *f = *state;

	make_dir(f->low_fd, "dir");
	make_dir(f->low_fd, "dir/sub");
	write_file(f->low_fd, "dir/sub/file", "x");
	assert_int_equal(symlinkat("/etc", f->up_fd, "dir"), 0);
	write_file(f->low_fd, "file", "x");
	make_opaque(f->up_fd, "file");
	write_file(f->up_fd, "file/new", "x");
	check(f, "T /dir\nT /file\nA /file/new\n");
	delta_tree_free(f->tree);
	f->tree = NULL;
	f->all = true;
	check(f, "T /dir\nD /dir/sub\nD /dir/sub/file\nT /file\nA /file/new\n");
}

static void make_old_tree(struct fixture *f)
{
	make_dir(f->low_fd, "d");
	write_file(f->low_fd, "d/a", "a");
	write_file(f->low_fd, "d/b", "b");
	make_dir(f->low_fd, "d/c");
	write_file(f->low_fd, "d/c/x", "x");
	write_file(f->low_fd, "d/c/y", "y");
	write_file(f->low_fd, "d/e", "e");
	make_dir(f->low_fd, "d/z");
	write_file(f->low_fd, "d/z/z", "z");
}

static void test_delta_diff_opaque_directory(void **state)
{
	struct fixture *f = *state;

	make_old_tree(f);
	make_opaque(f->up_fd, "d");
	copy_up(f, "d/b"); /* made anew with the same content */
	make_dir(f->up_fd, "d/c"); /* not marked, but what is below is hidden with its parent */
	write_file(f->up_fd, "d/c/w", "w");
	copy_up(f, "d/c/y");
	write_file(f->up_fd, "d/e", "other");
	check(f, "D /d/a\nA /d/c/w\nD /d/c/x\nM /d/e content\nD /d/z\n");
	check_below(f, "/d", "D /d/a\nA /d/c/w\nD /d/c/x\nM /d/e content\nD /d/z\n");
	check_below(f, "/d/c", "A /d/c/w\nD /d/c/x\n");
	check_below(f, "/d/c/x", "D /d/c/x\n");
	check_below(f, "/d/z/z", "D /d/z/z\n");
	check_below(f, "/d/z/nothing", "");
	check_below(f, "/d/b", "");
	check_below(f, "/e", "");
}

static void test_delta_diff_deleted_tree_all(void **state)
{
	struct fixture *f = *state;

	make_old_tree(f);
	whiteout(f->up_fd, "d");
	check(f, "D /d\n");
	check_below(f, "/d/c/x", "D /d/c/x\n");
	f->tree->all = true;
	check(f, "D /d\nD /d/a\nD /d/b\nD /d/c\nD /d/c/x\nD /d/c/y\nD /d/e\nD /d/z\nD /d/z/z\n");
}

static void test_delta_diff_order_is_a_trees(void **state)
{
	struct fixture *f = *state;

	make_dir(f->up_fd, "a");
	write_file(f->up_fd, "a/z", "");
	write_file(f->up_fd, "a-b", "");
	write_file(f->up_fd, "a.c", "");
	write_file(f->up_fd, "B", "");
	write_file(f->up_fd, "\xc3\xa4", "");
	check(f, "A /B\nA /a\nA /a/z\nA /a-b\nA /a.c\nA /\xc3\xa4\n");
	assert_true(delta_path_compare("/a/z", "/a-b") < 0);
	assert_true(delta_path_compare("/a", "/a/z") < 0);
	assert_true(delta_path_compare("/b", "/a/z") > 0);
	assert_int_equal(delta_path_compare("/b", "/b"), 0);
}

static void test_delta_diff_hard_links(void **state)
{
	struct fixture *f = *state;

	write_file(f->low_fd, "m", "text");
	write_file(f->low_fd, "p", "text");
	assert_int_equal(linkat(f->low_fd, "p", f->low_fd, "q", 0), 0);
	copy_up(f, "m");
	assert_int_equal(linkat(f->up_fd, "m", f->up_fd, "a", 0), 0);
	assert_int_equal(linkat(f->up_fd, "m", f->up_fd, "n", 0), 0);
	/* they were one file before */
	copy_up(f, "p");
	assert_int_equal(linkat(f->up_fd, "p", f->up_fd, "q", 0), 0);
	check(f, "A /a\nM /m K=/a\nA /n K=/a\n");
}

static void test_delta_diff_planted(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *rel;
		enum manifest_kind kind;
	} planted[] = {
		{ "hosts", MANIFEST_FILE },    { "edited", MANIFEST_FILE },
		{ "hidden", MANIFEST_OPAQUE }, { "left-out", MANIFEST_WHITEOUT },
		{ "made", MANIFEST_WHITEOUT }, { "proc", MANIFEST_PLACE },
		{ "srv", MANIFEST_PLACE },     { "srv/file", MANIFEST_PLACE },
		{ "opened", MANIFEST_OPAQUE },
	};

	write_file(f->low_fd, "hosts", "theirs");
	write_file(f->low_fd, "edited", "theirs");
	make_dir(f->low_fd, "hidden");
	write_file(f->low_fd, "hidden/secret", "x");
	write_file(f->low_fd, "hidden/same", "x");
	make_dir(f->low_fd, "opened");
	write_file(f->low_fd, "opened/secret", "x");
	write_file(f->low_fd, "left-out", "x");
	write_file(f->low_fd, "made", "x");
	write_file(f->up_fd, "hosts", "ours");
	write_file(f->up_fd, "edited", "ours");
	make_opaque(f->up_fd, "hidden");
	make_opaque(f->up_fd, "opened");
	whiteout(f->up_fd, "left-out");
	whiteout(f->up_fd, "made");
	make_dir(f->up_fd, "proc");
	make_dir(f->up_fd, "srv");
	write_file(f->up_fd, "srv/file", "");
	for (size_t i = 0; i < ARRAY_SIZE(planted); i++) {
		struct stat st;

		assert_int_equal(fstatat(f->up_fd, planted[i].rel, &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(
			manifest_plants_add(&f->planted, 0, planted[i].rel, planted[i].kind, &st, NULL), 0);
	}
	write_file(f->up_fd, "hidden/same", "x"); /* the sandbox saw nothing of that name */
	write_file(f->up_fd, "edited", "ours, and more");
	write_file(f->up_fd, "srv/other", "");
	assert_int_equal(unlinkat(f->up_fd, "made", 0), 0);
	write_file(f->up_fd, "made", "x");
	assert_int_equal(unlinkat(f->up_fd, "opened", AT_REMOVEDIR), 0);
	whiteout(f->up_fd, "opened");
	check(f, "M /edited content\nA /hidden/same\nA /made\nD /opened\nA /srv/other\n");
}

static void test_delta_diff_two_trees_of_the_base(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int over_fd = openat(f->dir_fd, "over", O_PATH | O_DIRECTORY | O_CLOEXEC);

	f->two = true;
	make_old_tree(f);
	write_file(f->low_fd, "gone-above", "x");
	make_dir(f->low_fd, "hidden-above");
	write_file(f->low_fd, "hidden-above/x", "x");
	make_dir(over_fd, "d");
	write_file(over_fd, "d/a", "A");
	write_file(over_fd, "d/new", "n");
	whiteout(over_fd, "d/b");
	whiteout(over_fd, "gone-above");
	make_opaque(over_fd, "hidden-above");
	write_file(over_fd, "hidden-above/y", "y");
	make_opaque(f->up_fd, "d");
	write_file(f->up_fd, "d/a", "A");
	write_file(f->up_fd, "d/b", "b");
	make_dir(f->up_fd, "hidden-above");
	write_file(f->up_fd, "hidden-above/x", "x");
	write_file(f->up_fd, "hidden-above/y", "y");
	write_file(f->up_fd, "gone-above", "x");
	check(f, "A /d/b\nD /d/c\nD /d/e\nD /d/new\nD /d/z\nA /gone-above\nA /hidden-above/x\n");
}

static void test_delta_diff_absent_in_the_view(void **state)
{
	struct fixture *f = *state;

	make_dir(f->low_fd, "absent");
	write_file(f->low_fd, "absent/file", "x");
	make_dir(f->up_fd, "absent");
	write_file(f->up_fd, "absent/file", "x");
	check(f, "A /absent/file\n");
}

static void test_delta_diff_links_lead_nowhere(void **state)
{
	struct fixture *f = *state;

	/* Where the base has a directory the upper has a link out, and the other way round. */
	make_dir(f->low_fd, "d");
	write_file(f->low_fd, "d/passwd", "x");
	assert_int_equal(symlinkat("/etc", f->up_fd, "d"), 0);
	assert_int_equal(symlinkat("/etc", f->low_fd, "e"), 0);
	make_dir(f->up_fd, "e");
	write_file(f->up_fd, "e/passwd", "x");
	check(f, "T /d\nT /e\nA /e/passwd\n");
}

/* Deeper than PATH_MAX allows, with few descriptors, in both trees. */
static void test_delta_diff_deeper_than_a_path(void **state)
{
	struct fixture *f = *state;
	const unsigned levels = 1500;
	struct rlimit old, few;
	unsigned n = 0;

	for (unsigned k = 0; k < 2; k++) {
		int fd = fcntl(k ? f->low_fd : f->up_fd, F_DUPFD_CLOEXEC, 3);

		for (unsigned i = 0; i < levels; i++) {
			make_dir(fd, "dd");
			write_file(fd, "f", k ? "old" : "new");
			int next_fd = openat(fd, "dd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(fd);
			fd = next_fd;
		}
		close(fd);
	}
	open_tree(f);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	_cleanup_buf_ struct buf b = { 0 };
	int r = delta_diff(f->tree, NULL, note, &b, NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(r, 0);
	for (const char *s = buf_str(&b); (s = strstr(s, "/f content\n")) != NULL; s++)
		n++;
	assert_int_equal(n, levels);
}

static int stop_at_second(void *data, const struct delta_change *c, struct kennel_error **err)
{
	return ++*(int *)data == 2 ? 42 : 0;
}

static void test_delta_diff_visitor_ends_it(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	write_file(f->up_fd, "a", "");
	write_file(f->up_fd, "b", "");
	write_file(f->up_fd, "c", "");
	open_tree(f);
	assert_int_equal(delta_diff(f->tree, NULL, stop_at_second, &n, NULL), 42);
	assert_int_equal(n, 2);
}

static void test_delta_diff_mounts_in_the_order_of_a_tree(void **state)
{
	struct fixture *f = *state;
	static const char *const targets[] = { "/a", "/a/x", "/b" };

	make_dir(f->low_fd, "a");
	make_dir(f->low_fd, "b");
	write_file(f->up_fd, "0", "");
	write_file(f->up_fd, "a-b", "");
	write_file(f->up_fd, "c", "");
	open_tree(f);
	for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
		char name[32];

		snprintf(name, sizeof(name), "delta/%u", i + 1);
		make_dir(f->dir_fd, name);
		snprintf(name, sizeof(name), "delta/%u/upper", i + 1);
		make_dir(f->dir_fd, name);
		snprintf(name, sizeof(name), "delta/%u/upper/w", i + 1);
		write_file(f->dir_fd, name, "");
		snprintf(name, sizeof(name), "delta/%u/upper/z", i + 1);
		write_file(f->dir_fd, name, "");
		assert_int_equal(manifest_add_mount(&f->tree->manifest, i + 1, targets[i], "x", NULL, NULL),
				 0);
	}
	/* all of them over the same empty directory */
	struct delta_lower *lowers = reallocarray(f->tree->lowers, 4, sizeof(*lowers));
	assert_non_null(lowers);
	f->tree->lowers = lowers;
	for (unsigned i = 1; i < 4; i++) {
		lowers[i] = (struct delta_lower){ .fds = calloc(1, sizeof(int)), .n = 1 };
		lowers[i].fds[0] = openat(f->dir_fd, "over", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	check(f, "A /0\nA /a/w\nA /a/x/w\nA /a/x/z\nA /a/z\nA /a-b\nA /b/w\nA /b/z\nA /c\n");
	check_below(f, "/a", "A /a/w\nA /a/x/w\nA /a/x/z\nA /a/z\n");
	check_below(f, "/a/x/w", "A /a/x/w\n");
	check_below(f, "/a/w", "A /a/w\n");
	check_below(f, "/b", "A /b/w\nA /b/z\n");
}

static void test_delta_diff_through_a_reader(void **state)
{
	struct fixture *f = *state;

	f->user_ns_fd = new_user_ns();
	if (f->user_ns_fd < 0)
		skip_test("no user namespaces here");
	make_old_tree(f);
	make_opaque(f->up_fd, "d");
	copy_up(f, "d/b");
	write_file(f->up_fd, "d/e", "other");
	/* more than one batch of entries */
	_cleanup_buf_ struct buf expected = { 0 };
	buf_puts(&expected, "D /d/a\nD /d/c\nM /d/e content\n");
	make_dir(f->up_fd, "d/many");
	buf_puts(&expected, "A /d/many\n");
	for (unsigned i = 0; i < 1500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d/many/%04u", i);
		write_file(f->up_fd, name, "");
		buf_printf(&expected, "A /%s\n", name);
	}
	buf_puts(&expected, "D /d/z\n");
	/* Root of a namespace with our own id sees 0 as the owner; the base is read from outside. */
	if (geteuid() == 0)
		check(f, buf_str(&expected));
	else
		check_below(f, "/d/many", strstr(buf_str(&expected), "A /d/many\n"));
}

static int note_public(void *data, const struct kennel_change *c)
{
	struct buf *b = data;

	assert_int_equal(c->size, sizeof(*c));
	buf_printf(b, "%d %s %u %c%c\n", c->kind, c->path, c->bits & ~(unsigned)KENNEL_CHANGE_TIME,
		   c->before ? 'b' : '-', c->after ? 'a' : '-');
	return 0;
}

static int note_package(void *data, const struct kennel_package *p)
{
	return 1;
}

static void read_side(struct kennel_delta *d, const char *path, int after, const char *expected)
{
	char text[32] = "";
	_cleanup_close_ int fd = kennel_delta_read_file(d, path, after, NULL);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
}

static void test_kennel_delta_diff_and_both_sides(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_free_ char *link = NULL;

	write_file(f->low_fd, "file", "old");
	write_file(f->low_fd, "gone", "old");
	write_file(f->up_fd, "file", "new!");
	whiteout(f->up_fd, "gone");
	assert_int_equal(symlinkat("to", f->up_fd, "link"), 0);
	assert_int_equal(mkfifoat(f->up_fd, "fifo", 0600), 0);
	open_tree(f);
	struct kennel_delta d = { f->tree };
	assert_int_equal(kennel_delta_diff(&d, "/", 0, note_public, &b, NULL), 0);
	assert_string_equal(buf_str(&b), "0 /fifo 0 -a\n1 /file 1 ba\n2 /gone 0 b-\n0 /link 0 -a\n");
	assert_int_equal(kennel_delta_diff(&d, NULL, 64, note_public, &b, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_delta_diff(&d, "file", 0, note_public, &b, &err), -KENNEL_E_INVALID);
	assert_string_equal(kennel_error_message(err), "\"file\" is not an absolute path");
	read_side(&d, "/file", 0, "old");
	read_side(&d, "/file", 1, "new!");
	assert_int_equal(kennel_delta_read_file(&d, "/fifo", 1, NULL), -KENNEL_E_TYPE);
	assert_int_equal(kennel_delta_read_file(&d, "/gone", 1, NULL), -KENNEL_E_TYPE);
	assert_int_equal(kennel_delta_read_file(&d, "/never", 0, NULL), -KENNEL_E_NOTFOUND);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	assert_int_equal(kennel_delta_text(&d, "/file", &text, &size, NULL), 1);
	assert_string_equal(text, "@@ -1 +1 @@\n-old\n\\ No newline at end of file\n"
				  "+new!\n\\ No newline at end of file\n");
	assert_int_equal(size, strlen(text));
	assert_int_equal(kennel_delta_packages(&d, note_package, &b, NULL), 0);
	assert_int_equal(kennel_delta_read_link(&d, "/link", 1, &link, NULL), 0);
	assert_string_equal(link, "to");
}

static void test_kennel_delta_open_unknown_is_not_found(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_delta *d = NULL;
	char dir[] = "/var/tmp/kennel-diff-XXXXXX";

	assert_non_null(mkdtemp(dir));
	if (geteuid() != 0)
		setenv("XDG_RUNTIME_DIR", dir, 1);
	assert_int_equal(kennel_delta_open("ffffffff", &d, &err), -KENNEL_E_NOTFOUND);
	assert_non_null(strstr(kennel_error_message(err), "no container, no running sandbox and no file"));
	err = kennel_error_free(err);
	assert_int_equal(kennel_delta_open_since(NULL, "no-such-box", "then", &d, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_delta_open_in("/nonexistent/store", "box", &d, &err), -KENNEL_E_NOTFOUND);
	assert_non_null(strstr(kennel_error_message(err), "/nonexistent/store"));
	assert_null(kennel_delta_free(d));
	char kennel[64];
	snprintf(kennel, sizeof(kennel), "%s/kennel", dir);
	(void)rmdir(kennel);
	assert_int_equal(rmdir(dir), 0);
}

/* The directory that a walk is in moves away: the rest of it is left out, what is above goes on. */
static void test_delta_walk_survives_a_moved_directory(void **state)
{
	struct fixture *f = *state;
	_cleanup_walk_ struct delta_walk w = { .opaque = "user.overlay.opaque" };
	struct walk_entry e;
	char path[256] = "";
	unsigned n = 0;

	make_dir(f->low_fd, "elsewhere");
	for (unsigned i = 0; i < 20; i++) {
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "%sd", i ? "/" : "");
		make_dir(f->up_fd, path);
	}
	write_file(f->up_fd, "d/d/z", "");
	write_file(f->up_fd, "z", "");
	assert_int_equal(delta_walk_begin(&w, fcntl(f->up_fd, F_DUPFD_CLOEXEC, 3), NULL), 0);
	while (delta_walk_next(&w, &e, NULL) > 0) {
		if (++n == 20)
			assert_int_equal(renameat(f->up_fd, "d/d/d", f->low_fd, "elsewhere/d"), 0);
		snprintf(path, sizeof(path), "%s", e.rel);
	}
	assert_string_equal(path, "z");
	assert_int_equal(n, 22);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delta_diff_nothing),
		TEST(test_delta_diff_copied_up_but_equal_is_no_change),
		TEST(test_delta_diff_each_attribute),
		TEST(test_delta_diff_owner),
		TEST(test_delta_diff_every_kind_added_and_deleted),
		TEST(test_delta_diff_devices),
		TEST(test_delta_diff_retyped),
		TEST(test_delta_diff_opaque_directory),
		TEST(test_delta_diff_deleted_tree_all),
		TEST(test_delta_diff_order_is_a_trees),
		TEST(test_delta_diff_hard_links),
		TEST(test_delta_diff_planted),
		TEST(test_delta_diff_two_trees_of_the_base),
		TEST(test_delta_diff_absent_in_the_view),
		TEST(test_delta_diff_links_lead_nowhere),
		TEST(test_delta_diff_deeper_than_a_path),
		TEST(test_delta_diff_visitor_ends_it),
		TEST(test_delta_diff_mounts_in_the_order_of_a_tree),
		TEST(test_delta_diff_through_a_reader),
		TEST(test_delta_walk_survives_a_moved_directory),
		TEST(test_kennel_delta_diff_and_both_sides),
		cmocka_unit_test(test_kennel_delta_open_unknown_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
