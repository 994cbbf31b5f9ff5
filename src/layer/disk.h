/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/disk.h - a file system in a file that kennel itself writes: ext4 or btrfs.
 *
 * All work on descriptors. A file is made without a name and gets one when it is whole; whoever mounts it
 * holds
 * a lock on it through the same open file that the loop device keeps, so the lock ends with the last use
 * of the
 * file system and not with a process.
 */
#ifndef KENNEL_LAYER_DISK_H
#define KENNEL_LAYER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define DISK_FORMATS "ext4 btrfs"

/* Is this a name of a format that can be made? */
bool disk_has_format(const char *format);

/*
 * Makes an empty file system of that size in an empty regular file; sparse. MISSING: there is no mkfs for
 * it. IO: too
 * small, in the tool's words.
 */
int disk_make(int file_fd, const char *format, uint64_t size_bytes, struct kennel_error **err) MUST_CHECK;

/*
 * The same for the guest of a virtual machine, whose kernel makes nothing that is not written anyway: tables
 * count as zeroed, as the file's holes are, and the journal is small. ext4.
 */
int disk_make_guests(int file_fd, uint64_t size_bytes, struct kennel_error **err) MUST_CHECK;

/*
 * Takes the lock of file_fd, which is to be the only user. Waits wait_ms for one who is just going, longer
 * where that process has ended already. BUSY: it is in use by another kennel, or mounted by other means.
 */
int disk_lock(int file_fd, const char *name, unsigned wait_ms, struct kennel_error **err) MUST_CHECK;

/* Waits until no loop device has it any more, after its last mount has gone. BUSY: one stays. */
int disk_wait_unused(int file_fd, const char *name, unsigned wait_ms, struct kennel_error **err) MUST_CHECK;

/* Which format of DISK_FORMATS it holds (static); TYPE or CORRUPT, with what was found, for anything else. */
int disk_format_of(int file_fd, const char *name, const char **ret_format, struct kennel_error **err)
	MUST_CHECK;

/*
 * Mends an ext4 that was not cleanly unmounted, as e2fsck does by itself at the start of a machine. CORRUPT:
 * it is worse.
 */
int disk_ready(int file_fd, const char *name, struct kennel_error **err) MUST_CHECK;

/*
 * Mounts it writable, nodev and nosuid, detached; mended before, as disk_ready() does.
 * Return: descriptor of the mount, or a code.
 */
int disk_mount(int file_fd, const char *name, struct kennel_error **err) MUST_CHECK;

/*
 * Grows an unmounted ext4. A kill leaves half of it, so this is for a copy that takes the name of the old
 * one when it
 * is done.
 */
int disk_grow(int file_fd, uint64_t size_bytes, struct kennel_error **err) MUST_CHECK;
/* Lets a mounted btrfs fill its device, which has grown: at every instant it is whole. */
int disk_fill(int mount_fd, struct kennel_error **err) MUST_CHECK;

/* The same content in an empty file, with the same holes; shared where the file system can. */
int disk_copy(int from_fd, int to_fd, struct kennel_error **err) MUST_CHECK;

/* The size that its superblock claims. */
int disk_size(int file_fd, const char *name, uint64_t *ret, struct kennel_error **err) MUST_CHECK;

/*
 * Writes all of a mount to the disk. What could not be written since it was mounted is an error now, at the
 * latest.
 */
int disk_flush(int mount_fd, const char *name, struct kennel_error **err) MUST_CHECK;

#endif
