/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/json.c - see json.h. */
#include "ship/json.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"

#define LEVELS_MAX 64

struct reader {
	const char *p, *end;
	unsigned level;
	struct kennel_error **err;
};

static int bad(struct reader *r)
{
	return fail(r->err, KENNEL_E_CORRUPT, "it is no JSON");
}

static void skip_space(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool take(struct reader *r, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

static int take_hex4(struct reader *r, unsigned *ret)
{
	unsigned v = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (r->p >= r->end || !isxdigit((unsigned char)*r->p))
			return bad(r);
		char c = *r->p++;
		v = v * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	*ret = v;
	return 0;
}

static void add_utf8(struct buf *b, unsigned c)
{
	char s[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i > 1; i--, c >>= 6)
		s[i - 1] = (char)(0x80 | (c & 0x3f));
	s[0] = (char)(first[n] | c);
	buf_add(b, s, n);
}

static int take_escape(struct reader *r, struct buf *b)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	unsigned c = 0, low = 0;

	if (r->p >= r->end)
		return bad(r);
	char letter = *r->p++;
	const char *at = letter ? strchr(from, letter) : NULL;
	if (at) {
		buf_add(b, &to[at - from], 1);
		return 0;
	}
	if (letter != 'u')
		return bad(r);
	int code = take_hex4(r, &c);
	if (code < 0)
		return code;
	if (c >= 0xd800 && c < 0xdc00) {
		if (!take(r, "\\u"))
			return bad(r);
		code = take_hex4(r, &low);
		if (code < 0 || low < 0xdc00 || low > 0xdfff)
			return code < 0 ? code : bad(r);
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c == 0 || (c >= 0xdc00 && c < 0xe000)) {
		return bad(r);
	}
	add_utf8(b, c);
	return 0;
}

/* Behind the opening quote. */
static int take_string(struct reader *r, char **ret)
{
	_cleanup_buf_ struct buf b = { 0 };

	for (;;) {
		const char *from = r->p;

		while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char)*r->p >= 0x20)
			r->p++;
		buf_add(&b, from, (size_t)(r->p - from));
		if (r->p >= r->end || (unsigned char)*r->p < 0x20)
			return bad(r);
		if (*r->p++ == '"')
			break;
		int code = take_escape(r, &b);
		if (code < 0)
			return code;
	}
	int code = buf_check(&b, r->err);
	if (code < 0)
		return code;
	*ret = strdup(buf_str(&b));
	return *ret ? 0 : fail(r->err, KENNEL_E_NOMEM, "out of memory");
}

static int take_number(struct reader *r, struct json *ret)
{
	const char *from = r->p;

	while (r->p < r->end && (isdigit((unsigned char)*r->p) || (*r->p && strchr("+-.eE", *r->p))))
		r->p++;
	if (r->p == from)
		return bad(r);
	ret->type = JSON_NUMBER;
	size_t len = (size_t)(r->p - from);
	ret->string = malloc(len + 1); /* strndup() would look for an end behind it */
	if (!ret->string)
		return fail(r->err, KENNEL_E_NOMEM, "out of memory");
	memcpy(ret->string, from, len);
	ret->string[len] = '\0';
	return 0;
}

static int take_value(struct reader *r, struct json *ret);

static struct json *add_item(struct json *j)
{
	if (j->n == j->room) {
		size_t room = j->room ? j->room * 2 : 8;
		struct json *items = reallocarray(j->items, room, sizeof(*items));

		if (!items)
			return NULL;
		j->items = items;
		j->room = room;
	}
	j->items[j->n] = (struct json){ 0 };
	return &j->items[j->n++];
}

/* Behind the opening bracket. */
static int take_items(struct reader *r, struct json *ret, bool object)
{
	const char *close = object ? "}" : "]";

	ret->type = object ? JSON_OBJECT : JSON_ARRAY;
	if (++r->level > LEVELS_MAX)
		return bad(r);
	skip_space(r);
	if (take(r, close)) {
		r->level--;
		return 0;
	}
	do {
		struct json *item = add_item(ret);
		int code = item ? 0 : fail(r->err, KENNEL_E_NOMEM, "out of memory");

		skip_space(r);
		if (code == 0 && object)
			code = take(r, "\"") ? take_string(r, &item->key) : bad(r);
		skip_space(r);
		if (code == 0 && object && !take(r, ":"))
			code = bad(r);
		if (code == 0)
			code = take_value(r, item);
		if (code < 0)
			return code;
		skip_space(r);
	} while (take(r, ","));
	r->level--;
	return take(r, close) ? 0 : bad(r);
}

static int take_value(struct reader *r, struct json *ret)
{
	skip_space(r);
	if (take(r, "{"))
		return take_items(r, ret, true);
	if (take(r, "["))
		return take_items(r, ret, false);
	if (take(r, "\"")) {
		ret->type = JSON_STRING;
		return take_string(r, &ret->string);
	}
	if (take(r, "true") || take(r, "false")) {
		ret->type = JSON_BOOL;
		return 0;
	}
	if (take(r, "null"))
		return 0;
	return take_number(r, ret);
}

int json_parse(const char *text, size_t len, struct json *ret, struct kennel_error **err)
{
	struct reader r = { .p = text, .end = text + len, .err = err };

	*ret = (struct json){ 0 };
	int code = take_value(&r, ret);
	skip_space(&r);
	if (code == 0 && r.p != r.end)
		code = bad(&r);
	if (code < 0)
		json_done(ret);
	return code;
}

/* No deeper than what was read, so recursion is bounded. */
void json_done(struct json *j)
{
	for (size_t i = 0; i < j->n; i++)
		json_done(&j->items[i]);
	free(j->items);
	free(j->key);
	free(j->string);
	*j = (struct json){ 0 };
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (!object || object->type != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < object->n; i++)
		if (strcmp(object->items[i].key, key) == 0)
			return &object->items[i];
	return NULL;
}

const struct json *json_at(const struct json *array, size_t i)
{
	return array && array->type == JSON_ARRAY && i < array->n ? &array->items[i] : NULL;
}

const char *json_text(const struct json *string)
{
	return string && string->type == JSON_STRING ? string->string : NULL;
}

int json_u64(const struct json *number, uint64_t *ret)
{
	return number && number->type == JSON_NUMBER && parse_u64(number->string, ret) == 0;
}
