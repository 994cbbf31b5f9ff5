/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-cgroup-layout.c - text of /proc in, directories and controllers of the own control group out. */
#include "unit.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cgroup/layout.h"

static void assert_slice(struct cgroup_slice s, const char *text)
{
	if (s.len != strlen(text) || memcmp(s.text, text, s.len) != 0)
		fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.text, text);
}

static void test_layout_parse_hybrid(void **state)
{
	static const char mounts[] =
		"23 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup none rw,cpu,cpuacct\n"
		"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
		"39 31 0:36 / /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids\n"
		"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
	static const char self[] = "9:name=systemd:/x\n8:pids:/\n1:cpu,cpuacct:/a/b\n0::/user.slice/one\n";
	struct cgroup_layout l;

	cgroup_layout_parse(mounts, self, &l);
	assert_int_equal(l.n, 3);
	assert_int_equal(l.mounts[0].ctls, CGROUP_CPU);
	assert_int_equal(l.mounts[0].mount_id, 32);
	assert_slice(l.mounts[0].own, "a/b");
	assert_slice(l.mounts[0].point, "/sys/fs/cgroup/cpu,cpuacct");
	assert_int_equal(l.mounts[1].ctls, CGROUP_PIDS);
	assert_true(l.mounts[1].read_only);
	assert_slice(l.mounts[1].own, "");
	assert_true(l.mounts[2].v2);
	assert_true(l.mounts[2].visible);
	assert_slice(l.mounts[2].own, "user.slice/one");
}

static void test_layout_own_below_the_mounted_directory(void **state)
{
	static const struct {
		const char *root, *own, *below; /* below NULL: not visible */
	} cases[] = {
		{ "/", "/", "" },
		{ "/", "/a b/c", "a b/c" },
		{ "/docker/1", "/docker/1", "" },
		{ "/docker/1", "/docker/1/x", "x" },
		{ "/docker/1", "/docker/12", NULL },
		{ "/docker/1", "/", NULL },
		{ "/a\\040b", "/a b/c", "c" },
		{ "/..", "/", NULL },
		{ "/", "/../x", NULL },
		{ "/", "relative", NULL },
		{ "relative", "/relative", NULL },
		{ "/a\\000", "/a", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char mounts[256], self[64];
		struct cgroup_layout l;

		(void)!snprintf(mounts, sizeof(mounts), "7 1 0:9 %s /c rw - cgroup2 none rw", cases[i].root);
		(void)!snprintf(self, sizeof(self), "0::%s\n", cases[i].own);
		cgroup_layout_parse(mounts, self, &l);
		assert_int_equal(l.n, 1);
		assert_int_equal(l.mounts[0].visible, cases[i].below != NULL);
		if (cases[i].below)
			assert_slice(l.mounts[0].own, cases[i].below);
	}
}

static void test_layout_rubbish_is_left_out(void **state)
{
	static const char *const lines[] = {
		"",
		"\n\n",
		" - cgroup",
		"1 2 3 - cgroup x y",
		"x 1 0:9 / /c rw - cgroup2 none rw",
		"7 1 0:9 / /c rw cgroup2 none rw",
		"7 1 0:9 / /c rw - cgroup2 none",
		"7 1 0:9 / /c rw - cgroup3 none rw",
		"7 1 0:9 / /c rw - cgroup none rw,name=systemd",
		"7 1 0:9 / /x - cgroup rw - ext4 a b",
		"99999999999999999999 1 0:9 / /c rw - cgroup2 none rw",
	};
	struct cgroup_layout l;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		cgroup_layout_parse(lines[i], "0::/\n", &l);
		assert_int_equal(l.n, 0);
	}
	cgroup_layout_parse("7 1 0:9 / /c rw - cgroup2 none rw", "0:\n:\n0\n1:x:/\n", &l);
	assert_int_equal(l.n, 1);
	assert_false(l.mounts[0].visible);
}

static void test_layout_more_mounts_than_room_are_left_out(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct cgroup_layout l;

	for (int i = 0; i < 2 * CGROUP_MOUNTS_MAX; i++)
		buf_puts(&b, "7 1 0:9 / /c rw - cgroup2 none rw\n");
	cgroup_layout_parse(buf_str(&b), "0::/\n", &l);
	assert_int_equal(l.n, CGROUP_MOUNTS_MAX);
}

static void test_unescape_takes_octal_back(void **state)
{
	char text[16];

	assert_int_equal(cgroup_unescape((struct cgroup_slice){ "a\\040b\\134", 10 }, text, sizeof(text)), 0);
	assert_string_equal(text, "a b\\");
	assert_int_equal(cgroup_unescape((struct cgroup_slice){ "\\04", 3 }, text, sizeof(text)), 0);
	assert_string_equal(text, "\\04");
	assert_int_equal(cgroup_unescape((struct cgroup_slice){ "abcdef", 6 }, text, 6), -1);
	assert_int_equal(cgroup_unescape((struct cgroup_slice){ "", 0 }, text, 0), -1);
	assert_int_equal(cgroup_copy((struct cgroup_slice){ "abc", 3 }, text, 3), -1);
	assert_int_equal(cgroup_copy((struct cgroup_slice){ "", 0 }, text, sizeof(text)), 0);
	assert_string_equal(text, ".");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_parse_hybrid),
		cmocka_unit_test(test_layout_own_below_the_mounted_directory),
		cmocka_unit_test(test_layout_rubbish_is_left_out),
		cmocka_unit_test(test_layout_more_mounts_than_room_are_left_out),
		cmocka_unit_test(test_unescape_takes_octal_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
