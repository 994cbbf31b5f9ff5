/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-commit.c - which changes are made to a base, and that a hostile delta or base never gets one made
 * anywhere else: "outside" lies beside the base and stays as it is.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "delta/commit.h"
#include "path/remove.h"
#include "txn-trees.h"

struct fixture {
	char dir[48];
	int dir_fd, base_fd, upper_fd, state_fd;
	struct delta_tree *tree;
	struct commit c;
};

static int open_dir(int dir_fd, const char *name)
{
	assert_int_equal(mkdirat(dir_fd, name, 0755), 0);
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/kennel-commit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->base_fd = open_dir(f->dir_fd, "base");
	f->state_fd = open_dir(f->dir_fd, "state");
	close(open_dir(f->dir_fd, "delta"));
	close(open_dir(f->dir_fd, "delta/0"));
	f->upper_fd = open_dir(f->dir_fd, "delta/0/upper");
	close(open_dir(f->dir_fd, "outside"));
	write_file(f->dir_fd, "outside/file", "outside", 0600);
	close(open_dir(f->base_fd, "etc"));
	write_file(f->base_fd, "etc/file", "before", 0644);
	usleep(20000); /* a tick of the file system's clock: births are later than what is in the base */
	f->c.root_fd = -EBADF;
	*state = f;
	return 0;
}

