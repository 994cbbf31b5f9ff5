/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/limit.c - the limits of a group as numbers in its files: at the start, and while it runs.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/group.h"

#define CPU_PERIOD_US 100000

/* Writes "N", or what means none; optional: a kernel without the file is fine. */
static int set_number(const struct cgroup_dir *d, const char *file, uint64_t v, bool optional,
		      struct kennel_error **err)
{
	char text[24];
	int r;

	if (v == CGROUP_NO_LIMIT)
		(void)!snprintf(text, sizeof(text), "%s",
				d->v2 || strcmp(file, "pids.max") == 0 ? "max" : "-1");
	else
		(void)!snprintf(text, sizeof(text), "%" PRIu64, v);
	if (cgroup_write(d->fd, file, text) == 0)
		return 0;
	if (optional && errno == ENOENT)
		return 0;
	r = fail_errno(err, "write %s to \"%s\" of the control group", text, file);
	if (kennel_error_errno(err ? *err : NULL) == ENOENT)
		return hint(err, r, "this kernel was built without that limit");
	return r;
}

static int no_swap_file(int r, struct kennel_error **err)
{
	r = wrap(err, r, "swap");
	if (kennel_error_errno(err ? *err : NULL) == ENOENT)
		return hint(err, r, "this kernel does not count it; v1 may need the parameter swapaccount=1");
	return r;
}

static int set_memory_v2(const struct cgroup_dir *d, uint64_t bytes, uint64_t swap, bool asked,
			 struct kennel_error **err)
{
	int r = bytes ? set_number(d, "memory.max", bytes, false, err) : 0;

	if (r < 0)
		return r;
	r = set_number(d, "memory.swap.max", swap, !asked, err);
	return r < 0 && asked ? no_swap_file(r, err) : r;
}

/* v1 counts swap together with memory. */
static int set_memory_v1(const struct cgroup_dir *d, uint64_t bytes, uint64_t swap, bool asked,
			 struct kennel_error **err)
{
	static const char both_file[] = "memory.memsw.limit_in_bytes";
	bool any = bytes == CGROUP_NO_LIMIT || swap == CGROUP_NO_LIMIT;
	uint64_t both = any ? CGROUP_NO_LIMIT : bytes + swap;

	if (asked && bytes == CGROUP_NO_LIMIT && swap != CGROUP_NO_LIMIT)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "swap: control groups of version 1 count it together with memory"),
			    "limit the memory, too: --memory");
	/* memsw may not be lower at any time: the one that is raised goes first */
	if (set_number(d, "memory.limit_in_bytes", bytes, false, NULL) == 0) {
		int r = set_number(d, both_file, both, !asked, err);

		return r < 0 && asked ? no_swap_file(r, err) : r;
	}
	int r = set_number(d, both_file, both, !asked, err);
	return r < 0 ? r : set_number(d, "memory.limit_in_bytes", bytes, false, err);
}

static int set_memory(const struct cgroup_dir *d, const struct cgroup_wish *w, struct kennel_error **err)
{
	uint64_t bytes = w->memory_bytes ? w->memory_bytes : CGROUP_NO_LIMIT;
	/* no swap on top, or a limit would only move the trouble to the machine's disk */
	uint64_t swap = w->has_swap ? w->swap_bytes : bytes == CGROUP_NO_LIMIT ? bytes : 0;
	bool asked = w->has_swap && swap != CGROUP_NO_LIMIT;

	return d->v2 ? set_memory_v2(d, w->memory_bytes, swap, asked, err) :
		       set_memory_v1(d, bytes, swap, asked, err);
}

static int set_cpu(const struct cgroup_dir *d, uint64_t cpus_milli, struct kennel_error **err)
{
	uint64_t quota_us = cpus_milli == CGROUP_NO_LIMIT ? cpus_milli : cpus_milli * (CPU_PERIOD_US / 1000);
	char text[48];
	int r;

	if (!d->v2) {
		r = set_number(d, "cpu.cfs_period_us", CPU_PERIOD_US, false, err);
		return r < 0 ? r : set_number(d, "cpu.cfs_quota_us", quota_us, false, err);
	}
	if (cpus_milli == CGROUP_NO_LIMIT)
		(void)!snprintf(text, sizeof(text), "max %d", CPU_PERIOD_US);
	else
		(void)!snprintf(text, sizeof(text), "%" PRIu64 " %d", quota_us, CPU_PERIOD_US);
	if (cgroup_write(d->fd, "cpu.max", text) < 0)
		return fail_errno(err, "write \"%s\" to \"cpu.max\" of the control group", text);
	return 0;
}

int cgroup_set_numbers(const struct cgroup_dir *d, const struct cgroup_wish *w, struct kennel_error **err)
{
	int r = 0;

	if (w->pids && (d->ctls & CGROUP_PIDS))
		r = set_number(d, "pids.max", w->pids, false, err);
	if (r == 0 && (w->memory_bytes || w->has_swap) && (d->ctls & CGROUP_MEMORY))
		r = set_memory(d, w, err);
	if (r == 0 && w->cpus_milli && (d->ctls & CGROUP_CPU))
		r = set_cpu(d, w->cpus_milli, err);
	if (r == 0 && w->cpuset && (d->ctls & CGROUP_CPUSET))
		r = cgroup_set_cpuset(d, w->cpuset, err);
	if (r == 0 && w->io && (d->ctls & CGROUP_IO))
		r = cgroup_set_io(d, w->io, err);
	return r;
}

static bool has_controller(const struct cgroup_dir *d)
{
	static const struct {
		unsigned ctl;
		const char *v1, *v2;
	} files[] = {
		{ CGROUP_PIDS, "pids.max", "pids.max" },
		{ CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max" },
		{ CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max" },
		{ CGROUP_CPUSET, "cpuset.cpus", "cpuset.cpus" },
		{ CGROUP_IO, "blkio.throttle.read_bps_device", "io.max" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (d->ctls == files[i].ctl)
			return faccessat(d->fd, d->v2 ? files[i].v2 : files[i].v1, F_OK, 0) == 0;
	return false;
}

static int limit_anew(const struct cgroup_dir *d, const struct cgroup_wish *wish, struct kennel_error **err)
{
	struct cgroup_wish w = *wish;

	if (d->ctls == CGROUP_CPUSET)
		return cgroup_set_cpuset(d, w.cpuset, err);
	if (d->ctls == CGROUP_IO)
		return cgroup_set_io(d, w.io, err);
	w.memory_bytes = w.memory_bytes ? w.memory_bytes : CGROUP_NO_LIMIT;
	w.pids = w.pids ? w.pids : CGROUP_NO_LIMIT;
	w.cpus_milli = w.cpus_milli ? w.cpus_milli : CGROUP_NO_LIMIT;
	return cgroup_set_numbers(d, &w, err);
}

int cgroup_limit(const char *of_text, unsigned ctl, const struct cgroup_wish *wish, struct kennel_error **err)
{
	struct cgroup_dir d = { .ctls = ctl };

	int r = cgroup_open_made(of_text, ctl, &d.fd, &d.v2, err);
	if (r < 0)
		return r;
	if (r == 0 || !has_controller(&d)) {
		if (r > 0)
			close_fd(d.fd);
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "it has no control group for %s",
				 cgroup_ctl_name(d.ctls)),
			    "what runs in the foreground has those alone that its start had a limit for");
	}
	r = limit_anew(&d, wish, err);
	close_fd(d.fd);
	return r;
}
