/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/limits.c - see limits.h. */
#include "run/limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/layout.h"
#include "mount/mount.h"
#include "run/errand.h"
#include "sys/sys.h"

#define INODE_SHARE 8192u /* bytes of the delta's size per inode that it may have */
#define INODES_MIN 4096u

bool run_limits_any(const struct spec *s)
{
	return s->memory_bytes || s->pids || s->cpus_milli || s->limits.has_swap || s->limits.cpuset ||
	       limits_has_io(&s->limits);
}

static int find_disk(const char *where, int delta_fd, struct cgroup_io *io, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;

	if (!where && delta_fd < 0)
		return hint(
			err,
			fail(err, KENNEL_E_INVALID,
			     "io: its changes are in memory, so there is no disk that could be meant"),
			"name one behind the rates: --io read=10M,/dev/sda, or something that lies on it");
	if (where) {
		fd = open(where, O_PATH | O_CLOEXEC);
		if (fd < 0)
			return fail_errno(err, "io: open \"%s\"", where);
	}
	int r = cgroup_io_disk(where ? fd : delta_fd, &io->major, &io->minor, err);
	if (r < 0)
		return hint(err, wrap(err, r, "io: find the disk of %s", where ? where : "its changes"),
			    "name the disk itself: --io read=10M,/dev/sda");
	return 0;
}

int run_limits_wish(const struct spec *s, int delta_fd, struct cgroup_io *io, struct cgroup_wish *ret,
		    struct kennel_error **err)
{
	const struct limits *l = &s->limits;

	ret->memory_bytes = s->memory_bytes;
	ret->pids = s->pids;
	ret->cpus_milli = s->cpus_milli;
	ret->has_swap = l->has_swap;
	ret->swap_bytes = l->swap_bytes;
	ret->cpuset = l->cpuset;
	if (!limits_has_io(l))
		return 0;
	*io = (struct cgroup_io){
		.read_bytes = l->io.read_bytes,
		.write_bytes = l->io.write_bytes,
		.reads = l->io.reads,
		.writes = l->io.writes,
	};
	ret->io = io;
	return find_disk(l->io.where, delta_fd, io, err);
}

unsigned run_limits_ctl(const char *key)
{
	static const struct {
		const char *key;
		unsigned ctl;
	} all[] = {
		{ "memory", CGROUP_MEMORY }, { "swap", CGROUP_MEMORY },	  { "pids", CGROUP_PIDS },
		{ "cpus", CGROUP_CPU },	     { "cpuset", CGROUP_CPUSET }, { "io", CGROUP_IO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(key, all[i].key) == 0)
			return all[i].ctl;
	return 0;
}

uint64_t run_limits_room(const struct spec *s, uint64_t total_memory)
{
	uint64_t disk = s->keep || s->file ? 0 : s->limits.disk_bytes;

	if (s->size_bytes && disk)
		return MIN(s->size_bytes, disk);
	return s->size_bytes ? s->size_bytes : disk ? disk : total_memory / 2;
}

uint64_t run_limits_inodes(uint64_t bytes)
{
	return MAX(bytes / INODE_SHARE, (uint64_t)INODES_MIN);
}

struct resize {
	int fd;
	bool other_ns;
	uint64_t bytes;
};

static int resize(void *data, struct buf *out, struct kennel_error **err)
{
	const struct resize *w = data;
	char size[24], inodes[24];

	(void)out;
	(void)!snprintf(size, sizeof(size), "%" PRIu64, w->bytes);
	(void)!snprintf(inodes, sizeof(inodes), "%" PRIu64, run_limits_inodes(w->bytes));
	/* The kernel asks whether we may mount where we are, not where the file system is. */
	if (w->other_ns && sys_unshare(CLONE_NEWNS) < 0)
		return fail_errno(err, "make a mount namespace");
	if (mount_resize_tmpfs(w->fd, size, inodes) == 0)
		return 0;
	if (errno == EINVAL)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "there is more in it already than %s bytes", size),
			    "delete something inside, or give it more");
	return fail_errno(err, "give the changes %s bytes", size);
}

int run_limits_resize(int delta_fd, int user_ns_fd, uint64_t bytes, struct kennel_error **err)
{
	struct resize w = { .fd = delta_fd, .other_ns = user_ns_fd >= 0, .bytes = bytes };

	return w.other_ns ? errand_run(user_ns_fd, resize, &w, NULL, err) : resize(&w, NULL, err);
}
