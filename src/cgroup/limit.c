/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/limit.c - the limits of a group as numbers in its files: at the start, and while it runs; and what
 * became of them.
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

static int set_memory(const struct cgroup_dir *d, uint64_t bytes, struct kennel_error **err)
{
	int r;

	/* no swap on top, or a limit would only move the trouble to the machine's disk */
	if (d->v2) {
		r = set_number(d, "memory.max", bytes, false, err);
		return r < 0 ? r :
			       set_number(d, "memory.swap.max", bytes == CGROUP_NO_LIMIT ? bytes : 0, true,
					  err);
	}
	/* memsw may not be lower at any time: the one that is raised goes first */
	if (set_number(d, "memory.limit_in_bytes", bytes, false, NULL) == 0)
		return set_number(d, "memory.memsw.limit_in_bytes", bytes, true, err);
	r = set_number(d, "memory.memsw.limit_in_bytes", bytes, true, err);
	return r < 0 ? r : set_number(d, "memory.limit_in_bytes", bytes, false, err);
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
	if (r == 0 && w->memory_bytes && (d->ctls & CGROUP_MEMORY))
		r = set_memory(d, w->memory_bytes, err);
	if (r == 0 && w->cpus_milli && (d->ctls & CGROUP_CPU))
		r = set_cpu(d, w->cpus_milli, err);
	return r;
}

static bool has_controller(const struct cgroup_dir *d)
{
	const char *file = d->ctls == CGROUP_PIDS   ? "pids.max" :
			   d->ctls == CGROUP_MEMORY ? (d->v2 ? "memory.max" : "memory.limit_in_bytes") :
			   d->v2		    ? "cpu.max" :
						      "cpu.cfs_quota_us";

	return faccessat(d->fd, file, F_OK, 0) == 0;
}

int cgroup_limit(const char *of_text, const struct cgroup_wish *what, struct kennel_error **err)
{
	struct cgroup_dir d = { .ctls = what->pids	   ? CGROUP_PIDS :
					what->memory_bytes ? CGROUP_MEMORY :
							     CGROUP_CPU };

	int r = cgroup_open_made(of_text, d.ctls, &d.fd, &d.v2, err);
	if (r < 0)
		return r;
	if (r == 0 || !has_controller(&d)) {
		if (r > 0)
			close_fd(d.fd);
		return fail(err, KENNEL_E_UNSUPPORTED, "it has no control group for %s",
			    cgroup_ctl_name(d.ctls));
	}
	r = cgroup_set_numbers(&d, what, err);
	close_fd(d.fd);
	return r;
}

/* "KEY N" among the lines of a file. */
static uint64_t read_count(int dir_fd, const char *file, const char *key)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[512];
	uint64_t v = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[MAX(n, (ssize_t)0)] = '\0';
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), " %" SCNu64, &v) == 1)
			return v;
	}
	return 0;
}

uint64_t cgroup_oom_kills(const struct cgroup *cg)
{
	for (unsigned i = 0; cg && i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];

		if (d->fd >= 0 && (d->ctls & CGROUP_MEMORY))
			return d->v2 ? read_count(d->fd, "memory.events", "oom_kill") :
				       read_count(d->fd, "memory.oom_control", "oom_kill");
	}
	return 0;
}
