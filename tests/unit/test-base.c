/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-base.c - errors, string lists, buffers, words to numbers.
 *
 * Memory runs out here on purpose: the allocating libc calls of src/base are wrapped (see meson.build), and
 * the one after alloc_left successes fails, as do all that follow until it is set to -1 again. Every "out of
 * memory" test walks through all allocations of one call, so no path is left that has never failed.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"

static int alloc_left = -1;             /* -1: memory never runs out */

static bool alloc_fails(void)
{
	if (alloc_left < 0)
		return false;
	if (alloc_left == 0) {
		errno = ENOMEM;
		return true;
	}
	alloc_left--;
	return false;
}

#define WRAP(type, name, params, args) \
	type __real_##name params; \
	type __wrap_##name params; \
	type __wrap_##name params \
	{ \
		return alloc_fails() ? NULL : __real_##name args; \
	}
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))

int __real_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
int __wrap_asprintf(char **ret, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What a compiler that fortifies by default turns the two into. */
int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Leaves rubbish in *ret on failure, as vasprintf(3) may: whoever frees it is found out. */
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	if (alloc_fails()) {
		*ret = (char *)(uintptr_t)0x10;
		return -1;
	}
	return __real_vasprintf(ret, fmt, ap);
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

int __wrap___vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap)
{
	return __wrap_vasprintf(ret, fmt, ap);
}

