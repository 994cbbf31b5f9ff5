/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/json.c - see json.h. No library: the output is flat, and jansson would have to be loaded. */
#include "cli/json.h"

#include "base/parse.h"

void json_key(struct buf *b, const char *key)
{
	if (b->len && b->data[b->len - 1] != '{')
		buf_puts(b, ", ");
	buf_json(b, key);
	buf_puts(b, ": ");
}

void json_member(struct buf *b, const char *key, const char *value, bool numeric)
{
	uint64_t number;

	json_key(b, key);
	if (numeric && value && parse_u64(value, &number) == 0)
		buf_printf(b, "%llu", (unsigned long long)number);
	else
		buf_json(b, value);
}
