/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test-ship.c - trees and archives into each other, and what hostile archives try. */
#include "unit.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "ship-stage.h"
#include "ship/archive.h"
#include "ship/export.h"
#include "ship/import.h"
#include "archive/library.h"
#include "ship/oci.h"
#include "ship/package.h"
#include "ship/place.h"
#include "ship/sha256.h"
#include "ship/tree.h"
#include "ship/walk.h"

static unsigned everything(void)
{
	return STAGE_DELETIONS | STAGE_LONG_NAME | STAGE_LINKS |
	       (geteuid() == 0 ? STAGE_DEVICES | STAGE_OWNERS : 0);
}

/* A macro, for the error is there only after the call. */
#define check_ok(call, err) \
	do { \
		int code_ = (call); \
\
		if (code_ < 0) \
			fail_msg("%s", kennel_error_message(err)); \
	} while (0)

static struct ship_sink *new_tree(int fd, bool deletions)
{
	const struct ship_tree_options o = { .top_fd = fd, .deletions = deletions, .owners = geteuid() == 0 };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct ship_sink *s;

	check_ok(ship_tree_sink(&o, &s, &err), err);
	return s;
}

static void test_sha256_known_texts_known_sums(void **state)
{
	static const struct {
		const char *text, *sum;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int slow = 0; slow < 2; slow++) {
			struct sha256 s;
			char hex[SHA256_HEX];

			sha256_init(&s);
			s.fast = slow ? 0 : s.fast;
			for (const char *p = cases[i].text; *p; p++)
				sha256_add(&s, p, 1);
			sha256_hex(&s, hex);
			assert_string_equal(hex, cases[i].sum);
		}
}

static void test_clean_name_cases_cleaned_or_refused(void **state)
{
	static const struct {
		const char *name, *clean;
	} cases[] = {
		{ "", "" },	  { ".", "" },		 { "./", "" },
		{ "/", "" },	  { "/etc/x", "etc/x" }, { "./a//b/./c/", "a/b/c" },
		{ "..", NULL },	  { "a/../b", NULL },	 { "a/..", NULL },
		{ "...", "..." }, { "..a", "..a" },	 { "-rf", "-rf" },
	};
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ship_clean_name(cases[i].name, buf, sizeof(buf)), cases[i].clean != NULL);
		if (cases[i].clean)
			assert_string_equal(buf, cases[i].clean);
	}
	assert_int_equal(ship_clean_name("0123456789/0123456789", buf, 20), 0);
}

static void test_walk_into_tree_everything_is_the_same(void **state)
{
	char from[64], to[64];
	int from_fd = stage_dir(from), to_fd = stage_dir(to);
	struct stage_list a, b;
	const struct ship_part part = { from_fd, "" };
	const struct ship_walk w = { .parts = &part, .n_parts = 1, .deletions = true };
	struct ship_sink *s = new_tree(to_fd, true);
	_cleanup_error_ struct kennel_error *err = NULL;

	stage_make(from_fd, everything());
	check_ok(ship_walk(&w, s, &err), err);
	check_ok(s->finish(s, &err), err);
	s->free(s);
	stage_list_init(&a, 0);
	stage_list_init(&b, 0);
	stage_list_tree(&a, from_fd);
	stage_list_tree(&b, to_fd);
	stage_same(&a, &b);
	stage_list_done(&a);
	stage_list_done(&b);
	stage_remove(from_fd, from);
	stage_remove(to_fd, to);
}

