/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* base/strv.h - a NULL-terminated list of heap strings, as argv is; n counts without the NULL. */
#ifndef KENNEL_BASE_STRV_H
#define KENNEL_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

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
bool strv_has(const struct strv *v, const char *s);
void strv_done(struct strv *v);

static inline void cleanup_strvp(struct strv *v)
{
	strv_done(v);
}
#define _cleanup_strv_ __attribute__((cleanup(cleanup_strvp)))

#endif
