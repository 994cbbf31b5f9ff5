/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-container.c - containers on disk, through the public functions and, where those can't reach, the
 * inner ones: what a store may be, names, configurations, wiping, arranging, what is planted a second time.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "container/container.h"
#include "delta/arrange.h"
#include "delta/layout.h"

#define ok(call, err) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, kennel_error_message(err)); \
	} while (0)

struct fixture {
	char dir[32];
	char store[48];
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

static void has_text(int fd, const char *name, const char *text)
{
	_cleanup_close_ int file_fd = openat(fd, name, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };

	if (file_fd < 0)
		fail_msg("%s is not there", name);
	assert_int_equal(buf_read_fd(&b, file_fd, 1 << 20, NULL), 0);
	assert_string_equal(buf_str(&b), text);
}

static bool is_there(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct kennel_spec *spec_of(const char *const *words)
{
	struct kennel_spec *s = NULL;

	assert_int_equal(kennel_spec_new(&s, NULL), 0);
	for (; words && *words; words += 2)
		assert_int_equal(kennel_spec_set(s, words[0], words[1], NULL), 0);
	return s;
}

static void create(struct fixture *f, const char *name, const char *const *words)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *s = spec_of(words);

	ok(kennel_container_create(f->store, name, s, &err), err);
	kennel_spec_free(s);
}

/* The call comes first: it makes the error. */
#define refuses(call, code, err, text) \
	do { \
		int refused_ = (call); \
		was_refused(refused_, (code), (err), (text)); \
	} while (0)

static void was_refused(int r, int code, const struct kennel_error *err, const char *text)
{
	assert_int_equal(r, -code);
	if (!strstr(kennel_error_message(err), text))
		fail_msg("\"%s\" is not in: %s", text, kennel_error_message(err));
}

static void test_container_create_set_list_rename_remove(void **state)
{
	static const char *const words[] = { "net",   "none", "share", "/srv:ro", "env", "A=1\nnet = host",
					     "quiet", "yes",  NULL };
	static const char *const more[] = { "net", "host", "share", "/opt", NULL };
	static const char *const unset[] = { "env", "share=/srv:ro", NULL };
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL, *exists = NULL;
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct kennel_list *list = NULL;

	create(f, "web", words);
	ok(kennel_container_read_config(f->store, "web", &before, &err), err);
	assert_non_null(
		strstr(before, "\nbase = system\nnet = none\nshare = /srv:ro\nenv = \"A=1\\nnet = host\"\n"));
	assert_null(strstr(before, "quiet"));
	struct kennel_spec *s = spec_of(more);
	refuses(kennel_container_create(f->store, "web", s, &exists), KENNEL_E_EXISTS, exists,
		"there is a container \"web\"");
	ok(kennel_container_set(f->store, "web", unset, s, &err), err);
	kennel_spec_free(s);
	ok(kennel_container_read_config(f->store, "web", &after, &err), err);
	assert_non_null(strstr(after, "\nbase = system\nnet = host\nshare = /opt\n"));
	assert_null(strstr(after, "env"));

	create(f, "another", NULL);
	ok(kennel_container_rename(f->store, "web", "shop", &err), err);
	ok(kennel_container_list(f->store, NULL, &list, &err), err);
	assert_int_equal(kennel_list_count(list), 2);
	assert_string_equal(kennel_list_value(list, 0, "name"), "another");
	assert_string_equal(kennel_list_value(list, 1, "name"), "shop");
	assert_string_equal(kennel_list_value(list, 1, "state"), "stopped");
	assert_null(kennel_list_value(list, 1, "id"));
	assert_string_equal(kennel_list_detail(list, 1, "config", 1), "net\thost");
	kennel_list_free(list);
	uint64_t bytes = 0;
	ok(kennel_container_measure(f->store, "shop", &bytes, &err), err);
	assert_true(bytes > 0);
	ok(kennel_container_remove(f->store, "shop", 0, &err), err);
	ok(kennel_container_remove(f->store, "another", 0, &err), err);
	assert_int_equal(unlinkat(f->fd, "store", AT_REMOVEDIR), 0); /* nothing is left in it */
}

static void test_container_refuses_what_makes_no_sense(void **state)
{
	static const char *const unknown[] = { "nett", NULL }, *const not_set[] = { "memory", NULL };
	struct fixture *f = *state;
	struct kennel_spec *s = spec_of(NULL);
	struct kennel_error *e[9] = { 0 };

	create(f, "web", NULL);
	create(f, "x", NULL);
	refuses(kennel_container_create(f->store, "-x", s, &e[0]), KENNEL_E_INVALID, e[0],
		"\"-x\" does not begin");
	refuses(kennel_container_create(f->store, "0123abcd", s, &e[1]), KENNEL_E_INVALID, e[1],
		"looks like the id");
	refuses(kennel_container_set(f->store, "web", unknown, s, &e[2]), KENNEL_E_INVALID, e[2],
		"no key \"nett\"");
	refuses(kennel_container_set(f->store, "web", not_set, s, &e[3]), KENNEL_E_NOTFOUND, e[3],
		"\"memory\" is not set");
	refuses(kennel_container_rename(f->store, "web", "x", &e[4]), KENNEL_E_EXISTS, e[4],
		"container \"x\"");
	refuses(kennel_container_rename(f->store, "no", "y", &e[5]), KENNEL_E_NOTFOUND, e[5],
		"no container \"no\"");
	refuses(kennel_container_remove(f->store, ".x", 0, &e[6]), KENNEL_E_INVALID, e[6], "does not begin");
	refuses(kennel_container_write_config(f->store, "web", NULL, "net = \x1b\n", &e[7]), KENNEL_E_INVALID,
		e[7], "web/config:1: a control character");
	refuses(kennel_container_write_config(f->store, "web", "old", "net = none\n", &e[8]), KENNEL_E_BUSY,
		e[8], "changed meanwhile");
	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		assert_true(kennel_error_hint(e[i]) != NULL || i == 0 || i == 6);
	for (size_t i = 0; i < ARRAY_SIZE(e); i++)
		kennel_error_free(take_ptr(&e[i]));
	ok(kennel_container_write_config(f->store, "web", NULL, "# mine\nnet = none\n", &e[0]), e[0]);
	kennel_spec_free(s);
}

static void test_store_open_only_what_is_ours(void **state)
{
	struct fixture *f = *state;
	char path[96];

	for (unsigned i = 0; i < 4; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_store_ struct store s = STORE_NONE;

		snprintf(path, sizeof(path), "%s/s%u", f->dir, i);
		if (i != 3)
			assert_int_equal(mkdir(path, 0700), 0);
		if (i == 0 && geteuid() == 0)
			assert_int_equal(chown(path, 1, 1), 0);
		if (i == 1)
			assert_int_equal(chmod(path, 0770), 0);
		if (i == 3) {
			assert_int_equal(symlink("s2", path), 0);
			if (geteuid() == 0)
				assert_int_equal(lchown(path, 1, 1), 0);
		}
		int r = store_open(path, false, &s, &err);
		if (i == 2 || geteuid() != 0)
			continue;
		refuses(r, KENNEL_E_PERM, err,
			i == 0 ? "belongs to another user" :
			i == 1 ? "may be written by other users" :
				 "is a link of another user");
		assert_non_null(kennel_error_hint(err));
	}
	_cleanup_store_ struct store none = STORE_NONE;
	snprintf(path, sizeof(path), "%s/none", f->dir);
	assert_int_equal(store_open(path, false, &none, NULL), 0);
	assert_int_equal(none.fd, -EBADF);
}

static void test_container_create_on_store_that_was_named(void **state)
{
	struct fixture *f = *state;
	const struct kennel_storage_options o = { .size = sizeof(o), .store = "overlay" };
	const struct kennel_storage_options wrong = { .size = sizeof(o), .store = "attic" };
	struct kennel_error *err = NULL, *e[2] = { 0 };
	struct kennel_list *list = NULL;
	struct kennel_spec *s = NULL;

	ok(kennel_spec_new(&s, &err), err);
	refuses(kennel_container_create_on(f->store, "web", s, &wrong, &e[0]), KENNEL_E_INVALID, e[0],
		"no store \"attic\"");
	refuses(kennel_container_create_on(f->store, "web", s, &(struct kennel_storage_options){ 0 }, &e[1]),
		KENNEL_E_INVALID, e[1], "another version");
	ok(kennel_container_create_on(f->store, "web", s, &o, &err), err);
	ok(kennel_container_list(f->store, "web", &list, &err), err);
	assert_string_equal(kennel_list_value(list, 0, "store"), "overlay");
	kennel_list_free(list);
	ok(kennel_container_remove(f->store, "web", 0, &err), err);
	kennel_error_free(e[0]);
	kennel_error_free(e[1]);
	kennel_spec_free(s);
}

static void test_store_sweep_leaves_what_is_locked(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;

	assert_int_equal(mkdirat(f->fd, "store", 0700), 0);
	assert_int_equal(mkdirat(f->fd, "store/.new-00000001", 0700), 0);
	assert_int_equal(mkdirat(f->fd, "store/.rm-00000002", 0700), 0);
	assert_int_equal(mkdirat(f->fd, "store/.other", 0700), 0);
	write_at(f->fd, "store/.new-00000001/config", "x");
	write_at(f->fd, "store/.rm-00000002/config", "x");
	int lock_fd = openat(f->fd, "store/.rm-00000002", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(lock_fd, LOCK_EX), 0);
	ok(kennel_container_gc(f->store, &n, NULL), NULL);
	assert_int_equal(n, 1);
	assert_false(is_there(f->fd, "store/.new-00000001"));
	assert_true(is_there(f->fd, "store/.rm-00000002/config"));
	close(lock_fd);
	ok(kennel_container_gc(f->store, &n, NULL), NULL);
	assert_int_equal(n, 1);
	assert_false(is_there(f->fd, "store/.rm-00000002"));
	assert_true(is_there(f->fd, "store/.other"));
}

/* As deep as no path can say, links to everywhere, odd names: all of it goes and nothing else. */
static void test_container_wipe_hostile_tree(void **state)
{
	struct fixture *f = *state;

	write_at(f->fd, "outside", "mine");
	assert_int_equal(mkdirat(f->fd, "tree", 0700), 0);
	int top_fd = openat(f->fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC), at_fd = dup(top_fd);
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(at_fd, "deep", 0700), 0);
		int next_fd = openat(at_fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at_fd);
		at_fd = next_fd;
	}
	write_at(at_fd, "bottom\n\x1b", "x");
	close(at_fd);
	assert_int_equal(symlinkat("../outside", top_fd, "link"), 0);
	assert_int_equal(symlinkat("..", top_fd, "up"), 0);
	assert_int_equal(mkfifoat(top_fd, "fifo", 0600), 0);
	assert_int_equal(linkat(f->fd, "outside", top_fd, "hard", 0), 0);
	uint64_t bytes = 0;
	assert_int_equal(container_measure(top_fd, &bytes, NULL), 0);
	assert_true(bytes > 4096);
	assert_int_equal(container_wipe(top_fd, "tree", NULL), 0);
	close(top_fd);
	assert_int_equal(unlinkat(f->fd, "tree", AT_REMOVEDIR), 0);
	has_text(f->fd, "outside", "mine");
}

