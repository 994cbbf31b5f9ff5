/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-idmap.c - the files that say which ids are whose. Input: texts of subuid, subgid, passwd, group,
 * uid_map, nsswitch.conf and a range INSIDE:OUTSIDE:COUNT with a NUL byte between.
 *
 * The promises looked after: a range that is given never holds root outside nor the id that is none, and one
 * that is picked lies in the containers' part on a multiple of its size.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "idmap/idmap.h"
#include "idmap/map.h"
#include "idmap/subid.h"

#define N_TEXTS 7
#define MAP_TEXT_MAX 4096u /* the kernel's is below a page, and looking at it takes the square of its lines */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const struct idmap *m)
{
	if (!m->base || m->count != IDMAP_DEFAULT_COUNT || (uint64_t)m->base + m->count > UINT32_MAX)
		abort();
}

/* What is found in one stands for one id alone. */
static void check_lines(const struct idmap_lines *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct idmap_line *o = &l->items[i];
		uint32_t outside;

		if (!o->count || (uint64_t)o->inside + o->count > UINT32_MAX ||
		    (uint64_t)o->outside + o->count > UINT32_MAX ||
		    idmap_lines_find(l, o->inside + o->count - 1, &outside) != 1 ||
		    outside != o->outside + o->count - 1)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *all = malloc(size + N_TEXTS);
	const char *texts[N_TEXTS];
	struct idmap given = { 0 }, found = { 0 };

	if (!all)
		return 0;
	if (size)
		memcpy(all, data, size);
	memset(all + size, 0, N_TEXTS);
	const char *next = all;
	for (unsigned i = 0; i < N_TEXTS; i++) {
		texts[i] = next;
		next += strlen(next);
		next += next < all + size + N_TEXTS - 1;
	}
	if (idmap_find_root(texts[0], texts[1], &given))
		check_range(&given);
	const struct idmap_files files = { texts[0], texts[1], texts[2], texts[3] };
	if (idmap_find_free(&files, &found, NULL) > 0) {
		check_range(&found);
		if (found.base < 524288 || found.base % IDMAP_DEFAULT_COUNT)
			abort();
	}
	if (strlen(texts[4]) < MAP_TEXT_MAX) {
		struct idmap_lines lines = { .n = 0 };

		(void)idmap_count_from_zero(texts[4]);
		(void)!idmap_lines_parse(&lines, texts[4], NULL);
		(void)!idmap_lines_add(&lines, texts[6], NULL);
		check_lines(&lines);
	}
	(void)subid_service_is_named(texts[5]);
	return 0;
}
