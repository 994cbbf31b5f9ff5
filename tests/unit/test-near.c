/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-near.c - which processor the view server serves on. Time and processors are played: a request
 * comes so long after an answer as the place that we are at makes it.
 */
#include "unit.h"

#include <sched.h>
#include <time.h>

#include "view/internal.h"

#define REQUESTS 4000
#define AWAY_NS 100000 /* from an answer to the next request, on another processor than who asks */
#define AT_HOME_NS 10000

static struct {
	int64_t now;
	int n_cpus;
	int moves;
	cpu_set_t set;
} machine;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){ machine.now / 1000000000, machine.now % 1000000000 };
	return 0;
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret)
{
	(void)pid;
	(void)size;
	CPU_ZERO(ret);
	for (int i = 0; i < machine.n_cpus; i++)
		CPU_SET(i, ret);
	return 0;
}

int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	(void)pid;
	(void)size;
	machine.set = *set;
	machine.moves++;
	return 0;
}

static void begin(struct near *n, int n_cpus)
{
	machine.now = 1000000000;
	machine.n_cpus = n_cpus;
	machine.moves = 0;
	near_init(n);
	near_answered(n);
}

/* home: the place of who asks, or 0 where no place is better. Return: the place at the end. */
static int serve(struct near *n, int home, int64_t gap_ns)
{
	int place = n->place;

	for (int i = 0; i < REQUESTS; i++) {
		machine.now += gap_ns ? gap_ns : home && n->place == home ? AT_HOME_NS : AWAY_NS;
		(void)near_asked(n, &place);
		machine.now += 1000;
		near_answered(n);
	}
	return place;
}

static void test_near_finds_who_asks_and_follows(void **state)
{
	struct near n;

	(void)state;
	begin(&n, 4);
	assert_int_equal(serve(&n, 3, 0), 3);
	assert_int_equal(CPU_COUNT(&machine.set), 1);
	assert_true(CPU_ISSET(2, &machine.set));
	assert_int_equal(serve(&n, 1, 0), 1);
	assert_true(CPU_ISSET(0, &machine.set));
}

static void test_near_nothing_to_gain_leaves_it_to_the_scheduler(void **state)
{
	struct near n;

	(void)state;
	begin(&n, 2);
	assert_int_equal(serve(&n, 0, 0), 0);
	/* and it is not tried at every turn */
	assert_true(machine.moves < REQUESTS / 20);
}

static void test_near_several_at_once_or_none_waiting_has_no_place(void **state)
{
	struct near n;

	(void)state;
	begin(&n, 2);
	assert_int_equal(serve(&n, 2, 0), 2);
	assert_int_equal(serve(&n, 2, 1000), 0);
	machine.moves = 0;
	begin(&n, 2);
	assert_int_equal(serve(&n, 2, 1000000), 0);
	assert_int_equal(machine.moves, 0);
}

static void test_near_one_processor_or_many_are_left_alone(void **state)
{
	struct near n;

	(void)state;
	begin(&n, 1);
	assert_int_equal(serve(&n, 1, 0), 0);
	begin(&n, NEAR_MAX + 1);
	assert_int_equal(serve(&n, 2, 0), 0);
	assert_int_equal(machine.moves, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near_finds_who_asks_and_follows),
		cmocka_unit_test(test_near_nothing_to_gain_leaves_it_to_the_scheduler),
		cmocka_unit_test(test_near_several_at_once_or_none_waiting_has_no_place),
		cmocka_unit_test(test_near_one_processor_or_many_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
