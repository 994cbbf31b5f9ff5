/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/config.c - see config.h.
 *
 * A parser of our own instead of inih: errors have to name file, line and key, edits have to keep the lines
 * that they don't concern, and the start path links libc alone.
 */
#include "conf/config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define SECTION "container"
#define BLANKS " \t\r"
#define KEY_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

/* One line of the text without its newline, and where the next one begins. */
struct line {
	const char *start, *end, *next;
	unsigned number;
};

enum line_kind { LINE_OTHER, LINE_SETTING };

/* Reading goes on while true comes back; number begins at 0, next at the text. */
static bool next_line(struct line *l, const char *text_end)
{
	if (l->next == text_end)
		return false;
	const char *newline = memchr(l->next, '\n', (size_t)(text_end - l->next));
	l->start = l->next;
	l->end = newline ? newline : text_end;
	l->next = newline ? newline + 1 : text_end;
	l->number++;
	return true;
}

static bool is_blank(char c)
{
	return strchr(BLANKS, c) && c;
}

static void trim(const char **start, const char **end)
{
	while (*start < *end && is_blank(**start))
		++*start;
	while (*start < *end && is_blank((*end)[-1]))
		--*end;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static int fail_line(const char *file, const struct line *l, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *start = l->start, *end = l->end;

	trim(&start, &end);
	buf_add(&b, start, MIN((size_t)(end - start), (size_t)60));
	return hint(err,
		    fail(err, KENNEL_E_INVALID, "%s:%u: \"%s\" is no setting", file, l->number, buf_str(&b)),
		    "a line is KEY = VALUE, a comment that begins with #, or [" SECTION "]");
}

static bool is_key(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(KEY_LETTERS, key[i]) || !key[i])
			return false;
	return len > 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

/* What stands behind a backslash at *p; moves *p to its last character. Return: the byte, or -1. */
static int unescape(const char **p, const char *end)
{
	static const char letters[] = "\\\\\"\"n\nt\tr\re\033";

	for (const char *l = letters; *l; l += 2)
		if (**p == *l)
			return l[1];
	if (**p != 'x' || end - *p < 3)
		return -1;
	int high = hex_digit((*p)[1]), low = hex_digit((*p)[2]);
	*p += 2;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* start stands behind the first quote, end at the line's end. */
static int parse_quoted(const char *file, const struct line *l, const char *start, const char *end,
			struct buf *ret, struct kennel_error **err)
{
	const char *p;

	for (p = start; p < end && *p != '"'; p++) {
		int c = (unsigned char)*p;

		if (*p == '\\') {
			c = ++p < end ? unescape(&p, end) : -1;
			if (c <= 0)
				return hint(err,
					    fail(err, KENNEL_E_INVALID,
						 "%s:%u: a backslash with nothing that it can stand for",
						 file, l->number),
					    "it is one of \\\\ \\\" \\n \\t \\r \\e \\xNN, but never \\x00");
		}
		const char byte = (char)c;
		buf_add(ret, &byte, 1);
	}
	if (p >= end)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "%s:%u: the closing quote is missing", file,
				 l->number),
			    "a value that begins with a quote ends with one");
	if (p + 1 != end)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "%s:%u: something stands behind the closing quote",
				 file, l->number),
			    "write a quote inside of quotes as \\\"");
	return buf_check(ret, err);
}

/*
 * Cuts a line. Return: LINE_SETTING with the key's place and the value, LINE_OTHER for what sets nothing, or
 * a negative code.
 */
static int parse_line(const char *file, const struct line *l, const char **ret_key, size_t *ret_key_len,
		      struct buf *ret_value, struct kennel_error **err)
{
	const char *start = l->start, *end = l->end;

