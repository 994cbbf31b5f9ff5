/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-cgroup-hit.c - which limit was hit, told from counters as the kernel writes them. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cgroup/group.h"

struct file {
	const char *name, *text;
};

static void put(int dir_fd, const struct file *f)
{
	_cleanup_close_ int fd = openat(dir_fd, f->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, f->text, strlen(f->text)), (ssize_t)strlen(f->text));
}

#define V1_NONE \
	{ "memory.failcnt", "0\n" }, \
	{ \
		"memory.memsw.failcnt", "0\n" \
	}
#define V1_LIMITS(both) \
	{ "memory.limit_in_bytes", "16777216\n" }, \
	{ \
		"memory.memsw.limit_in_bytes", both "\n" \
	}
#define V1_KILLED \
	{ \
		"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n" \
	}

static void test_limits_hit_tells_which_one(void **state)
{
	static const struct {
		bool v2;
		struct file files[6];
		uint64_t kills;
		unsigned hit;
	} cases[] = {
		{ false, { { "memory.oom_control", "oom_kill_disable 0\noom_kill 0\n" } }, 0, 0 },
		{ false, { { "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n" } }, 0, 0 },
		{ false, { V1_KILLED, V1_NONE }, 2, CGROUP_HIT_OUTER },
		{ false, { V1_KILLED, { "memory.failcnt", "9\n" } }, 2, CGROUP_HIT_MEMORY },
		{ false,
		  { V1_KILLED, V1_LIMITS("16777216"), { "memory.memsw.failcnt", "4\n" } },
		  2,
		  CGROUP_HIT_MEMORY },
		{ false,
		  { V1_KILLED, V1_LIMITS("33554432"), { "memory.memsw.failcnt", "4" } },
		  2,
		  CGROUP_HIT_SWAP },
		{ false,
		  { V1_KILLED,
		    V1_LIMITS("33554432"),
		    { "memory.failcnt", "4\n" },
		    { "memory.memsw.failcnt", "0\n" } },
		  2,
		  CGROUP_HIT_MEMORY },
		{ false,
		  { V1_KILLED, V1_LIMITS("33554432"), V1_NONE, { "memory.max_usage_in_bytes", "16777216" } },
		  2,
		  CGROUP_HIT_MEMORY },
		{ false,
		  { V1_KILLED,
		    V1_LIMITS("33554432"),
		    V1_NONE,
		    { "memory.memsw.max_usage_in_bytes", "33550336" } },
		  2,
		  CGROUP_HIT_SWAP },
		{ false,
		  { V1_KILLED, V1_LIMITS("33554432"), V1_NONE, { "memory.max_usage_in_bytes", "4194304\n" } },
		  2,
		  CGROUP_HIT_OUTER },
		{ true, { { "memory.events", "low 0\nhigh 0\nmax 8\noom 0\noom_kill 0\n" } }, 0, 0 },
		{ true,
		  { { "memory.events", "low 0\nhigh 0\nmax 8\noom 0\noom_kill 3\n" } },
		  3,
		  CGROUP_HIT_OUTER },
		{ true,
		  { { "memory.events", "max 8\noom 1\noom_kill 3\noom_group_kill 0\n" },
		    { "memory.swap.max", "0\n" },
		    { "memory.swap.events", "high 0\nmax 4\nfail 4\n" } },
		  3,
		  CGROUP_HIT_MEMORY },
		{ true,
		  { { "memory.events", "oom 1\noom_kill 3\n" },
		    { "memory.swap.max", "max\n" },
		    { "memory.swap.events", "high 0\nmax 0\nfail 4\n" } },
		  3,
		  CGROUP_HIT_MEMORY },
		{ true,
		  { { "memory.events", "oom 1\noom_kill 3\n" },
		    { "memory.swap.max", "1048576\n" },
		    { "memory.swap.events", "high 0\nmax 1\nfail 1\n" } },
		  3,
		  CGROUP_HIT_SWAP },
		{ true,
		  { { "memory.events", "oom 1\noom_kill 3\n" },
		    { "memory.swap.max", "1048576\n" },
		    { "memory.swap.peak", "1040384\n" } },
		  3,
		  CGROUP_HIT_SWAP },
		{ true,
		  { { "memory.events", "oom 1\noom_kill 3\n" },
		    { "memory.swap.max", "1048576\n" },
		    { "memory.swap.peak", "4096\n" } },
		  3,
		  CGROUP_HIT_MEMORY },
		{ true,
		  { { "memory.events", "oom 1\noom_kill 3\n" },
		    { "memory.events.local", "oom 0\noom_kill 0\n" } },
		  3,
		  CGROUP_HIT_INNER },
		{ true,
		  { { "memory.events", "oom 1\noom_kill 3\n" },
		    { "memory.events.local", "oom 1\noom_kill 0\n" } },
		  3,
		  CGROUP_HIT_MEMORY },
		{ true, { { "pids.events", "max 0\n" } }, 0, 0 },
		{ true, { { "pids.events", "max 5\n" } }, 0, CGROUP_HIT_PIDS },
		{ false, { { "pids.events", "max\n" } }, 0, 0 },
		{ false, { { "pids.events", "" } }, 0, 0 },
	};

	(void)state;
	assert_int_equal(cgroup_limits_hit(NULL), 0);
	assert_int_equal(cgroup_oom_kills(NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char dir[] = "/tmp/test-hit.XXXXXX";
		assert_non_null(mkdtemp(dir));
		struct cgroup cg = { .n = 1,
				     .dirs[0] = { .v2 = cases[i].v2, .ctls = ~0u, .inside_fd = -EBADF } };
		cg.dirs[0].fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		for (size_t f = 0; f < ARRAY_SIZE(cases[i].files) && cases[i].files[f].name; f++)
			put(cg.dirs[0].fd, &cases[i].files[f]);
		if (cgroup_limits_hit(&cg) != cases[i].hit || cgroup_oom_kills(&cg) != cases[i].kills)
			fail_msg("case %zu: %#x", i, cgroup_limits_hit(&cg));
		for (size_t f = 0; f < ARRAY_SIZE(cases[i].files) && cases[i].files[f].name; f++)
			assert_int_equal(unlinkat(cg.dirs[0].fd, cases[i].files[f].name, 0), 0);
		close_fd(cg.dirs[0].fd);
		assert_int_equal(rmdir(dir), 0);
	}
}

/* v1 counts a kill, and a fork that failed, where the process is. */
static void test_limits_hit_counts_in_the_group_inside(void **state)
{
	static const struct file files[] = { V1_KILLED, { "pids.events", "max 1\n" } };
	char dir[] = "/tmp/test-hit.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	struct cgroup cg = { .n = 1, .dirs[0].ctls = ~0u };
	cg.dirs[0].fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(cg.dirs[0].fd, "inside", 0700), 0);
	cg.dirs[0].inside_fd = openat(cg.dirs[0].fd, "inside", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(cg.dirs[0].inside_fd, &files[i]);
	put(cg.dirs[0].fd, &(struct file){ "memory.failcnt", "1\n" });
	assert_int_equal(cgroup_limits_hit(&cg), CGROUP_HIT_MEMORY | CGROUP_HIT_PIDS);
	assert_int_equal(cgroup_oom_kills(&cg), 2);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(cg.dirs[0].inside_fd, files[i].name, 0);
	unlinkat(cg.dirs[0].fd, "memory.failcnt", 0);
	unlinkat(cg.dirs[0].fd, "inside", AT_REMOVEDIR);
	close_fd(cg.dirs[0].inside_fd);
	close_fd(cg.dirs[0].fd);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_hit_tells_which_one),
		cmocka_unit_test(test_limits_hit_counts_in_the_group_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
