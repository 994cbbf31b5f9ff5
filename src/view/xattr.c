/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/xattr.c - extended attributes: those that mean something inside, and nothing else.
 *
 * An overlay above us would take the host's user.overlay.* for its own (whiteouts, redirects to other
 * places), so these are shown of a layer only, which is made to be read so. Access control lists and
 * capabilities carry ids, which the kernel reads as ids of the namespace that the view is mounted in, as it
 * does with owners.
 */
#include "view/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include <linux/limits.h>

#include "base/cleanup.h"

#define MAGIC_PATH_MAX 32

static bool is_shown(const struct view *v, const char *name)
{
	if (!strncmp(name, "user.", 5))
		return v->is_layer || strncmp(name, "user.overlay.", 13) != 0;
	return !strcmp(name, "security.capability") || !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

/*
 * Attributes can't be read through O_PATH itself; the magic link leads to the very same file, also if it is a
 * link.
 */
static int open_for_xattr(struct view *v, fuse_ino_t ino, char ret_path[static MAGIC_PATH_MAX])
{
	struct node *n = node_get(v, ino);
	int fd = !n ? -ESTALE : n->flags & NODE_HIDDEN ? -ENODATA : node_open(v, n, O_PATH);

	if (fd >= 0)
		snprintf(ret_path, MAGIC_PATH_MAX, "/proc/self/fd/%d", fd);
	return fd;
}

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char path[MAGIC_PATH_MAX], small[1024];

	const struct view *v = fuse_req_userdata(req);
	bool none = v->no_xattrs;
	if (none || !is_shown(v, name)) {
		fuse_reply_err(req, none ? ENOSYS : ENODATA);
		return;
	}
	_cleanup_close_ int fd = open_for_xattr(fuse_req_userdata(req), ino, path);
	if (fd < 0) {
		fuse_reply_err(req, -fd);
		return;
	}
	size = MIN(size, (size_t)XATTR_SIZE_MAX);
	_cleanup_free_ char *large = size > sizeof(small) ? malloc(size) : NULL;
	if (size > sizeof(small) && !large) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	ssize_t len = getxattr(path, name, size ? (large ? large : small) : NULL, size);
	if (len < 0)
		fuse_reply_err(req, errno);
	else if (!size)
		fuse_reply_xattr(req, (size_t)len);
	else
		fuse_reply_buf(req, large ? large : small, (size_t)len);
}

/* Leaves only the names that are shown; returns their length. */
static size_t keep_shown(const struct view *v, char *names, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0, n; at < len; at += n) {
		n = strnlen(names + at, len - at) + 1;
		if (at + n > len || !is_shown(v, names + at))
			continue;
		memmove(names + kept, names + at, n);
		kept += n;
	}
	return kept;
}

void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char path[MAGIC_PATH_MAX];
	_cleanup_close_ int fd = open_for_xattr(fuse_req_userdata(req), ino, path);

	if (fd < 0) {
		if (fd == -ENODATA)
			fuse_reply_xattr(req, 0);
		else
			fuse_reply_err(req, -fd);
		return;
	}
	ssize_t len = listxattr(path, NULL, 0);
	_cleanup_free_ char *names = len > 0 ? malloc((size_t)len) : NULL;
	if (len > 0 && !names)
		len = -(errno = ENOMEM);
	if (len > 0)
		len = listxattr(path, names, (size_t)len);
	if (len < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	size_t kept = names ? keep_shown(fuse_req_userdata(req), names, (size_t)len) : 0;
	if (!size)
		fuse_reply_xattr(req, kept);
	else if (kept > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, names, kept);
}
