/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/strv.c - see strv.h. Grows by doubling; the NULL at the end is always there once anything was added.
 */
#include "base/strv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

int strv_take(struct strv *v, char *s, struct kennel_error **err)
{
	_cleanup_free_ char *owned = s;

	if (!owned)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (v->n + 2 > v->room) {
		size_t room = v->room ? v->room * 2 : 8;
		char **items = reallocarray(v->items, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		v->items = items;
		v->room = room;
	}
	v->items[v->n++] = take_ptr(&owned);
	v->items[v->n] = NULL;
	return 0;
}

int strv_add(struct strv *v, const char *s, struct kennel_error **err)
{
	return strv_take(v, strdup(s), err);
}

int strv_addf(struct strv *v, struct kennel_error **err, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return strv_take(v, n < 0 ? NULL : s, err);
}

int strv_split(struct strv *v, const char *s, char sep, struct kennel_error **err)
{
	while (*s) {
		const char *end = strchrnul(s, sep);

		if (end > s) {
			int r = strv_take(v, strndup(s, (size_t)(end - s)), err);
			if (r < 0)
				return r;
		}
		s = *end ? end + 1 : end;
	}
	return 0;
}

/* One word: *line stands on its first character, and behind it afterwards. */
static int next_word(const char **line, struct buf *word, struct kennel_error **err)
{
	const char *p = *line;
	char quote = '\0';

	for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? '\0' : *p;
		else if (*p == '\\' && quote != '\'' && p[1] && (!quote || strchr("\"\\$`", p[1])))
			buf_add(word, ++p, 1);
		else
			buf_add(word, p, 1);
	}
	*line = p;
	return quote ? fail(err, KENNEL_E_INVALID, "a quotation mark (%c) has no second one", quote) : 0;
}

int strv_split_words(struct strv *v, const char *line, struct kennel_error **err)
{
	for (line += strspn(line, " \t\n"); *line; line += strspn(line, " \t\n")) {
		_cleanup_buf_ struct buf word = { 0 };
		int r = next_word(&line, &word, err);

		if (r == 0)
			r = buf_check(&word, err);
		if (r == 0)
			r = strv_add(v, buf_str(&word), err);
		if (r < 0)
			return r;
	}
	return 0;
}

void strv_quote_word(struct buf *b, const char *word)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";

	if (*word && strspn(word, plain) == strlen(word)) {
		buf_puts(b, word);
		return;
	}
	buf_puts(b, "'");
	for (; *word; word++) {
		if (*word == '\'')
			buf_puts(b, "'\\''");
		else
			buf_add(b, word, 1);
	}
	buf_puts(b, "'");
}

bool strv_has(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->items[i], s) == 0)
			return true;
	return false;
}

void strv_done(struct strv *v)
{
	int saved = errno;

	for (size_t i = 0; i < v->n; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){ 0 };
	errno = saved;
}
