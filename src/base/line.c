/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/line.c - see line.h. */
#include "base/line.h"

#include <string.h>

void line_put(struct buf *b, const char *field)
{
	for (const char *s = field; *s;) {
		size_t plain = strcspn(s, "\n\t\\");

		buf_add(b, s, plain);
		s += plain;
		if (*s)
			buf_puts(b, *s == '\n' ? "\\n" : *s == '\t' ? "\\t" : "\\\\");
		s += *s != '\0';
	}
}

char *line_undo(char *s)
{
	char *out = strchrnul(s, '\\');

	for (const char *in = out; *in; in++) {
		if (*in == '\\' && in[1]) {
			in++;
			*out++ = *in == 'n' ? '\n' : *in == 't' ? '\t' : *in;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
	return s;
}

char *line_next(char **rest)
{
	char *field = *rest, *tab = field ? strchr(field, '\t') : NULL;

	*rest = tab ? tab + 1 : NULL;
	if (tab)
		*tab = '\0';
	return field ? line_undo(field) : NULL;
}
