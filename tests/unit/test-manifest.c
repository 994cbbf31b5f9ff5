/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-manifest.c - the text of a manifest: what is read, what is refused and with which words. */
#include "unit.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "delta/manifest.h"

#define BAD_PLANTED \
	"line 4 of the manifest, \"planted\": it takes a number, a path, a kind, a size and a time"
#define BAD_BELOW "line 4 of the manifest, \"below\": it takes the id of a layer or an absolute path"
#define HEAD "format\t1\nbase\tsystem\nmount\t0\t/\text4\t-\n"

static const char all[] = "format\t1\n"
			  "base\t/srv/odd\\tbase\n"
			  "base-id\t1234\n"
			  "root-layer\t/run/layers/2\n"
			  "root-layer\t/run/layers/1\n"
			  "layer\t/srv/layer\\\\1\n"
			  "below\t/mnt/store/.layers/0123456789abcdef\n"
			  "below\t0123456789abcdef\n"
			  "mount\t0\t/\text4\taa-bb\n"
			  "mount\t3\t/srv/line\\nbreak\tvfat\t-\n"
			  "view\tyes\n"
			  "absent\t/proc\n"
			  "squash\tyes\n"
			  "idmap\t100000:65536:200000:65535:1000:1001\n"
			  "begun\t1700000000123456789\t0\n"
			  "xattr\tuser\n"
			  "planted\t0\tetc/hosts\tfile\t33\t1700000000123456789\n"
			  "planted\t0\tproc\tplace\t0\t0\n"
			  "planted\t3\ta\\tb\twhiteout\t0\t0\n"
			  "planted\t3\tc\topaque\t0\t0\n";

static void test_manifest_all_keys_come_back(void **state)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_buf_ struct buf b = { 0 };

	assert_int_equal(manifest_parse(all, &m, NULL), 0);
	assert_string_equal(m.base, "/srv/odd\tbase");
	assert_string_equal(m.root_layers.items[1], "/run/layers/1");
	assert_string_equal(m.layers.items[0], "/srv/layer\\1");
	assert_string_equal(m.below.items[1], "0123456789abcdef");
	assert_int_equal(m.n_mounts, 2);
	assert_int_equal(m.mounts[1].index, 3);
	assert_string_equal(m.mounts[1].target, "/srv/line\nbreak");
	assert_null(m.mounts[1].uuid);
	assert_true(m.view && m.squash && m.shifted && m.user_xattr);
	assert_int_equal(m.ids.gids.count, 65535);
	assert_int_equal(m.ids.gid, 1001);
	assert_int_equal(m.planted.n, 4);
	assert_string_equal(m.planted.items[2].rel, "a\tb");
	manifest_format(&m, &b);
	assert_string_equal(buf_str(&b), all);
}

static void test_manifest_parse_refuses(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "the manifest has no base" },
		{ "format\t1\n", "the manifest has no base" },
		{ "format\t1\nbase\tsystem\n", "the manifest has no mount" },
		{ "base\tsystem\n", "line 1 of the manifest, \"base\": the first one is \"format\"" },
		{ "format\n", "line 1 of the manifest, \"format\": the first one is \"format\"" },
		{ "format\t1\nbase\tsys", "line 2 of the manifest, \"\": it is cut short" },
		{ "format\t1\nbase\tsrv\n",
		  "line 2 of the manifest, \"base\": it takes system or an absolute path" },
		{ "format\t1\nbase\tsystem\nbase\tsystem\n",
		  "line 3 of the manifest, \"base\": it is there twice" },
		{ "format\t1\nbase\tsystem\tx\n",
		  "line 2 of the manifest, \"base\": it has another number of fields" },
		{ "format\t1\n\n", "line 2 of the manifest, \"\": it is not known" },
		{ HEAD "colour\tred\n", "line 4 of the manifest, \"colour\": it is not known" },
		{ HEAD "\x1b[31m\tred\n", "line 4 of the manifest, \"\\x1b[31m\": it is not known" },
		{ HEAD "mount\t0\t/x\text4\t-\n",
		  "line 4 of the manifest, \"mount\": the first one is 0, \"/\", and the numbers rise" },
		{ HEAD "mount\t1\t/x/../y\text4\t-\n",
		  "line 4 of the manifest, \"mount\": it takes a number and an absolute path" },
		{ HEAD "view\tmaybe\n", "line 4 of the manifest, \"view\": it takes yes or no" },
		{ HEAD "begun\t0\t0\n", "line 4 of the manifest, \"begun\": it takes two times" },
		{ HEAD "begun\t5\t-1\n", "line 4 of the manifest, \"begun\": it takes two times" },
		{ HEAD "begun\t5\n", "line 4 of the manifest, \"begun\": it has another number of fields" },
		{ HEAD "idmap\t1:2:3\n", "line 4 of the manifest, \"idmap\": it takes no, or six numbers" },
		{ HEAD "idmap\t1:2:3:4:5:6:7\n",
		  "line 4 of the manifest, \"idmap\": it takes no, or six numbers" },
		{ HEAD "xattr\tsecurity\n", "line 4 of the manifest, \"xattr\": it takes user or trusted" },
		{ HEAD "layer\tsrv\n", "line 4 of the manifest, \"layer\": it takes an absolute path" },
		{ HEAD "below\t0123456789abcde\n", BAD_BELOW },
		{ HEAD "below\t0123456789ABCDEF\n", BAD_BELOW },
		{ HEAD "below\t../x\n", BAD_BELOW },
		{ HEAD "below\t/x/../y\n", BAD_BELOW },
		{ HEAD "planted\t0\t/a\tfile\t1\t1\n", BAD_PLANTED },
		{ HEAD "planted\t0\ta/../../b\tfile\t1\t1\n", BAD_PLANTED },
		{ HEAD "planted\t0\ta\tlink\t1\t1\n", BAD_PLANTED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct manifest m = { 0 };

		assert_int_equal(manifest_parse(cases[i].text, &m, &err), -KENNEL_E_CORRUPT);
		assert_string_equal(kennel_error_message(err), cases[i].message);
		assert_null(m.base);
	}
}

