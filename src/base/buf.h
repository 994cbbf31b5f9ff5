/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base/buf.h - a growing byte buffer that is always NUL-terminated.
 *
 * Appending never fails at the call: the first lack of memory is remembered and buf_check() tells it once at
 * the end.
 */
#ifndef KENNEL_BASE_BUF_H
#define KENNEL_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct buf {
	char *data;             /* NULL while empty */
	size_t len;
	size_t room;
	bool nomem;
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Appends s as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. NULL becomes null. */
void buf_json(struct buf *b, const char *s);
/*
 * Appends s for a person's terminal: control bytes and invalid UTF-8 as \xNN, so no name can move the cursor.
 */
void buf_safe(struct buf *b, const char *s);
int buf_check(const struct buf *b, struct kennel_error **err) MUST_CHECK;
/* The text, never NULL. */
const char *buf_str(const struct buf *b);
void buf_done(struct buf *b);

/* Reads a descriptor to its end, at most max bytes (more is KENNEL_E_LIMIT). */
int buf_read_fd(struct buf *b, int fd, size_t max, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_bufp(struct buf *b)
{
	buf_done(b);
}
#define _cleanup_buf_ __attribute__((cleanup(cleanup_bufp)))

#endif
