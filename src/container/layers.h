/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/layers.h - frozen changes, on which containers and snapshots stand.
 *
 *   STORE/.layers/ID/          a layer; ID: 16 hex digits
 *     manifest                 as it was when it was frozen (delta/manifest.h)
 *     delta/                   as it was; nobody writes to it any more
 *     base/                    where the container had a base of its own: goes along with its first layer
 *   STORE/.layers/.making      somebody makes one that nothing stands on yet, or was killed then
 *
 * A layer stays as long as a manifest of a container or a snapshot names it ("below"). Nothing else counts,
 * so nothing has to be kept in step: who removes the last one that does removes the layer, and what a
 * killed process left is found by looking at all manifests.
 */
#ifndef KENNEL_CONTAINER_LAYERS_H
#define KENNEL_CONTAINER_LAYERS_H

#include "container/container.h"
#include "container/store.h"
#include "delta/manifest.h"

#define LAYERS_DIR ".layers"

/* Where a layer is that a manifest of this store calls so: an absolute path; the caller's. */
int layers_path(const char *store_path, const char *name, char **ret, struct kennel_error **err) MUST_CHECK;

/* The base of its own of a container whose changes were frozen: *ret is a path, or NULL where it has none. */
int layers_find_base(const char *store_path, const struct manifest *m, char **ret, struct kennel_error **err)
	MUST_CHECK;

#define LAYERS_ID_SIZE (MANIFEST_LAYER_ID_LEN + 1)

/*
 * Makes an empty one with this manifest. While *ret_hold is open nobody takes it for one that nothing stands
 * on: until a manifest that names it is on the disk.
 */
int layers_make(const struct store *s, const struct buf *manifest, char ret_id[static LAYERS_ID_SIZE],
		int *ret_hold, struct kennel_error **err) MUST_CHECK;

/* Keeps them all as they are, as ret_hold above. Return: descriptor (-EBADF: there are none), or a code. */
int layers_hold(const struct store *s, int *ret_hold, struct kennel_error **err) MUST_CHECK;

/* What was made since layers_make() is named by now: lets go of the hold. Plain close(): it failed. */
void layers_made(int *hold_fd);
/* Removes what a killed process made and nothing came to stand on; one look where there was none. */
void layers_tidy(const struct store *s, container_wipe_fn wipe);

/* What calls see for each manifest of the store; owner: "NAME" or "NAME/snapshots/SNAP". */
typedef int (*layers_see_fn)(void *data, const char *owner, const struct manifest *m,
			     struct kennel_error **err);
int layers_each_manifest(const struct store *s, layers_see_fn see, void *data, struct kennel_error **err)
	MUST_CHECK;

/*
 * Removes those that nothing stands on. Where a manifest can't be read, none goes. ret_removed: or NULL.
 */
int layers_sweep(const struct store *s, container_wipe_fn wipe, size_t *ret_removed,
		 struct kennel_error **err) MUST_CHECK;

/* One line for each that something names and is not there: "OWNER<tab>LAYER". Appends. */
int layers_missing(const struct store *s, struct strv *ret, struct kennel_error **err) MUST_CHECK;

#endif
