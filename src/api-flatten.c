/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-flatten.c - many layers become one. The old ones stay as long as snapshots and clones name them; their
 * files are not copied but linked.
 *
 * A stack may not grow for ever: the kernel and a start bear only so many layers. And what a clone in another
 * store stands on has to be in that one: layers that are named from elsewhere would be swept, for each store
 * knows its own manifests alone.
 */
#include "api-clone.h"
#include "base/cleanup.h"
#include "container/changes.h"
#include "container/layers.h"
#include "ship/duplicate.h"

#define LAYERS_MAX 64u /* of one container; the kernel takes 500 in one overlay */

/* All layers from that one on, the lowest being 0, as one, into the new one of that store called id. */
static int merge_layers(const struct clone_source *s, size_t from, const struct store *to, const char *id,
			struct kennel_error **err)
{
	struct delta_layers layers = { 0 };
	struct delta_source sources[LAYERS_MAX];
	_cleanup_manifest_ struct manifest merged = { 0 };
	_cleanup_close_ int to_fd = clone_make_layer_delta(to, id, NULL, err);

	if (to_fd < 0)
		return to_fd;
	int r = changes_open_layers(&s->c, &s->manifest, &layers, err);
	if (r == 0 && layers.n > from + LAYERS_MAX)
		r = fail(err, KENNEL_E_LIMIT, "%zu layers are too many", layers.n);
	for (size_t i = from; i < layers.n && r == 0; i++)
		sources[i - from] = (struct delta_source){
			.delta_fd = layers.items[i].delta_fd,
			.manifest = &layers.items[i].manifest,
		};
	const struct ship_duplicate d = {
		.sources = sources,
		.n = r < 0 ? 0 : layers.n - from,
		.delta_fd = to_fd,
		.link = true,
		.base_from_fd = -EBADF,
		.base_to_fd = -EBADF,
	};
	if (r == 0)
		r = ship_duplicate(&d, NULL, &merged, err);
	delta_layers_done(&layers);
	return r;
}

int clone_flatten(struct clone_source *s, int *ret_hold, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct strv below = { 0 };
	char id[LAYERS_ID_SIZE];

	if (s->manifest.below.n < LAYERS_MAX)
		return 0;
	manifest_format(&s->manifest, &text);
	int r = buf_check(&text, err);
	if (r == 0)
		r = layers_make(&s->store, &text, id, ret_hold, err);
	if (r == 0)
		r = merge_layers(s, 1, &s->store, id, err);
	if (r == 0)
		r = strv_add(&below, s->manifest.below.items[0], err);
	if (r == 0)
		r = strv_add(&below, id, err);
	if (r < 0) {
		strv_done(&below);
		return wrap(err, r, "make one of %zu layers", s->manifest.below.n);
	}
	strv_done(&s->manifest.below);
	s->manifest.below = below;
	return 0;
}

int clone_carry(struct clone_source *s, const struct store *to, int *ret_hold, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct strv below = { 0 };
	char id[LAYERS_ID_SIZE];

	if (!s->manifest.below.n)
		return 0;
	manifest_format(&s->manifest, &text);
	int r = buf_check(&text, err);
	if (r == 0)
		r = layers_make(to, &text, id, ret_hold, err);
	if (r == 0)
		r = merge_layers(s, 0, to, id, err);
	if (r == 0)
		r = strv_add(&below, id, err);
	if (r < 0) {
		strv_done(&below);
		return wrap(err, r, "bring what it stands on to \"%s\"", to->path);
	}
	strv_done(&s->manifest.below);
	s->manifest.below = below;
	return 0;
}