	trim(&start, &end);
	for (const char *p = start; p < end; p++)
		if (is_control(*p) && *p != '\t')
			return hint(err,
				    fail(err, KENNEL_E_INVALID, "%s:%u: a control character (\\x%02x)", file,
					 l->number, (unsigned char)*p),
				    "write it as \\x%02x in a value between quotes", (unsigned char)*p);
	if (start == end || *start == '#' || *start == ';')
		return LINE_OTHER;
	if (*start == '[') {
		if ((size_t)(end - start) == sizeof("[" SECTION "]") - 1 &&
		    memcmp(start, "[" SECTION "]", (size_t)(end - start)) == 0)
			return LINE_OTHER;
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "%s:%u: there is no section \"%.*s\"", file,
				 l->number, (int)MIN(end - start, 60), start),
			    "the only one is [" SECTION "]");
	}
	const char *equals = memchr(start, '=', (size_t)(end - start));
	if (!equals)
		return fail_line(file, l, err);
	const char *key = start, *key_end = equals, *value = equals + 1;
	trim(&key, &key_end);
	trim(&value, &end);
	*ret_key = key;
	*ret_key_len = (size_t)(key_end - key);
	if (!is_key(key, *ret_key_len))
		return fail_line(file, l, err);
	if (value < end && *value == '"') {
		int r = parse_quoted(file, l, value + 1, end, ret_value, err);
		return r < 0 ? r : LINE_SETTING;
	}
	buf_add(ret_value, value, (size_t)(end - value));
	int r = buf_check(ret_value, err);
	return r < 0 ? r : LINE_SETTING;
}

static int add_setting(struct config *c, unsigned line, const char *key, size_t key_len,
		       const struct buf *value, struct kennel_error **err)
{
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 16;
		struct config_setting *items = reallocarray(c->items, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		c->items = items;
		c->room = room;
	}
	struct config_setting *s = &c->items[c->n++];
	*s = (struct config_setting){ .line = line,
				      .key = malloc(key_len + 1), /* strndup() looks for an end behind it */
				      .value = strdup(buf_str(value)) };
	if (s->key)
		*(char *)mempcpy(s->key, key, key_len) = '\0';
	return s->key && s->value ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int check_text(const char *file, const char *text, size_t len, struct kennel_error **err)
{
	if (len > CONFIG_SIZE_MAX)
		return fail(err, KENNEL_E_INVALID, "%s: %zu bytes are too many for a configuration", file,
			    len);
	if (memchr(text, '\0', len))
		return fail(err, KENNEL_E_INVALID, "%s: it holds a zero byte, so it is no text", file);
	return 0;
}

int config_parse(const char *file, const char *text, size_t len, struct config *ret,
		 struct kennel_error **err)
{
	struct line l = { .next = text };

	*ret = (struct config){ 0 };
	int r = check_text(file, text, len, err);
	while (r >= 0 && next_line(&l, text + len)) {
		_cleanup_buf_ struct buf value = { 0 };
		const char *key;
		size_t key_len;

		r = parse_line(file, &l, &key, &key_len, &value, err);
		if (r == LINE_SETTING)
			r = add_setting(ret, l.number, key, key_len, &value, err);
	}
	return MIN(r, 0);
}

void config_done(struct config *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->items[i].key);
		free(c->items[i].value);
	}
	free(c->items);
	*c = (struct config){ 0 };
}

const char *config_get(const struct config *c, const char *key)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->items[i].key, key) == 0)
			return c->items[i].value;
	return NULL;
}

static int fail_unknown(const char *file, const struct config_setting *s, struct kennel_error **err)
{
	struct suggestion near = { 0 };
	int r = fail(err, KENNEL_E_INVALID, "%s:%u: there is no key \"%s\"", file, s->line, s->key);

	spec_offer_keys(&near, s->key);
	if (near.best)
		return hint(err, r, "did you mean \"%s\"?", near.best);
	return hint(err, r, "keys are the long options of \"kennel run\" without their dashes");
}

int config_apply(const char *file, const struct config *c, struct spec *s, struct kennel_error **err)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct config_setting *it = &c->items[i];
		enum spec_use use = spec_key_use(it->key);

		if (use == SPEC_USE_UNKNOWN || use == SPEC_USE_ONCE)
			return fail_unknown(file, it, err);
		for (size_t k = 0; use == SPEC_USE_VALUE && k < i; k++)
			if (strcmp(c->items[k].key, it->key) == 0)
				return hint(err,
					    fail(err, KENNEL_E_INVALID,
						 "%s:%u: \"%s\" stands in line %u already", file, it->line,
						 it->key, c->items[k].line),
					    "leave one of the two");
		int r = spec_set(s, it->key, it->value, err);
		if (r < 0)
			return wrap(err, r, "%s:%u", file, it->line);
	}
	return 0;
}

