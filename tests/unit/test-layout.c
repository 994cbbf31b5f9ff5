/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-layout.c - what is put into a delta before a start, also into one that a sandbox has written, and
 * how its changes are counted.
 *
 * Every test has a fresh directory with "lower" and "upper"; "outside" lies beside them, and nothing may ever
 * get there.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "delta/layout.h"
#include "delta/walk.h"
#include "sys/sys.h"

static int inject_openat2; /* errno, or 0 */

int __real_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int __wrap_sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
	if (inject_openat2) {
		errno = inject_openat2;
		return -1;
	}
	return __real_sys_openat2(dir_fd, path, how);
}

struct fixture {
	char dir[40];
	int dir_fd;
	struct manifest_plants planted;
	struct delta_spot spot;
};

static void make_file(int dir_fd, const char *name, mode_t mode)
{
	assert_int_equal(mknodat(dir_fd, name, S_IFREG | 0600, 0), 0);
	assert_int_equal(fchmodat(dir_fd, name, mode, 0), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/kennel-layout-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->dir_fd, "lower", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "outside", 0755), 0);
	f->spot = (struct delta_spot){
		.lower_fd = openat(f->dir_fd, "lower", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.user_xattr = true,
		.planted = &f->planted,
	};
	assert_int_equal(mkdirat(f->dir_fd, "0", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "0/upper", 0755), 0);
	f->spot.upper_fd = openat(f->dir_fd, "0/upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(f->spot.lower_fd, "etc", 0700), 0);
	assert_int_equal(mkdirat(f->spot.lower_fd, "etc/sub", 0755), 0);
	assert_int_equal(fchmodat(f->spot.lower_fd, "etc/sub", 02751, 0), 0);
	make_file(f->spot.lower_fd, "etc/hosts", 0640);
	make_file(f->spot.lower_fd, "etc/sub/secret", 0604);
	assert_int_equal(symlinkat("etc", f->spot.lower_fd, "link"), 0);
	assert_int_equal(symlinkat("/outside", f->spot.lower_fd, "etc/out"), 0);
	assert_int_equal(mkfifoat(f->spot.lower_fd, "etc/fifo", 0666), 0);
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

	inject_openat2 = 0;
	assert_int_equal(unlinkat(f->dir_fd, "outside", AT_REMOVEDIR), 0); /* still empty */
	close(f->spot.upper_fd);
	close(f->spot.lower_fd);
	close(f->dir_fd);
	manifest_plants_done(&f->planted);
	assert_int_equal(nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT), 0);
	free(f);
	return 0;
}

