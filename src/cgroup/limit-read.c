/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/limit-read.c - the limits that a group has, read back and said in the words of the options.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/parse.h"
#include "cgroup/group.h"

#define TABLE_SIZE 8192
#define V1_NONE (UINT64_MAX >> 2) /* v1 writes the largest whole page for none */

/* "max" and what stands for it are CGROUP_NO_LIMIT. */
static bool read_number(const struct cgroup_dir *d, const char *v1, const char *v2, uint64_t *ret)
{
	char text[64];

	if (cgroup_read(d->fd, d->v2 ? v2 : v1, text, sizeof(text)) < 0)
		return false;
	if (parse_u64(text, ret) < 0 || *ret > V1_NONE)
		*ret = CGROUP_NO_LIMIT;
	return true;
}

struct say {
	int (*say)(void *data, const char *name, const char *value);
	void *data;
};

static int say_number(const struct say *s, const char *name, uint64_t v)
{
	char text[24];

	if (v == CGROUP_NO_LIMIT)
		return 0;
	(void)!snprintf(text, sizeof(text), "%" PRIu64, v);
	return s->say(s->data, name, text);
}

static int say_pids(const struct cgroup_dir *d, const struct say *s)
{
	uint64_t v;

	return read_number(d, "pids.max", "pids.max", &v) ? say_number(s, "pids", v) : 0;
}

static int say_memory(const struct cgroup_dir *d, const struct say *s)
{
	uint64_t memory, swap;

	if (!read_number(d, "memory.limit_in_bytes", "memory.max", &memory))
		return 0;
	int r = say_number(s, "memory", memory);
	if (r < 0 || !read_number(d, "memory.memsw.limit_in_bytes", "memory.swap.max", &swap))
		return r;
	if (!d->v2 && swap != CGROUP_NO_LIMIT)
		swap = memory == CGROUP_NO_LIMIT || memory > swap ? 0 : swap - memory;
	return say_number(s, "swap", swap);
}

static int say_cpus(const struct cgroup_dir *d, const struct say *s)
{
	uint64_t quota = 0, period = 0;
	char text[64];

	if (d->v2) {
		if (cgroup_read(d->fd, "cpu.max", text, sizeof(text)) < 0 ||
		    sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2)
			return 0;
	} else if (!read_number(d, "cpu.cfs_quota_us", "", &quota) || quota == CGROUP_NO_LIMIT ||
		   !read_number(d, "cpu.cfs_period_us", "", &period)) {
		return 0;
	}
	if (!period)
		return 0;
	uint64_t milli = quota * 1000 / period;
	(void)!snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, milli / 1000, milli % 1000);
	size_t len = strlen(text);
	while (text[len - 1] == '0')
		text[--len] = '\0';
	if (text[len - 1] == '.')
		text[len - 1] = '\0';
	return s->say(s->data, "cpus", text);
}

static int say_cpuset(const struct cgroup_dir *d, const struct say *s)
{
	_cleanup_close_ int above_fd = d->v2 ? -EBADF : openat(d->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[4096], above[4096];

	if (cgroup_read(d->fd, "cpuset.cpus", text, sizeof(text)) <= 0)
		return 0;
	/* in v1 each group has a list; the same as above is no limit */
	if (above_fd >= 0 && cgroup_read(above_fd, "cpuset.cpus", above, sizeof(above)) > 0 &&
	    strcmp(text, above) == 0)
		return 0;
	return s->say(s->data, "cpuset", text);
}

struct disk {
	char dev[24];
	char rates[4][24];
};
#define DISKS_MAX 16

static struct disk *disk_of(struct disk *disks, const char *dev)
{
	for (size_t i = 0; i < DISKS_MAX; i++) {
		if (!disks[i].dev[0])
			(void)!snprintf(disks[i].dev, sizeof(disks[i].dev), "%s", dev);
		if (strcmp(disks[i].dev, dev) == 0)
			return &disks[i];
	}
	return NULL;
}

/* "254:0 rbps=1000 wbps=max riops=max wiops=max" */
static void read_io_v2(const struct cgroup_dir *d, struct disk *disks)
{
	static const char *const keys[] = { "rbps=", "wbps=", "riops=", "wiops=" };
	char text[TABLE_SIZE];

	if (cgroup_read(d->fd, "io.max", text, sizeof(text)) < 0)
		return;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		char *word = strsep(&line, " ");
		struct disk *disk = *word ? disk_of(disks, word) : NULL;

		while (disk && (word = strsep(&line, " ")))
			for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
				if (strncmp(word, keys[i], strlen(keys[i])) == 0 &&
				    strcmp(word + strlen(keys[i]), "max") != 0)
					(void)!snprintf(disk->rates[i], sizeof(disk->rates[i]), "%s",
							word + strlen(keys[i]));
	}
}

