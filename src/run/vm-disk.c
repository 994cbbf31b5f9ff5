/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-disk.c - see vm-disk.h. */
#include "run/vm-disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "layer/disk.h"
#include "run/keep.h"
#include "run/vm-file.h"

/* Aside, so that what has the name is whole. */
static int make(const struct container *c, uint64_t size_bytes, struct kennel_error **err)
{
	if (unlinkat(c->dir_fd, VM_DISK_NEW, 0) < 0 && errno != ENOENT)
		return fail_errno(err, "remove \"%s/" VM_DISK_NEW "\"", c->path);
	_cleanup_close_ int fd =
		openat(c->dir_fd, VM_DISK_NEW, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "make \"%s/" VM_DISK_NEW "\"", c->path);
	int r = disk_make_guests(fd, size_bytes, err);
	/* The name as well: what the guest will have synced must be found after a power loss. */
	if (r == 0 && (fsync(fd) < 0 || renameat(c->dir_fd, VM_DISK_NEW, c->dir_fd, VM_DISK) < 0 ||
		       fsync(c->dir_fd) < 0))
		r = fail_errno(err, "name \"%s/" VM_DISK "\"", c->path);
	if (r < 0)
		unlinkat(c->dir_fd, VM_DISK_NEW, 0);
	return r;
}

static int prepare(const struct keep *k, uint64_t size_bytes, struct kennel_error **err)
{
	const uint64_t size = size_bytes ? MAX(size_bytes, VM_DISK_SIZE_MIN) : VM_DISK_SIZE_DEFAULT;

	/* Its overlay keeps its marks where that of a guest does, which has no privilege either. */
	if (k->manifest_text.len && !k->manifest.user_xattr)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "the changes of \"%s\" are marked in trusted.*",
				 k->c.name),
			    "\"kennel clone %s NEW\" makes one that a guest can have", k->c.name);
	int r = make(&k->c, size, err);
	return r < 0 ? wrap(err, r, "make a disk for the guest's changes") : 0;
}

int vm_disk_find(struct keep *k, uint64_t size_bytes, char **ret, struct kennel_error **err)
{
	if (k->box)
		return vm_file_prepare(k, ret, err);
	int r = prepare(k, size_bytes, err);
	if (r < 0 || asprintf(ret, "%s/" VM_DISK, k->c.path) >= 0)
		return r;
	*ret = NULL;
	return fail(err, KENNEL_E_NOMEM, "out of memory");
}
