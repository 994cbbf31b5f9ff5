/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-mountinfo.c - the mount table: fields, escapes, damaged lines, and what is hidden. */
#include "unit.h"

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "sys/sys.h"

static int parse(const char *text, struct mount_table *ret, struct kennel_error **err)
{
	return mount_table_parse(text, strlen(text), ret, err);
}

static void test_mount_table_parse_empty_gives_no_entries(void **state)
{
	struct mount_table t = { 0 };

	assert_int_equal(parse("", &t, NULL), 0);
	assert_int_equal(t.n, 0);
	assert_null(mount_table_find(&t, "/"));
	mount_table_done(&t);
}

static void test_mount_table_parse_fields_are_exact(void **state)
{
	struct mount_table t = { 0 };

	assert_int_equal(parse("27 1 254:3 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n"
			       "28 27 0:25 /sub /a\\040b\\011c\\012d\\134e\\043 ro - fuse.x\\040y  rw,"
			       "name=a\\054b c\n"
			       "29 27 0:26 / /lone\\04\\9\\400\\ rw propagate_from:3 - tmpfs a\\q rw",
			       &t, NULL),
			 0);
	assert_int_equal(t.n, 3);
	const struct mount_entry *e = t.entries;
	assert_int_equal(e[0].id, 27);
	assert_int_equal(e[0].parent_id, 1);
	assert_int_equal(e[0].dev_major, 254);
	assert_int_equal(e[0].dev_minor, 3);
	assert_string_equal(e[0].options, "rw,relatime");
	assert_string_equal(e[0].fstype, "ext4");
	assert_string_equal(e[0].source, "/dev/vda");
	assert_string_equal(e[0].super_options, "rw,discard");
	assert_string_equal(e[1].root, "/sub");
	assert_string_equal(e[1].target, "/a b\tc\nd\\e#");
	assert_string_equal(e[1].fstype, "fuse.x y");
	assert_string_equal(e[1].source, "");
	assert_string_equal(e[1].super_options, "rw,name=a\\054b c");
	assert_string_equal(e[2].target, "/lone\\04\\9\\400\\");
	assert_string_equal(e[2].source, "a\\q");
	mount_table_done(&t);
}

