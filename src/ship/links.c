/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/links.c - see links.h: open addressing, at most half full. */
#include "ship/links.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct ship_link *find_slot(struct ship_link *slots, size_t room, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 32) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(h >> 20) & (room - 1);

	while (slots[i].path && (slots[i].dev != dev || slots[i].ino != ino))
		i = (i + 1) & (room - 1);
	return &slots[i];
}

static int make_room(struct ship_links *l, struct kennel_error **err)
{
	if (l->n * 2 < l->room)
		return 0;
	size_t room = l->room ? l->room * 2 : 64;
	struct ship_link *slots = calloc(room, sizeof(*slots));

	if (!slots)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < l->room; i++)
		if (l->slots[i].path)
			*find_slot(slots, room, l->slots[i].dev, l->slots[i].ino) = l->slots[i];
	free(l->slots);
	l->slots = slots;
	l->room = room;
	return 0;
}

int ship_links_see(struct ship_links *l, const struct stat *st, const char *path,
		   const struct ship_link **ret, struct kennel_error **err)
{
	int r = make_room(l, err);

	if (r < 0)
		return r;
	struct ship_link *slot = find_slot(l->slots, l->room, st->st_dev, st->st_ino);
	*ret = slot;
	if (slot->path)
		return 1;
	char *own = strdup(path);
	if (!own)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*slot = (struct ship_link){ st->st_dev, st->st_ino, own, (unsigned)++l->n };
	return 0;
}

void ship_links_done(struct ship_links *l)
{
	for (size_t i = 0; i < l->room; i++)
		free(l->slots[i].path);
	free(l->slots);
	*l = (struct ship_links){ 0 };
}
