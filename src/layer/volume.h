/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/volume.h - a file system on a block device or in an image that one container has for itself
 * (storage/). Unlike a file of disk.h it may be opened by several processes at once, which mount the same
 * device; who looks for it and finds none attaches it, under a lock of the caller's.
 */
#ifndef KENNEL_LAYER_VOLUME_H
#define KENNEL_LAYER_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define VOLUME_FORMATS "ext4 xfs btrfs"

bool volume_has_format(const char *fs);

/* An empty file system in all of a device or a regular file. MISSING: there is no mkfs for it. */
int volume_make(int fd, const char *fs, struct kennel_error **err) MUST_CHECK;

/*
 * The loop device over this very file. Return: a descriptor of it, which keeps it; or -1 with errno ENOENT:
 * there is none.
 */
int volume_find_loop(int file_fd);
/* Makes one, which goes with its last use. Return: descriptor or code. */
int volume_attach_loop(int file_fd, const char *name, struct kennel_error **err) MUST_CHECK;

/*
 * Mends an ext4 that was not cleanly unmounted; nobody may have it mounted. CORRUPT: it is worse.
 */
int volume_mend(int fd, const char *name, const char *fs, struct kennel_error **err) MUST_CHECK;

/* Mounts it writable, nodev and nosuid, detached. Return: descriptor of the mount, or a code. */
int volume_mount(int device_fd, const char *name, struct kennel_error **err) MUST_CHECK;

/*
 * Lets a mounted one fill its device, which has grown. Whole at every instant. Return: 1 done, 0 the kernel
 * lets only others do that (ext4 wants CAP_SYS_RESOURCE), or a code.
 */
int volume_fill(int mount_fd, const char *fs, uint64_t size_bytes, struct kennel_error **err) MUST_CHECK;

/* After its blocks were copied: a number of its own, where the kernel takes two with one for the same. */
int volume_renumber(int fd, const char *fs, struct kennel_error **err) MUST_CHECK;

#endif