static mode_t mode_of(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static uint64_t count_changes(struct fixture *f)
{
	uint64_t n = 12345;

	manifest_plants_sort(&f->planted);
	assert_int_equal(delta_count(f->dir_fd, 3, &f->planted, &n, NULL), 0);
	return n;
}

static void test_delta_add_mount_is_like_the_lower(void **state)
{
	struct fixture *f = *state;
	struct stat like = { .st_mode = S_IFDIR | 01750,
			     .st_uid = geteuid() ? 0 : 4321,
			     .st_gid = geteuid() ? 0 : 1234 };
	int upper_fd = -EBADF, work_fd = -EBADF;
	struct stat st;
	mode_t mask = umask(0777);

	int r = delta_add_mount(f->dir_fd, 7, &like, &upper_fd, &work_fd, NULL);
	umask(mask);
	assert_int_equal(r, 0);
	assert_int_equal(fstat(upper_fd, &st), 0);
	assert_int_equal(st.st_mode, like.st_mode);
	if (geteuid() == 0)
		assert_true(st.st_uid == 4321 && st.st_gid == 1234);
	assert_int_equal(mode_of(f->dir_fd, "7/work"), S_IFDIR | 0700);
	close(upper_fd);
	close(work_fd);
	/* A kept delta has them already. */
	assert_int_equal(delta_add_mount(f->dir_fd, 7, &like, &upper_fd, &work_fd, NULL), 0);
	close(upper_fd);
	close(work_fd);
}

static void test_delta_add_mount_refuses_what_is_no_directory(void **state)
{
	struct fixture *f = *state;
	const struct stat like = { .st_mode = S_IFDIR | 0755 };

	for (unsigned i = 1; i <= 2; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		int upper_fd = -77, work_fd = -78;
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(mkdirat(f->dir_fd, name, 0700), 0);
		snprintf(name, sizeof(name), "%u/upper", i);
		if (i == 1)
			make_file(f->dir_fd, name, 0600);
		else
			assert_int_equal(symlinkat("../outside", f->dir_fd, name), 0);
		assert_int_equal(delta_add_mount(f->dir_fd, i, &like, &upper_fd, &work_fd, &err),
				 -KENNEL_E_TYPE);
		assert_string_equal(kennel_error_message(err), "open the delta: Not a directory");
		assert_true(upper_fd == -77 && work_fd == -78);
	}
}

enum plant { PLANT_FILE, PLANT_EMPTY, PLANT_ABSENT };

static int plant(struct fixture *f, enum plant how, const char *rel, struct kennel_error **err)
{
	f->spot.rel = rel;
	return how == PLANT_FILE  ? delta_plant_file(&f->spot, "text", 4, 0644, err) :
	       how == PLANT_EMPTY ? delta_plant_empty(&f->spot, err) :
				    delta_plant_absent(&f->spot, err);
}

/* what: in the upper afterwards, type and mode; 0: nothing */
static const struct {
	enum plant how;
	const char *rel;
	int want;
	mode_t what;
	const char *message; /* iff want is negative */
} plants[] = {
	{ PLANT_FILE, "etc/hosts", 1, S_IFREG | 0644, NULL },
	{ PLANT_FILE, "etc/new", 1, S_IFREG | 0644, NULL },
	{ PLANT_FILE, "no/new", 0, 0, NULL },
	{ PLANT_FILE, "link/hosts", 0, 0, NULL },
	{ PLANT_FILE, "etc/hosts/new", 0, 0, NULL },
	{ PLANT_EMPTY, "etc/hosts", 1, S_IFREG | 0640, NULL },
	{ PLANT_EMPTY, "etc/sub", 1, S_IFDIR | 02751, NULL },
	{ PLANT_EMPTY, "etc/sub/secret", 1, S_IFREG | 0604, NULL },
	{ PLANT_EMPTY, "etc/out", 1, S_IFREG | 0644, NULL },
	{ PLANT_EMPTY, "etc/fifo", 1, S_IFREG | 0644, NULL },
	{ PLANT_EMPTY, "etc/nothing", 0, 0, NULL },
	{ PLANT_EMPTY, "etc/hosts/x", 0, 0, NULL },
	{ PLANT_EMPTY, "link/hosts", -KENNEL_E_TYPE, 0, "a part of \"link/hosts\" is a symbolic link" },
	{ PLANT_ABSENT, "etc/hosts", 1, S_IFCHR, NULL },
	{ PLANT_ABSENT, "etc/sub", 1, S_IFCHR, NULL },
	{ PLANT_ABSENT, "link", 1, S_IFCHR, NULL },
	{ PLANT_ABSENT, "etc/nothing", 0, 0, NULL },
	{ PLANT_ABSENT, "link/sub", -KENNEL_E_TYPE, 0, "a part of \"link/sub\" is a symbolic link" },
};

static void test_delta_plant_table(void **state)
{
	if (geteuid() != 0)
		skip_test("needs root");
	for (size_t i = 0; i < ARRAY_SIZE(plants); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		void *inner;

		assert_int_equal(set_up(&inner), 0);
		struct fixture *f = inner;
		int r = plant(f, plants[i].how, plants[i].rel, &err);
		mode_t mode = mode_of(f->spot.upper_fd, plants[i].rel);
		if (r != plants[i].want || mode != plants[i].what)
			fail_msg("row %zu: %d, mode %o", i, r, mode);
		if (r < 0) {
			assert_string_equal(kennel_error_message(err), plants[i].message);
			assert_string_equal(kennel_error_hint(err),
					    "name the place itself, as realpath shows it");
		}
		/*
		 * Parents are as in the lower; what we put in is no change, and a second time nothing
		 * happens.
		 */
		if (r > 0 && strchr(plants[i].rel, '/'))
			assert_int_equal(mode_of(f->spot.upper_fd, "etc"), S_IFDIR | 0700);
		assert_int_equal(count_changes(f), 0);
		if (r >= 0)
			assert_int_equal(plant(f, plants[i].how, plants[i].rel, NULL), 0);
		assert_int_equal(tear_down(&inner), 0);
	}
}

static void test_delta_plant_empty_directory_is_opaque(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	char value[4];

	if (!delta_has_user_xattr(f->spot.upper_fd))
		skip_test("the file system of /tmp keeps no user xattrs");
	assert_int_equal(plant(f, PLANT_EMPTY, "etc/sub", &err), 1);
	_cleanup_close_ int fd = openat(f->spot.upper_fd, "etc/sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)), 1);
	assert_int_equal(value[0], 'y');
	/* the parents are merged, not replaced */
	_cleanup_close_ int etc_fd = openat(f->spot.upper_fd, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(fgetxattr(etc_fd, "user.overlay.opaque", value, sizeof(value)), -1);
}

/* What a sandbox may have put where we expect a directory or nothing. */
static void test_delta_plant_hostile_upper_stays_as_it_is(void **state)
{
	static const char *const traps[] = { "link", "file", "whiteout", "target-link" };

	if (geteuid() != 0)
		skip_test("needs root");
	for (size_t t = 0; t < ARRAY_SIZE(traps); t++)
		for (int how = PLANT_FILE; how <= PLANT_ABSENT; how++) {
			void *inner;

			assert_int_equal(set_up(&inner), 0);
			struct fixture *f = inner;
			int up_fd = f->spot.upper_fd;
			switch (t) {
			case 0:
				assert_int_equal(symlinkat("../../outside", up_fd, "etc"), 0);
				break;
			case 1:
				make_file(up_fd, "etc", 0600);
				break;
			case 2:
				assert_int_equal(mknodat(up_fd, "etc", S_IFCHR, makedev(0, 0)), 0);
				break;
			case 3:
				assert_int_equal(mkdirat(up_fd, "etc", 0755), 0);
				assert_int_equal(symlinkat("../../../outside/x", up_fd, "etc/hosts"), 0);
				break;
			}
			mode_t before = mode_of(up_fd, "etc");
			int r = plant(f, (enum plant)how, "etc/hosts", NULL);
			if (r != 0 || mode_of(up_fd, "etc") != before)
				fail_msg("%s, %d: %d", traps[t], how, r);
			assert_int_equal(f->planted.n, 0);
			assert_int_equal(tear_down(&inner), 0);
		}
}

static void test_delta_plant_lower_out_of_reach_is_an_error(void **state)
{
	struct fixture *f = *state;

	for (int how = PLANT_EMPTY; how <= PLANT_ABSENT; how++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		inject_openat2 = EMFILE; /* not "it is not there": it would stay visible */
		int r = plant(f, (enum plant)how, "etc/hosts", &err);
		inject_openat2 = 0;
		assert_int_equal(r, -KENNEL_E_LIMIT);
		assert_string_equal(kennel_error_message(err), "look at \"etc/hosts\": Too many open files");
	}
}

static void test_delta_count_names_not_directories(void **state)
{
	struct fixture *f = *state;
	int up_fd = f->spot.upper_fd;

	assert_int_equal(count_changes(f), 0);
	assert_int_equal(mkdirat(up_fd, "a", 0755), 0);
	assert_int_equal(mkdirat(up_fd, "a/b", 0755), 0);
	assert_int_equal(count_changes(f), 0);
	make_file(up_fd, "a/b/file", 0644);
	make_file(up_fd, "a/file", 0);
	assert_int_equal(linkat(up_fd, "a/file", up_fd, "hard", 0), 0);
	assert_int_equal(symlinkat("a", up_fd, "soft"), 0);
	assert_int_equal(mkfifoat(up_fd, "fifo", 0600), 0);
	assert_int_equal(count_changes(f), 5);
	/* the second mount's upper counts too, its work directory does not */
	assert_int_equal(mkdirat(f->dir_fd, "2", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "2/upper", 0755), 0);
	assert_int_equal(mkdirat(f->dir_fd, "2/work", 0755), 0);
	make_file(f->dir_fd, "2/upper/x", 0644);
	make_file(f->dir_fd, "2/work/x", 0644);
	assert_int_equal(count_changes(f), 6);
}

static void test_delta_count_planted_ones_count_once_changed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(plant(f, PLANT_FILE, "etc/hosts", NULL), 1);
	assert_int_equal(plant(f, PLANT_FILE, "etc/other", NULL), 1);
	assert_int_equal(count_changes(f), 0);
	/* Another name of it is one of the sandbox's own; what it holds is still ours. */
	assert_int_equal(linkat(f->spot.upper_fd, "etc/other", f->spot.upper_fd, "etc/third", 0), 0);
	assert_int_equal(count_changes(f), 1);
	usleep(20000); /* a tick of the file system's clock */
	_cleanup_close_ int fd = openat(f->spot.upper_fd, "etc/hosts", O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(count_changes(f), 2);
	/* Moved, it is new at one place and gone from the other. */
	assert_int_equal(renameat(f->spot.upper_fd, "etc/other", f->spot.upper_fd, "etc/moved"), 0);
	assert_int_equal(count_changes(f), 3);
}

static void test_delta_count_four_thousand_levels_and_few_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, few = { 32, 32 };
	int fd = fcntl(f->spot.upper_fd, F_DUPFD_CLOEXEC, 3);

	for (unsigned i = 0; i < 4000; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		make_file(fd, "f", 0644);
		int next_fd = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next_fd;
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	uint64_t n = 0;
	int r = delta_count(f->dir_fd, 1, &f->planted, &n, NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	/* Such a tree is no work for nftw(): up again, emptying. */
	for (unsigned i = 0; i < 4000; i++) {
		int up_fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_int_equal(unlinkat(up_fd, "d", AT_REMOVEDIR), 0);
		assert_int_equal(unlinkat(up_fd, "f", 0), 0);
		close(fd);
		fd = up_fd;
	}
	close(fd);
	assert_int_equal(r, 0);
	assert_int_equal(n, 4000);
}

static void test_delta_count_without_descriptors_is_an_error(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct rlimit old, none;
	uint64_t n = 99;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int r = delta_count(f->dir_fd, 1, &f->planted, &n, &err);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(r, -KENNEL_E_LIMIT);
	assert_string_equal(kennel_error_message(err), "open a directory of the delta: Too many open files");
	assert_int_equal(n, 99);
}

/* A name alone would say nothing: there is one of it in many places. */
static void test_delta_walk_tells_where_it_may_not_look(void **state)
{
	struct fixture *f = *state;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_walk_ struct delta_walk w = { .opaque = "user.overlay.opaque" };
	const uid_t uid = geteuid();
	struct walk_entry e;
	int r = 1;

	assert_int_equal(mkdirat(f->spot.upper_fd, "one", 0755), 0);
	assert_int_equal(mkdirat(f->spot.upper_fd, "one/two", 0755), 0);
	assert_int_equal(mkdirat(f->spot.upper_fd, "one/two/three", 0), 0);
	assert_int_equal(
		delta_walk_begin(&w, openat(f->dir_fd, "0/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC), NULL),
		0);
	if (uid == 0)
		assert_int_equal(seteuid(65534), 0);
	while (r > 0)
		r = delta_walk_next(&w, &e, &err);
	if (uid == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -KENNEL_E_PERM);
	assert_string_equal(kennel_error_message(err),
			    "open the directory \"one/two/three\": Permission denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_delta_add_mount_is_like_the_lower, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delta_add_mount_refuses_what_is_no_directory, set_up,
						tear_down),
		cmocka_unit_test(test_delta_plant_table),
		cmocka_unit_test_setup_teardown(test_delta_plant_empty_directory_is_opaque, set_up,
						tear_down),
		cmocka_unit_test(test_delta_plant_hostile_upper_stays_as_it_is),
		cmocka_unit_test_setup_teardown(test_delta_plant_lower_out_of_reach_is_an_error, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_delta_count_names_not_directories, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delta_count_planted_ones_count_once_changed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_delta_count_four_thousand_levels_and_few_descriptors,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delta_count_without_descriptors_is_an_error, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_delta_walk_tells_where_it_may_not_look, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