static void test_delta_join_and_part_are_each_others_opposite(void **state)
{
	struct fixture *f = *state;
	const struct delta_join j = {
		.delta_fd = f->fd, .mount = 2, .parent = 0, .rel = "mnt/disk", .parent_lower_fd = -EBADF
	};

	assert_int_equal(mkdirat(f->fd, "0", 0700), 0);
	assert_int_equal(mkdirat(f->fd, "0/upper", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "2", 0700), 0);
	assert_int_equal(mkdirat(f->fd, "2/upper", 0751), 0);
	write_at(f->fd, "2/upper/file", "changed");
	assert_int_equal(delta_part(&j, NULL), 0);
	assert_int_equal(delta_join(&j, NULL), 1);
	has_text(f->fd, "0/upper/mnt/disk/file", "changed");
	assert_false(is_there(f->fd, "2/upper"));
	assert_int_equal(delta_join(&j, NULL), 0);
	assert_int_equal(delta_part(&j, NULL), 1);
	has_text(f->fd, "2/upper/file", "changed");
	assert_false(is_there(f->fd, "0/upper/mnt/disk"));
	assert_int_equal(delta_part(&j, NULL), 0);

	/* Something else in the way stays, and so does what would have to go there. */
	assert_int_equal(mkdirat(f->fd, "0/upper/mnt/disk", 0755), 0);
	write_at(f->fd, "0/upper/mnt/disk/other", "x");
	assert_int_equal(delta_join(&j, NULL), 0);
	assert_int_equal(unlinkat(f->fd, "0/upper/mnt/disk/other", 0), 0);
	assert_int_equal(unlinkat(f->fd, "0/upper/mnt/disk", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("/", f->fd, "0/upper/mnt/disk"), 0);
	assert_int_equal(delta_join(&j, NULL), 0);
	assert_int_equal(unlinkat(f->fd, "0/upper/mnt/disk", 0), 0);
	assert_int_equal(unlinkat(f->fd, "0/upper/mnt", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("../..", f->fd, "0/upper/mnt"), 0);
	assert_int_equal(delta_join(&j, NULL), 0);
	has_text(f->fd, "2/upper/file", "changed");
}

struct again {
	struct manifest_plants old, now;
	struct delta_before before;
	struct delta_spot spot;
};

/* The next start: what was planted is what was there before. */
static void next_start(struct again *a)
{
	manifest_plants_done(&a->old);
	a->old = a->now;
	a->now = (struct manifest_plants){ 0 };
	manifest_plants_sort(&a->old);
	a->before.planted = &a->old;
	a->spot.before = &a->before;
}

static int plant_hosts(struct again *a, const char *text)
{
	a->spot.rel = "hosts";
	return delta_plant_file(&a->spot, text, strlen(text), 0644, NULL);
}

static void test_delta_plant_again_refreshes_and_spares(void **state)
{
	struct fixture *f = *state;
	struct again a = { 0 };
	struct stat first, second;

	assert_int_equal(mkdirat(f->fd, "upper", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "lower", 0755), 0);
	assert_int_equal(mkdirat(f->fd, "lower/secret", 0755), 0);
	a.spot = (struct delta_spot){ .upper_fd = openat(f->fd, "upper", O_PATH | O_CLOEXEC),
				      .lower_fd = openat(f->fd, "lower", O_PATH | O_CLOEXEC),
				      .user_xattr = true,
				      .planted = &a.now };
	assert_int_equal(plant_hosts(&a, "one"), 1);
	a.spot.rel = "secret";
	assert_int_equal(delta_plant_empty(&a.spot, NULL), 1);
	next_start(&a);
	/* The same: not even touched. */
	assert_int_equal(fstatat(f->fd, "upper/hosts", &first, 0), 0);
	assert_int_equal(plant_hosts(&a, "one"), 1);
	assert_int_equal(fstatat(f->fd, "upper/hosts", &second, 0), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	a.spot.rel = "secret";
	assert_int_equal(delta_plant_empty(&a.spot, NULL), 1);
	assert_int_equal(a.now.n, 2);
	next_start(&a);
	/* Another content takes its place; what is not wanted any more goes. */
	assert_int_equal(plant_hosts(&a, "two"), 1);
	has_text(f->fd, "upper/hosts", "two");
	manifest_plants_sort(&a.now);
	assert_int_equal(delta_unplant(a.spot.upper_fd, 0, true, &a.old, &a.now, DELTA_SHOW_BELOW, NULL), 0);
	assert_false(is_there(f->fd, "upper/secret"));
	next_start(&a);
	/* What the sandbox wrote stays, and is planted no more. */
	write_at(f->fd, "upper/hosts", "the sandbox's own");
	assert_int_equal(plant_hosts(&a, "three"), 0);
	has_text(f->fd, "upper/hosts", "the sandbox's own");
	assert_int_equal(a.now.n, 0);
	next_start(&a);
	assert_int_equal(plant_hosts(&a, "three"), 0);
	/* After a start that was killed before it said so, what is not older than its mark is its work. */
	assert_int_equal(fstatat(f->fd, "upper/hosts", &first, 0), 0);
	a.before.unclean = true;
	a.before.since = first.st_ctim;
	a.before.since.tv_sec++;
	assert_int_equal(plant_hosts(&a, "three"), 0);
	a.before.since.tv_sec--;
	assert_int_equal(plant_hosts(&a, "three"), 1);
	has_text(f->fd, "upper/hosts", "three");
	close(a.spot.upper_fd);
	close(a.spot.lower_fd);
	manifest_plants_done(&a.old);
	manifest_plants_done(&a.now);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_container_create_set_list_rename_remove),
		TEST(test_container_refuses_what_makes_no_sense),
		TEST(test_store_open_only_what_is_ours),
		TEST(test_container_create_on_store_that_was_named),
		TEST(test_store_sweep_leaves_what_is_locked),
		TEST(test_container_wipe_hostile_tree),
		TEST(test_delta_join_and_part_are_each_others_opposite),
		TEST(test_delta_plant_again_refreshes_and_spares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
