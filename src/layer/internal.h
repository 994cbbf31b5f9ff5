/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/internal.h - what the files of this folder (and their tests) share: an image's format, loop devices,
 * safe names.
 */
#ifndef KENNEL_LAYER_INTERNAL_H
#define KENNEL_LAYER_INTERNAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* A kind of image that we mount. Names are those that libblkid uses. */
struct image_format {
	const char *name;
	const char *driver; /* the kernel's name of the file system: ext4 for ext2 and ext3 */
	bool from_file; /* the kernel may mount it from the file itself, without a loop device */
	const char *const (*options)[2];        /* name and value (NULL for a flag), ended by a NULL name */
};

/*
 * Finds out what the file or block device holds. name: for messages, safe to print. Return: 0, or CORRUPT
 * (unknown, damaged, cut short), UNSUPPORTED (known, but no kernel mounts it like this), IO.
 */
int image_format_find(int fd, const char *name, const struct image_format **ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * Puts a read-only autoclear loop device over file_fd. Return: its descriptor, which keeps the device; once
 * a mount holds it too, the descriptor may be closed. label: what losetup shows.
 */
int loop_attach(int file_fd, const char *label, struct kennel_error **err) MUST_CHECK;

/* Opens what a user named, following links, for whatever kind of file it is. Return: O_PATH descriptor. */
int layer_pin(const char *path, const char *name, struct kennel_error **err) MUST_CHECK;
/* Opens what layer_pin() found for reading, and tells its format. */
int image_open_file(int pin_fd, const char *name, const struct image_format **ret, struct kennel_error **err)
	MUST_CHECK;
/* image_open() for what layer_pin() found. */
int image_open_pinned(int pin_fd, const char *path, const char *name, char **ret_fstype,
		      struct kennel_error **err) MUST_CHECK;

#endif
