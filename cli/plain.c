/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/plain.c - see plain.h. Sequences as ECMA-48 has them: ESC [ ... letter; ESC ] and others to BEL or
 * ESC \.
 */
#include "cli/plain.h"

#include <stdbool.h>
#include <string.h>

/* Return: is it text? */
static bool in_text(struct plain *p, unsigned char c)
{
	if (c == 0x1b)
		p->state = PLAIN_ESCAPE;
	else if (c == 0xc2)
		p->state = PLAIN_C1; /* U+0080 to U+00BF begin with it; the first half are controls */
	return c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f && c != 0xc2);
}

static void in_escape(struct plain *p, unsigned char c)
{
	if (c == '[')
		p->state = PLAIN_CSI;
	else if (strchr("]PX^_", c) && c)
		p->state = PLAIN_STRING;
	else if (c < ' ' || c > '/') /* those in between are followed by one more */
		p->state = PLAIN_TEXT;
}

void plain_add(struct plain *p, const char *bytes, size_t n, struct buf *ret)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)bytes[i];

		switch (p->state) {
		case PLAIN_TEXT:
			if (in_text(p, c))
				buf_add(ret, &bytes[i], 1);
			break;
		case PLAIN_ESCAPE:
			in_escape(p, c);
			break;
		case PLAIN_CSI:
			if (c >= '@' && c <= '~')
				p->state = PLAIN_TEXT;
			break;
		case PLAIN_STRING:
			p->state = c == 0x07 ? PLAIN_TEXT : c == 0x1b ? PLAIN_STRING_ESCAPE : PLAIN_STRING;
			break;
		case PLAIN_STRING_ESCAPE:
			p->state = c == '\\' ? PLAIN_TEXT : PLAIN_STRING;
			break;
		case PLAIN_C1:
			p->state = PLAIN_TEXT;
			if (c >= 0xa0) {
				buf_puts(ret, "\xc2");
				buf_add(ret, &bytes[i], 1);
			}
			break;
		}
	}
}
