/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/disk.c - see disk.h.
 *
 * Growing ext4 online would need CAP_SYS_RESOURCE, which root in a container often lacks, so a copy grows
 * aside. A
 * mount by other means takes no lock that we could see, so the loop devices of the machine are asked
 * whether one of
 * them has the file: two mounts of one ext4 destroy it.
 */
#include "layer/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "layer/internal.h"
#include "path/tool.h"
#include "sys/sys.h"

#define EXT4_SUPER 1024
#define E2FSCK_MAX_GOOD 1 /* "errors corrected" */
#define LOCK_STEP_MS 5
#define LINGER_MS 10000u /* until the mount of one that has ended is gone */
#define SIZE_MIN_EXT4 (UINT64_C(4) << 20) /* with a journal */
#define SIZE_MIN_BTRFS (UINT64_C(114) << 20) /* what mkfs.btrfs(8) says */

bool disk_has_format(const char *format)
{
	return strcmp(format, "ext4") == 0 || strcmp(format, "btrfs") == 0;
}

int disk_make(int file_fd, const char *format, uint64_t size_bytes, struct kennel_error **err)
{
	/*
	 * No blocks reserved for root, whose inside is everybody's. Tables that the kernel zeroes later
	 * keep the
	 * file small and the start quick.
	 */
	static const char *const ext4[] = {
		"-q",	   "-F",
		"-t",	   "ext4",
		"-m",	   "0",
		"-L",	   "kennel",
		"-E",	   "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
		TOOL_FILE, NULL
	};
	static const char *const btrfs[] = { "-q", "-f", "-K", "-L", "kennel", TOOL_FILE, NULL };
	bool is_btrfs = strcmp(format, "btrfs") == 0;
	const struct tool mkfs = {
		.name = is_btrfs ? "mkfs.btrfs" : "mke2fs",
		.package = is_btrfs ? "btrfs-progs" : "e2fsprogs",
		.args = is_btrfs ? btrfs : ext4,
		.file_fd = file_fd,
	};

	if (!disk_has_format(format))
		return hint(err, fail(err, KENNEL_E_INVALID, "format \"%s\" is not known", format),
			    "one of: %s", DISK_FORMATS);
	if (size_bytes > INT64_MAX || ftruncate(file_fd, (off_t)size_bytes) < 0)
		return fail_errno(err, "make a file of %llu bytes", (unsigned long long)size_bytes);
	if (size_bytes < SIZE_MIN_EXT4 || (is_btrfs && size_bytes < SIZE_MIN_BTRFS))
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "%llu bytes are too few for a file system of %s",
				 (unsigned long long)size_bytes, format),
			    "--size %s is the least", is_btrfs ? "114M" : "4M");
	return tool_must(&mkfs, "make the file system", err);
}

int disk_make_guests(int file_fd, uint64_t size_bytes, struct kennel_error **err)
{
	/* Discarded, they are known to be zero: else the guest's kernel would write them all. */
	static const char *const args[] = {
		"-q",	   "-F",      "-t", "ext4",
		"-m",	   "0",	      "-L", "kennel",
		"-J",	   "size=16", "-E", "discard,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0",
		TOOL_FILE, NULL
	};
	const struct tool mkfs = {
		.name = "mke2fs", .package = "e2fsprogs", .args = args, .file_fd = file_fd
	};

	if (size_bytes > INT64_MAX || ftruncate(file_fd, (off_t)size_bytes) < 0)
		return fail_errno(err, "make a file of %llu bytes", (unsigned long long)size_bytes);
	return tool_must(&mkfs, "make the guest's file system", err);
}

static bool is_same_file(const char *path, const struct stat *st)
{
	struct stat other;

	return stat(path, &other) == 0 && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/* The loop device over this file, by its number, or -1. */
static int find_loop(const struct stat *st)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	int number = -1;

	for (const struct dirent *d; dir && number < 0 && (d = readdir(dir));) {
		char name[320], path[4096];
		int n;

		if (sscanf(d->d_name, "loop%d", &n) != 1)
			continue;
		snprintf(name, sizeof(name), "/sys/block/%s/loop/backing_file", d->d_name);
		_cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
		ssize_t len = fd < 0 ? -1 : read(fd, path, sizeof(path) - 1);
		if (len <= 0)
			continue;
		path[len] = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (is_same_file(path, st))
			number = n;
	}
	return number;
}

