/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/diff-content.c - the changes of one file as text, for a person or for patch(1). */
#include <string.h>

#include "cli/change.h"
#include "cli/diff.h"
#include "base/cleanup.h"

/* A name in a header, as git writes it: in quotes with escapes where it has odd bytes. */
static void add_header_name(struct buf *b, const char *mark, const char *side, const char *path)
{
	bool odd = false;

	for (const unsigned char *s = (const unsigned char *)path; *s; s++)
		odd |= *s < 0x20 || *s >= 0x7f || *s == '"' || *s == '\\';
	buf_printf(b, "%s %s%s", mark, odd ? "\"" : "", side);
	for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
		if (!odd)
			buf_add(b, s, 1);
		else if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if (*s < 0x20 || *s >= 0x7f)
			buf_printf(b, "\\%03o", *s);
		else
			buf_add(b, s, 1);
	}
	buf_puts(b, odd ? "\"\n" : "\n");
}

/* Lines of a terminal: tabs stay, all else that is no text is shown as such. */
static void add_line(struct diff_out *o, const char *line, size_t len)
{
	static const struct {
		char sign;
		const char *colour;
	} colours[] = { { '-', "\033[31m" }, { '+', "\033[32m" }, { '@', "\033[36m" } };
	const char *colour = "";

	for (size_t i = 0; i < ARRAY_SIZE(colours) && o->cli->out_colour; i++)
		if (*line == colours[i].sign)
			colour = colours[i].colour;
	buf_puts(&o->b, colour);
	while (len) {
		const char *tab = memchr(line, '\t', len);
		size_t n = tab ? (size_t)(tab - line) : len;
		_cleanup_free_ char *part = strndup(line, n);

		if (part)
			buf_safe(&o->b, part);
		if (tab)
			buf_puts(&o->b, "\t");
		line += n + (tab != NULL);
		len -= n + (tab != NULL);
	}
	buf_puts(&o->b, *colour ? "\033[0m\n" : "\n");
}

static void add_text(struct diff_out *o, const char *text, size_t size)
{
	if (!o->terminal) {
		buf_add(&o->b, text, size);
		return;
	}
	while (size) {
		const char *newline = memchr(text, '\n', size);
		size_t len = newline ? (size_t)(newline - text) : size;

		add_line(o, text, len);
		text += len + (newline != NULL);
		size -= len + (newline != NULL);
	}
}

static bool is_file(const struct stat *st)
{
	return st && S_ISREG(st->st_mode);
}

int diff_content(struct diff_out *o, const struct kennel_change *c)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	bool before = is_file(c->before), after = is_file(c->after);

	/* Of a file that is one with another there is nothing new to show. */
	if ((!before && !after) || (c->kind == KENNEL_CHANGED && !(c->bits & KENNEL_CHANGE_CONTENT)))
		return 0;
	int r = kennel_delta_text(o->delta, c->path, &text, &size, &o->err);
	if (r == -KENNEL_E_PERM) { /* of the base: that is told, and others follow */
		o->err = kennel_error_free(o->err);
		buf_puts(&o->b, "File ");
		buf_safe(&o->b, c->path);
		buf_printf(&o->b, ", which you may not read, was %s\n", change_kind_word(c->kind));
		return 0;
	}
	if (r < 0)
		return r;
	if (r == 0) {
		buf_puts(&o->b, "Binary or large file ");
		buf_safe(&o->b, c->path);
		buf_printf(&o->b, " was %s\n", change_kind_word(c->kind));
		return 0;
	}
	if (!size)
		return 0;
	add_header_name(&o->b, "---", before ? "a" : "", before ? c->path : "/dev/null");
	add_header_name(&o->b, "+++", after ? "b" : "", after ? c->path : "/dev/null");
	add_text(o, text, size);
	return 0;
}