int __wrap___asprintf_chk(char **ret, int flag, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

static int memory_is_back(void **state)
{
	alloc_left = -1;
	return 0;
}

/* error */

static void test_error_set_gives_negative_code_and_text(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	assert_int_equal(fail(&err, KENNEL_E_INVALID, "bad size \"%s\"", "12x"), -KENNEL_E_INVALID);
	assert_int_equal(kennel_error_code(err), KENNEL_E_INVALID);
	assert_int_equal(kennel_error_errno(err), 0);
	assert_string_equal(kennel_error_message(err), "bad size \"12x\"");
	assert_null(kennel_error_hint(err));
}

static void test_error_set_errno_appends_reason(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	errno = ENOENT;
	assert_int_equal(fail_errno(&err, "open \"%s\"", "/nope"), -KENNEL_E_NOTFOUND);
	assert_int_equal(kennel_error_errno(err), ENOENT);
	assert_string_equal(kennel_error_message(err), "open \"/nope\": No such file or directory");
}

static void test_error_set_null_err_gives_code_only(void **state)
{
	errno = EPERM;
	assert_int_equal(fail_errno(NULL, "x"), -KENNEL_E_PERM);
	assert_int_equal(wrap(NULL, -KENNEL_E_IO, "x"), -KENNEL_E_IO);
	assert_int_equal(hint(NULL, -KENNEL_E_IO, "x"), -KENNEL_E_IO);
	error_clear(NULL);
}

static void test_error_set_twice_replaces_first(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	(void)fail(&err, KENNEL_E_BUSY, "first");
	(void)hint(&err, -KENNEL_E_BUSY, "first hint");
	(void)fail(&err, KENNEL_E_TYPE, "second");
	assert_int_equal(kennel_error_code(err), KENNEL_E_TYPE);
	assert_string_equal(kennel_error_message(err), "second");
	assert_null(kennel_error_hint(err));
}

static void test_error_wrap_puts_context_in_front_and_keeps_the_rest(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	errno = EACCES;
	int r = fail_errno(&err, "open \"a\"");
	r = hint(&err, r, "be root");
	assert_int_equal(wrap(&err, r, "read layer %d", 2), -KENNEL_E_PERM);
	assert_int_equal(wrap(&err, r, "start"), -KENNEL_E_PERM);
	assert_string_equal(kennel_error_message(err), "start: read layer 2: open \"a\": Permission denied");
	assert_string_equal(kennel_error_hint(err), "be root");
	assert_int_equal(kennel_error_errno(err), EACCES);
}

static void test_error_wrap_and_hint_without_error_do_nothing(void **state)
{
	struct kennel_error *err = NULL;

	assert_int_equal(wrap(&err, 7, "x"), 7);
	assert_int_equal(hint(&err, 7, "x"), 7);
	assert_null(err);
}

static void test_error_accessors_take_null(void **state)
{
	assert_string_equal(kennel_error_message(NULL), "no error");
	assert_null(kennel_error_hint(NULL));
	assert_int_equal(kennel_error_code(NULL), 0);
	assert_int_equal(kennel_error_errno(NULL), 0);
	assert_null(kennel_error_free(NULL));
}

static void test_error_free_keeps_errno(void **state)
{
	struct kennel_error *err = NULL;

	(void)fail(&err, KENNEL_E_IO, "x");
	errno = EXDEV;
	err = kennel_error_free(err);
	assert_null(err);
	assert_int_equal(errno, EXDEV);
}

static void test_error_keeps_the_codes_that_programs_compiled_in(void **state)
{
	static const int codes[] = {
		KENNEL_E_INVALID, KENNEL_E_NOMEM, KENNEL_E_NOTFOUND, KENNEL_E_NOTEXEC, KENNEL_E_PERM,
		KENNEL_E_UNSUPPORTED, KENNEL_E_BUSY, KENNEL_E_EXISTS, KENNEL_E_LIMIT, KENNEL_E_NOSPACE,
		KENNEL_E_CORRUPT, KENNEL_E_TYPE, KENNEL_E_MISSING, KENNEL_E_INTERRUPTED, KENNEL_E_IO,
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		assert_int_equal(codes[i], i + 1);
}

static void test_code_from_errno_follows_the_table(void **state)
{
	static const struct {
		int errnum, code;
	} table[] = {
		{ EINVAL, KENNEL_E_INVALID },      { ENAMETOOLONG, KENNEL_E_INVALID },
		{ ENOMEM, KENNEL_E_NOMEM },        { ENOENT, KENNEL_E_NOTFOUND },
		{ ESRCH, KENNEL_E_NOTFOUND },      { ENXIO, KENNEL_E_NOTFOUND },
		{ ENODEV, KENNEL_E_NOTFOUND },     { ENOEXEC, KENNEL_E_NOTEXEC },
		{ EPERM, KENNEL_E_PERM },          { EACCES, KENNEL_E_PERM },
		{ EROFS, KENNEL_E_PERM },          { ENOSYS, KENNEL_E_UNSUPPORTED },
		{ EOPNOTSUPP, KENNEL_E_UNSUPPORTED }, { EBUSY, KENNEL_E_BUSY },
		{ ETXTBSY, KENNEL_E_BUSY },        { EEXIST, KENNEL_E_EXISTS },
		{ ENOTEMPTY, KENNEL_E_EXISTS },    { EMFILE, KENNEL_E_LIMIT },
		{ ENFILE, KENNEL_E_LIMIT },        { EAGAIN, KENNEL_E_LIMIT },
		{ EUSERS, KENNEL_E_LIMIT },        { ENOSPC, KENNEL_E_NOSPACE },
		{ EDQUOT, KENNEL_E_NOSPACE },      { EFBIG, KENNEL_E_NOSPACE },
		{ EBADMSG, KENNEL_E_CORRUPT },     { EUCLEAN, KENNEL_E_CORRUPT },
		{ ENOTDIR, KENNEL_E_TYPE },        { EISDIR, KENNEL_E_TYPE },
		{ ELOOP, KENNEL_E_TYPE },          { ENOTBLK, KENNEL_E_TYPE },
		{ EINTR, KENNEL_E_INTERRUPTED },   { EIO, KENNEL_E_IO },
		{ EXDEV, KENNEL_E_IO },            { 0, KENNEL_E_IO },
		{ 4711, KENNEL_E_IO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (code_from_errno(table[i].errnum) != table[i].code)
			fail_msg("errno %d gives %d", table[i].errnum, code_from_errno(table[i].errnum));
}

static void test_error_set_out_of_memory_loses_text_never_failure(void **state)
{
	for (int left = 0; left < 8; left++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		alloc_left = left;
		errno = ENOENT;
		int r = fail_errno(&err, "open \"x\"");
		r = wrap(&err, r, "outer");
		r = hint(&err, r, "do this");
		alloc_left = -1;
		assert_int_equal(r, -KENNEL_E_NOTFOUND);
		assert_non_null(err);
		const char *text = kennel_error_message(err);
		if (kennel_error_code(err) == KENNEL_E_NOMEM)
			assert_string_equal(text, "out of memory");
		else
			assert_non_null(strstr(text, "open \"x\""));
		if (left >= 6) {
			assert_string_equal(text, "outer: open \"x\": No such file or directory");
			assert_string_equal(kennel_error_hint(err), "do this");
		}
	}
}

static void test_error_static_object_is_never_changed(void **state)
{
	struct kennel_error *err = NULL;

	alloc_left = 0;
	(void)fail(&err, KENNEL_E_BUSY, "x");
	alloc_left = -1;
	(void)wrap(&err, -1, "context");
	(void)hint(&err, -1, "hint");
	assert_string_equal(kennel_error_message(err), "out of memory");
	assert_null(kennel_error_hint(err));
	assert_int_equal(kennel_error_errno(err), ENOMEM);
	assert_null(kennel_error_free(err));
	assert_string_equal(kennel_error_message(err), "out of memory");
}

/* strv */

static void test_strv_add_keeps_order_and_null_end(void **state)
{
	_cleanup_strv_ struct strv v = { 0 };

	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(strv_addf(&v, NULL, "item-%u", i), 0);
		assert_int_equal(v.n, i + 1);
		assert_null(v.items[v.n]);
	}
	assert_string_equal(v.items[0], "item-0");
	assert_string_equal(v.items[99], "item-99");
	assert_true(strv_has(&v, "item-42"));
	assert_false(strv_has(&v, "item-4200"));
	assert_false(strv_has(&v, "item-"));
}

static void test_strv_add_copies_its_argument(void **state)
{
	_cleanup_strv_ struct strv v = { 0 };
	char text[] = "abc";

	assert_int_equal(strv_add(&v, text, NULL), 0);
	text[0] = 'X';
	assert_string_equal(v.items[0], "abc");
}

static void test_strv_empty_list_is_usable(void **state)
{
	struct strv v = { 0 };

	assert_false(strv_has(&v, ""));
	strv_done(&v);
	strv_done(&v);
	assert_null(v.items);
}

static void test_strv_split_leaves_empty_pieces_out(void **state)
{
	static const struct {
		const char *text;
		const char *pieces[4];
	} table[] = {
		{ "", { NULL } },
		{ ",", { NULL } },
		{ ",,,", { NULL } },
		{ "a", { "a" } },
		{ "a,b", { "a", "b" } },
		{ ",a,,b,", { "a", "b" } },
		{ "a b,c", { "a b", "c" } },
		{ "abc,def,g", { "abc", "def", "g" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_strv_ struct strv v = { 0 };
		size_t n = 0;

		assert_int_equal(strv_split(&v, table[i].text, ',', NULL), 0);
		for (; table[i].pieces[n]; n++)
			assert_string_equal(v.items[n], table[i].pieces[n]);
		assert_int_equal(v.n, n);
	}
}

static void test_strv_out_of_memory_is_reported_and_list_stays(void **state)
{
	for (int left = 0; left < 3; left++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_strv_ struct strv v = { 0 };

		alloc_left = left;
		int r = strv_split(&v, "one,two", ',', &err);
		alloc_left = -1;
		if (left == 2) {
			/*
			 * strndup, the list, strndup: the second piece is the first that fits without growing
			 */
			assert_int_equal(r, -KENNEL_E_NOMEM);
			assert_int_equal(v.n, 1);
			assert_null(v.items[1]);
		} else {
			assert_int_equal(r, -KENNEL_E_NOMEM);
			assert_int_equal(v.n, 0);
		}
		assert_string_equal(kennel_error_message(err), "out of memory");
		assert_int_equal(strv_add(&v, "later", NULL), 0);
		assert_true(strv_has(&v, "later"));
	}
}

static void test_strv_add_out_of_memory_is_reported(void **state)
{
	_cleanup_strv_ struct strv v = { 0 };

	alloc_left = 0;
	assert_int_equal(strv_add(&v, "x", NULL), -KENNEL_E_NOMEM);
	assert_int_equal(strv_addf(&v, NULL, "%d", 1), -KENNEL_E_NOMEM);
	alloc_left = -1;
	assert_int_equal(strv_take(&v, NULL, NULL), -KENNEL_E_NOMEM);
	assert_int_equal(v.n, 0);
}

/* buf */

static void test_buf_grows_and_stays_terminated(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	assert_string_equal(buf_str(&b), "");
	for (unsigned i = 0; i < 1000; i++) {
		buf_printf(&b, "%03u", i % 1000);
		assert_int_equal(b.len, 3 * (i + 1));
		assert_int_equal(b.data[b.len], '\0');
	}
	assert_memory_equal(b.data, "000001002", 9);
	assert_string_equal(b.data + b.len - 3, "999");
	assert_int_equal(buf_check(&b, NULL), 0);
}

static void test_buf_add_takes_zero_bytes_and_nothing(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_add(&b, NULL, 0);
	assert_string_equal(buf_str(&b), "");
	buf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.data, "a\0b", 4);
}

static void test_buf_add_overflow_is_remembered(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, "kept");
	buf_add(&b, "", SIZE_MAX / 2);
	buf_puts(&b, "lost");
	assert_string_equal(buf_str(&b), "kept");
	assert_int_equal(buf_check(&b, &err), -KENNEL_E_NOMEM);
	assert_string_equal(kennel_error_message(err), "out of memory");
}

static void test_buf_out_of_memory_keeps_what_was_there(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, "kept");
	alloc_left = 0;
	buf_printf(&b, "%300s", "x");
	alloc_left = -1;
	buf_puts(&b, "more");
	buf_printf(&b, "%s", "more");
	assert_string_equal(buf_str(&b), "kept");
	assert_int_equal(buf_check(&b, NULL), -KENNEL_E_NOMEM);
}

static void test_buf_json_escapes(void **state)
{
	static const struct {
		const char *text, *json;
	} table[] = {
		{ NULL, "null" },
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "\n\t", "\"\\n\\t\"" },
		{ "\033[2J\x01\x7f", "\"\\u001b[2J\\u0001\\u007f\"" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x95", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x95\"" },
		{ "\xc2\x9b", "\"\\u009b\"" },
		{ "\xe2\x80\xae\xe2\x81\xa6\xd8\x9c", "\"\\u202e\\u2066\\u061c\"" },
		{ "a\xff" "b", "\"a\xef\xbf\xbd" "b\"" },
		{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                  /* overlong "/" */
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },  /* surrogate */
		{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                  /* cut short */
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		buf_json(&b, table[i].text);
		assert_string_equal(buf_str(&b), table[i].json);
	}
}

static void test_buf_safe_lets_no_control_byte_through(void **state)
{
	static const struct {
		const char *text, *safe;
	} table[] = {
		{ "", "" },
		{ "plain text", "plain text" },
		{ "\033]0;x\a", "\\x1b]0;x\\x07" },
		{ "a\nb\r", "a\\x0ab\\x0d" },
		{ "\x7f", "\\x7f" },
		{ "\xc2\x9b" "2J", "\\xc2\\x9b2J" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\x9b", "\\x9b" },
		{ "a\xe2\x80\xae" "b\xe2\x80\x8d", "a\\xe2\\x80\\xae" "b\xe2\x80\x8d" },
		{ "\xf0\x9f\x90\x95", "\xf0\x9f\x90\x95" },
		{ "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		_cleanup_buf_ struct buf b = { 0 };

		buf_safe(&b, table[i].text);
		assert_string_equal(buf_str(&b), table[i].safe);
	}
}

/* A pipe whose reading end gives text and then the end. */
static int pipe_with(const void *text, size_t len)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], text, len), len);
	close(fds[1]);
	return fds[0];
}

