/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-registry.c - the text of an entry of the runtime directory.
 *
 * Besides memory errors it looks for broken promises: a refusal has a sentence, keys and values are as many,
 * and what was read comes back the same once it is written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "run/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void entry_done(struct registry_entry *e)
{
	strv_done(&e->keys);
	strv_done(&e->values);
}

static void check_same_again(const struct registry_entry *e)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct registry_entry again = { 0 };

	for (size_t i = 0; i < e->keys.n; i++)
		registry_put(&b, e->keys.items[i], e->values.items[i]);
	if (registry_parse(buf_str(&b), &again, NULL) < 0 || again.keys.n != e->keys.n)
		abort();
	for (size_t i = 0; i < e->keys.n; i++)
		if (strcmp(e->keys.items[i], again.keys.items[i]) != 0 ||
		    strcmp(e->values.items[i], again.values.items[i]) != 0)
			abort();
	entry_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_free_ char *text = malloc(size + 1);
	struct registry_entry e = { 0 };

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	int r = registry_parse(text, &e, &err);
	if (r < 0 && (r != -KENNEL_E_CORRUPT || !strstr(kennel_error_message(err), "line ")))
		abort();
	if (e.keys.n != e.values.n)
		abort();
	check_same_again(&e);
	for (size_t i = 0; i < e.keys.n; i++)
		if (!registry_get(&e, e.keys.items[i], 0))
			abort();
	entry_done(&e);
	return 0;
}
