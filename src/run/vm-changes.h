/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-changes.h - what a guest that runs has changed, as it is now, on this side.
 *
 *   DIR/delta/0/upper    all that the guest's overlay has in its upper directory
 *   DIR/links            empty but while it is made
 */
#ifndef KENNEL_RUN_VM_CHANGES_H
#define KENNEL_RUN_VM_CHANGES_H

#include "ext4/unpack.h"
#include "run/vm-errand.h"

/*
 * dir_fd: an empty directory of ours, where user_ns_fd (whose root makes it all, or negative) may write.
 * room_bytes: what the guest has for its changes; more is LIMIT. Nothing that it sends is believed. ret_loss:
 * what this user may not make. *ret_fd: DIR/delta, the caller's.
 */
int vm_changes_take(const struct vm_guest *g, int dir_fd, int user_ns_fd, uint64_t room_bytes,
		    struct unpack_loss *ret_loss, int *ret_fd, struct kennel_error **err) MUST_CHECK;

#endif