static void collect(struct fixture *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct manifest m = { .user_xattr = true };
	char base[64];

	snprintf(base, sizeof(base), "%s/base", f->dir);
	m.base = strdup(base);
	assert_int_equal(manifest_add_mount(&m, 0, "/", "base", NULL, NULL), 0);
	int fd = openat(f->dir_fd, "delta", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(delta_tree_open(&m, fd, -EBADF, NULL, &f->tree, NULL), 0);
	int r = commit_collect(f->tree, "/own", NULL, &f->c, &err);
	if (r < 0)
		fail_msg("%s", kennel_error_message(err));
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char text[16] = "";
	int fd = openat(f->dir_fd, "outside/file", O_RDONLY | O_CLOEXEC);

	assert_int_equal(read(fd, text, sizeof(text)), 7);
	assert_string_equal(text, "outside");
	assert_int_equal(unlinkat(f->dir_fd, "outside/file", 0), 0);
	assert_int_equal(unlinkat(f->dir_fd, "outside", AT_REMOVEDIR), 0); /* nothing else is in it */
	close(fd);
	commit_done(&f->c);
	delta_tree_free(f->tree);
	close(f->base_fd);
	close(f->upper_fd);
	close(f->state_fd);
	close(f->dir_fd);
	fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(path_remove_tree(fd, strrchr(f->dir, '/') + 1, NULL), 0);
	close(fd);
	free(f);
	return 0;
}

static const struct commit_entry *entry(const struct fixture *f, const char *path)
{
	for (size_t i = 0; i < f->c.n; i++)
		if (strcmp(f->c.items[i].path, path) == 0)
			return &f->c.items[i];
	fail_msg("\"%s\" is no change", path);
	return NULL;
}

static int apply(struct fixture *f, bool force, struct kennel_error **err)
{
	size_t n = 0;

	return commit_apply(&f->c, f->state_fd, "test", force, NULL, &n, err);
}

static void test_commit_never_and_own_are_left(void **state)
{
	static const char *const dirs[] = { "proc", "tmp", "own", ".kennel-commit-00000000", "run" };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		close(open_dir(f->upper_fd, dirs[i]));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/delta/0/upper/socket", f->dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	write_file(f->upper_fd, "tmp/x", "x", 0644);
	write_file(f->upper_fd, "fine", "x", 04755);
	collect(f);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/%s", dirs[i]);
		assert_int_equal(entry(f, path)->verdict, COMMIT_LEFT);
	}
	assert_string_equal(entry(f, "/socket")->reason, "a socket");
	assert_int_equal(entry(f, "/tmp/x")->verdict, COMMIT_LEFT);
	assert_int_equal(entry(f, "/fine")->verdict, COMMIT_FINE);
	assert_int_equal(entry(f, "/fine")->rights, COMMIT_SETUID);
	assert_int_equal(apply(f, true, NULL), 0);
	assert_int_equal(faccessat(f->base_fd, "fine", F_OK, 0), 0);
	assert_int_equal(faccessat(f->base_fd, "tmp", F_OK, 0), -1);
	assert_int_equal(faccessat(f->base_fd, "socket", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

/* The delta has a directory where the base has a link that leads out of it. */
static void test_commit_follows_no_link_of_the_base(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(symlinkat("../outside", f->base_fd, "way"), 0);
	close(open_dir(f->upper_fd, "way"));
	write_file(f->upper_fd, "way/file", "inside", 0644);
	collect(f);
	assert_int_equal(entry(f, "/way")->kind, DELTA_RETYPED);
	assert_int_equal(apply(f, true, NULL), 0);
	struct stat st;
	assert_int_equal(fstatat(f->base_fd, "way", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISDIR(st.st_mode));
}

/* Between the look and the commit somebody turns a directory of the base into a link. */
static void test_commit_base_turned_into_a_link_fails(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	close(open_dir(f->upper_fd, "etc"));
	write_file(f->upper_fd, "etc/file", "after", 0644);
	collect(f);
	assert_int_equal(entry(f, "/etc/file")->verdict, COMMIT_FINE);
	assert_int_equal(renameat(f->base_fd, "etc", f->base_fd, "gone"), 0);
	assert_int_equal(symlinkat("../outside", f->base_fd, "etc"), 0);
	assert_true(apply(f, true, &err) < 0);
	assert_non_null(strstr(kennel_error_message(err), "etc"));
}

/* What was shown is what is applied: not a file that became setuid in between. */
static void test_commit_delta_changed_meanwhile_fails(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;

	write_file(f->upper_fd, "program", "x", 0755);
	collect(f);
	usleep(20000);
	assert_int_equal(fchmodat(f->upper_fd, "program", 04755, 0), 0);
	assert_int_equal(apply(f, false, &err), -KENNEL_E_BUSY);
	assert_non_null(strstr(kennel_error_message(err), "\"/program\" was changed"));
	assert_int_equal(faccessat(f->base_fd, "program", F_OK, 0), -1);
}

static void test_commit_changed_since_is_a_conflict(void **state)
{
	struct fixture *f = *state;

	close(open_dir(f->upper_fd, "etc"));
	write_file(f->upper_fd, "etc/file", "after", 0644);
	usleep(20000);
	assert_int_equal(fchmodat(f->base_fd, "etc/file", 0600, 0), 0);
	collect(f);
	assert_int_equal(entry(f, "/etc/file")->verdict, COMMIT_CONFLICT);
	assert_string_equal(entry(f, "/etc/file")->reason, "it changed since");
	assert_int_equal(apply(f, false, NULL), 0);
	struct stat st;
	assert_int_equal(fstatat(f->base_fd, "etc/file", &st, 0), 0);
	assert_int_equal(st.st_size, 6);
}

static void test_commit_chosen_brings_its_directories(void **state)
{
	struct fixture *f = *state;

	close(open_dir(f->upper_fd, "a"));
	close(open_dir(f->upper_fd, "a/b"));
	write_file(f->upper_fd, "a/b/wanted", "x", 0644);
	write_file(f->upper_fd, "a/other", "x", 0644);
	write_file(f->upper_fd, "a.txt", "x", 0644);
	collect(f);
	commit_choose_none(&f->c);
	assert_int_equal(commit_choose(&f->c, "/a/b/wanted"), 1);
	commit_choose_parents(&f->c);
	assert_true(entry(f, "/a")->chosen && entry(f, "/a/b")->chosen);
	assert_false(entry(f, "/a/other")->chosen || entry(f, "/a.txt")->chosen);
	commit_choose_none(&f->c);
	for (size_t i = 0; i < f->c.n; i++)
		if (strcmp(f->c.items[i].path, "/a/b/wanted") == 0)
			commit_choose_one(&f->c, i, true);
	assert_true(entry(f, "/a")->chosen && entry(f, "/a/b")->chosen && !entry(f, "/a/other")->chosen);
	assert_int_equal(apply(f, false, NULL), 0);
	assert_int_equal(faccessat(f->base_fd, "a/b/wanted", F_OK, 0), 0);
	assert_int_equal(faccessat(f->base_fd, "a/other", F_OK, 0), -1);
}

/* What tests/integ/46-commit.bats does not reach from outside. */
static void test_kennel_commit_refuses(void **state)
{
	const struct kennel_commit_options odd = { .size = sizeof(odd), .flags = 1u << 30 };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_commit *commit = NULL;
	struct kennel_commit_entry e;

	assert_int_equal(kennel_commit_open("x", &odd, &commit, &err), -KENNEL_E_INVALID);
	assert_int_equal(kennel_commit_undo(&odd, NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_commit_recover(&odd, NULL), -KENNEL_E_INVALID);
	assert_null(commit);
	assert_null(kennel_commit_free(NULL));
	(void)kennel_commit_count;
	(void)kennel_commit_delta;
	(void)kennel_commit_get;
	(void)kennel_commit_choose;
	(void)kennel_commit_choose_path;
	(void)kennel_commit_apply;
	(void)e;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit_never_and_own_are_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commit_follows_no_link_of_the_base, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commit_base_turned_into_a_link_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commit_delta_changed_meanwhile_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commit_changed_since_is_a_conflict, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commit_chosen_brings_its_directories, set_up, tear_down),
		cmocka_unit_test(test_kennel_commit_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
