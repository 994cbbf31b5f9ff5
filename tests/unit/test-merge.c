/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-merge.c - deltas that lie on each other made into one, against the kernel's own word: an overlay
 * over base and layers shows the same as one over base and what was made of the layers.
 *
 * Every test has a fresh directory with "base", "L0/0/upper", "L1/0/upper", ..., "into", and "see", where
 * overlays are mounted by a child in namespaces of its own.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "delta/diff.h"
#include "delta/merge.h"
#include "delta/walk.h"
#include "layers.h"
#include "tell.h"
#include "user-ns.h"

static void merge(struct fixture *f, unsigned n, bool link, struct manifest *ret)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct merge_options o = { .sources = f->sources, .n = n, .into_fd = f->into_fd, .link = link };

	int r = delta_merge(&o, ret, &err);
	assert_string_equal(err ? kennel_error_message(err) : "", "");
	assert_int_equal(r, 0);
}

/* Both ways to merge n layers show what the kernel shows of them. */
static void check(struct fixture *f, unsigned n)
{
	_cleanup_buf_ struct buf layers = { 0 }, stacked = { 0 };

	for (unsigned i = n; i > 0; i--)
		buf_printf(&layers, "L%u/0/upper:", i - 1);
	buf_puts(&layers, "base");
	if (!see_overlay(f, buf_str(&layers), &stacked))
		skip_test("no overlay can be mounted here");
	for (unsigned link = 0; link < 2; link++) {
		_cleanup_manifest_ struct manifest m = { 0 };
		_cleanup_buf_ struct buf merged = { 0 };
		char away[16];

		merge(f, n, link, &m);
		assert_true(see_overlay(f, "into/0/upper:base", &merged));
		assert_same(&stacked, &merged);
		snprintf(away, sizeof(away), "into%u", link);
		assert_int_equal(renameat(f->dir_fd, "into", f->dir_fd, away), 0);
		close(f->into_fd);
		f->into_fd = make_dir(f->dir_fd, "into");
	}
}

static void test_delta_merge_every_pair(void **state)
{
	put_every_pair(*state);
	check(*state, 2);
}

static void test_delta_merge_random_trees(void **state)
{
	for (unsigned seed = 0; seed < 8; seed++) {
		void *own = NULL;

		set_up(&own);
		struct fixture *f = own;
		for (unsigned i = 0; i < 17 + seed * 3; i++)
			f->random ^= roll(f, 1u << 30);
		random_stack(f, 1 + seed % LAYERS);
		check(f, 1 + seed % LAYERS);
		tear_down(&own);
	}
}

static int note(void *data, const struct delta_change *c, struct kennel_error **err)
{
	buf_printf(data, "%c %s %x %s %o %o\n", "AMDT"[c->kind], c -> path, c -> bits,
		   c -> link_to ? c -> link_to : "", c->before.st_mode, c->after.st_mode);
	return 0;
}

static void copy_plain(const struct manifest *from, struct manifest *to)
{
	_cleanup_buf_ struct buf text = { 0 };

	manifest_format(from, &text);
	assert_int_equal(manifest_parse(buf_str(&text), to, NULL), 0);
}

/* What a diff tells of n layers, whose uppermost is at fds[n - 1], as the one at top_fd. */
static void diff_of(struct fixture *f, const struct manifest *m, int top_fd, unsigned n, int user_ns_fd,
		    struct buf *out)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_delta_tree_ struct delta_tree *t = NULL;
	struct delta_layers layers = { 0 };
	struct manifest own = { 0 };

	for (unsigned i = 0; i < n; i++) {
		copy_plain(&f->manifests[i], &own);
		assert_int_equal(
			delta_layers_add(&layers, fcntl(f->layer_fds[i], F_DUPFD_CLOEXEC, 3), &own, NULL), 0);
	}
	copy_plain(m, &own);
	assert_int_equal(delta_tree_open_over(&own, fcntl(top_fd, F_DUPFD_CLOEXEC, 3), &layers, user_ns_fd,
					      NULL, &t, NULL),
			 0);
	t->all = true;
	int r = delta_diff(t, NULL, note, out, &err);
	assert_string_equal(err ? kennel_error_message(err) : "", "");
	assert_int_equal(r, 0);
}

/* The changes of a stack are those of what is made of it, read directly and through a user namespace. */
static void test_delta_diff_of_a_stack_is_that_of_the_merged(void **state)
{
	for (unsigned seed = 0; seed < 6; seed++) {
		_cleanup_manifest_ struct manifest m = { 0 };
		_cleanup_free_ char *base = NULL;
		unsigned n = 2 + seed % (LAYERS - 1);
		void *own = NULL;

		set_up(&own);
		struct fixture *f = own;
		for (unsigned i = 0; i < 7 + seed * 5; i++)
			f->random ^= roll(f, 1u << 30);
		f->own = seed % 2;
		random_stack(f, n);
		assert_true(asprintf(&base, "%s/base", f->dir) > 0);
		for (unsigned i = 0; i < n; i++) {
			free(f->manifests[i].base);
			f->manifests[i].base = strdup(base);
			f->manifests[i].view = true;
		}
		merge(f, n, true, &m);
		for (unsigned inner = 0; inner < (f->own ? 2u : 1u); inner++) {
			_cleanup_close_ int ns_fd = inner ? new_user_ns() : -EBADF;
			_cleanup_buf_ struct buf stacked = { 0 }, merged = { 0 };

			if (inner && ns_fd < 0)
				continue;
			diff_of(f, &f->manifests[n - 1], f->layer_fds[n - 1], n - 1, ns_fd, &stacked);
			diff_of(f, &m, f->into_fd, 0, ns_fd, &merged);
			assert_same(&merged, &stacked);
			assert_true(stacked.len > 500);
		}
		tear_down(&own);
	}
}