int config_check(const char *file, const char *text, size_t len, struct kennel_error **err)
{
	_cleanup_config_ struct config c = { 0 };
	struct spec *s = spec_new(err);

	if (!s)
		return -KENNEL_E_NOMEM;
	int r = config_parse(file, text, len, &c, err);
	if (r == 0)
		r = config_apply(file, &c, s, err);
	if (r == 0) {
		r = spec_check(s, err);
		if (r < 0)
			r = wrap(err, r, "%s", file);
	}
	spec_free(s);
	return r;
}

static bool needs_quotes(const char *value)
{
	size_t n = strlen(value);

	if (n && (is_blank(value[0]) || is_blank(value[n - 1]) || value[0] == '"'))
		return true;
	for (; *value; value++)
		if (is_control(*value))
			return true;
	return false;
}

void config_put(struct buf *b, const char *key, const char *value)
{
	static const char letters[] = "\\\\\"\"n\nt\tr\re\033";

	buf_printf(b, "%s =%s", key, *value ? " " : "");
	if (!needs_quotes(value)) {
		buf_printf(b, "%s\n", value);
		return;
	}
	buf_puts(b, "\"");
	for (; *value; value++) {
		const char *l = letters;

		while (*l && l[1] != *value)
			l += 2;
		if (*l)
			buf_printf(b, "\\%c", *l);
		else if (is_control(*value))
			buf_printf(b, "\\x%02x", (unsigned char)*value);
		else
			buf_add(b, value, 1);
	}
	buf_puts(b, "\"\n");
}

/* Where the lines of one key are; found by a first walk, before anything is changed. */
struct found {
	unsigned last; /* number of its last line, 0: none */
	bool has_value; /* one of them has the value already */
};

static int find(const char *file, const struct buf *text, const struct config_change *c, struct found *ret,
		struct kennel_error **err)
{
	_cleanup_config_ struct config all = { 0 };
	int r = config_parse(file, buf_str(text), text->len, &all, err);

	*ret = (struct found){ 0 };
	for (size_t i = 0; i < all.n && r == 0; i++) {
		if (strcmp(all.items[i].key, c->key) != 0)
			continue;
		ret->last = all.items[i].line;
		ret->has_value |= c->value && strcmp(all.items[i].value, c->value) == 0;
	}
	return r;
}

struct edit {
	const char *file;
	const struct config_change *change;
	struct found found;
	struct buf out;
	size_t n; /* lines that differ */
};

static void end_last_line(struct buf *out)
{
	if (out->len && out->data[out->len - 1] != '\n')
		buf_puts(out, "\n");
}

static void put_change(struct edit *e)
{
	end_last_line(&e->out);
	config_put(&e->out, e->change->key, e->change->value);
	e->n++;
}

static int edit_line(struct edit *e, const struct line *l, struct kennel_error **err)
{
	const struct config_change *c = e->change;
	_cleanup_buf_ struct buf value = { 0 };
	const char *key;
	size_t key_len;

	int r = parse_line(e->file, l, &key, &key_len, &value, err);
	if (r < 0)
		return r;
	bool ours = r == LINE_SETTING && strlen(c->key) == key_len && memcmp(key, c->key, key_len) == 0;
	bool same = ours && c->value && strcmp(buf_str(&value), c->value) == 0;
	if (ours && c->action == CONFIG_UNSET && (same || !c->value)) {
		e->n++;
		return 0;
	}
	if (ours && c->action == CONFIG_SET && l->number != e->found.last) {
		e->n++; /* twice there: the file was wrong before */
		return 0;
	}
	if (ours && c->action == CONFIG_SET && !same) {
		put_change(e);
		return 0;
	}
	buf_add(&e->out, l->start, (size_t)(l->next - l->start));
	if (c->action == CONFIG_ADD && l->number == e->found.last && !e->found.has_value)
		put_change(e);
	return 0;
}

int config_edit(const char *file, struct buf *text, const struct config_change *change, size_t *ret_lines,
		struct kennel_error **err)
{
	struct edit e = { .file = file, .change = change };
	struct line l = { .next = buf_str(text) };
	const char *end = l.next + text->len;

	int r = find(file, text, change, &e.found, err);
	while (r == 0 && next_line(&l, end))
		r = edit_line(&e, &l, err);
	if (r == 0 && !e.found.last && change->action != CONFIG_UNSET)
		put_change(&e);
	if (r == 0)
		r = buf_check(&e.out, err);
	if (r < 0) {
		buf_done(&e.out);
		return r;
	}
	buf_done(text);
	*text = e.out;
	if (ret_lines)
		*ret_lines = e.n;
	return 0;
}
