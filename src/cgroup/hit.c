/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/hit.c - which limits a group has run into, as its counters tell.
 *
 * The kernel says of a process that it was killed, never which limit that was for; so it is told from what
 * else was counted. v2 counts an "oom" where the limit is, and hands it on to the groups above. v1 counts
 * each time that a counter was at its limit, or what was used at most, and a kill only in the very group of
 * who was killed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/group.h"

#define NEARLY (256u << 10) /* the kernel charges in batches: within that, a limit was reached */

/* "KEY N" among the lines of a file; the number that the file is where key is "". false: there is none. */
static bool read_count(int dir_fd, const char *file, const char *key, uint64_t *ret)
{
	char text[512];

	if (dir_fd < 0 || cgroup_read(dir_fd, file, text, sizeof(text)) < 0)
		return false;
	for (const char *next, *line = text; line; line = next) {
		next = strchr(line, '\n');
		next += next != NULL;
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line += strlen(key);
		line += *line == ' ';
		if (*line >= '0' && *line <= '9')
			return sscanf(line, "%" SCNu64, ret) == 1;
	}
	return false;
}

static uint64_t count(int dir_fd, const char *file, const char *key)
{
	uint64_t n = 0;

	return read_count(dir_fd, file, key, &n) ? n : 0;
}

/* v1 counts only where the process is; what it has made groups for itself is not looked through. */
static uint64_t count_kills(const struct cgroup_dir *d)
{
	if (d->v2)
		return count(d->fd, "memory.events", "oom_kill");
	return count(d->fd, "memory.oom_control", "oom_kill") +
	       count(d->inside_fd, "memory.oom_control", "oom_kill");
}

static unsigned memory_hit_v2(int fd)
{
	uint64_t here, swap, peak = 0;

	if (!count(fd, "memory.events", "oom"))
		return CGROUP_HIT_OUTER;
	/* Linux 5.2; before that nobody can tell those made inside from ours */
	if (read_count(fd, "memory.events.local", "oom", &here) && !here)
		return CGROUP_HIT_INNER;
	/* "max" is no number, and with 0 there is no swap that could have been too little */
	if (!read_count(fd, "memory.swap.max", "", &swap) || !swap)
		return CGROUP_HIT_MEMORY;
	(void)!read_count(fd, "memory.swap.peak", "", &peak);
	return count(fd, "memory.swap.events", "max") || peak + NEARLY >= swap ? CGROUP_HIT_SWAP :
										 CGROUP_HIT_MEMORY;
}

/* Newer kernels (seen: 6.18) forget to count; what was used at most tells it there. */
static bool was_reached(int fd, const char *fails, const char *peak_file, uint64_t limit)
{
	uint64_t peak;

	return count(fd, fails, "") ||
	       (limit && read_count(fd, peak_file, "", &peak) && peak >= limit - MIN(limit, NEARLY));
}

static unsigned memory_hit_v1(int fd)
{
	const uint64_t memory = count(fd, "memory.limit_in_bytes", "");
	const uint64_t both = count(fd, "memory.memsw.limit_in_bytes", "");
	const bool both_reached =
		was_reached(fd, "memory.memsw.failcnt", "memory.memsw.max_usage_in_bytes", both);

	if (both_reached && both > memory)
		return CGROUP_HIT_SWAP;
	return both_reached || was_reached(fd, "memory.failcnt", "memory.max_usage_in_bytes", memory) ?
		       CGROUP_HIT_MEMORY :
		       CGROUP_HIT_OUTER;
}

static bool pids_hit(const struct cgroup_dir *d)
{
	return count(d->fd, "pids.events", "max") || count(d->inside_fd, "pids.events", "max");
}

uint64_t cgroup_oom_kills(const struct cgroup *cg)
{
	for (unsigned i = 0; cg && i < cg->n; i++)
		if (cg->dirs[i].fd >= 0 && (cg->dirs[i].ctls & CGROUP_MEMORY))
			return count_kills(&cg->dirs[i]);
	return 0;
}

unsigned cgroup_limits_hit(const struct cgroup *cg)
{
	unsigned hit = 0;

	for (unsigned i = 0; cg && i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];

		if (d->fd < 0)
			continue;
		if ((d->ctls & CGROUP_MEMORY) && count_kills(d))
			hit |= d->v2 ? memory_hit_v2(d->fd) : memory_hit_v1(d->fd);
		if ((d->ctls & CGROUP_PIDS) && pids_hit(d))
			hit |= CGROUP_HIT_PIDS;
	}
	return hit;
}
