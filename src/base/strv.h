/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/strv.h - a NULL-terminated list of heap strings, as argv is; n counts without the NULL. */
#ifndef KENNEL_BASE_STRV_H
#define KENNEL_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct strv {
	char **items;           /* NULL while empty, else items[n] == NULL */
	size_t n;
	size_t room;
};

/* Appends a copy of s. */
int strv_add(struct strv *v, const char *s, struct kennel_error **err) MUST_CHECK;
/* Appends s itself; takes it, also on failure. */
int strv_take(struct strv *v, char *s, struct kennel_error **err) MUST_CHECK;
int strv_addf(struct strv *v, struct kennel_error **err, const char *fmt, ...) PRINTF_LIKE(3, 4) MUST_CHECK;
/* Appends the pieces of s between separators; empty pieces are left out. */
int strv_split(struct strv *v, const char *s, char sep, struct kennel_error **err) MUST_CHECK;
/*
 * Appends the words of a line as a shell would see them: blanks divide, '...' and "..." and a backslash keep
 * what is in or behind them; nothing is expanded. Return: 0, NOMEM, or INVALID where a quote does not end.
 */
int strv_split_words(struct strv *v, const char *line, struct kennel_error **err) MUST_CHECK;
/* Appends a word so that a shell, or strv_split_words(), takes it for one; as it is where it may be. */
void strv_quote_word(struct buf *b, const char *word);
bool strv_has(const struct strv *v, const char *s);
void strv_done(struct strv *v);

static inline void cleanup_strvp(struct strv *v)
{
	strv_done(v);
}
#define _cleanup_strv_ __attribute__((cleanup(cleanup_strvp)))

#endif
