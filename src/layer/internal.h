/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/internal.h - what the files of this folder (and their tests) share: an image's format, loop devices,
 * safe names.
 */
#ifndef KENNEL_LAYER_INTERNAL_H
#define KENNEL_LAYER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/* A kind of image that we mount. Names are those that libblkid uses. */
struct image_format {
	const char *name;
	const char *driver; /* the kernel's name of the file system: ext4 for ext2 and ext3 */
	bool from_file; /* the kernel may mount it from the file itself, without a loop device */
	const char *const (*options)[2];        /* name and value (NULL for a flag), ended by a NULL name */
	const char *const (
		*writing)[2]; /* those for one that is written; NULL: kennel writes none of this kind */
};

/*
 * Finds out what the file or block device holds. name: for messages, safe to print. Return: 0, or CORRUPT
 * (unknown, damaged, cut short), UNSUPPORTED (known, but no kernel mounts it like this), IO.
 */
int image_format_find(int fd, const char *name, const struct image_format **ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * The size that the superblock of what the file holds claims; the file's own where it holds none of our
 * formats.
 */
int image_size(int fd, const char *name, uint64_t *ret, struct kennel_error **err) MUST_CHECK;

/*
 * Puts an autoclear loop device over file_fd. Return: its descriptor, which keeps the device; once a mount
 * holds it too, the descriptor may be closed. The device keeps file_fd's open file, and with it whatever lock
 * that has. label: what losetup shows.
 */
int loop_attach(int file_fd, const char *label, bool writable, struct kennel_error **err) MUST_CHECK;

/* A mount of an image that is under way. */
struct mount_try {
	const struct image_format *format;
	const char *name; /* of the image, for messages */
	int source_fd; /* the file or the device over it */
	bool writable;
};
/*
 * Return: descriptor of the mount or a code; *ret_errnum is the errno of a refused superblock, for a caller
 * that has another way.
 */
int image_mount_from(const struct mount_try *t, int *ret_errnum, struct kennel_error **err) MUST_CHECK;

/* Opens what a user named, following links, for whatever kind of file it is. Return: O_PATH descriptor. */
int layer_pin(const char *path, const char *name, struct kennel_error **err) MUST_CHECK;
/* Opens what layer_pin() found for reading, and tells its format. */
int image_open_file(int pin_fd, const char *name, const struct image_format **ret, struct kennel_error **err)
	MUST_CHECK;
/* image_open() for what layer_pin() found. */
int image_open_pinned(int pin_fd, const char *path, const char *name, char **ret_fstype,
		      struct kennel_error **err) MUST_CHECK;

#endif