#if KENNEL_HAVE_ARCHIVE
/* Out into a format and back by ship_export() and ship_import(). */
static void ship_there_and_back(int from_fd, const char *name, int to_fd, struct ship_mark *mark)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct ship_part part = { from_fd, "" };
	const struct ship_walk w = { .parts = &part, .n_parts = 1, .deletions = true };
	_cleanup_buf_ struct buf text = { 0 }, trailer = { 0 };
	_cleanup_place_ struct ship_place place = SHIP_PLACE_NONE;
	_cleanup_free_ char *fstype = NULL;
	_cleanup_close_ int fd = -EBADF, tree_fd = -EBADF;
	char dir[64], path[128];
	int dir_fd = stage_dir(dir);
	const struct ship_format *format;

	check_ok(ship_format_find(name, &format, &err), err);
	snprintf(path, sizeof(path), "%s/out", dir);
	bool is_dir = format->form == SHIP_FORM_DIRECTORY || format->form == SHIP_FORM_OCI;
	check_ok(ship_place_open(&place, path, is_dir, false, &err), err);
	ship_mark_format(&text, false, "system", "0123");
	struct ship_output o = {
		.format = format,
		.fd = place.fd,
		.spare_fd = -EBADF,
		.mark = buf_str(&text),
		.name = "test",
		.arch = oci_arch(),
	};
	if (ship_output_needs_spare(&o))
		o.spare_fd = ship_place_spare(&place, &err);
	check_ok(ship_export(&w, &o, &err), err);
	check_ok(ship_place_commit(&place, &err), err);
	ship_place_done(&place);

	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	struct ship_input_options in = {
		.fd = fd,
		.mark = "",
		.top_fd = to_fd,
		.what = format->form == SHIP_FORM_CPIO ? SHIP_WHAT_DELTA : SHIP_WHAT_TOLD,
	};
	check_ok(ship_input_find(fd, path, &in.input, &err), err);
	if (in.input == SHIP_INPUT_IMAGE) {
		check_ok(ship_trailer_read(fd, &trailer, &err), err);
		in.mark = buf_str(&trailer);
		tree_fd = image_open(path, &fstype, &err);
		check_ok(tree_fd, err);
		in.fd = tree_fd;
	}
	check_ok(ship_import(&in, mark, &err), err);
	assert_int_equal(faccessat(dir_fd, "out", F_OK, 0), 0);
	stage_remove(dir_fd, dir);
}

static void test_export_import_every_format_comes_back(void **state)
{
	static const struct {
		const char *format;
		unsigned lost;
		bool image;
	} cases[] = {
		{ "directory", 0, false },
		{ "tar", 0, false },
		{ "tar.zst", 0, false },
		{ "tar.xz", 0, false },
		{ "tar.gz", 0, false },
		{ "cpio", STAGE_NO_XATTR | STAGE_NO_NANOSECONDS, false },
		{ "cpio.zst", STAGE_NO_XATTR | STAGE_NO_NANOSECONDS, false },
		{ "cpio.xz", STAGE_NO_XATTR | STAGE_NO_NANOSECONDS, false },
		{ "cpio.gz", STAGE_NO_XATTR | STAGE_NO_NANOSECONDS, false },
		{ "oci", 0, false },
		{ "oci.tar", 0, false },
		{ "squashfs", STAGE_NO_NANOSECONDS | STAGE_NO_ACL, true },
		{ "erofs", 0, true },
		{ "ext4", STAGE_NO_NANOSECONDS, true },
		{ "btrfs", STAGE_NO_TOP | STAGE_NO_NANOSECONDS, true },
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char from[64], to[64];
		int from_fd = stage_dir(from), to_fd = stage_dir(to);
		struct ship_mark mark = { 0 };
		struct stage_list a, b;

		if (cases[i].image && geteuid() != 0)
			continue;
		print_message("%s\n", cases[i].format);
		unsigned spared = strcmp(cases[i].format, "erofs") == 0 ? STAGE_LONG_NAME :
				  strcmp(cases[i].format, "btrfs") == 0 ? STAGE_LINKS | STAGE_DEVICES :
									  0;
		stage_make(from_fd, everything() & ~spared);
		ship_there_and_back(from_fd, cases[i].format, to_fd, &mark);
		assert_false(mark.root);
		if (strncmp(cases[i].format, "cpio", 4) != 0) {
			assert_true(mark.known);
			assert_string_equal(mark.base, "system");
			assert_string_equal(mark.base_id, "0123");
		}
		ship_mark_done(&mark);
		stage_list_init(&a, cases[i].lost);
		stage_list_init(&b, cases[i].lost);
		stage_list_tree(&a, from_fd);
		stage_list_tree(&b, to_fd);
		stage_same(&a, &b);
		stage_list_done(&a);
		stage_list_done(&b);
		stage_remove(from_fd, from);
		stage_remove(to_fd, to);
	}
}
#endif

