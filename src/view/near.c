/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/near.c - serving on the processor of who asks.
 *
 * Most of what runs inside asks one thing at a time and waits for it. On the same processor that is two
 * changes of task; on two, it is two wake-ups of a sleeping processor, which in a virtual machine cost ten
 * times as much, and the scheduler leaves us where we were. No request says where it came from, so we try:
 * the time from an answer to the next request is short where we are near. Not on large machines, where trying
 * would take too long, and not while several ask at once.
 */
#include "view/internal.h"

#include <sched.h>
#include <time.h>

#define SAMPLES 8
#define LONG_NS 400000 /* whoever computes for so long between two requests does not wait for us */
#define OVERLAP_NS 2000
#define FIRST_REST 16 /* windows: a life of a hundred requests ends before trying pays */
#define REST_MAX 64 /* windows between two attempts that changed nothing */

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void near_init(struct near *n)
{
	cpu_set_t all;

	*n = (struct near){ .rest = 1, .trying = -1, .wait = FIRST_REST };
	if (sched_getaffinity(0, sizeof(all), &all) < 0 || CPU_COUNT(&all) < 2 || CPU_COUNT(&all) > NEAR_MAX)
		return;
	/* place 0 is all of them */
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			n->cpus[n->n_cpus++] = cpu;
}

static void move(const struct near *n, int place)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < n->n_cpus; i++)
		if (!place || place == i + 1)
			CPU_SET(n->cpus[i], &set);
	(void)!sched_setaffinity(0, sizeof(set), &set); /* where we are is good enough */
}

/* The best of what was tried. */
static int choose(struct near *n)
{
	int best = 0;

	for (int i = 1; i <= n->n_cpus; i++)
		if (n->cost[i] < n->cost[best])
			best = i;
	/* Little to gain: the scheduler may have its way. */
	if (n->cost[best] > n->cost[0] - n->cost[0] / 4)
		best = 0;
	return best;
}

/* A window is full: what next? */
static void judge(struct near *n, int64_t cost)
{
	if (n->trying >= 0) {
		n->cost[n->trying++] = cost;
		if (n->trying <= n->n_cpus) {
			n->place = n->trying;
			return;
		}
		int before = n->settled;
		n->place = n->settled = choose(n);
		n->settled_cost = n->cost[n->place];
		n->rest = n->settled == before ? MIN(n->rest * 2, REST_MAX) : 1;
		n->wait = n->rest;
		n->trying = -1;
		return;
	}
	if (n->wait > 0)
		n->wait--;
	else if (!n->settled || cost > n->settled_cost * 2)
		n->place = n->trying = 0;
}

bool near_asked(struct near *n, int *place)
{
	int64_t now = now_ns(), gap = now - n->answered_ns;
	bool waited = gap < OVERLAP_NS;

	if (!n->n_cpus)
		return waited;
	if (waited) {
		n->overlaps++;
	} else if (gap < LONG_NS) {
		n->sum += gap;
		n->n++;
	}
	if (n->overlaps >= SAMPLES) {
		n->place = n->settled = 0;
		n->trying = -1;
		n->wait = REST_MAX;
		n->n = n->overlaps = 0;
		n->sum = 0;
	} else if (n->n >= SAMPLES) {
		int64_t cost = n->sum / n->n;

		n->n = n->overlaps = 0;
		n->sum = 0;
		judge(n, cost);
	}
	if (*place != n->place)
		move(n, *place = n->place);
	return waited;
}

void near_answered(struct near *n)
{
	n->answered_ns = now_ns();
}
