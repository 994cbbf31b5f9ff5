/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/layer.c - one layer that a user named: a directory or an image, as a descriptor.
 *
 * Such a name is the caller's own word on the caller's own machine: it is looked up as open(2) does, links,
 * ".." and /dev/fd/N included, once, and from then on only the descriptor counts. Names get into messages
 * with their control bytes made harmless.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "layer/internal.h"
#include "layer/layer.h"
#include "sys/sys.h"

int layer_pin(const char *path, const char *name, struct kennel_error **err)
{
	if (!*path)
		return fail(err, KENNEL_E_INVALID, "an empty name is no layer");
	int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open \"%s\"", name) : fd;
}

/* O_PATH asks for no right to read; this does, now rather than in the middle of a start. */
static int check_directory(int pin_fd, const char *name, struct kennel_error **err)
{
	struct stat st;
	if (fstat(pin_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	if (!S_ISDIR(st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is not a directory", name);
	_cleanup_close_ int fd = openat(pin_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "read the directory \"%s\"", name) : 0;
}

int layer_open_dir(const char *path, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 };
	buf_safe(&name, path);
	_cleanup_close_ int pin_fd = layer_pin(path, buf_str(&name), err);
	if (pin_fd < 0)
		return pin_fd;
	int r = check_directory(pin_fd, buf_str(&name), err);
	return r < 0 ? r : take_fd(&pin_fd);
}

static int clone_directory(int pin_fd, const char *name, struct kennel_error **err)
{
	int r = check_directory(pin_fd, name, err);
	if (r < 0)
		return r;
	_cleanup_close_ int tree_fd = sys_open_tree(pin_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (tree_fd < 0) {
		int errnum = errno;

		r = fail_errno(err, "take the directory \"%s\" as a layer", name);
		if (errnum == EINVAL)
			r = hint(err, r,
				 "its mount can't be cloned: it is unbindable, or not in this namespace");
		else if (r == -KENNEL_E_PERM)
			r = hint(err, r, "only root may clone mounts");
		return r;
	}
	/*
	 * At once, not only when it is mounted: until then files of it are read, and one could be a device.
	 */
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV,
	};
	if (sys_mount_setattr(tree_fd, "", AT_EMPTY_PATH, &attr) < 0)
		return fail_errno(err, "make the layer \"%s\" read-only", name);
	return take_fd(&tree_fd);
}

int layer_open_plain(const char *path, int *ret_fd, const char **ret_format, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 };
	const struct image_format *f = NULL;
	struct stat st;

	buf_safe(&name, path);
	_cleanup_close_ int pin_fd = layer_pin(path, buf_str(&name), err);
	if (pin_fd < 0)
		return pin_fd;
	if (fstat(pin_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", buf_str(&name));
	*ret_format = NULL;
	if (S_ISDIR(st.st_mode)) {
		int r = check_directory(pin_fd, buf_str(&name), err);

		if (r == 0)
			*ret_fd = take_fd(&pin_fd);
		return r;
	}
	int fd = image_open_file(pin_fd, buf_str(&name), &f, err);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	*ret_format = f->name;
	return 0;
}

int layer_open(const char *path, int *ret_tree_fd, char **ret_kind, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 };
	buf_safe(&name, path);
	_cleanup_close_ int pin_fd = layer_pin(path, buf_str(&name), err);
	if (pin_fd < 0)
		return pin_fd;
	struct stat st;
	if (fstat(pin_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", buf_str(&name));
	_cleanup_free_ char *kind = NULL;
	_cleanup_close_ int tree_fd = -EBADF;
	if (S_ISDIR(st.st_mode)) {
		kind = strdup("directory");
		if (!kind)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		tree_fd = clone_directory(pin_fd, buf_str(&name), err);
	} else {
		tree_fd = image_open_pinned(pin_fd, path, buf_str(&name), &kind, err);
	}
	if (tree_fd < 0)
		return tree_fd;
	*ret_tree_fd = take_fd(&tree_fd);
	*ret_kind = take_ptr(&kind);
	return 0;
}
