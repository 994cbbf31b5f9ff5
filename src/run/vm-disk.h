/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-disk.h - the disk on which the guest of a kept container writes its changes (--isolate vm).
 *
 *   STORE/NAME/vm-disk       ext4 in a sparse file: delta/0/upper, delta/0/work, made by the guest; its lower
 *                            is all that the container shows, its own delta included
 *
 * It is there from the start of a guest until its changes are in the delta: put there at its end, or, where
 * something was killed, by whoever needs the container next. It goes last, so a kill in the middle of that
 * means that all of it is done once more.
 */
#ifndef KENNEL_RUN_VM_DISK_H
#define KENNEL_RUN_VM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

struct container;
struct keep;
struct manifest;

#define VM_DISK "vm-disk"
#define VM_DISK_NEW ".vm-disk-new" /* while it is made */
#define VM_DISK_SIZE_DEFAULT (16ull << 30) /* of a sparse file */
#define VM_DISK_SIZE_MIN (64ull << 20)

/*
 * The disk for a start of a guest: makes it, empty; or the file that the container is in (vm-file.h), of
 * which k has nothing any more then. k is locked and has nothing that is to be settled. size_bytes: 0 for
 * the default. *ret: the disk's path, the caller's.
 */
int vm_disk_find(struct keep *k, uint64_t size_bytes, char **ret, struct kennel_error **err) MUST_CHECK;

bool vm_disk_is_there(const struct container *c);

/*
 * The disk as it is now, of a container whose guest runs and stands still, in a file without a name. BUSY: it
 * has just gone.
 */
int vm_disk_copy(const struct container *c, int *ret_fd, struct kennel_error **err) MUST_CHECK;
/*
 * What is on that, which is mended before, into a delta that is nobody's yet and has what that container's
 * has. m: its manifest; what that says of births changes. c: in whose store its layers are.
 */
int vm_disk_put(struct container *c, int disk_fd, int delta_fd, struct manifest *m, struct kennel_error **err)
	MUST_CHECK;

/*
 * Puts what is on it into the delta and removes it. c is locked (container_lock()), and no overlay stands on
 * its delta any more. log: or NULL. The disk may be anybody's work: nothing on it is believed.
 */
int vm_disk_settle(struct container *c, const struct log_sink *log, struct kennel_error **err) MUST_CHECK;

#endif
