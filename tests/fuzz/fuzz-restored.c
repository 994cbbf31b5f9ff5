/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-restored.c - what a transaction has put back.
 *
 * Besides memory errors it looks for broken promises: every entry has both of its names and is found by them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "delta/restored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct restored r = { 0 };
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (restored_parse(text, &r, NULL) < 0)
		abort();
	for (size_t i = 0; i < r.n; i++) {
		const struct restored_entry *e = restored_find(&r, r.items[i].root, r.items[i].path);

		if (!e || strcmp(e->root, r.items[i].root) != 0 || strcmp(e->path, r.items[i].path) != 0)
			abort();
	}
	restored_done(&r);
	free(text);
	return 0;
}