static void test_mount_table_parse_damaged_line_is_named(void **state)
{
	static const struct {
		const char *line, *what;
	} cases[] = {
		{ "", "no mount id" },
		{ "x 1 0:1 / /a rw - t s rw", "no mount id" },
		{ "-1 1 0:1 / /a rw - t s rw", "no mount id" },
		{ "4294967296 1 0:1 / /a rw - t s rw", "no mount id" },
		{ "2 1 01 / /a rw - t s rw", "no device number" },
		{ "2 1 0:99999999999 / /a rw - t s rw", "no device number" },
		{ "2 1 0:1 / a rw - t s rw", "absolute" },
		{ "2 1 0:1  /a rw - t s rw", "cut short" },
		{ "2 1 0:1 / /a", "cut short" },
		{ "2 1 0:1 / /a rw t s rw", "no separator" },
		{ "2 1 0:1 / /a rw shared:1", "no separator" },
		{ "2 1 0:1 / /a rw  - t s rw", "no separator" },
		{ "2 1 0:1 / /a rw - t", "cut short" },
		{ "2 1 0:1 / /a rw - t s", "cut short" },
		{ "2 1 0:1 / /a rw - t s ", "cut short" },
		{ "2 1 0:1 / /a\\000b rw - t s rw", "NUL" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct mount_table t = { 0 };
		char text[256];

		snprintf(text, sizeof(text), "1 0 0:1 / / rw - t s rw\n%s\n", cases[i].line);
		assert_int_equal(parse(text, &t, &err), -KENNEL_E_CORRUPT);
		assert_non_null(strstr(kennel_error_message(err), "line 2: "));
		assert_non_null(strstr(kennel_error_message(err), cases[i].what));
		assert_null(t.entries);
	}
	struct mount_table t = { 0 };
	static const char nul[] = "1 0 0:1 / /\0 rw - t s rw\n";
	assert_int_equal(mount_table_parse(nul, sizeof(nul) - 1, &t, NULL), -KENNEL_E_CORRUPT);
}

/* hidden: the ids that must be, in the order of lines, as " 25 26 " */
static const struct {
	const char *name, *text, *hidden;
} visibility[] = {
	{ "mounted twice, stacked",
	  "24 27 0:6 / /dev rw - devtmpfs d rw\n25 24 0:2 / /dev/shm rw - tmpfs t rw\n26 24 0:2 / "
	  "/dev/pts rw - devpts d rw\n"
	  "27 1 254:1 / / rw - ext4 /dev/vda rw\n29 26 0:2 / /dev/pts rw - devpts d rw\n30 25 0:2 / "
	  "/dev/shm rw - tmpfs t rw\n",
	  " 25 26 " },
	{ "covered by a later mount on the parent's path",
	  "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /a/b rw - ext4 /dev/b rw\n3 2 8:2 / /a/b/c rw - "
	  "ext4 /dev/b rw\n"
	  "4 1 0:2 / /a rw - tmpfs t rw\n5 4 0:3 / /a/b rw - tmpfs t rw\n6 1 0:4 / /ab rw - tmpfs t rw\n",
	  " 2 3 " },
	{ "a child at the same target hides its elder siblings below",
	  "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /a rw - ext4 /dev/b rw\n3 2 8:3 / /a/x rw - ext4 "
	  "/dev/c rw\n"
	  "4 2 8:4 / /a rw - ext4 /dev/d rw\n5 4 8:5 / /a/x rw - ext4 /dev/e rw\n", " 2 3 " },
	{ "two at one mount point: the newer one is found",
	  "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /a rw - ext4 /dev/b rw\n3 1 8:3 / /a rw - ext4 "
	  "/dev/c rw\n", " 2 " },
	{ "a root on the old rootfs, which is its own parent",
	  "1 1 0:1 / / rw - rootfs rootfs rw\n20 1 8:1 / / rw - ext4 /dev/a rw\n21 20 0:3 / /proc rw - "
	  "proc proc rw\n"
	  "22 1 0:4 / /proc rw - proc proc rw\n", " 1 22 " },
	{ "lines sorted by id, the parents moved in later",
	  "5 9 8:5 / /a/b rw - ext4 /dev/e rw\n7 1 8:1 / / rw - ext4 /dev/a rw\n9 7 8:2 / /a rw - ext4 "
	  "/dev/b rw\n", " " },
	{ "a plain chroot has no root mount",
	  "30 20 0:3 / /proc rw - proc proc rw\n31 20 0:4 / /sys rw - sysfs sysfs rw\n", " " },
	{ "removed mount points and circles of parents",
	  "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /a//deleted rw - ext4 /dev/b rw\n3 4 8:2 / /c rw - "
	  "ext4 /dev/b rw\n"
	  "4 3 8:2 / /c/d rw - ext4 /dev/b rw\n5 1 8:2 / /e rw - ext4 /dev/b rw\n6 5 8:2 / /f rw - ext4 "
	  "/dev/b rw\n",
	  " 2 3 4 6 " },
};

static void test_mount_table_parse_hidden_is_what_no_path_reaches(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(visibility); i++) {
		struct mount_table t = { 0 };

		assert_int_equal(parse(visibility[i].text, &t, NULL), 0);
		for (size_t k = 0; k < t.n; k++) {
			char id[16];

			snprintf(id, sizeof(id), " %u ", t.entries[k].id);
			if (t.entries[k].hidden != (strstr(visibility[i].hidden, id) != NULL))
				fail_msg("%s: mount%sis %s", visibility[i].name, id,
					 t.entries[k].hidden ? "hidden" : "visible");
		}
		mount_table_done(&t);
	}
}

