/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/io.c - how fast a group may read from and write to a disk.
 *
 * v2 has one file for all, v1 one for each number. Both know whole disks alone: a partition is looked up in
 * sysfs. v1 sees only what a process itself sends to the disk; what the kernel writes back later (all that is
 * not O_DIRECT or synced) it counts for nobody.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cgroup/group.h"

#define TABLE_SIZE 8192
#define N_RATES 4

static const struct {
	const char *v1, *v2;
} rates[N_RATES] = {
	{ "blkio.throttle.read_bps_device", "rbps" },
	{ "blkio.throttle.write_bps_device", "wbps" },
	{ "blkio.throttle.read_iops_device", "riops" },
	{ "blkio.throttle.write_iops_device", "wiops" },
};

static uint64_t rate(const struct cgroup_io *io, size_t i)
{
	const uint64_t all[N_RATES] = { io->read_bytes, io->write_bytes, io->reads, io->writes };

	return all[i] ? all[i] : CGROUP_NO_LIMIT;
}

static int set_v1(int dir_fd, size_t i, unsigned major, unsigned minor, uint64_t v)
{
	char text[64];

	(void)!snprintf(text, sizeof(text), "%u:%u %" PRIu64, major, minor, v == CGROUP_NO_LIMIT ? 0 : v);
	return cgroup_write(dir_fd, rates[i].v1, text);
}

static int set_v2(int dir_fd, const struct cgroup_io *io)
{
	char text[192];
	size_t n = (size_t)snprintf(text, sizeof(text), "%u:%u", io->major, io->minor);

	for (size_t i = 0; i < N_RATES; i++) {
		uint64_t v = rate(io, i);

		if (v == CGROUP_NO_LIMIT)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=max", rates[i].v2);
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%" PRIu64, rates[i].v2, v);
	}
	return cgroup_write(dir_fd, "io.max", text);
}

static int set_one(const struct cgroup_dir *d, const struct cgroup_io *io)
{
	if (d->v2)
		return set_v2(d->fd, io);
	for (size_t i = 0; i < N_RATES; i++)
		if (set_v1(d->fd, i, io->major, io->minor, rate(io, i)) < 0)
			return -1;
	return 0;
}

/* Lifts what is set for other disks: the file lists them, one a line. */
static int lift_others(const struct cgroup_dir *d, const char *file, const struct cgroup_io *but)
{
	char text[TABLE_SIZE];

	if (cgroup_read(d->fd, file, text, sizeof(text)) < 0)
		return -1;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		struct cgroup_io other = { 0 };

		if (sscanf(line, "%u:%u ", &other.major, &other.minor) != 2 ||
		    (but && but->major == other.major && but->minor == other.minor))
			continue;
		if (set_one(d, &other) < 0 && errno != ENODEV)
			return -1;
	}
	return 0;
}

int cgroup_set_io(const struct cgroup_dir *d, const struct cgroup_io *io, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < (d->v2 ? 1 : N_RATES) && r == 0; i++)
		r = lift_others(d, d->v2 ? "io.max" : rates[i].v1, io);
	if (r < 0)
		return hint(err, fail_errno(err, "io: lift what was set for other disks"),
			    errno == ENOENT ? "this kernel was built without limits of disks" : NULL);
	if (!io || set_one(d, io) == 0)
		return 0;
	return fail_errno(err, "io: limit the disk %u:%u", io->major, io->minor);
}

/* A partition's directory lies in its disk's. */
static int whole_disk(unsigned *major, unsigned *minor, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF, disk_fd = -EBADF;
	char path[64], text[32];

	(void)!snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", *major, *minor);
	dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return fail_errno(err, "find the disk %u:%u in \"/sys/dev/block\"", *major, *minor);
	if (faccessat(dir_fd, "partition", F_OK, 0) < 0)
		return 0;
	disk_fd = openat(dir_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (disk_fd < 0 || cgroup_read(disk_fd, "dev", text, sizeof(text)) < 0)
		return fail_errno(err, "find the disk of the partition %u:%u", *major, *minor);
	if (sscanf(text, "%u:%u", major, minor) != 2)
		return fail(err, KENNEL_E_IO, "the disk of a partition has the number \"%s\"", text);
	return 0;
}

int cgroup_io_disk(int fd, unsigned *ret_major, unsigned *ret_minor, struct kennel_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at what is to be limited");
	dev_t dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	unsigned maj = major(dev), min = minor(dev);
	if (!maj)
		return fail(err, KENNEL_E_UNSUPPORTED, "it is on no disk of its own");
	int r = whole_disk(&maj, &min, err);
	if (r == 0) {
		*ret_major = maj;
		*ret_minor = min;
	}
	return r;
}