/*
 * Has who took a lock on this file ended? Then only the kernel still holds it, until it has taken the mount
 * apart, which takes seconds on a busy disk. A process of another pid namespace is 0 there: not known.
 */
static bool holder_has_ended(const struct stat *st)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/locks", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned major, minor;
		unsigned long ino;
		int pid;

		if (sscanf(line, "%*s FLOCK %*s WRITE %d %x:%x:%lu", &pid, &major, &minor, &ino) == 4 &&
		    makedev(major, minor) == st->st_dev && ino == st->st_ino)
			return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
	}
	return false;
}

int disk_lock(int file_fd, const char *name, unsigned wait_ms, struct kennel_error **err)
{
	struct stat st;

	if (fstat(file_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	for (unsigned waited = 0; flock(file_fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail_errno(err, "lock \"%s\"", name);
		if (waited >= wait_ms && (waited >= LINGER_MS || !holder_has_ended(&st)))
			return hint(
				err, fail(err, KENNEL_E_BUSY, "\"%s\" is in use by another kennel", name),
				"see \"kennel list\"; a copy of the file can be used at the same time");
		clock_pause_ms(LOCK_STEP_MS);
	}
	/* One that goes away by itself has no name in /sys any more once our lock is to be had. */
	int loop = find_loop(&st);
	if (loop >= 0)
		return hint(err, fail(err, KENNEL_E_BUSY, "\"%s\" is in use as /dev/loop%d", name, loop),
			    "unmount it first: umount /dev/loop%d", loop);
	return 0;
}

int disk_wait_unused(int file_fd, const char *name, unsigned wait_ms, struct kennel_error **err)
{
	struct stat st;
	int loop;

	if (fstat(file_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	for (unsigned waited = 0; (loop = find_loop(&st)) >= 0; waited += LOCK_STEP_MS) {
		if (waited >= wait_ms)
			return fail(err, KENNEL_E_BUSY, "\"%s\" stays in use as /dev/loop%d", name, loop);
		clock_pause_ms(LOCK_STEP_MS);
	}
	return 0;
}

static int find_format(int file_fd, const char *name, const struct image_format **ret,
		       struct kennel_error **err)
{
	int r = image_format_find(file_fd, name, ret, err);

	if (r < 0 || disk_has_format((*ret)->name))
		return r;
	return hint(err,
		    fail(err, KENNEL_E_TYPE, "\"%s\" is a %s image, which keeps no changes", name,
			 (*ret)->name),
		    "to look at it, use --base or --layer");
}

int disk_format_of(int file_fd, const char *name, const char **ret_format, struct kennel_error **err)
{
	const struct image_format *f = NULL;

	int r = find_format(file_fd, name, &f, err);
	if (r == 0)
		*ret_format = f->name;
	return r;
}

/* Not cleanly unmounted, or with errors noted: s_state, and the journal's mark of work to be done. */
static bool needs_check(int file_fd)
{
	unsigned char super[128];

	if (pread(file_fd, super, sizeof(super), EXT4_SUPER) != sizeof(super))
		return false;
	unsigned state = super[58] | super[59] << 8;
	return !(state & 1) || (state & 2) || (super[96] & 4);
}

static int preen(int file_fd, const char *name, struct kennel_error **err)
{
	static const char *const args[] = { "-p", TOOL_FILE, NULL };
	const struct tool fsck = {
		.name = "e2fsck", .package = "e2fsprogs", .args = args, .file_fd = file_fd
	};
	_cleanup_buf_ struct buf said = { 0 };

	int r = tool_run(&fsck, &said, err);
	if (r == -KENNEL_E_MISSING) {
		error_clear(err); /* the kernel replays the journal, and refuses worse */
		return 0;
	}
	if (r < 0)
		return r;
	if (r <= E2FSCK_MAX_GOOD)
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_CORRUPT, "\"%s\" is damaged, beyond what can be mended safely", name),
		    "make a copy of it, then look with: e2fsck -f \"%s\"", name);
}

int disk_ready(int file_fd, const char *name, struct kennel_error **err)
{
	const struct image_format *f = NULL;

	int r = find_format(file_fd, name, &f, err);
	return r == 0 && strcmp(f->name, "ext4") == 0 && needs_check(file_fd) ? preen(file_fd, name, err) : r;
}

int disk_mount(int file_fd, const char *name, struct kennel_error **err)
{
	struct mount_try t = { .name = name, .writable = true };
	int errnum;

	int r = disk_ready(file_fd, name, err);
	if (r == 0)
		r = find_format(file_fd, name, &t.format, err);
	if (r < 0)
		return r;
	_cleanup_close_ int loop_fd = loop_attach(file_fd, name, true, err);
	if (loop_fd < 0)
		return wrap(err, loop_fd, "mount the %s image \"%s\"", t.format->name, name);
	t.source_fd = loop_fd;
	return image_mount_from(&t, &errnum, err);
}

int disk_grow(int file_fd, uint64_t size_bytes, struct kennel_error **err)
{
	/* -f: it was checked when it was last unmounted; it has no mount of which it would know. */
	static const char *const args[] = { "-f", TOOL_FILE, NULL };
	const struct tool resize = {
		.name = "resize2fs", .package = "e2fsprogs", .args = args, .file_fd = file_fd
	};

	if (size_bytes > INT64_MAX || ftruncate(file_fd, (off_t)size_bytes) < 0)
		return fail_errno(err, "make a file of %llu bytes", (unsigned long long)size_bytes);
	int r = tool_must(&resize, "grow the file system", err);
	if (r == 0 && fsync(file_fd) < 0)
		return fail_errno(err, "write the grown image");
	return r;
}

int disk_fill(int mount_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct btrfs_ioctl_vol_args all = { .name = "max" };

	if (fd < 0 || sys_ioctl(fd, BTRFS_IOC_RESIZE, &all) < 0)
		return fail_errno(err, "grow the btrfs");
	return 0;
}

static int copy_range(int from_fd, int to_fd, off_t from, off_t to, struct kennel_error **err)
{
	char block[65536];

	for (off_t in = from, out = from; in < to;) {
		ssize_t n = copy_file_range(from_fd, &in, to_fd, &out, (size_t)(to - in), 0);

		if (n > 0 || (n < 0 && errno == EINTR))
			continue;
		if (n < 0 && errno == ENOSPC)
			return fail_errno(err, "copy the image");
		/* Not between these two file systems. */
		n = pread(from_fd, block, (size_t)MIN(to - in, (off_t)sizeof(block)), in);
		if (n <= 0 || pwrite(to_fd, block, (size_t)n, in) != n)
			return fail_errno(err, "copy the image");
		in += n;
		out = in;
	}
	return 0;
}

int disk_copy(int from_fd, int to_fd, struct kennel_error **err)
{
	off_t size = lseek(from_fd, 0, SEEK_END), at = 0;

	if (sys_ioctl_int(to_fd, FICLONE, (unsigned long)from_fd) == 0)
		return 0;
	if (size < 0 || ftruncate(to_fd, size) < 0)
		return fail_errno(err, "copy the image");
	while (at < size) {
		off_t data = lseek(from_fd, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0; /* a hole up to the end */
		at = data < 0 ? size : lseek(from_fd, data, SEEK_HOLE);
		int r = data < 0 || at < 0 ? fail_errno(err, "copy the image") :
					     copy_range(from_fd, to_fd, data, at, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int disk_size(int file_fd, const char *name, uint64_t *ret, struct kennel_error **err)
{
	return image_size(file_fd, name, ret, err);
}

int disk_flush(int mount_fd, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && syncfs(fd) == 0)
		return 0;
	return hint(
		err, fail_errno(err, "write \"%s\" to the disk", name),
		"what was written last may be lost: look at the room and the health of the disk that it is on");
}
