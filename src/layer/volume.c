/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/volume.c - see volume.h.
 *
 * A loop device is told by device and inode of its file, never by the path that sysfs shows, which is another
 * in each mount namespace.
 */
#include "layer/volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "layer/disk.h"
#include "layer/internal.h"
#include "path/tool.h"
#include "sys/sys.h"

/* linux/ext4.h and xfs_fs.h are not everywhere */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
struct xfs_growth {
	uint64_t newblocks;
	uint32_t imaxpct;
};
#define XFS_IOC_FSGROWFSDATA_ _IOW('X', 110, struct xfs_growth)
struct xfs_geometry { /* struct xfs_fsop_geom_v1 */
	uint32_t blocksize, rtextsize, agblocks, agcount, logblocks, sectsize, inodesize, imaxpct;
	uint64_t datablocks, rtblocks, rtextents, logstart;
	uint8_t uuid[16];
	uint32_t sunit, swidth;
	int32_t version;
	uint32_t flags, logsectsize, rtsectsize, dirblocksize;
};
#define XFS_IOC_GEOMETRY_ _IOR('X', 100, struct xfs_geometry)

static const char *const ext4_args[] = {
	"-q",	   "-F", "-t",	   "ext4", "-m",
	"0",	   "-L", "kennel", "-E",   "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
	TOOL_FILE, NULL
};
static const char *const xfs_args[] = { "-q", "-f", "-K", "-L", "kennel", TOOL_FILE, NULL };
static const char *const btrfs_args[] = { "-q", "-f", "-K", "-L", "kennel", TOOL_FILE, NULL };

static const struct {
	const char *fs, *program, *package;
	const char *const *args;
} makers[] = {
	{ "ext4", "mke2fs", "e2fsprogs", ext4_args },
	{ "xfs", "mkfs.xfs", "xfsprogs", xfs_args },
	{ "btrfs", "mkfs.btrfs", "btrfs-progs", btrfs_args },
};

bool volume_has_format(const char *fs)
{
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
		if (strcmp(makers[i].fs, fs) == 0)
			return true;
	return false;
}

int volume_make(int fd, const char *fs, struct kennel_error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		const struct tool mkfs = {
			.name = makers[i].program,
			.package = makers[i].package,
			.args = makers[i].args,
			.file_fd = fd,
		};

		if (strcmp(makers[i].fs, fs) == 0)
			return tool_must(&mkfs, "make the file system", err);
	}
	return hint(err, fail(err, KENNEL_E_INVALID, "file system \"%s\" is not known", fs),
		    "one of: " VOLUME_FORMATS);
}

/* Is it over this file? Return: a descriptor, or -1. */
static int open_loop_over(const char *name, const struct stat *st)
{
	struct loop_info64 info;
	char path[300];

	snprintf(path, sizeof(path), "/dev/%s", name);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || sys_ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		return -1;
	return info.lo_device == st->st_dev && info.lo_inode == st->st_ino ? take_fd(&fd) : -1;
}

int volume_find_loop(int file_fd)
{
	_cleanup_closedir_ DIR *dir = opendir("/sys/block");
	struct stat st;

	if (fstat(file_fd, &st) < 0)
		return -1;
	for (const struct dirent *d; dir && (d = readdir(dir));) {
		char used[300];

		if (strncmp(d->d_name, "loop", 4) != 0)
			continue;
		snprintf(used, sizeof(used), "%s/loop", d->d_name);
		if (faccessat(dirfd(dir), used, F_OK, 0) < 0)
			continue;
		int fd = open_loop_over(d->d_name, &st);
		if (fd >= 0)
			return fd;
	}
	errno = ENOENT;
	return -1;
}

int volume_attach_loop(int file_fd, const char *name, struct kennel_error **err)
{
	int fd = loop_attach(file_fd, name, true, err);

	return fd < 0 ? wrap(err, fd, "attach \"%s\"", name) : fd;
}

int volume_mend(int fd, const char *name, const char *fs, struct kennel_error **err)
{
	return strcmp(fs, "ext4") == 0 ? disk_ready(fd, name, err) : 0;
}

int volume_mount(int device_fd, const char *name, struct kennel_error **err)
{
	struct mount_try t = { .name = name, .source_fd = device_fd, .writable = true };
	int errnum;

	int r = image_format_find(device_fd, name, &t.format, err);
	if (r < 0)
		return r;
	if (!t.format->writing)
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" holds %s, which kennel has not made", name,
			    t.format->name);
	return image_mount_from(&t, &errnum, err);
}

static int fill_xfs(int fd, uint64_t size_bytes)
{
	struct xfs_geometry g;
	struct xfs_growth grow = { 0 };

	if (sys_ioctl(fd, XFS_IOC_GEOMETRY_, &g) < 0)
		return -1;
	grow.newblocks = size_bytes / g.blocksize;
	grow.imaxpct = g.imaxpct;
	return grow.newblocks > g.datablocks ? sys_ioctl(fd, XFS_IOC_FSGROWFSDATA_, &grow) : 0;
}

int volume_fill(int mount_fd, const char *fs, uint64_t size_bytes, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct btrfs_ioctl_vol_args all = { .name = "max" };
	struct stat st;
	uint64_t blocks;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open the volume");
	blocks = size_bytes / (uint64_t)st.st_blksize;
	if (strcmp(fs, "btrfs") == 0)
		r = sys_ioctl(fd, BTRFS_IOC_RESIZE, &all);
	else if (strcmp(fs, "xfs") == 0)
		r = fill_xfs(fd, size_bytes);
	else
		r = sys_ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks);
	if (r < 0 && errno == EPERM && strcmp(fs, "ext4") == 0)
		return 0;
	return r < 0 ? fail_errno(err, "grow the file system") : 1;
}

int volume_renumber(int fd, const char *fs, struct kennel_error **err)
{
	static const char *const args[] = { "-f", "-m", TOOL_FILE, NULL };
	const struct tool tune = {
		.name = "btrfstune", .package = "btrfs-progs", .args = args, .file_fd = fd
	};

	return strcmp(fs, "btrfs") == 0 ? tool_must(&tune, "give the copy a number of its own", err) : 0;
}
