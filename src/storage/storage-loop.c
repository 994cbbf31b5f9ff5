/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage-loop.c - a file system in the file "volume.img" of the container's directory.
 *
 * The loop device goes with its last use, so nothing is left of a killed process. Who opens the volume looks
 * for a device over that file first, under a lock on the file: two devices over one would be two
 * file systems.
 * A snapshot is a reflink of the file; where the store's file system knows none, there is no snapshot.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "layer/disk.h"
#include "layer/volume.h"
#include "storage/driver.h"
#include "sys/sys.h"

#define IMAGE "volume.img"
#define GROWN ".volume-new"

static int probe(int store_fd, struct storage_keys *keys, struct kennel_error **err)
{
	(void)store_fd;
	return storage_probe_volume(keys, err);
}

static int open_image(const struct storage *s, struct kennel_error **err)
{
	int fd = openat(s->dir_fd, IMAGE, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open \"%s/" IMAGE "\"", s->shown) : fd;
}

/* The device over it, made where there is none. */
static int attach(const struct storage *s, int file_fd, struct kennel_error **err)
{
	_cleanup_close_ int lock_fd = open_image(s, err);

	if (lock_fd < 0)
		return lock_fd;
	if (flock(lock_fd, LOCK_EX) < 0)
		return fail_errno(err, "lock \"%s/" IMAGE "\"", s->shown);
	int fd = volume_find_loop(file_fd);
	if (fd >= 0)
		return fd;
	int r = volume_mend(file_fd, s->shown, s->keys.fs, err);
	return r < 0 ? r : volume_attach_loop(file_fd, s->shown, err);
}

static int open_volume(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int file_fd = open_image(s, err);

	if (file_fd < 0)
		return file_fd;
	_cleanup_close_ int loop_fd = attach(s, file_fd, err);
	if (loop_fd < 0)
		return loop_fd;
	return storage_mount_volume(s, loop_fd, err);
}

static int create(struct storage *s, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(s->dir_fd, IMAGE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)s->keys.size_bytes) < 0)
		return fail_errno(err, "make a file of %llu bytes", (unsigned long long)s->keys.size_bytes);
	int r = volume_make(fd, s->keys.fs, err);
	if (r == 0)
		r = open_volume(s, err);
	return r < 0 ? r : storage_make_dir(s->data_fd, "delta", err);
}

/* What a running one has in memory is on the disk then; the copy is of one instant in any case. */
static int flush(const struct storage *from, int file_fd, struct kennel_error **err)
{
	struct storage s = *from;
	_cleanup_close_ int loop_fd = volume_find_loop(file_fd);

	if (loop_fd < 0)
		return 0;
	s.data_fd = s.mount_fd = -EBADF;
	int r = storage_mount_volume(&s, loop_fd, err);
	if (r == 0 && syncfs(s.data_fd) < 0)
		r = fail_errno(err, "write \"%s\" to the disk", s.shown);
	close_fd(s.data_fd);
	close_fd(s.mount_fd);
	return r;
}

static int share(const struct storage *from, int from_fd, int to_fd, struct kennel_error **err)
{
	if (sys_ioctl_int(to_fd, FICLONE, (unsigned long)from_fd) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EINVAL && errno != EXDEV && errno != ENOTTY)
		return fail_errno(err, "share the blocks of \"%s/" IMAGE "\"", from->shown);
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED,
			 "the file system of \"%s\" can't share the blocks of its image with a second one",
			 from->shown),
		    "btrfs and xfs can; or clone it without --snapshot, which copies what is in it");
}

static int snapshot(const struct storage *from, struct storage *to, const struct storage_at *at,
		    struct kennel_error **err)
{
	_cleanup_close_ int from_fd = open_image(from, err);

