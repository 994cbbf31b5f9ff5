/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/buf.c - see buf.h. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static bool buf_reserve(struct buf *b, size_t more)
{
	if (b->nomem)
		return false;
	if (more > SIZE_MAX / 4 - b->len) {
		b->nomem = true;
		return false;
	}
	size_t need = b->len + more + 1;
	if (need <= b->room)
		return true;
	size_t room = b->room ? b->room : 256;
	while (room < need)
		room *= 2;
	char *data = realloc(b->data, room);
	if (!data) {
		b->nomem = true;
		return false;
	}
	b->data = data;
	b->room = room;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n)) {
		b->nomem = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

/* Length of the valid UTF-8 sequence at s (1 to 4), or 0. Overlong forms and surrogates are invalid. */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
		return 2;
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
	    (s[3] & 0xc0) == 0x80) {
		if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

/*
 * C0, DEL, the C1 controls U+0080..U+009F (c2 80..c2 9f), which some terminals obey, and what turns the
 * direction of text or ends a line unseen: U+061C, U+200E, U+200F, U+2028..U+202E, U+2066..U+2069.
 */
static bool is_control(const unsigned char *s, size_t len)
{
	if (len == 1)
		return s[0] < 0x20 || s[0] == 0x7f;
	if (len == 2)
		return (s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xd8 && s[1] == 0x9c);
	if (len != 3 || s[0] != 0xe2)
		return false;
	if (s[1] == 0x80)
		return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
	return s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

/* Of a valid sequence of 1 to 3 bytes. */
static unsigned code_point(const unsigned char *s, size_t len)
{
	if (len == 1)
		return s[0];
	if (len == 2)
		return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	return (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
}

void buf_json(struct buf *b, const char *text)
{
	if (!text) {
		buf_puts(b, "null");
		return;
	}
	buf_puts(b, "\"");
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t len = utf8_len(s);

		if (len == 0) {
			buf_puts(b, "\xef\xbf\xbd");
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			buf_printf(b, "\\%c", *s);
		else if (*s == '\n')
			buf_puts(b, "\\n");
		else if (*s == '\t')
			buf_puts(b, "\\t");
		else if (is_control(s, len))
			buf_printf(b, "\\u%04x", code_point(s, len));
		else
			buf_add(b, s, len);
		s += len;
	}
	buf_puts(b, "\"");
}

void buf_safe(struct buf *b, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t len = utf8_len(s);

		if (len && !is_control(s, len)) {
			buf_add(b, s, len);
			s += len;
			continue;
		}
		for (size_t i = 0; i < MAX(len, (size_t)1); i++)
			buf_printf(b, "\\x%02x", s[i]);
		s += MAX(len, (size_t)1);
	}
}

int buf_check(const struct buf *b, struct kennel_error **err)
{
	return b->nomem ? fail(err, KENNEL_E_NOMEM, "out of memory") : 0;
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

void buf_done(struct buf *b)
{
	int saved = errno;

	free(b->data);
	*b = (struct buf){ 0 };
	errno = saved;
}

int buf_read_fd(struct buf *b, int fd, size_t max, struct kennel_error **err)
{
	for (;;) {
		if (!buf_reserve(b, 4096))
			return buf_check(b, err);
		ssize_t n = read(fd, b->data + b->len, b->room - b->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "read");
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		if (n == 0)
			return 0;
		if (b->len > max)
			return fail(err, KENNEL_E_LIMIT, "more than %zu bytes", max);
	}
}
