/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-text.c - differences of texts, and packages out of databases. */
#include "unit.h"

#include <string.h>

#include "base/cleanup.h"
#include "delta/packages.h"
#include "delta/text.h"

static void check(const char *before, const char *after, size_t context, const char *expected)
{
	const struct text_side a = { before, strlen(before) }, b = { after, strlen(after) };
	_cleanup_buf_ struct buf out = { 0 };

	assert_int_equal(text_diff(&a, &b, context, &out, NULL), 0);
	assert_string_equal(buf_str(&out), expected);
}

static void test_text_diff_as_diff_u_shows_it(void **state)
{
	static const struct {
		const char *before, *after;
		size_t context;
		const char *expected;
	} cases[] = {
		{ "", "", 3, "" },
		{ "a\n", "a\n", 3, "" },
		{ "", "a\nb\n", 3, "@@ -0,0 +1,2 @@\n+a\n+b\n" },
		{ "a\n", "", 3, "@@ -1 +0,0 @@\n-a\n" },
		{ "a\n", "b\n", 3, "@@ -1 +1 @@\n-a\n+b\n" },
		{ "a", "a\n", 3, "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n" },
		{ "1\n2\n3\n4\n5\n", "1\n2\n4\n5\n", 1, "@@ -2,3 +2,2 @@\n 2\n-3\n 4\n" },
		{ "1\n2\n3\n4\n5\n", "1\n2\n4\n5\n", 0, "@@ -3 +2,0 @@\n-3\n" },
		{ "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "x\n2\n3\n4\n5\n6\n7\n8\ny\n", 3,
		  "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+y\n" },
		{ "1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n", 3,
		  "@@ -1,8 +1,8 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n" },
		{ "a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", 0,
		  "@@ -1,2 +0,0 @@\n-a\n-b\n@@ -3,0 +2 @@\n+b\n@@ -5 +4,0 @@\n-b\n@@ -7,0 +6 @@\n+c\n" },
	};

	for (size_t i = 0; i + 1 < ARRAY_SIZE(cases); i++)
		check(cases[i].before, cases[i].after, cases[i].context, cases[i].expected);
	/* The example of Myers' paper has several smallest answers, of five lines. */
	const struct text_side a = { cases[10].before, strlen(cases[10].before) };
	const struct text_side b = { cases[10].after, strlen(cases[10].after) };
	_cleanup_buf_ struct buf out = { 0 };
	unsigned n = 0;
	assert_int_equal(text_diff(&a, &b, 0, &out, NULL), 0);
	for (const char *s = buf_str(&out); *s; s = strchr(s, '\n') + 1)
		n += *s == '-' || *s == '+';
	assert_int_equal(n, 5);
}

/* The text that comes of before and the hunks. */
static void apply(const struct text_side *before, const char *hunks, struct buf *out)
{
	const char *at = before->data, *end = before->data + before->size;
	size_t line = 1;

	while (*hunks) {
		if (*hunks == '@') {
			size_t from = strtoul(hunks + 4, NULL, 10);
			bool none = strstr(hunks, ",0 +") && strstr(hunks, ",0 +") < strchr(hunks, '\n');

			for (from += none; line < from; line++) {
				const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;

				buf_add(out, at, (size_t)(next - at));
				at = next;
			}
		} else if (*hunks != '+') {
			const char *next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;

			assert_memory_equal(at, hunks + 1, (size_t)(next - at));
			if (*hunks == ' ')
				buf_add(out, at, (size_t)(next - at));
			at = next;
			line++;
		} else {
			buf_add(out, hunks + 1, strcspn(hunks + 1, "\n") + 1);
		}
		hunks = strchr(hunks, '\n') + 1;
	}
	buf_add(out, at, (size_t)(end - at));
}

static void make_text(struct buf *b, unsigned lines, unsigned words, unsigned *seed)
{
	for (unsigned i = 0; i < lines; i++) {
		*seed = *seed * 1103515245u + 12345u;
		buf_printf(b, "line %u\n", (*seed >> 16) % words);
	}
}

