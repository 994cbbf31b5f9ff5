/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-storage.c - the rules of backing stores: their file, the configuration, what a new one gets. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/volume.h"
#include "path/remove.h"
#include "storage/storage.h"

struct fixture {
	char dir[32];
	int store_fd, dir_fd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/var/tmp/kennel-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->store_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->store_fd, "one", 0700), 0);
	f->dir_fd = openat(f->store_fd, "one", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close(f->store_fd);
	close(f->dir_fd);
	_cleanup_close_ int top_fd = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_remove_tree(top_fd, strrchr(f->dir, '/') + 1, NULL), 0);
	free(f);
	return 0;
}

static void write_conf(const struct fixture *f, const char *text)
{
	_cleanup_close_ int fd = openat(f->store_fd, STORAGE_CONF, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_storage_parse_good_and_bad_files(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "store\tbtrfs\n", NULL },
		{ "store\toverlay\nlater\twhat is not known yet\n", NULL },
		{ "", "names no store" },
		{ "store\tnope\n", "not known" },
		{ "store\tdir\nvg\t-f\n", "no value for vg" },
		{ "store\tdir\nvg\ta b\n", "no value for vg" },
		{ "store\tdir\nzfs-root\ttank/a@b\n", "no value for zfs-root" },
		{ "store\tdir\nsize\tmany\n", "no size" },
		{ "store\n", "without a value" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_storage_ struct storage s = STORAGE_NONE;
		int r = storage_parse(cases[i].text, &s, &err);

		if (!cases[i].why)
			assert_int_equal(r, 0);
		else if (r >= 0 || !strstr(kennel_error_message(err), cases[i].why))
			fail_msg("\"%s\": %d, %s", cases[i].text, r, kennel_error_message(err));
	}
}

static void test_storage_choose_takes_wish_before_configuration(void **state)
{
	const struct fixture *f = *state;
	static const struct {
		const char *conf;
		struct storage_wish wish;
		const char *name, *why;
	} cases[] = {
		{ "", { 0 }, "dir", NULL },
		{ "store = overlay\n", { 0 }, "overlay", NULL },
		{ "store = overlay\n", { .store = "dir" }, "dir", NULL },
		{ "# none\n", { .store = "best" }, "dir", NULL },
		{ "", { .store = "zoo" }, NULL, "no store \"zoo\"" },
		{ "stoer = dir\n", { 0 }, NULL, ".storage.conf, line 1" },
		{ "fs = zfs\n", { .store = "dir" }, "dir", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_storage_ struct storage s = STORAGE_NONE;

		write_conf(f, cases[i].conf);
		int r = storage_choose(f->store_fd, &cases[i].wish, &s, &err);
		if (cases[i].why && (r >= 0 || !strstr(kennel_error_message(err), cases[i].why)))
			fail_msg("case %zu: %d, %s", i, r, kennel_error_message(err));
		if (cases[i].name)
			assert_string_equal(r < 0 ? kennel_error_message(err) : storage_name(&s),
					    cases[i].name);
	}
}

static void test_storage_create_plain_then_load(void **state)
{
	const struct fixture *f = *state;
	const struct storage_at at = { .store_fd = f->store_fd, .dir_fd = f->dir_fd, .shown = "one" };
	const struct storage_wish wish = { .store = "overlay" };
	_cleanup_storage_ struct storage s = STORAGE_NONE, again = STORAGE_NONE;
	struct stat st;

	assert_int_equal(storage_choose(f->store_fd, &wish, &s, NULL), 0);
	assert_int_equal(storage_create(&s, &at, NULL), 0);
	assert_int_equal(fstatat(s.data_fd, "delta", &st, 0), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(storage_make_tree(&s, "base", NULL), 0);
	assert_int_equal(storage_load(&at, &again, NULL), 0);
	assert_string_equal(storage_name(&again), "overlay");
	assert_int_equal(storage_open(&again, NULL), 0);
	assert_int_equal(fstatat(again.data_fd, "base", &st, 0), 0);
}

static void test_storage_snapshot_of_plain_directories_is_refused(void **state)
{
	const struct fixture *f = *state;
	const struct storage_at at = { .store_fd = f->store_fd, .dir_fd = f->dir_fd, .shown = "one" };
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_strv_ struct strv names = { 0 };

	assert_int_equal(storage_snapshot(&at, &at, &err), -KENNEL_E_UNSUPPORTED);
	assert_non_null(strstr(kennel_error_message(err), "shares no blocks"));
	assert_int_equal(storage_dependants(&at, &names, NULL), 0);
	assert_int_equal(names.n, 0);
}

/* Who owns the file could name any volume of the machine, and root would mount it. */
static void test_storage_load_volume_of_another_user_is_refused(void **state)
{
	const struct fixture *f = *state;
	const struct storage_at at = { .store_fd = f->store_fd, .dir_fd = f->dir_fd, .shown = "one" };
	_cleanup_close_ int fd = openat(f->dir_fd, STORAGE_FILE, O_WRONLY | O_CREAT, 0600);
	static const char text[] = "store\tloop\nvolume\t0123456789abcdef\nfs\text4\n";
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_storage_ struct storage s = STORAGE_NONE;

	if (geteuid() != 0)
		skip_test("needs root: gives a file away");
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchown(fd, 1234, 1234), 0);
	assert_int_equal(storage_load(&at, &s, &err), -KENNEL_E_PERM);
	assert_non_null(strstr(kennel_error_message(err), "another user's"));
	assert_int_equal(fchown(fd, 0, 0), 0);
	assert_int_equal(storage_load(&at, &s, NULL), 0);
}

/* A file system of its own, mounted in no place, as the store; or the reason why there is none. */
static const char *set_up_on(struct fixture *f, const char *fs)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_close_ int file_fd = openat(f->store_fd, "disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	_cleanup_close_ int loop_fd = -EBADF, mount_fd = -EBADF;

	if (geteuid() != 0)
		return "needs root: mounts";
	assert_int_equal(ftruncate(file_fd, 512 << 20), 0);
	if (volume_make(file_fd, fs, &err) < 0)
		return "kernel without this file system, or its mkfs";
	loop_fd = volume_attach_loop(file_fd, "a test", &err);
	if (loop_fd < 0)
		return "no loop devices";
	mount_fd = volume_mount(loop_fd, "a test", &err);
	if (mount_fd < 0)
		return "kernel without this file system";
	close(f->store_fd);
	close(f->dir_fd);
	f->store_fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->store_fd, "one", 0700), 0);
	assert_int_equal(mkdirat(f->store_fd, "two", 0700), 0);
	f->dir_fd = openat(f->store_fd, "one", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return NULL;
}

static void write_in(const struct storage *s, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(s->data_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void is_in(const struct storage *s, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(s->data_fd, name, O_RDONLY | O_CLOEXEC);
	char got[32] = "";

	assert_true(fd >= 0 && read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, text);
}

/*
 * One is made and written, a second one shares with it, both go on; the first goes, and a
 * third of the second.
 */
static void share(const struct fixture *f, const struct storage_wish *wish)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_close_ int two_fd = openat(f->store_fd, "two", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct storage_at one = { .store_fd = f->store_fd, .dir_fd = f->dir_fd, .shown = "one" };
	const struct storage_at two = { .store_fd = f->store_fd, .dir_fd = two_fd, .shown = "two" };
	_cleanup_storage_ struct storage s = STORAGE_NONE, t = STORAGE_NONE;
	uint64_t bytes;

	if (storage_choose(f->store_fd, wish, &s, &err) < 0 || storage_create(&s, &one, &err) < 0 ||
	    storage_make_tree(&s, "base", &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	write_in(&s, "delta/file", "before");
	write_in(&s, "base/file", "base");
	/* while it is open, as with one that runs */
	if (storage_snapshot(&one, &two, &err) < 0 || storage_load(&two, &t, &err) < 0 ||
	    storage_open(&t, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	write_in(&s, "delta/file", "after");
	is_in(&t, "delta/file", "before");
	is_in(&t, "base/file", "base");
	write_in(&t, "delta/file", "other");
	is_in(&s, "delta/file", "after");
	assert_string_equal(storage_name(&t), storage_name(&s));
	assert_int_equal(storage_measure(&two, &bytes, &err), 0);
	storage_close(&s, 2000);
	assert_int_equal(storage_destroy(&one, &err), 0);
	is_in(&t, "delta/file", "other");
}

static void test_storage_snapshot_btrfs_shares_and_parts(void **state)
{
	struct fixture *f = *state;
	const char *why = set_up_on(f, "btrfs");
	struct storage_wish wish = { 0 };

	if (why)
		skip_test("%s", why);
	share(f, &wish);
}

/* Each file system in an image, on one that can share blocks. */
static void test_storage_snapshot_loop_shares_and_parts(void **state)
{
	struct fixture *f = *state;
	static const struct storage_wish wish = { .store = "loop", .fs = "ext4", .size_bytes = 32 << 20 };
	const char *why = set_up_on(f, "xfs");

	if (why)
		skip_test("%s", why);
	share(f, &wish);
}

static void test_storage_snapshot_loop_with_btrfs_gets_a_number_of_its_own(void **state)
{
	struct fixture *f = *state;
	static const struct storage_wish wish = { .store = "loop", .fs = "btrfs", .size_bytes = 120 << 20 };
	const char *why = set_up_on(f, "xfs");

	if (why)
		skip_test("%s", why);
	share(f, &wish);
}

/* Where files can't share blocks there is no snapshot, and nothing is left of the try. */
static void test_storage_snapshot_loop_without_reflinks_is_refused(void **state)
{
	struct fixture *f = *state;
	static const struct storage_wish wish = { .store = "loop", .size_bytes = 16 << 20 };
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	const char *why = set_up_on(f, "ext4");
	struct stat st;

	if (why)
		skip_test("%s", why);
	_cleanup_close_ int two_fd = openat(f->store_fd, "two", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct storage_at here = { .store_fd = f->store_fd, .dir_fd = f->dir_fd, .shown = "one" };
	const struct storage_at two = { .store_fd = f->store_fd, .dir_fd = two_fd, .shown = "two" };
	assert_int_equal(storage_choose(f->store_fd, &wish, &s, &err), 0);
	assert_int_equal(storage_create(&s, &here, &err), 0);
	assert_int_equal(storage_snapshot(&here, &two, &err), -KENNEL_E_UNSUPPORTED);
	assert_non_null(strstr(kennel_error_message(err), "can't share the blocks"));
	assert_true(fstatat(two_fd, "volume.img", &st, 0) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storage_parse_good_and_bad_files),
		cmocka_unit_test_setup_teardown(test_storage_choose_takes_wish_before_configuration, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_storage_create_plain_then_load, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_storage_load_volume_of_another_user_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_storage_snapshot_btrfs_shares_and_parts, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_storage_snapshot_loop_shares_and_parts, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_storage_snapshot_loop_with_btrfs_gets_a_number_of_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_storage_snapshot_loop_without_reflinks_is_refused,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_storage_snapshot_of_plain_directories_is_refused, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