static void test_manifest_parse_newer_format_is_unsupported(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct manifest m = { 0 };

	assert_int_equal(manifest_parse("format\t2\nwhat\tever\n", &m, &err), -KENNEL_E_UNSUPPORTED);
	assert_string_equal(kennel_error_hint(err), "a newer kennel made it");
}

static void test_manifest_plants_below_sees_whole_names(void **state)
{
	struct manifest_plants p = { 0 };
	static const char lines[] = "planted\t1\ta-b\tplace\t0\t0\n"
				    "planted\t1\ta/b/c\tplace\t0\t0\n"
				    "planted\t1\tab\tplace\t0\t0\n"
				    "planted\t2\tx\tplace\t0\t0\n";
	static const struct {
		unsigned mount;
		const char *dir;
		bool below;
	} cases[] = {
		{ 1, "", true },   { 1, "a", true },   { 1, "a/b", true }, { 1, "a/b/c", true },
		{ 1, "ab", true }, { 1, "a-", false }, { 1, "b", false },  { 1, "a/b/c/d", false },
		{ 0, "", false },  { 2, "x", true },   { 2, "a", false },  { 3, "", false },
	};

	assert_int_equal(manifest_plants_parse(lines, &p, NULL), 0);
	assert_int_equal(manifest_plants_parse("layer\t/x\n", &p, NULL), -KENNEL_E_CORRUPT);
	manifest_plants_sort(&p);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(manifest_plants_below(&p, cases[i].mount, cases[i].dir), cases[i].below);
	assert_non_null(manifest_plants_find(&p, 1, "a-b"));
	assert_null(manifest_plants_find(&p, 1, "a/b"));
	assert_null(manifest_plants_find(&p, 2, "ab"));
	manifest_plants_done(&p);
}

static void test_manifest_planted_is_same_until_changed(void **state)
{
	const struct stat file = { .st_mode = S_IFREG | 0644, .st_size = 3, .st_mtim = { 5, 7 } };
	const struct stat longer = { .st_mode = S_IFREG | 0644, .st_size = 4, .st_mtim = { 5, 7 } };
	const struct stat later = { .st_mode = S_IFREG | 0644, .st_size = 3, .st_mtim = { 5, 8 } };
	const struct stat far = { .st_mode = S_IFREG, .st_size = 3, .st_mtim = { INT64_MAX, 0 } };
	const struct stat empty = { .st_mode = S_IFREG | 0644 };
	const struct stat dir = { .st_mode = S_IFDIR | 0755 };
	const struct stat whiteout = { .st_mode = S_IFCHR };
	const struct stat null = { .st_mode = S_IFCHR | 0666, .st_rdev = makedev(1, 3) };
	const struct manifest_planted p_file = { .kind = MANIFEST_FILE, .size = 3, .mtime_ns = 5000000007 };
	const struct manifest_planted p_whiteout = { .kind = MANIFEST_WHITEOUT };
	const struct manifest_planted p_opaque = { .kind = MANIFEST_OPAQUE };
	const struct manifest_planted p_place = { .kind = MANIFEST_PLACE };
	const struct {
		const struct manifest_planted *p;
		const struct stat *now;
		bool opaque, same;
	} cases[] = {
		{ &p_file, &file, false, true },       { &p_file, &longer, false, false },
		{ &p_file, &later, false, false },     { &p_file, &far, false, false },
		{ &p_file, &dir, false, false },       { &p_whiteout, &whiteout, false, true },
		{ &p_whiteout, &null, false, false },  { &p_whiteout, &file, false, false },
		{ &p_opaque, &dir, true, true },       { &p_opaque, &dir, false, false },
		{ &p_opaque, &file, false, false },    { &p_place, &dir, false, true },
		{ &p_place, &empty, false, true },     { &p_place, &file, false, false },
		{ &p_place, &whiteout, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(manifest_planted_is_same(cases[i].p, cases[i].now, cases[i].opaque),
				 cases[i].same);
}

/* Where a time was asked for, the next change of the file gets one finer than the clock of files. */
static void test_manifest_clocks_are_on_both_sides_of_a_file(void **state)
{
	(void)state;
	char name[] = "/tmp/kennel-unit-XXXXXX";
	_cleanup_close_ int fd = mkstemp(name);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	for (unsigned i = 0; i < 300; i++) {
		const int64_t before = manifest_now();
		assert_int_equal(fchmod(fd, 0600 + (i & 1) * 4), 0);
		assert_int_equal(fstat(fd, &st), 0);
		const int64_t changed = st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec;
		assert_true(before <= changed);
		assert_true(changed <= manifest_made_until_now());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest_all_keys_come_back),
		cmocka_unit_test(test_manifest_parse_refuses),
		cmocka_unit_test(test_manifest_parse_newer_format_is_unsupported),
		cmocka_unit_test(test_manifest_clocks_are_on_both_sides_of_a_file),
		cmocka_unit_test(test_manifest_plants_below_sees_whole_names),
		cmocka_unit_test(test_manifest_planted_is_same_until_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
