/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-manifest.c - the text of a manifest.
 *
 * Besides memory errors it looks for broken promises: a refusal has a sentence, and what was read comes back
 * the same once it is written again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "delta/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same_again(const struct manifest *m)
{
	_cleanup_manifest_ struct manifest again = { 0 };
	_cleanup_buf_ struct buf first = { 0 }, second = { 0 };

	manifest_format(m, &first);
	if (manifest_parse(buf_str(&first), &again, NULL) < 0)
		abort();
	manifest_format(&again, &second);
	if (strcmp(buf_str(&first), buf_str(&second)) != 0)
		abort();
}

static void check_finds(const struct manifest *m)
{
	for (size_t i = 0; i < m->planted.n; i++) {
		const struct manifest_planted *p = &m->planted.items[i];
		_cleanup_free_ char *dir = strdup(p->rel);

		if (!dir || !manifest_plants_find(&m->planted, p->mount, p->rel) ||
		    !manifest_plants_below(&m->planted, p->mount, p->rel) ||
		    !manifest_plants_below(&m->planted, p->mount, ""))
			abort();
		if (strrchr(dir, '/')) {
			*strrchr(dir, '/') = '\0';
			if (!manifest_plants_below(&m->planted, p->mount, dir))
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_free_ char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	int r = manifest_parse(text, &m, &err);
	if (r == -KENNEL_E_NOMEM)
		return 0;
	if (r < 0) {
		if (!strstr(kennel_error_message(err), "manifest") || m.base)
			abort();
		return 0;
	}
	check_same_again(&m);
	check_finds(&m);
	return 0;
}
