/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-clone.c - snapshots and clones on disk, through the public functions; nothing is started. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "container/container.h"
#include "delta/over.h"

#define ok(call, err) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, kennel_error_message(err)); \
	} while (0)

struct fixture {
	char dir[32], store[48];
	int fd; /* of dir */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/var/tmp/kennel-unit-XXXXXX");
	assert_true(mkdtemp(f->dir) != NULL);
	memcpy(f->store, f->dir, sizeof(f->dir));
	strncat(f->store, "/store", 8);
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(container_wipe(f->fd, f->dir, NULL), 0);
	assert_int_equal(rmdir(f->dir), 0);
	close(f->fd);
	free(f);
	return 0;
}

static void write_at(int fd, const char *name, const char *text)
{
	_cleanup_close_ int file_fd = openat(fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(file_fd >= 0);
	assert_int_equal(write(file_fd, text, strlen(text)), strlen(text));
}

static void make_dir(int fd, const char *name)
{
	assert_int_equal(mkdirat(fd, name, 0755), 0);
}

static bool is_there(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* One that was started, as far as its files tell: a change, and a file that kennel planted. */
static void create_started(struct fixture *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *s = NULL;
	struct stat st;
	char manifest[512];

	assert_int_equal(kennel_spec_new(&s, NULL), 0);
	ok(kennel_container_create(f->store, "box", s, &err), err);
	kennel_spec_free(s);
	make_dir(f->fd, "store/box/delta/0");
	make_dir(f->fd, "store/box/delta/0/upper");
	make_dir(f->fd, "store/box/delta/0/work");
	write_at(f->fd, "store/box/delta/0/upper/file", "change");
	write_at(f->fd, "store/box/delta/0/upper/hosts", "planted");
	assert_int_equal(fstatat(f->fd, "store/box/delta/0/upper/hosts", &st, 0), 0);
	snprintf(
		manifest, sizeof(manifest),
		"format\t1\nbase\tsystem\nmount\t0\t/\text4\t-\nview\tno\nsquash\tno\nidmap\tno\nxattr\tuser\n"
		"planted\t0\thosts\tfile\t7\t%lld\n",
		(long long)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
	write_at(f->fd, "store/box/manifest", manifest);
}

static void text_of(struct fixture *f, const char *name, struct buf *ret)
{
	_cleanup_close_ int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(buf_read_fd(ret, fd, 1 << 20, NULL), 0);
}

static void test_clone_snapshot_freezes_without_what_was_planted(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf manifest = { 0 };
	_cleanup_free_ char *name = NULL;
	struct kennel_list *list = NULL;
	char layer[128];

	create_started(f);
	ok(kennel_snapshot_take(f->store, "box", NULL, "why\tnot", &name, &err), err);
	assert_string_equal(name, "snap0");
	text_of(f, "store/box/manifest", &manifest);
	const char *below = strstr(buf_str(&manifest), "\nbelow\t");
	assert_non_null(below);
	assert_null(strstr(buf_str(&manifest), "planted"));
	snprintf(layer, sizeof(layer), "store/.layers/%.16s/delta/0/upper/file", below + strlen("\nbelow\t"));
	assert_true(is_there(f->fd, layer));
	snprintf(layer, sizeof(layer), "store/.layers/%.16s/delta/0/upper/hosts",
		 below + strlen("\nbelow\t"));
	assert_false(is_there(f->fd, layer));
	assert_false(is_there(f->fd, "store/box/delta/0"));
	ok(kennel_snapshot_list(f->store, "box", &list, &err), err);
	assert_int_equal(kennel_list_count(list), 1);
	assert_string_equal(kennel_list_value(list, 0, "comment"), "why\tnot");
	kennel_list_free(list);
	ok(kennel_snapshot_remove(f->store, "box", NULL, &err), err);
	ok(kennel_container_remove(f->store, "box", 0, &err), err);
	assert_int_equal(unlinkat(f->fd, "store", AT_REMOVEDIR), 0);
}

static void test_clone_has_origin_until_promoted(void **state)
{
	const struct kennel_clone_options o = { .size = sizeof(o),
						.store = ((struct fixture *)*state)->store,
						.flags = KENNEL_CLONE_SNAPSHOT };
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL, *why = NULL;
	struct kennel_list *list = NULL;

	create_started(f);
	ok(kennel_clone("box", "new", &o, &err), err);
	ok(kennel_container_list(f->store, "new", &list, &err), err);
	assert_string_equal(kennel_list_value(list, 0, "origin"), "box");
	kennel_list_free(list);
	assert_int_equal(kennel_container_remove(f->store, "box", 0, &why), -KENNEL_E_BUSY);
	assert_non_null(strstr(kennel_error_message(why), "clones share with \"box\": new"));
	ok(kennel_container_remove(f->store, "box", KENNEL_REMOVE_PROMOTE, &err), err);
	ok(kennel_container_check(f->store, &list, &err), err);
	assert_int_equal(kennel_list_count(list), 0);
	kennel_list_free(list);
	ok(kennel_container_remove(f->store, "new", 0, &err), err);
	assert_int_equal(unlinkat(f->fd, "store", AT_REMOVEDIR), 0);
}

static void test_clone_restore_goes_back(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf before = { 0 }, after = { 0 };

	create_started(f);
	ok(kennel_snapshot_take(f->store, "box", "first", NULL, NULL, &err), err);
	text_of(f, "store/box/manifest", &before);
	make_dir(f->fd, "store/box/delta/0");
	make_dir(f->fd, "store/box/delta/0/upper");
	write_at(f->fd, "store/box/delta/0/upper/later", "gone");
	ok(kennel_snapshot_restore(f->store, "box", "first", NULL, &err), err);
	text_of(f, "store/box/manifest", &after);
	assert_string_equal(buf_str(&before), buf_str(&after));
	assert_false(is_there(f->fd, "store/box/delta/0"));
	ok(kennel_snapshot_restore(f->store, "box", "first", "other", &err), err);
	assert_true(is_there(f->fd, "store/other/manifest"));
}

static void test_clone_check_names_what_is_missing(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *list = NULL;

	create_started(f);
	ok(kennel_snapshot_take(f->store, "box", NULL, NULL, NULL, &err), err);
	assert_int_equal(renameat(f->fd, "store/.layers", f->fd, "away"), 0);
	ok(kennel_container_check(f->store, &list, &err), err);
	assert_int_equal(kennel_list_count(list), 2);
	assert_string_equal(kennel_list_value(list, 1, "name"), "box/snapshots/snap0");
	assert_non_null(strstr(kennel_list_value(list, 0, "problem"), "which is not there"));
	kennel_list_free(list);
}

/* What is planted above frozen layers looks like what the uppermost of them has. */
static void test_clone_over_merges_directories(void **state)
{
	struct fixture *f = *state;
	int fds[2];
	struct over o;
	struct stat st;

	make_dir(f->fd, "top");
	make_dir(f->fd, "low");
	make_dir(f->fd, "top/both");
	make_dir(f->fd, "low/both");
	make_dir(f->fd, "low/both/deep");
	make_dir(f->fd, "low/only");
	write_at(f->fd, "top/only", "a file in place of a directory");
	assert_int_equal(fchmodat(f->fd, "top/both", 0700, 0), 0);
	assert_int_equal(fchmodat(f->fd, "low/both", 0711, 0), 0);
	for (int i = 0; i < 2; i++)
		fds[i] = openat(f->fd, i ? "low" : "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(over_begin(&o, fds, 2, true, NULL), 0);
	assert_int_equal(over_enter(&o, "both", &st), 1);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(over_enter(&o, "deep", &st), 1);
	assert_false(o.hides);
	assert_int_equal(over_enter(&o, "none", &st), 0);
	over_done(&o);
	assert_int_equal(over_begin(&o, fds, 2, true, NULL), 0);
	assert_int_equal(over_enter(&o, "only", &st), -1);
	over_done(&o);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clone_snapshot_freezes_without_what_was_planted, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_clone_has_origin_until_promoted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clone_restore_goes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clone_check_names_what_is_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clone_over_merges_directories, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