static void test_buf_read_fd_reads_to_the_end(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	char text[10000];
	memset(text, 'q', sizeof(text));
	_cleanup_close_ int fd = pipe_with(text, sizeof(text));

	buf_puts(&b, "before ");
	assert_int_equal(buf_read_fd(&b, fd, 20000, NULL), 0);
	assert_int_equal(b.len, 7 + sizeof(text));
	assert_memory_equal(b.data, "before qqq", 10);
	assert_int_equal(b.data[b.len], '\0');
}

static void test_buf_read_fd_limit_is_refused(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 }, exact = { 0 };
	_cleanup_close_ int long_fd = pipe_with("12345678", 8);
	_cleanup_close_ int exact_fd = pipe_with("1234567", 7);

	assert_int_equal(buf_read_fd(&b, long_fd, 7, &err), -KENNEL_E_LIMIT);
	assert_string_equal(kennel_error_message(err), "more than 7 bytes");
	assert_int_equal(buf_read_fd(&exact, exact_fd, 7, NULL), 0);
}

static void test_buf_read_fd_failure_is_told(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(buf_read_fd(&b, fd, 100, &err), -KENNEL_E_TYPE);
	assert_string_equal(kennel_error_message(err), "read: Is a directory");
}

static void test_buf_read_fd_out_of_memory_is_told(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_close_ int fd = pipe_with("x", 1);

	alloc_left = 0;
	assert_int_equal(buf_read_fd(&b, fd, 100, NULL), -KENNEL_E_NOMEM);
}