static void read_io_v1(const struct cgroup_dir *d, struct disk *disks)
{
	static const char *const files[] = { "read_bps", "write_bps", "read_iops", "write_iops" };
	char text[TABLE_SIZE], name[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		(void)!snprintf(name, sizeof(name), "blkio.throttle.%s_device", files[i]);
		if (cgroup_read(d->fd, name, text, sizeof(text)) < 0)
			continue;
		for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
			char *word = strsep(&line, " ");
			struct disk *disk = *word && line ? disk_of(disks, word) : NULL;

			if (disk)
				(void)!snprintf(disk->rates[i], sizeof(disk->rates[i]), "%s", line);
		}
	}
}

/* "/dev/NAME" of "MAJOR:MINOR", where sysfs knows it. */
static void put_disk(struct buf *b, const char *dev)
{
	char path[64], target[256];

	(void)!snprintf(path, sizeof(path), "/sys/dev/block/%.24s", dev);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	target[MAX(n, (ssize_t)0)] = '\0';
	const char *name = strrchr(target, '/');
	buf_printf(b, ",%s%s", name ? "/dev" : "", name ? name : dev);
}

static int say_io(const struct cgroup_dir *d, const struct say *s)
{
	static const char *const names[] = { "read", "write", "riops", "wiops" };
	struct disk disks[DISKS_MAX] = { 0 };
	int r = 0;

	if (d->v2)
		read_io_v2(d, disks);
	else
		read_io_v1(d, disks);
	for (size_t k = 0; k < DISKS_MAX && disks[k].dev[0] && r == 0; k++) {
		_cleanup_buf_ struct buf b = { 0 };

		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (disks[k].rates[i][0])
				buf_printf(&b, "%s%s=%s", b.len ? "," : "", names[i], disks[k].rates[i]);
		if (!b.len)
			continue;
		put_disk(&b, disks[k].dev);
		r = buf_check(&b, NULL);
		if (r == 0)
			r = s->say(s->data, "io", buf_str(&b));
	}
	return r;
}

int cgroup_dir_limits(const struct cgroup_dir *d, int (*say)(void *data, const char *name, const char *value),
		      void *data)
{
	static const struct {
		unsigned ctl;
		int (*say)(const struct cgroup_dir *d, const struct say *s);
	} all[] = {
		{ CGROUP_MEMORY, say_memory }, { CGROUP_PIDS, say_pids }, { CGROUP_CPU, say_cpus },
		{ CGROUP_CPUSET, say_cpuset }, { CGROUP_IO, say_io },
	};
	const struct say s = { say, data };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && r == 0; i++)
		if (d->ctls & all[i].ctl)
			r = all[i].say(d, &s);
	return r;
}

int cgroup_limits_read(const char *of_text, int (*say)(void *data, const char *name, const char *value),
		       void *data, struct kennel_error **err)
{
	static const unsigned ctls[] = { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CPUSET, CGROUP_IO };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ctls) && r == 0; i++) {
		struct cgroup_dir d = { .ctls = ctls[i], .fd = -EBADF };

		r = cgroup_open_made(of_text, ctls[i], &d.fd, &d.v2, err);
		if (r <= 0)
			continue;
		r = cgroup_dir_limits(&d, say, data);
		close_fd(d.fd);
		if (r < 0 && err && !*err)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	return r;
}
