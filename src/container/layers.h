/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/layers.h - frozen changes, on which containers and snapshots stand.
 *
 *   STORE/.layers/ID/          a layer; ID: 16 hex digits
 *     manifest                 as it was when it was frozen (delta/manifest.h)
 *     delta/                   as it was; nobody writes to it any more
 *     base/                    where the container had a base of its own: goes along with its first layer
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

#endif