	(void)at;
	if (from_fd < 0)
		return from_fd;
	_cleanup_close_ int to_fd =
		openat(to->dir_fd, IMAGE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to_fd < 0)
		return fail_errno(err, "make \"%s/" IMAGE "\"", to->shown);
	int r = flush(from, from_fd, err);
	if (r == 0)
		r = share(from, from_fd, to_fd, err);
	if (r == 0)
		r = volume_renumber(to_fd, to->keys.fs, err);
	if (r == 0 && fsync(to_fd) < 0)
		r = fail_errno(err, "write \"%s/" IMAGE "\"", to->shown);
	if (r < 0)
		(void)!unlinkat(to->dir_fd, IMAGE, 0);
	return r;
}

/* One that just ends is waited for. Return: -1 none. */
static int wait_for_loop(int file_fd)
{
	for (unsigned i = 0; i < 100; i++) {
		int fd = volume_find_loop(file_fd);

		if (fd < 0)
			return -1;
		close_fd(fd);
		clock_pause_ms(10);
	}
	return volume_find_loop(file_fd);
}

/* ext4, where the kernel does not let us do it: a copy grows, and takes the name when it has. */
static int grow_aside(struct storage *s, int file_fd, uint64_t size_bytes, struct kennel_error **err)
{
	_cleanup_close_ int lock_fd = open_image(s, err);

	if (lock_fd < 0 || flock(lock_fd, LOCK_EX) < 0)
		return lock_fd < 0 ? lock_fd : fail_errno(err, "lock \"%s/" IMAGE "\"", s->shown);
	_cleanup_close_ int loop_fd = wait_for_loop(file_fd);
	if (loop_fd >= 0)
		return hint(err, fail(err, KENNEL_E_BUSY, "\"%s\" is in use", s->shown),
			    "an ext4 of who lacks CAP_SYS_RESOURCE grows while it is stopped");
	_cleanup_close_ int fd =
		openat(s->dir_fd, GROWN, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? fail_errno(err, "make \"%s/" GROWN "\"", s->shown) : 0;
	if (r == 0)
		r = volume_mend(file_fd, s->shown, s->keys.fs, err);
	if (r == 0)
		r = disk_copy(file_fd, fd, err);
	if (r == 0)
		r = disk_grow(fd, size_bytes, err);
	if (r == 0 && (renameat(s->dir_fd, GROWN, s->dir_fd, IMAGE) < 0 || fsync(s->dir_fd) < 0))
		r = fail_errno(err, "put the grown image in place of \"%s/" IMAGE "\"", s->shown);
	if (r < 0)
		(void)!unlinkat(s->dir_fd, GROWN, 0);
	return r;
}

/* A file that is longer than its file system does no harm, where somebody is killed after the first step. */
static int resize(struct storage *s, uint64_t size_bytes, struct kennel_error **err)
{
	_cleanup_close_ int file_fd = open_image(s, err);

	if (file_fd < 0)
		return file_fd;
	if (ftruncate(file_fd, (off_t)size_bytes) < 0)
		return fail_errno(err, "make a file of %llu bytes", (unsigned long long)size_bytes);
	_cleanup_close_ int loop_fd = attach(s, file_fd, err);
	if (loop_fd < 0)
		return loop_fd;
	int r = storage_mount_volume(s, loop_fd, err);
	if (r == 0 && sys_ioctl_int(loop_fd, LOOP_SET_CAPACITY, 0) < 0)
		r = fail_errno(err, "grow the loop device");
	if (r == 0)
		r = volume_fill(s->mount_fd, s->keys.fs, size_bytes, err);
	replace_fd(&s->data_fd, -EBADF);
	replace_fd(&s->mount_fd, -EBADF);
	replace_fd(&loop_fd, -EBADF);
	if (r != 0)
		return MIN(r, 0);
	return grow_aside(s, file_fd, size_bytes, err);
}

const struct storage_driver storage_loop = {
	.name = "loop",
	.caps = STORAGE_SHARES | STORAGE_VOLUME | STORAGE_ROOT | STORAGE_FAR,
	.probe = probe,
	.create = create,
	.open = open_volume,
	.snapshot = snapshot,
	.resize = resize,
};