/* log */

struct heard {
	unsigned lines;
	enum log_level level;
	char text[2048];
};

static void hear(void *data, enum log_level level, const char *text)
{
	struct heard *h = data;

	h->lines++;
	h->level = level;
	snprintf(h->text, sizeof(h->text), "%s", text);
}

static void test_log_to_hands_one_line_to_the_sink(void **state)
{
	struct heard h = { 0 };
	const struct log_sink sink = { .write = hear, .data = &h };
	const struct log_sink deaf = { 0 };

	log_warn(&sink, "%s is not installed", "pasta");
	assert_int_equal(h.lines, 1);
	assert_int_equal(h.level, LOG_LEVEL_WARN);
	assert_string_equal(h.text, "pasta is not installed");
	log_info(NULL, "nobody");
	log_debug(&deaf, "nobody");
	assert_int_equal(h.lines, 1);
	log_debug(&sink, "%1500s", "cut");
	assert_int_equal(strlen(h.text), 1023);
}

/* parse */

struct number {
	const char *text;
	int r;
	uint64_t value;
};

static void check_numbers(const char *what, int (*parse)(const char *, uint64_t *),
			  const struct number *table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t v = 4711;
		int r = parse(table[i].text, &v);

		if (r != table[i].r || v != (r == 0 ? table[i].value : 4711))
			fail_msg("%s \"%s\": %d, %llu", what, table[i].text, r, (unsigned long long)v);
	}
}