static void assert_told(int dir_fd, const char *name, const char *what)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		buf_puts(&b, "nothing");
	else if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		buf_puts(&b, "whiteout");
	else
		buf_puts(&b, S_ISDIR(st.st_mode) ? "directory" : "file");
	assert_string_equal(buf_str(&b), what);
}

static void test_delta_merge_deletions_stay_only_where_they_may_delete(void **state)
{
	struct fixture *f = *state;
	_cleanup_manifest_ struct manifest m = { 0 };

	whiteout(f->upper_fds[0], "old");
	write_file(f->upper_fds[0], "both", "text");
	whiteout(f->upper_fds[1], "both");
	_cleanup_close_ int hiding_fd = make_dir(f->upper_fds[0], "hiding");
	assert_int_equal(fsetxattr(hiding_fd, OPAQUE, "y", 1, 0), 0);
	write_file(hiding_fd, "x", "text");
	_cleanup_close_ int above_fd = make_dir(f->upper_fds[1], "hiding");
	whiteout(above_fd, "x");
	merge(f, 2, true, &m);
	_cleanup_close_ int fd = openat(f->into_fd, "0/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_told(fd, "old", "whiteout");
	assert_told(fd, "both", "whiteout");
	assert_told(fd, "hiding", "directory");
	assert_told(fd, "hiding/x", "nothing");
	char value;
	_cleanup_close_ int merged_fd = openat(fd, "hiding", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fgetxattr(merged_fd, OPAQUE, &value, 1), 1);
}

static void test_delta_merge_links_frozen_files_and_copies_live_ones(void **state)
{
	struct fixture *f = *state;
	_cleanup_manifest_ struct manifest m = { 0 };
	struct stat before, after;

	write_file(f->upper_fds[0], "frozen", "text");
	write_file(f->upper_fds[1], "live", "text");
	assert_int_equal(linkat(f->upper_fds[1], "live", f->upper_fds[1], "other", 0), 0);
	f->sources[1].live = true;
	merge(f, 2, true, &m);
	assert_int_equal(fstatat(f->upper_fds[0], "frozen", &before, 0), 0);
	assert_int_equal(fstatat(f->into_fd, "0/upper/frozen", &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(fstatat(f->upper_fds[1], "live", &before, 0), 0);
	assert_int_equal(fstatat(f->into_fd, "0/upper/live", &after, 0), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_nlink, 2);
	assert_int_equal(fstatat(f->into_fd, "0/upper/other", &before, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(m.copied_ns > 0);
}

static void plant(struct fixture *f, unsigned layer, const char *rel, enum manifest_kind kind)
{
	struct stat st = { .st_size = 1 + layer };

	assert_int_equal(manifest_plants_add(&f->manifests[layer].planted, 0, rel, kind, &st, NULL), 0);
	manifest_plants_sort(&f->manifests[layer].planted);
}

static void test_delta_merge_manifest(void **state)
{
	struct fixture *f = *state;
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_buf_ struct buf text = { 0 };

	assert_int_equal(manifest_add_mount(&f->manifests[0], 1, "/home", "ext4", "u", NULL), 0);
	assert_int_equal(manifest_add_mount(&f->manifests[1], 1, "/srv", "xfs", NULL, NULL), 0);
	plant(f, 0, "etc/resolv.conf", MANIFEST_FILE);
	plant(f, 1, "etc/resolv.conf", MANIFEST_FILE);
	plant(f, 0, "mnt/a", MANIFEST_PLACE);
	assert_int_equal(strv_add(&f->manifests[1].below, "0123456789abcdef", NULL), 0);
	f->manifests[0].begun_ns = 5;
	f->manifests[1].begun_ns = 7;
	f->manifests[1].copied_ns = 6;
	merge(f, 2, true, &m);
	manifest_format(&m, &text);
	assert_string_equal(buf_str(&text),
			    "format\t1\nbase\tsystem\nmount\t0\t/\text4\t-\nmount\t1\t/srv\txfs\t-\n"
			    "mount\t2\t/home\text4\tu\nview\tno\nsquash\tno\nidmap\tno\n"
			    "begun\t5\t6\nxattr\tuser\nplanted\t0\tetc/resolv.conf\tfile\t2\t0\n"
			    "planted\t0\tmnt/a\tplace\t0\t0\n");
}

/* A mount that one of them did not have: its changes lie below its target there. */
static void test_delta_merge_other_mounts(void **state)
{
	struct fixture *f = *state;
	_cleanup_manifest_ struct manifest m = { 0 };

	assert_int_equal(manifest_add_mount(&f->manifests[0], 1, "/home", "ext4", NULL, NULL), 0);
	close(make_dir(f->layer_fds[0], "1"));
	_cleanup_close_ int own_fd = make_dir(f->layer_fds[0], "1/upper");
	write_file(own_fd, "old", "zero");
	write_file(own_fd, "changed", "zero");
	_cleanup_close_ int home_fd = make_dir(f->upper_fds[1], "home");
	write_file(home_fd, "changed", "one");
	write_file(f->upper_fds[1], "root", "one");
	merge(f, 2, false, &m);
	assert_int_equal(m.n_mounts, 2);
	assert_told(f->into_fd, "0/upper/root", "file");
	assert_told(f->into_fd, "0/upper/home", "nothing");
	assert_told(f->into_fd, "1/upper/old", "file");
	struct stat st;
	assert_int_equal(fstatat(f->into_fd, "1/upper/changed", &st, 0), 0);
	assert_int_equal(st.st_size, 3);
}

/* Deeper than there are descriptors, and than a path can be long. */
static void test_delta_merge_deep(void **state)
{
	struct fixture *f = *state;
	_cleanup_manifest_ struct manifest m = { 0 };
	struct rlimit old, low = { 400, 0 };
	int fds[2] = { fcntl(f->upper_fds[0], F_DUPFD_CLOEXEC, 3),
		       fcntl(f->upper_fds[1], F_DUPFD_CLOEXEC, 3) };

	for (unsigned i = 0; i < 700; i++)
		for (unsigned k = 0; k < 2; k++) {
			write_file(fds[k], k ? "one" : "zero", "text");
			replace_fd(&fds[k], make_dir(fds[k], "abcdefgh"));
		}
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	merge(f, 2, false, &m);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	_cleanup_close_ int fd = openat(f->into_fd, "0/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 700; i++) {
		assert_told(fd, "one", "file");
		assert_told(fd, "zero", "file");
		int next = openat(fd, "abcdefgh", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		replace_fd(&fd, next);
	}
}

static int stop(void *data, uint64_t entries, uint64_t bytes)
{
	*(uint64_t *)data = entries + 1;
	return 1;
}

static void test_delta_merge_stops(void **state)
{
	struct fixture *f = *state;
	uint64_t called = 0;
	const struct merge_options o = { .sources = f->sources,
					 .n = 1,
					 .into_fd = f->into_fd,
					 .hooks = { .step = stop, .data = &called } };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct manifest m;

	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		write_file(f->upper_fds[0], name, "text");
	}
	assert_int_equal(delta_merge(&o, &m, &err), -KENNEL_E_INTERRUPTED);
	assert_true(called > 0);
}

static void test_delta_copy_tree_is_exact(void **state)
{
	struct fixture *f = *state;
	const struct replica_hooks none = { 0 };
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;

	put_random(f, f->base_fd, 4, false);
	_cleanup_close_ int holes_fd = openat(f->base_fd, "holes", O_RDWR | O_CREAT | O_CLOEXEC, 04755);
	assert_int_equal(pwrite(holes_fd, "end", 3, 64 << 20), 3);
	assert_int_equal(fchmod(holes_fd, 04755), 0);
	assert_int_equal(ftruncate(holes_fd, 100 << 20), 0);
	tell(f->base_fd, &before);
	assert_int_equal(delta_copy_tree(f->base_fd, f->into_fd, &none, &err), 0);
	tell(f->into_fd, &after);
	assert_same(&before, &after);
	struct stat st;
	assert_int_equal(fstatat(f->into_fd, "holes", &st, 0), 0);
	assert_int_equal(st.st_size, 100 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
}

static void test_delta_copy_tree_tells_what_failed(void **state)
{
	struct fixture *f = *state;
	const struct replica_hooks none = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;

	write_file(f->base_fd, "file", "text");
	write_file(f->into_fd, "file", "there already");
	assert_int_equal(delta_copy_tree(f->base_fd, f->into_fd, &none, &err), -KENNEL_E_EXISTS);
	assert_string_equal(kennel_error_message(err), "make a copy of \"file\": File exists");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delta_merge_every_pair),
		TEST(test_delta_merge_random_trees),
		TEST(test_delta_diff_of_a_stack_is_that_of_the_merged),
		TEST(test_delta_merge_deletions_stay_only_where_they_may_delete),
		TEST(test_delta_merge_links_frozen_files_and_copies_live_ones),
		TEST(test_delta_merge_manifest),
		TEST(test_delta_merge_other_mounts),
		TEST(test_delta_merge_deep),
		TEST(test_delta_merge_stops),
		TEST(test_delta_copy_tree_is_exact),
		TEST(test_delta_copy_tree_tells_what_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
