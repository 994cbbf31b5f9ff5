/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/backlog.c - see backlog.h. */
#include "monitor/backlog.h"

#include <string.h>

#include "base/macro.h"

void backlog_add(struct backlog *b, const void *data, size_t n)
{
	const char *from = data;

	while (n) {
		size_t at = (size_t)(b->written % BACKLOG_SIZE), part = MIN(n, BACKLOG_SIZE - at);

		memcpy(b->ring + at, from, part);
		b->written += part;
		from += part;
		n -= part;
	}
}

uint64_t backlog_oldest(const struct backlog *b)
{
	return b->written > BACKLOG_SIZE ? b->written - BACKLOG_SIZE : 0;
}

const char *backlog_at(const struct backlog *b, uint64_t place, size_t *ret_n)
{
	size_t at = (size_t)(place % BACKLOG_SIZE);

	*ret_n = (size_t)MIN(b->written - place, (uint64_t)(BACKLOG_SIZE - at));
	return b->ring + at;
}
