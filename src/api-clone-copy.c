/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-clone-copy.c - what a new container gets of its origin: all of it, or what changed lately, as a
 * copy.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-clone.h"
#include "api-duplicate.h"
#include "base/cleanup.h"
#include "conf/config.h"
#include "container/changes.h"
#include "container/layers.h"
#include "ship/duplicate.h"

static void layers_done(struct delta_layers *l)
{
	delta_layers_done(l);
}

int clone_open_base(struct clone_source *s, int *ret_fd, struct kennel_error **err)
{
	_cleanup_free_ char *frozen = NULL;

	*ret_fd = -EBADF;
	int r = layers_find_base(s->store.path, &s->manifest, &frozen, err);
	if (r < 0)
		return r;
	int data_fd = frozen ? -EBADF : container_open_data(&s->c, err);
	if (!frozen && data_fd < 0)
		return data_fd;
	int fd = frozen ? open(frozen, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) :
			  openat(data_fd, "base", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return fail_errno(err, "open the base of \"%s\"", s->c.name);
	*ret_fd = fd < 0 ? -EBADF : fd;
	return 0;
}

static int open_base_place(const struct container_room *room, struct kennel_error **err)
{
	int r = storage_make_tree(room->storage, "base", err);
	int fd = r < 0 ? r : openat(room->data_fd, "base", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return r < 0 ? r : fd < 0 ? fail_errno(err, "open the new base") : fd;
}

static int open_delta_place(const struct container_room *room, struct kennel_error **err)
{
	int fd = openat(room->data_fd, "delta", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open the new delta") : fd;
}

/* All layers, the lowest first, and what lies on them. */
static int list_sources(struct clone_source *s, const struct delta_layers *layers, int delta_fd,
			struct delta_source **ret, size_t *n, struct kennel_error **err)
{
	struct delta_source *list = calloc(layers->n + 1, sizeof(*list));

	if (!list)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < layers->n; i++)
		list[i] = (struct delta_source){
			.delta_fd = layers->items[i].delta_fd,
			.manifest = &layers->items[i].manifest,
		};
	list[layers->n] = (struct delta_source){ delta_fd, &s->manifest, true };
	*ret = list;
	*n = layers->n + 1;
	return 0;
}

static int duplicate(struct clone_source *s, const struct container_room *room, const struct clone_copy *how,
		     struct kennel_error **err)
{
	__attribute__((cleanup(layers_done))) struct delta_layers layers = { 0 };
	_cleanup_free_ struct delta_source *sources = NULL;
	_cleanup_close_ int from_fd = -EBADF, own_fd = -EBADF, base_fd = -EBADF;
	_cleanup_close_ int delta_fd = open_delta_place(room, err);
	struct manifest merged = { 0 };
	size_t n = 0;
	int r = MIN(delta_fd, 0);

	if (r == 0 && !how->changes_only)
		r = changes_open_layers(&s->c, &s->manifest, &layers, err);
	if (r == 0 && !how->changes_only)
		r = clone_open_base(s, &from_fd, err);
	if (r == 0 && from_fd >= 0) {
		base_fd = open_base_place(room, err);
		r = MIN(base_fd, 0);
	}
	if (r == 0 && s->manifest.base) {
		own_fd = container_open_delta(&s->c, err);
		r = own_fd < 0 ? own_fd : list_sources(s, &layers, own_fd, &sources, &n, err);
	}
	const struct ship_duplicate d = {
		.sources = sources,
		.n = n,
		.delta_fd = delta_fd,
		.base_from_fd = from_fd,
		.base_to_fd = base_fd,
	};
	const struct ship_watch watch = { how->tick, how->data, 0 };
	if (r == 0)
		r = ship_duplicate(&d, &watch, n ? &merged : NULL, err);
	if (r < 0 || !n)
		return r;
	/* What it lies on still has to be said; and a base that was copied is another one than it was. */
	if (how->changes_only)
		for (size_t i = 0; i < s->manifest.below.n && r == 0; i++)
			r = strv_add(&merged.below, s->manifest.below.items[i], err);
	if (base_fd >= 0) {
		free(merged.base_id);
		merged.base_id = NULL;
	}
	manifest_done(&s->manifest);
	s->manifest = merged;
	return r;
}

/* All that is seen inside, as a base of its own; then nothing has changed yet. */
static int duplicate_whole(struct clone_source *s, const struct container_room *room,
			   const struct clone_copy *how, struct buf *config, struct kennel_error **err)
{
	const struct config_change own = { CONFIG_SET, "base", "own" };
	const struct config_change no_layers = { CONFIG_UNSET, "layer", NULL };
	const struct ship_watch watch = { how->tick, how->data, 0 };
	_cleanup_close_ int base_fd = open_base_place(room, err);

	if (base_fd < 0)
		return base_fd;
	int r = duplicate_root(how->store, s->c.name, base_fd, &watch, how->ret_left_out, err);
	if (r == 0)
		r = config_edit("the new configuration", config, &own, NULL, err);
	if (r == 0)
		r = config_edit("the new configuration", config, &no_layers, NULL, err);
	manifest_done(&s->manifest);
	return r;
}

int clone_copy(struct clone_source *s, const struct container_room *room, const struct clone_copy *how,
	       struct buf *config, struct kennel_error **err)
{
	int r = how->whole ? duplicate_whole(s, room, how, config, err) : duplicate(s, room, how, err);

	return r < 0 ? r : clone_put_manifest(room->dir_fd, s, err);
}