static void test_parse_u64_takes_whole_plain_words_only(void **state)
{
	static const struct number table[] = {
		{ "0", 0, 0 },
		{ "1", 0, 1 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -1, 0 },
		{ "99999999999999999999999", -1, 0 },
		{ "", -1, 0 }, { " 1", -1, 0 }, { "1 ", -1, 0 }, { "+1", -1, 0 }, { "-1", -1, 0 },
		{ "0x10", -1, 0 }, { "1e3", -1, 0 }, { "1.0", -1, 0 }, { "one", -1, 0 },
	};

	check_numbers("u64", parse_u64, table, ARRAY_SIZE(table));
}

static void test_parse_u32_refuses_what_does_not_fit(void **state)
{
	uint32_t v = 4711;

	assert_int_equal(parse_u32("4294967296", &v), -1);
	assert_int_equal(parse_u32("x", &v), -1);
	assert_int_equal(v, 4711);
	assert_int_equal(parse_u32("4294967295", &v), 0);
	assert_int_equal(v, UINT32_MAX);
}

static void test_parse_size_units(void **state)
{
	static const struct number table[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "4096B", 0, 4096 },
		{ "1K", 0, 1024 },
		{ "1k", 0, 1024 },
		{ "512M", 0, 512ull << 20 },
		{ "2G", 0, 2ull << 30 },
		{ "2GB", 0, 2ull << 30 },
		{ "2GiB", 0, 2ull << 30 },
		{ "1T", 0, 1ull << 40 },
		{ "16777215T", 0, 16777215ull << 40 },
		{ "16777216T", -1, 0 },
		{ "18446744073709551615K", -1, 0 },
		{ "", -1, 0 }, { "M", -1, 0 }, { "1X", -1, 0 }, { "1 M", -1, 0 }, { "1Mi", -1, 0 },
		{ "1MM", -1, 0 }, { "-1M", -1, 0 }, { "1.5G", -1, 0 }, { "1MiBx", -1, 0 }, { "1BB", -1, 0 },
		{ "1\v", -1, 0 }, { "1iB", -1, 0 },
	};

	check_numbers("size", parse_size, table, ARRAY_SIZE(table));
}

