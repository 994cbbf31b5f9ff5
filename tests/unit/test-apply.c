/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-apply.c - newer changes put into a delta, against the kernel's own word: an overlay over base and
 * delta then shows the same as one over base, delta and the newer ones before.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "delta/apply.h"
#include "delta/arrange.h"
#include "layers.h"
#include "tell.h"

static unsigned renames_left = -1u;

int __real_sys_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_sys_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);

int __wrap_sys_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (renames_left-- == 0) {
		errno = EIO;
		return -1;
	}
	return __real_sys_renameat2(from_fd, from, to_fd, to, flags);
}

static int apply(const struct fixture *f, const char *newer)
{
	_cleanup_close_ int from_fd = openat(f->dir_fd, newer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct delta_apply a = { .from_fd = from_fd,
				       .delta_fd = f->layer_fds[0],
				       .manifest = &f->manifests[0] };

	return delta_apply(&a, NULL, NULL);
}

/* L1 into L0; also where that was stopped before one of its renames, and is done once more. */
static void check(struct fixture *f, unsigned stop_after)
{
	_cleanup_buf_ struct buf stacked = { 0 }, applied = { 0 };
	char command[120];

	if (!see_overlay(f, "L1/0/upper:L0/0/upper:base", &stacked))
		skip_test("no overlay can be mounted here");
	snprintf(command, sizeof(command), "cd %s && cp -a L1 again", f->dir);
	FILE *p = popen(command, "r");
	assert_int_equal(pclose(p), 0);
	renames_left = stop_after;
	int r = apply(f, "L1");
	assert_true(r == 0 ? renames_left > 0 : stop_after != -1u);
	renames_left = -1u;
	assert_int_equal(apply(f, "again"), 0);
	assert_true(see_overlay(f, "L0/0/upper:base", &applied));
	assert_same(&stacked, &applied);
}

static void test_delta_apply_every_pair(void **state)
{
	static const unsigned stops[] = { -1u, 0, 1, 60, 200 };

	for (unsigned i = 0; i < ARRAY_SIZE(stops); i++) {
		void *own = NULL;

		set_up(&own);
		put_every_pair(own);
		check(own, stops[i]);
		tear_down(&own);
	}
}

static void test_delta_apply_random_trees(void **state)
{
	for (unsigned seed = 0; seed < 8; seed++) {
		void *own = NULL;

		set_up(&own);
		struct fixture *f = own;
		for (unsigned i = 0; i < 19 + seed * 3; i++)
			f->random ^= roll(f, 1u << 30);
		random_stack(f, 2);
		check(f, seed % 2 ? seed * 2 : -1u);
		tear_down(&own);
	}
}

static int tell_base(void *data, size_t mount,
		     int (*see)(void *arg, const char *name, struct kennel_error **err), void *arg,
		     struct kennel_error **err)
{
	static const char *const names[] = { "kept", "gone" };
	int r = 0;

	assert_int_equal(mount, 1);
	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++)
		r = see(arg, names[i], err);
	return r;
}

static void put_newer(const struct fixture *f, const char *in_home, bool anew)
{
	_cleanup_close_ int home_fd = make_dir(f->upper_fds[1], "home");
	_cleanup_close_ int in_fd = make_dir(home_fd, "in");

	if (anew)
		assert_int_equal(fsetxattr(home_fd, OPAQUE, "y", 1, 0), 0);
	write_file(home_fd, in_home, "");
	write_file(in_fd, "deep", "");
	write_file(f->upper_fds[1], "top", "");
}

static bool is_gone(const struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(f->layer_fds[0], path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return S_ISCHR(st.st_mode);
}

static bool is_there(const struct fixture *f, const char *path)
{
	return faccessat(f->layer_fds[0], path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What one view has goes to the places of the mounts that the delta knows. */
static void test_delta_apply_several_mounts(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = &f->manifests[0];
	const struct delta_apply a = { f->layer_fds[1], f->layer_fds[0], m, tell_base, NULL };
	_cleanup_close_ int own_fd = make_dir(f->layer_fds[0], "1");
	_cleanup_close_ int home_fd = make_dir(f->layer_fds[0], "1/upper");

	assert_int_equal(manifest_add_mount(m, 1, "/home", "ext4", NULL, NULL), 0);
	assert_int_equal(manifest_add_mount(m, 2, "/home/in", "ext4", NULL, NULL), 0);
	write_file(home_fd, "old", "");
	put_newer(f, "new", false);
	assert_int_equal(delta_apply(&a, NULL, NULL), 0);
	assert_true(is_there(f, "0/upper/top") && !is_there(f, "0/upper/home"));
	assert_true(is_there(f, "1/upper/new") && !is_there(f, "1/upper/in") && !is_gone(f, "1/upper/old"));
	assert_true(is_there(f, "2/upper/deep"));
}

/* A mount that is removed in the one view, or removed and made again, is empty or has what was put there. */
static void test_delta_apply_without_a_mount(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = &f->manifests[0];
	const struct delta_apply a = { f->layer_fds[1], f->layer_fds[0], m, tell_base, NULL };
	_cleanup_close_ int own_fd = make_dir(f->layer_fds[0], "1");
	_cleanup_close_ int home_fd = make_dir(f->layer_fds[0], "1/upper");

	assert_int_equal(manifest_add_mount(m, 1, "/home", "ext4", NULL, NULL), 0);
	write_file(home_fd, "old", "");
	put_newer(f, "kept", true);
	assert_int_equal(delta_apply(&a, NULL, NULL), 0);
	assert_true(is_gone(f, "1/upper/old") && is_gone(f, "1/upper/gone") && !is_gone(f, "1/upper/kept"));
	assert_int_equal(renameat(f->layer_fds[1], "1", f->dir_fd, "used-up"), 0);
	whiteout(f->upper_fds[1], "home");
	assert_int_equal(delta_apply(&a, NULL, NULL), 0);
	assert_true(is_gone(f, "1/upper/old") && is_gone(f, "1/upper/kept") && is_gone(f, "1/upper/gone"));
	assert_true(!is_there(f, "0/upper/home"));
}

/* And all back into one view: what lies in another one's target goes there first. */
static void test_delta_join_all_nested(void **state)
{
	struct fixture *f = *state;
	struct manifest *m = &f->manifests[0];
	_cleanup_close_ int home_fd = make_dir(f->layer_fds[0], "1"), in_fd = make_dir(f->layer_fds[0], "2");
	_cleanup_close_ int home_upper_fd = make_dir(home_fd, "upper"),
			    in_upper_fd = make_dir(in_fd, "upper");

	assert_int_equal(manifest_add_mount(m, 1, "/home", "ext4", NULL, NULL), 0);
	assert_int_equal(manifest_add_mount(m, 2, "/home/in/side", "ext4", NULL, NULL), 0);
	write_file(home_upper_fd, "file", "");
	write_file(in_upper_fd, "deep", "");
	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(delta_join_all(f->layer_fds[0], m, f->base_fd, NULL), 0);
		assert_true(is_there(f, "0/upper/home/file") && is_there(f, "0/upper/home/in/side/deep"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delta_apply_every_pair),
		cmocka_unit_test(test_delta_apply_random_trees),
		cmocka_unit_test_setup_teardown(test_delta_apply_several_mounts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delta_apply_without_a_mount, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delta_join_all_nested, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
