/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/text.h - the difference of two texts, as diff -u shows it. Pure.
 */
#ifndef KENNEL_DELTA_TEXT_H
#define KENNEL_DELTA_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct text_side {
	const char *data;
	size_t size;
};

/* Does it hold what no text does? */
bool text_is_binary(const struct text_side *t);

/*
 * Appends the hunks, each with context lines around it; nothing where the two are equal. Usually the
 * smallest difference; of texts that have next to nothing in common any right one, in bounded time.
 */
int text_diff(const struct text_side *before, const struct text_side *after, size_t context, struct buf *out,
	      struct kennel_error **err) MUST_CHECK;

#endif
