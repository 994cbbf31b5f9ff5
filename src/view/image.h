/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image.h - kennel-image: serves the file system in an image read-only over a FUSE device.
 *
 * Mounting an image with the kernel's driver takes root of the machine, for a bad image may break a kernel.
 * This program reads it instead, with the rights of the plain user who started it and, once the image is
 * open, without any right to open, make or change anything (image-jail.c): an image may be anybody's work.
 * One thread; one image; ids are those in the image and so become ids of the namespace that the mount is
 * in.
 *
 *   kennel-image --fuse N --image N --format NAME --death N --report N [--squash] [--user ID]
 *                [--shifted N --ids BASE:COUNT]
 *
 * The options are those of kennel-view (view.h), but for these:
 *
 *   --image    a descriptor of the file
 *   --format   which the launcher found out (layer/format.c): squashfs, erofs, ext2, ext3, ext4
 *   --user     started by root: this user and group it becomes before it looks at the image
 *   --shifted  another FUSE device, mounted by now, too: the same, but what the image calls 0 is --ids BASE
 *              there, for COUNT ids. All others belong to nobody whom any namespace knows.
 *
 * A backend's nodes are 64-bit numbers of its own in which nothing has to be remembered. Functions return 0
 * (or a length) or a negative errno: -EUCLEAN where the image is damaged.
 */
#ifndef KENNEL_VIEW_IMAGE_H
#define KENNEL_VIEW_IMAGE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/macro.h"

struct image {
	const struct image_backend *backend;
	int fd;
	uint64_t size;
	uint64_t root; /* its node */
	void *state; /* the backend's */
};

/* type: S_IFMT bits, or 0 unknown. A negative return ends the listing with it. */
typedef int (*image_name_fn)(void *data, const char *name, size_t len, uint64_t node, mode_t type);
typedef int (*image_xattr_fn)(void *data, const char *name, const void *value, size_t size);

struct image_backend {
	int (*open)(struct image *im);
	int (*stat)(struct image *im, uint64_t node, struct stat *ret);
	/* without "." and ".." */
	int (*list)(struct image *im, uint64_t node, image_name_fn fn, void *data);
	ssize_t (*readlink)(struct image *im, uint64_t node, char *to, size_t size);
	ssize_t (*read)(struct image *im, uint64_t node, void *to, size_t size, uint64_t offset);
	int (*xattrs)(struct image *im, uint64_t node, image_xattr_fn fn, void *data);
};

extern const struct image_backend image_squashfs, image_ext, image_erofs;

/*
 * image-jail.c: from here on the process can read the image and serve, nothing else. 0 or a negative errno.
 */
int image_jail(void);

/*
 * image-serve.c: until all mounts are gone or the death pipe closes. 0 or errno; *ret_step says what failed.
 */
struct image_serve_args {
	struct image *image;
	int fuse_fd, death_fd;
	int shifted_fd; /* or -EBADF */
	uint32_t ids_base, ids_count; /* for that */
	bool squash;
	int (*ready)(void *data); /* called before the first request: 0, or errno */
	void *data;
};
int image_serve(const struct image_serve_args *a, int *ret_step);

#endif
