/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-parse.c - words to numbers, and text to JSON and to a terminal.
 *
 * Besides memory errors it looks for broken promises: what parses must be text of the documented alphabet,
 * and what goes to a terminal must hold no control byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strv.h"
#include "run/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_numbers(const char *s)
{
	uint64_t v;
	uint32_t w;
	int b;

	if (parse_u64(s, &v) == 0 && s[strspn(s, "0123456789")])
		abort();
	if (parse_u32(s, &w) == 0 && (parse_u64(s, &v) < 0 || v != w))
		abort();
	if (parse_size(s, &v) == 0 && s[strspn(s, "0123456789KMGTPEkmgtpeiBb")])
		abort();
	if (parse_duration_ms(s, &v) == 0 && s[strspn(s, "0123456789mshd")])
		abort();
	if (parse_milli(s, &v) == 0 && s[strspn(s, "0123456789.")])
		abort();
	if (parse_bool(s, &b) == 0 && b != 0 && b != 1)
		abort();
}

static void check_text(const char *s)
{
	_cleanup_buf_ struct buf safe = { 0 }, json = { 0 };

	buf_safe(&safe, s);
	buf_json(&json, s);
	if (safe.nomem || json.nomem)
		return;
	for (size_t i = 0; i < safe.len; i++)
		if ((unsigned char)safe.data[i] < 0x20 || safe.data[i] == 0x7f)
			abort();
	if (json.len < 2 || json.data[0] != '"' || json.data[json.len - 1] != '"')
		abort();
	for (size_t i = 0; i < json.len; i++)
		if ((unsigned char)json.data[i] < 0x20)
			abort();
}

static void check_split(const char *s)
{
	_cleanup_strv_ struct strv v = { 0 };

	if (strv_split(&v, s, ',', NULL) < 0)
		return;
	for (size_t i = 0; i < v.n; i++)
		if (!v.items[i][0] || strchr(v.items[i], ','))
			abort();
}

/* It is a beginning of what there was. */
static void check_label(const char *s, size_t size)
{
	_cleanup_buf_ struct buf b = { 0 };

	(void)label_parse(s, size, &b);
	if (!b.nomem && (b.len > size || (b.len && memcmp(b.data, s, b.len) != 0)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = malloc(size + 1);

	if (!s)
		return 0;
	if (size)
		memcpy(s, data, size);
	s[size] = '\0';
	check_numbers(s);
	check_text(s);
	check_split(s);
	check_label(s, size);
	return 0;
}