static void test_kennel_export_bad_words_are_refused(void **state)
{
	static const struct {
		const char *what, *format, *as, *output, *text;
	} cases[] = {
		{ "half", NULL, NULL, "x.tar", "\"half\" is neither delta nor root" },
		{ NULL, "rar", NULL, "x", "unknown format \"rar\"" },
		{ NULL, NULL, "rpm", "x", "\"rpm\" is nothing that can be made" },
		{ NULL, NULL, NULL, "x.zip", "does not tell the format" },
		{ "root", NULL, "deb", "x.deb", "made of the delta" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct kennel_export_options o = {
			.size = sizeof(o),
			.what = cases[i].what,
			.format = cases[i].format,
			.as = cases[i].as,
		};
		_cleanup_error_ struct kennel_error *err = NULL;

		assert_int_equal(kennel_export("nothing", cases[i].output, &o, NULL, &err),
				 -KENNEL_E_INVALID);
		assert_non_null(strstr(kennel_error_message(err), cases[i].text));
	}
	const struct kennel_export_options old = { .size = 1 };
	assert_int_equal(kennel_export("nothing", "x.tar", &old, NULL, NULL), -KENNEL_E_INVALID);
}

static void test_kennel_import_bad_words_are_refused(void **state)
{
	const struct kennel_import_options o = { .size = sizeof(o), .what = "half" };
	const struct kennel_import_options old = { .size = 1 };

	assert_int_equal(kennel_import("/dev/null", "x", &o, NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_import("/dev/null", "x", &old, NULL, NULL), -KENNEL_E_INVALID);
	assert_int_equal(kennel_import("/var/tmp/not-there.tar", "x", NULL, NULL, NULL), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_import("/dev/null", "x", NULL, NULL, NULL), -KENNEL_E_TYPE);
}

/* Entries that no honest archive has, one after the other into a tree. */
static void test_tree_hostile_entries_change_nothing_outside(void **state)
{
	char outside[64], top[64];
	int outside_fd = stage_dir(outside), fd = stage_dir(top);
	_cleanup_ship_sink_ struct ship_sink *s = new_tree(fd, false);
	const struct ship_entry link = {
		.path = "out",
		.link = outside,
		.fd = -EBADF,
		.st = { .st_mode = S_IFLNK | 0777, .st_nlink = 1 },
	};
	const struct ship_entry through = {
		.path = "out/file",
		.fd = -EBADF,
		.st = { .st_mode = S_IFREG | 0644, .st_nlink = 1 },
	};
	const struct ship_entry over = {
		.path = "out",
		.fd = -EBADF,
		.st = { .st_mode = S_IFREG | 0644, .st_nlink = 1 },
	};
	const struct ship_entry hard = {
		.kind = SHIP_HARDLINK, .path = "hard", .link = "../../etc/passwd", .fd = -EBADF
	};
	struct stat st;

	assert_int_equal(s->add(s, &link, NULL), 0);
	assert_int_equal(s->add(s, &through, NULL), -KENNEL_E_CORRUPT);
	assert_int_equal(faccessat(outside_fd, "file", F_OK, 0), -1);
	assert_true(s->add(s, &hard, NULL) < 0);
	assert_int_equal(s->add(s, &over, NULL),
			 0); /* takes the place of the link, not of what it leads to */
	assert_int_equal(fstatat(fd, "out", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	stage_remove(outside_fd, outside);
	stage_remove(fd, top);
}

static void test_package_names_cases(void **state)
{
	static const struct {
		const char *path, *name, *version;
	} cases[] = {
		{ "out/hello_1.0_amd64.deb", "hello", "1.0" },
		{ "a_b/hello_2.12-1~rc1.deb", "hello", "2.12-1~rc1" },
		{ "hello_3.tar.zst", "hello", "3" },
		{ "hello_amd64_7.deb", "hello", "1.0" },
		{ "My Tool.tar.zst", "my-tool", "1.0" },
		{ "x_", "x", "1.0" },
		{ "x_.deb", "x", "1.0" },
		{ "x", "x", "1.0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *name = NULL, *version = NULL;

		assert_int_equal(ship_package_name(cases[i].path, &name, NULL), 0);
		assert_string_equal(name, cases[i].name);
		assert_int_equal(ship_package_version(cases[i].path, &version, NULL), 0);
		assert_string_equal(version, cases[i].version);
	}
	assert_true(ship_package_takes("usr/bin/tool"));
	assert_true(ship_package_takes("etc/tool.conf"));
	assert_true(ship_package_takes("variable"));
	assert_false(ship_package_takes("var/cache/apt/x"));
	assert_false(ship_package_takes("etc/passwd"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256_known_texts_known_sums),
		cmocka_unit_test(test_clean_name_cases_cleaned_or_refused),
		cmocka_unit_test(test_walk_into_tree_everything_is_the_same),
		cmocka_unit_test(test_tree_hostile_entries_change_nothing_outside),
		cmocka_unit_test(test_package_names_cases),
		cmocka_unit_test(test_kennel_export_bad_words_are_refused),
		cmocka_unit_test(test_kennel_import_bad_words_are_refused),
#if KENNEL_HAVE_ARCHIVE
		cmocka_unit_test(test_export_import_every_format_comes_back),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
