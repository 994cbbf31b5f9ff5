/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-guest.h - the changes of a guest that runs: taken from it, over those that it stands on. */
#ifndef KENNEL_API_GUEST_H
#define KENNEL_API_GUEST_H

#include "api-running.h"
#include "container/container.h"
#include "container/store.h"
#include "delta/tree.h"

/*
 * Of a container. m: its manifest, id: of its sandbox, ns_fd: delta_open_namespace(); n_base: as
 * delta_layers. All that was taken goes with the tree.
 */
int guest_open_kept(const struct store *store, struct container *c, const struct manifest *m, const char *id,
		    int ns_fd, size_t n_base, struct delta_tree **ret, struct kennel_error **err) MUST_CHECK;

/*
 * The disk of a container's guest that runs as id, as it is at one moment, for vm_disk_put(). The guest
 * stands still for that, unless it does already. Return: 1 and *ret_fd, 0 it is no guest, or a code.
 */
int guest_take_disk(const struct container *c, const char *id, int *ret_fd, struct kennel_error **err)
	MUST_CHECK;

/* Of one that is not kept in a store: list is its entry. */
int guest_open_running(const struct kennel_list *list, struct delta_tree **ret, struct kennel_error **err)
	MUST_CHECK;

#endif
