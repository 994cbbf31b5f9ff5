/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/place.c - on which processor a guest runs.
 *
 * Its kernel and the address space that it lets run take turns and are never at work both. On two processors
 * each turn wakes the other one, which costs four times what is done in a turn where that sleeps; so both
 * stay on one. Which one it is the machine's scheduler has said when the kernel was started. Later it can't:
 * so once a second it is looked whether there others are in the way while another processor has little to do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "vm/program/program.h"

#define IN_THE_WAY_NS 250000000ull /* in a second: what waited so long */

void place_read(const char *path, char *ret, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, len = 0;

	while (fd >= 0 && (size_t)len < size - 1 && (n = read(fd, ret + len, size - 1 - (size_t)len)) > 0)
		len += n;
	ret[len] = '\0';
}

int place_here(void)
{
	const int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -1;
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -1 : cpu;
}

/* Idle time of each processor, in ticks. */
static void read_idle(unsigned long long *ret)
{
	static char text[256 << 10];
	unsigned long long user, nice, kernel, idle, iowait;
	unsigned cpu;

	memset(ret, 0, CPU_SETSIZE * sizeof(*ret));
	place_read("/proc/stat", text, sizeof(text));
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "cpu%u %llu %llu %llu %llu %llu", &cpu, &user, &nice, &kernel, &idle,
			   &iowait) == 6 &&
		    cpu < CPU_SETSIZE)
			ret[cpu] = idle + iowait;
	}
}

/* The processor with the most idle time since last; *ret_own: of the own one. */
static int idlest(struct place *p, unsigned long long *ret_own, unsigned long long *ret_most)
{
	static unsigned long long now[CPU_SETSIZE];
	cpu_set_t allowed;
	int found = -1;

	*ret_own = *ret_most = 0;
	read_idle(now);
	/* what a control group leaves us may be others by now */
	const bool known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
	for (int i = 0; known && i < CPU_SETSIZE; i++) {
		const unsigned long long idle = now[i] - MIN(p->idle[i], now[i]);

		if (i == p->cpu)
			*ret_own = idle;
		else if (CPU_ISSET(i, &allowed) && idle > *ret_most) {
			*ret_most = idle;
			found = i;
		}
	}
	memcpy(p->idle, now, sizeof(now));
	return found;
}

/* How long the kernel and its children have waited, all together; to: puts them there, if not negative. */
static unsigned long long go_through(pid_t kernel, int to)
{
	_cleanup_closedir_ DIR *d = opendir("/proc");
	unsigned long long sum = 0, ran, waited;
	char path[64], text[512];
	cpu_set_t one;

	CPU_ZERO(&one);
	if (to >= 0)
		CPU_SET(to, &one);
	for (const struct dirent *e; d && (e = readdir(d));) {
		const pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		int parent = 0;

		if (pid <= 1)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		place_read(path, text, sizeof(text));
		const char *end = strrchr(text, ')');
		if (pid != kernel && (!end || sscanf(end + 1, " %*c %d", &parent) != 1 || parent != kernel))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
		place_read(path, text, sizeof(text));
		if (sscanf(text, "%llu %llu", &ran, &waited) == 2)
			sum += waited;
		if (to >= 0)
			(void)!sched_setaffinity(pid, sizeof(one), &one);
	}
	return sum;
}

unsigned long long place_waited(pid_t kernel)
{
	return go_through(kernel, -1);
}

void place_look(struct place *p)
{
	unsigned long long own, most;
	const int other = idlest(p, &own, &most);

	/* there is something to gain: then it is worth to see whether anybody is in the way */
	if (p->cpu < 0 || other < 0 || 4 * own > most) {
		p->seen = false;
		return;
	}
	const unsigned long long waited = go_through(p->kernel, -1);
	const bool in_the_way = p->seen && waited > p->waited && waited - p->waited > IN_THE_WAY_NS;
	p->waited = waited;
	p->seen = true;
	if (!in_the_way)
		return;
	(void)go_through(p->kernel, other);
	(void)go_through(p->kernel, other); /* those that were just being made */
	p->cpu = other;
	p->seen = false;
}