static void test_text_diff_applied_gives_the_other(void **state)
{
	static const struct {
		unsigned before, after, words;
	} cases[] = {
		{ 0, 5, 3 },
		{ 40, 40, 2 },
		{ 100, 90, 5 },
		{ 300, 310, 10 },
		{ 1, 2000, 3 },
		{ 2000, 1, 3 },
		{ 1000, 1000, 1000000 },
		/* nothing in common, beyond the cost that is spent on it */
		{ 6000, 6000, 4000000 },
		{ 5000, 5000, 3 },
	};
	unsigned seed = 1;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf before = { 0 }, after = { 0 }, hunks = { 0 }, applied = { 0 };

		make_text(&before, cases[i].before, cases[i].words, &seed);
		make_text(&after, cases[i].after, cases[i].words, &seed);
		const struct text_side a = { buf_str(&before), before.len },
				       b = { buf_str(&after), after.len };
		assert_int_equal(text_diff(&a, &b, i % 4, &hunks, NULL), 0);
		apply(&a, buf_str(&hunks), &applied);
		assert_string_equal(buf_str(&applied), buf_str(&after));
	}
}

static void test_text_is_binary(void **state)
{
	assert_false(text_is_binary(&(struct text_side){ "", 0 }));
	assert_false(text_is_binary(&(struct text_side){ "a\xff\n", 3 }));
	assert_true(text_is_binary(&(struct text_side){ "a\0b", 3 }));
}

static void check_packages(int (*parse)(const char *, size_t, struct package_list *, struct kennel_error **),
			   const char *text, const char *expected)
{
	_cleanup_packages_ struct package_list l = { 0 };
	_cleanup_buf_ struct buf b = { 0 };

	assert_int_equal(parse(text, strlen(text), &l, NULL), 0);
	packages_sort(&l);
	for (size_t i = 0; i < l.n; i++)
		buf_printf(&b, "%s=%s ", l.items[i].name, l.items[i].version);
	assert_string_equal(buf_str(&b), expected);
}

static void test_packages_parse_dpkg(void **state)
{
	check_packages(packages_parse_dpkg,
		       "Package: zsh\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.9-4\n"
		       "Description: a shell\n Version: 1\n\n"
		       "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
		       "Package: never\nStatus: purge ok not-installed\n\n"
		       "Package: libc6\nStatus: install ok installed\nArchitecture: i386\nMulti-Arch: same\n"
		       "Version: 2.36\n\n"
		       "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\n"
		       "Version: 2.36\n\n"
		       "Status: install ok installed\n\n"
		       "Package: last\nStatus: install reinstreq half-installed\nVersion: 7",
		       "last=7 libc6:amd64=2.36 libc6:i386=2.36 zsh=5.9-4 ");
	check_packages(packages_parse_dpkg, "", "");
}

static void test_packages_parse_apk(void **state)
{
	check_packages(packages_parse_apk, "C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\nF:lib\n\nP:zlib\nV:1.3\n",
		       "musl=1.2.4-r2 zlib=1.3 ");
}

static void test_packages_parse_pacman(void **state)
{
	_cleanup_packages_ struct package_list l = { 0 };

	assert_int_equal(packages_parse_pacman("python-x-1:2.3-4", &l, NULL), 1);
	assert_string_equal(l.items[0].name, "python-x");
	assert_string_equal(l.items[0].version, "1:2.3-4");
	assert_int_equal(packages_parse_pacman("ALPM_DB_VERSION", &l, NULL), 0);
	assert_int_equal(packages_parse_pacman("-1-2", &l, NULL), 0);
	assert_int_equal(l.n, 1);
}

static int note(void *data, const struct package *before, const struct package *after)
{
	buf_printf(data, "%s %s>%s ", before ? before->name : after->name, before ? before->version : "",
		   after ? after->version : "");
	return 0;
}

static void test_packages_compare(void **state)
{
	static const char before[] = "P:a\nV:1\n\nP:b\nV:1\n\nP:c\nV:1\n\nP:k\nV:1\n\nP:k\nV:2\n";
	static const char after[] = "P:b\nV:2\n\nP:c\nV:1\n\nP:d\nV:1\n\nP:k\nV:2\n";
	_cleanup_packages_ struct package_list b = { 0 }, a = { 0 };
	_cleanup_buf_ struct buf out = { 0 };

	assert_int_equal(packages_parse_apk(before, sizeof(before) - 1, &b, NULL), 0);
	assert_int_equal(packages_parse_apk(after, sizeof(after) - 1, &a, NULL), 0);
	assert_int_equal(packages_compare(&b, &a, note, &out), 0);
	assert_string_equal(buf_str(&out), "a 1> b 1>2 d >1 k 1>2 k 2> ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_diff_as_diff_u_shows_it),
		cmocka_unit_test(test_text_diff_applied_gives_the_other),
		cmocka_unit_test(test_text_is_binary),
		cmocka_unit_test(test_packages_parse_dpkg),
		cmocka_unit_test(test_packages_parse_apk),
		cmocka_unit_test(test_packages_parse_pacman),
		cmocka_unit_test(test_packages_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
