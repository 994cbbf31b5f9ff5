/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-btrfs.c - trees as subvolumes in the container's own directory.
 *
 * Everybody may make subvolumes and snapshots of their own files. To remove one takes root or the mount
 * option user_subvol_rm_allowed, but an empty one goes as any directory does: container/wipe.c tries the
 * one, then the other. An ordinary user's tree belongs to the root of the inside, so its snapshot is that
 * one's work.
 */
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/driver.h"
#include "sys/sys.h"

#define SUBVOLUME_INODE 256

static const char *const trees[] = { "delta", "base" };

static int detect(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	long magic;

	(void)keys;
	if (sys_fgetfsmagic(store_fd, &magic) < 0)
		return fail_errno(err, "look at the file system of the store");
	return magic == BTRFS_SUPER_MAGIC;
}

static int probe(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	int r = detect(store_fd, keys, err);

	if (r != 0)
		return MIN(r, 0);
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "the store does not lie on btrfs"),
		    "name a directory on btrfs with --path, or take another store");
}

static int make_tree(struct storage *s, const char *name, struct kennel_error **err)
{
	struct btrfs_ioctl_vol_args args = { 0 };

	memcpy(args.name, name, strlen(name) + 1);
	if (sys_ioctl(s->dir_fd, BTRFS_IOC_SUBVOL_CREATE, &args) < 0)
		return fail_errno(err, "make the subvolume \"%s/%s\"", s->shown, name);
	if (fchmodat(s->dir_fd, name, 0700, 0) < 0 ||
	    fchownat(s->dir_fd, name, (uid_t)-1, getegid(), AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "set the mode of \"%s/%s\"", s->shown, name);
	return 0;
}

static int create(struct storage *s, struct kennel_error **err)
{
	return make_tree(s, "delta", err);
}

struct copying {
	int from_fd, to_fd; /* the two directories */
	const char *shown; /* the first one */
};

/* A base that is an image. */
static int share_file(const struct copying *c, const char *name, int fd, const struct stat *st,
		      struct kennel_error **err)
{
	_cleanup_close_ int to_fd =
		openat(c->to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (to_fd < 0 || sys_ioctl_int(to_fd, FICLONE, (unsigned long)fd) < 0 || fsync(to_fd) < 0 ||
	    fchown(to_fd, st->st_uid, st->st_gid) < 0)
		return fail_errno(err, "share the blocks of \"%s/%s\"", c->shown, name);
	return 0;
}

static int share_tree(const struct copying *c, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(c->from_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct btrfs_ioctl_vol_args_v2 args = { .fd = fd };
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"%s/%s\"", c->shown, name);
	if (S_ISREG(st.st_mode))
		return share_file(c, name, fd, &st, err);
	if (st.st_ino != SUBVOLUME_INODE)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "\"%s/%s\" is no subvolume", c->shown, name),
			    "a copy of all of it is possible: clone it without --snapshot");
	memcpy(args.name, name, strlen(name) + 1);
	if (sys_ioctl(c->to_fd, BTRFS_IOC_SNAP_CREATE_V2, &args) == 0)
		return 0;
	if (errno == EXDEV)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "\"%s\" and the new place are on two file systems", c->shown),
			    "blocks are shared inside of one alone: clone it without --snapshot");
	return fail_errno(err, "make a snapshot of \"%s/%s\"", c->shown, name);
}

static int share(void *data, struct buf *out, struct kennel_error **err)
{
	const struct copying *c = data;
	int r = 0;

	(void)out;
	for (size_t i = 0; i < ARRAY_SIZE(trees) && r == 0; i++)
		r = share_tree(c, trees[i], err);
	return r;
}

static int snapshot(const struct storage *from, struct storage *to, const struct storage_at *at,
		    struct kennel_error **err)
{
	struct copying c = { from->dir_fd, to->dir_fd, from->shown };

	return at->errand ? at->errand(share, &c, NULL, err) : share(&c, NULL, err);
}

const struct storage_driver storage_btrfs = {
	.name = "btrfs",
	.caps = STORAGE_SHARES | STORAGE_FAR,
	.detect = detect,
	.probe = probe,
	.create = create,
	.make_tree = make_tree,
	.snapshot = snapshot,
};
