/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/switch.h - a container gets another manifest, configuration and delta, in one step.
 *
 *   STORE/NAME/.next/      is being prepared; what a killed process left of it goes
 *   STORE/NAME/next/       is decided: from now on that is what it will be, whoever completes it
 *     manifest             the new one; "no-manifest": there is none
 *     config               where that is another one, too
 *     delta/               takes the place of the delta
 *     base/                takes the place of the base of its own
 *     storage, volume*     take the place of the volume, which is removed
 *     layer                the id of a layer, whose manifest is there already: the old delta becomes its
 *                          delta, and a base of its own goes along; without it the old ones are removed
 *     snapshot/            gets the name that the file "snapshot-name" has, in snapshots/
 *
 * The caller holds the lock of a running container (container_lock()). Each step of the completion may be
 * done again.
 */
#ifndef KENNEL_CONTAINER_SWITCH_H
#define KENNEL_CONTAINER_SWITCH_H

#include <stdbool.h>

#include "container/container.h"

#define SWITCH_LAYER "layer"
#define SWITCH_NO_MANIFEST "no-manifest"
#define SWITCH_SNAPSHOT "snapshot"
#define SWITCH_SNAPSHOT_NAME "snapshot-name"

/* Takes out of a delta what the manifest in its layer's directory says that kennel put in. */
int switch_unplant(int layer_fd, int delta_fd, struct kennel_error **err) MUST_CHECK;

/* Begins one. Return: the empty directory to be filled, or a negative code. */
int switch_begin(const struct container *c, container_wipe_fn wipe, struct kennel_error **err) MUST_CHECK;
/* Decides it: on the disk when it returns. Completing it is switch_complete()'s. */
int switch_decide(const struct container *c, struct kennel_error **err) MUST_CHECK;
/* Takes back what is not decided. */
void switch_drop(const struct container *c, container_wipe_fn wipe);

/* Is one decided and not completed? */
bool switch_is_pending(const struct container *c);

/* Runs as who has the rights to what is in the delta. Does nothing where nothing is decided. */
int switch_complete(int dir_fd, int store_fd, const char *shown, struct kennel_error **err) MUST_CHECK;

#endif
