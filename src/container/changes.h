/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/changes.h - the frozen changes that a container's own lie on, opened. */
#ifndef KENNEL_CONTAINER_CHANGES_H
#define KENNEL_CONTAINER_CHANGES_H

#include "container/layers.h"
#include "delta/tree.h"

/*
 * All that its manifest names, the lowest first; *ret is the caller's. Of another user's, which root reads,
 * only what is that user's own.
 */
int changes_open_layers(const struct container *c, const struct manifest *m, struct delta_layers *ret,
			struct kennel_error **err) MUST_CHECK;

#endif