static void test_parse_duration_units(void **state)
{
	static const struct number table[] = {
		{ "0", 0, 0 },
		{ "10", 0, 10000 },
		{ "500ms", 0, 500 },
		{ "3s", 0, 3000 },
		{ "2m", 0, 120000 },
		{ "1h", 0, 3600000 },
		{ "1d", 0, 86400000 },
		{ "18446744073709551615ms", 0, UINT64_MAX },
		{ "18446744073709551615s", -1, 0 },
		{ "", -1, 0 }, { "ms", -1, 0 }, { "1w", -1, 0 }, { "1 s", -1, 0 }, { "-1s", -1, 0 },
		{ "1sm", -1, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		uint64_t v = 4711;
		int r = parse_duration_ms(table[i].text, &v);

		if (r != table[i].r || (r == 0 && v != table[i].value))
			fail_msg("duration \"%s\": %d, %llu", table[i].text, r, (unsigned long long)v);
	}
}

static void test_parse_milli_fractions(void **state)
{
	static const struct number table[] = {
		{ "0", 0, 0 },
		{ "2", 0, 2000 },
		{ "1.5", 0, 1500 },
		{ "0.25", 0, 250 },
		{ "0.001", 0, 1 },
		{ "0.0019", 0, 1 },
		{ "1.999999999999999999999999999", 0, 1999 },
		{ "", -1, 0 }, { ".", -1, 0 }, { ".5", -1, 0 }, { "1.5x", -1, 0 }, { "1.5.5", -1, 0 },
		{ "-1", -1, 0 }, { "1,5", -1, 0 }, { "18446744073709551615", -1, 0 },
	};

	check_numbers("milli", parse_milli, table, ARRAY_SIZE(table));
}

static void test_parse_bool_words(void **state)
{
	static const struct {
		const char *text;
		int r, value;
	} table[] = {
		{ "yes", 0, 1 }, { "YES", 0, 1 }, { "true", 0, 1 }, { "on", 0, 1 }, { "1", 0, 1 },
		{ "no", 0, 0 }, { "False", 0, 0 }, { "off", 0, 0 }, { "0", 0, 0 },
		{ "", -1, 7 }, { "y", -1, 7 }, { "2", -1, 7 }, { "yes ", -1, 7 }, { "maybe", -1, 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int v = 7;

		assert_int_equal(parse_bool(table[i].text, &v), table[i].r);
		assert_int_equal(v, table[i].value);
	}
}

/* cleanup */

static void test_take_fd_and_take_ptr_leave_nothing_behind(void **state)
{
	int fd = 17;
	char text[] = "x", *p = text;

	assert_int_equal(take_fd(&fd), 17);
	assert_int_equal(fd, -EBADF);
	assert_ptr_equal(take_ptr(&p), text);
	assert_null(p);
}

static void test_replace_fd_closes_the_old_one_and_keeps_errno(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), old = fd;
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

	errno = EXDEV;
	replace_fd(&fd, next);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fd, next);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	close_fd(take_fd(&fd));
	errno = EXDEV;
	close_fd(-EBADF);
	assert_int_equal(errno, EXDEV);
}

#define T(f) cmocka_unit_test_teardown(f, memory_is_back)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(test_error_set_gives_negative_code_and_text),
		T(test_error_set_errno_appends_reason),
		T(test_error_set_null_err_gives_code_only),
		T(test_error_set_twice_replaces_first),
		T(test_error_wrap_puts_context_in_front_and_keeps_the_rest),
		T(test_error_wrap_and_hint_without_error_do_nothing),
		T(test_error_accessors_take_null),
		T(test_error_free_keeps_errno),
		T(test_error_keeps_the_codes_that_programs_compiled_in),
		T(test_code_from_errno_follows_the_table),
		T(test_error_set_out_of_memory_loses_text_never_failure),
		T(test_error_static_object_is_never_changed),
		T(test_strv_add_keeps_order_and_null_end),
		T(test_strv_add_copies_its_argument),
		T(test_strv_empty_list_is_usable),
		T(test_strv_split_leaves_empty_pieces_out),
		T(test_strv_out_of_memory_is_reported_and_list_stays),
		T(test_strv_add_out_of_memory_is_reported),
		T(test_buf_grows_and_stays_terminated),
		T(test_buf_add_takes_zero_bytes_and_nothing),
		T(test_buf_add_overflow_is_remembered),
		T(test_buf_out_of_memory_keeps_what_was_there),
		T(test_buf_json_escapes),
		T(test_buf_safe_lets_no_control_byte_through),
		T(test_buf_read_fd_reads_to_the_end),
		T(test_buf_read_fd_limit_is_refused),
		T(test_buf_read_fd_failure_is_told),
		T(test_buf_read_fd_out_of_memory_is_told),
		T(test_log_to_hands_one_line_to_the_sink),
		T(test_parse_u64_takes_whole_plain_words_only),
		T(test_parse_u32_refuses_what_does_not_fit),
		T(test_parse_size_units),
		T(test_parse_duration_units),
		T(test_parse_milli_fractions),
		T(test_parse_bool_words),
		T(test_take_fd_and_take_ptr_leave_nothing_behind),
		T(test_replace_fd_closes_the_old_one_and_keeps_errno),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