static void test_mount_table_find_takes_the_deepest_visible(void **state)
{
	struct mount_table t = { 0 };

	assert_int_equal(parse(visibility[1].text, &t, NULL), 0);
	assert_int_equal(mount_table_find(&t, "/")->id, 1);
	assert_int_equal(mount_table_find(&t, "/a")->id, 4);
	assert_int_equal(mount_table_find(&t, "/a/b/c/d")->id, 5);
	assert_int_equal(mount_table_find(&t, "/abc")->id, 1);
	assert_int_equal(mount_table_find(&t, "/ab/c")->id, 6);
	mount_table_done(&t);
}

static void test_mount_table_parse_many_mounts_stays_fast(void **state)
{
	enum { MANY = 20000 };
	_cleanup_free_ char *text = malloc(MANY * 64);
	struct mount_table t = { 0 };
	size_t len = 0;

	assert_non_null(text);
	/* each mount the parent of the next: the worst case for whatever walks or recurses along parents */
	for (int i = 0; i < MANY; i++)
		len += (size_t)snprintf(text + len, 64, "%d %d 0:1 / / rw - tmpfs t rw\n", i + 1, i);
	assert_int_equal(mount_table_parse(text, len, &t, NULL), 0);
	assert_true(t.entries[0].hidden);
	assert_false(t.entries[MANY - 1].hidden);
	mount_table_done(&t);
}

/*
 * The kernel's own answer: statx-like, the device of what a path leads to must be that of the entry found
 * for it.
 */
static void test_mount_table_read_agrees_with_the_kernel(void **state)
{
	struct mount_table t = { 0 };

	assert_int_equal(mount_table_read(&t, NULL), 0);
	for (size_t i = 0; i < t.n; i++) {
		struct statx st;

		if (t.entries[i].hidden)
			continue;
		if (statx(AT_FDCWD, t.entries[i].target, AT_NO_AUTOMOUNT,
			  STATX_BASIC_STATS | 0x1000 /* STATX_MNT_ID */, &st) < 0)
			continue;
		if (st.stx_mask & 0x1000)
			assert_int_equal(st.stx_mnt_id, t.entries[i].id);
	}
	mount_table_done(&t);
}

/* Makes odd mounts in a namespace of its own. Returns the child's verdict. */
static int odd_mounts_in_child(void)
{
	static const char *const names[] = { "/tmp/a b", "/tmp/a b", "/tmp/a b/x\\y\n", "/tmp" };
	struct mount_table t = { 0 };

	if (sys_unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("own", "/tmp", "tmpfs", 0, NULL) < 0)
		return 77;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((mkdir(names[i], 0755) < 0 && errno != EEXIST) ||
		    mount("", names[i], "tmpfs", 0, NULL) < 0)
			return 1;
	if (mount_table_read(&t, NULL) < 0)
		return 2;
	unsigned hidden = 0, visible = 0;
	for (size_t i = 0; i < t.n; i++)
		if (strncmp(t.entries[i].target, "/tmp", 4) == 0)
			*(t.entries[i].hidden ? &hidden : &visible) += 1;
	const struct mount_entry *e = mount_table_find(&t, "/tmp/a b/x\\y\n");
	int verdict = strcmp(e->target, "/tmp") != 0 ? 3 : visible != 1 ? 4 : hidden < 4 ? 5 : 0;
	mount_table_done(&t);
	return verdict;
}

static void test_mount_table_read_odd_mounts(void **state)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(odd_mounts_in_child());
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip_test("only root may make a mount namespace here");
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mount_table_parse_empty_gives_no_entries),
		cmocka_unit_test(test_mount_table_parse_fields_are_exact),
		cmocka_unit_test(test_mount_table_parse_damaged_line_is_named),
		cmocka_unit_test(test_mount_table_parse_hidden_is_what_no_path_reaches),
		cmocka_unit_test(test_mount_table_find_takes_the_deepest_visible),
		cmocka_unit_test(test_mount_table_parse_many_mounts_stays_fast),
		cmocka_unit_test(test_mount_table_read_agrees_with_the_kernel),
		cmocka_unit_test(test_mount_table_read_odd_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
