/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/links.c - see links.h. An open table, at most half full. */
#include "delta/links.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static struct link_first *slot_of(const struct links *l, dev_t dev, ino_t ino)
{
	size_t at = (size_t)(((uint64_t)ino * 0x9e3779b97f4a7c15u) >> 20) & (l->size - 1);

	while (l->slots[at].ino && (l->slots[at].ino != ino || l->slots[at].dev != dev))
		at = (at + 1) & (l->size - 1);
	return &l->slots[at];
}

static int grow(struct links *l, struct kennel_error **err)
{
	struct links bigger = { .n = l->n, .size = l->size ? l->size * 2 : 64 };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < l->size; i++)
		if (l->slots[i].ino)
			*slot_of(&bigger, l->slots[i].dev, l->slots[i].ino) = l->slots[i];
	free(l->slots);
	*l = bigger;
	return 0;
}

int links_see(struct links *l, const struct stat *st, const char *path, const struct stat *base,
	      const struct link_first **ret, struct kennel_error **err)
{
	int r = (l->n + 1) * 2 > l->size ? grow(l, err) : 0;

	if (r < 0)
		return r;
	struct link_first *f = slot_of(l, st->st_dev, st->st_ino);
	*ret = f->ino ? f : NULL;
	if (f->ino)
		return 0;
	char *copy = strdup(path);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*f = (struct link_first){
		.dev = st->st_dev, .ino = st->st_ino, .path = copy, .in_base = base != NULL
	};
	if (base) {
		f->base_dev = base->st_dev;
		f->base_ino = base->st_ino;
	}
	l->n++;
	return 0;
}

void links_done(struct links *l)
{
	for (size_t i = 0; i < l->size; i++)
		free(l->slots[i].path);
	free(l->slots);
	*l = (struct links){ 0 };
}
