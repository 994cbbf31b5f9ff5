/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-cgroup.c - refusals, then real groups with real processes in them.
 *
 * The real ones need root and whatever hierarchies this machine has. To see v2 on a machine that has v1 as
 * well, the library is given a mountinfo that shows the cgroup2 line alone. Every test ends with its group
 * gone; the last one looks for leftovers.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "cgroup/layout.h"
#include "run/registry.h"
#include "sys/sys.h"

#define TMP_NODE "/tmp/test-cgroup.node"

/* ---- refusals ---- */

static void test_new_without_a_wish_makes_nothing(void **state)
{
	const struct cgroup_wish none = { 0 };
	struct cgroup *cg = (struct cgroup *)&none;

	assert_int_equal(cgroup_new("x", &none, &cg, NULL), 0);
	assert_null(cg);
	assert_int_equal(cgroup_destroy(NULL, NULL), 0);
	assert_int_equal(cgroup_clone_fd(NULL), -EBADF);
	assert_int_equal(cgroup_entries(NULL) + cgroup_dirs(NULL), 0);
}

static void test_new_refuses_with_reason_and_remedy(void **state)
{
	static const struct {
		const char *id;
		struct cgroup_wish wish;
		int code;
		const char *text, *hint;
	} cases[] = {
		{ "../x", { .pids = 1 }, KENNEL_E_INVALID, "\"../x\" is no plain id", NULL },
		{ "", { .pids = 1 }, KENNEL_E_INVALID, "is no plain id", NULL },
		{ "x", { .cpus_milli = 9 }, KENNEL_E_INVALID, "less than 0.01", NULL },
		{ "x", { .cpus_milli = 1000001 }, KENNEL_E_INVALID, "more than 1000", NULL },
		{ "x",
		  { .pids = 1, .mountinfo = "" },
		  KENNEL_E_UNSUPPORTED,
		  "for pids: no cgroup file system",
		  "mount -t cgroup2" },
		{ "x",
		  { .memory_bytes = 1, .mountinfo = "7 1 0:9 / /c ro - cgroup2 none rw\n" },
		  KENNEL_E_UNSUPPORTED,
		  "for memory: the cgroup file system is mounted read-only",
		  "outer" },
		{ "x",
		  { .memory_bytes = 1, .mountinfo = "7 1 0:9 /not/ours /c rw - cgroup2 none rw\n" },
		  KENNEL_E_UNSUPPORTED,
		  "our own group can't be reached",
		  "/proc/self/cgroup" },
		{ "x",
		  { .pids = 1, .mountinfo = "999999 1 0:9 / / rw - cgroup2 none rw\n" },
		  KENNEL_E_UNSUPPORTED,
		  "our own group can't be reached",
		  NULL }, /* another mount stands there */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct cgroup *cg = NULL;

		assert_int_equal(cgroup_new(cases[i].id, &cases[i].wish, &cg, &err), -cases[i].code);
		assert_null(cg);
		if (!strstr(kennel_error_message(err), cases[i].text))
			fail_msg("case %zu: %s", i, kennel_error_message(err));
		if (cases[i].hint)
			assert_non_null(strstr(kennel_error_hint(err), cases[i].hint));
	}
}

/* ---- real groups ---- */

static char *v2_mountinfo; /* the cgroup2 lines alone; NULL where there is none */
static int leave_on_pidfd; /* a cgroup.procs that a pid is moved to behind the library's back, or -1 */
static int bpf_fails;

int __real_sys_pidfd_open(pid_t pid, unsigned flags);
int __wrap_sys_pidfd_open(pid_t pid, unsigned flags);
int __wrap_sys_pidfd_open(pid_t pid, unsigned flags)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid);

	if (leave_on_pidfd >= 0)
		(void)!write(leave_on_pidfd, text, (size_t)n);
	return __real_sys_pidfd_open(pid, flags);
}

int __real_sys_bpf(int cmd, void *attr, size_t size);
int __wrap_sys_bpf(int cmd, void *attr, size_t size);
int __wrap_sys_bpf(int cmd, void *attr, size_t size)
{
	if (bpf_fails) {
		errno = bpf_fails;
		return -1;
	}
	return __real_sys_bpf(cmd, attr, size);
}

static void read_v2_mountinfo(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0)
		if (strstr(line, " - cgroup2 "))
			buf_puts(&b, line);
	v2_mountinfo = b.len ? strdup(buf_str(&b)) : NULL;
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip_test("control groups are made as root");
}

static void need_v2(void)
{
	need_root();
	if (!v2_mountinfo)
		skip_test("no cgroup v2 is mounted here");
}

/* Makes the group or skips where this machine can't have it. */
static struct cgroup *make(const char *id, const struct cgroup_wish *wish)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct cgroup *cg = NULL;
	int r;

	need_root();
	r = cgroup_new(id, wish, &cg, &err);
	if (r == -KENNEL_E_UNSUPPORTED)
		skip_test("%s", kennel_error_message(err));
	if (r < 0)
		fail_msg("%s", kennel_error_message(err));
	assert_non_null(cg);
	return cg;
}

/* A child in the group, in the way that the start path uses; its return is the exit status. */
static pid_t spawn(const struct cgroup *cg, int (*fn)(long arg), long arg)
{
	const int clone_fd = cgroup_clone_fd(cg);
	struct clone_args args = { .exit_signal = SIGCHLD };
	pid_t pid;

	if (clone_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)clone_fd;
	}
	pid = sys_clone3(&args, sizeof(args));
	if (pid == 0) {
		for (unsigned i = 0; i < cgroup_entries(cg); i++)
			if (write(cgroup_entry_fd(cg, i), "0", 1) != 1)
				_exit(99);
		_exit(fn(arg));
	}
	assert_true(pid > 0);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int run(const struct cgroup *cg, int (*fn)(long arg), long arg)
{
	int status = wait_for(spawn(cg, fn, arg));

	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void destroy(struct cgroup *cg)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	if (cgroup_destroy(cg, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
	for (unsigned i = 0; i < cgroup_dirs(cg); i++) {
		const char *name;
		int parent_fd = cgroup_dir(cg, i, &name);

		assert_int_equal(faccessat(parent_fd, name, F_OK, 0), -1);
	}
	assert_int_equal(cgroup_destroy(cg, NULL), 0);
	assert_null(cgroup_free(cg));
}

static void reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

/* The contents of a control file of the i-th directory, or "" */
static const char *control(const struct cgroup *cg, const char *file, char text[static 64])
{
	text[0] = '\0';
	for (unsigned i = 0; i < cgroup_dirs(cg); i++) {
		const char *name;
		int parent_fd = cgroup_dir(cg, i, &name);
		_cleanup_close_ int dir_fd = openat(parent_fd, name, O_PATH | O_CLOEXEC);
		_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? 0 : read(fd, text, 63);

		if (n > 0) {
			text[n] = '\0';
			return text;
		}
	}
	return text;
}

static int fork_until_refused(long max)
{
	int n = 0;

	for (; n < max; n++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			pause();
			_exit(0);
		}
	}
	return n; /* the children stay; destroy ends them */
}

static void test_pids_limit_holds(void **state)
{
	struct cgroup *cg = make("test-pids", &(struct cgroup_wish){ .pids = 8 });

	assert_int_equal(cgroup_limits_hit(cg), 0);
	assert_int_equal(run(cg, fork_until_refused, 20), 7);
	assert_int_equal(cgroup_limits_hit(cg), CGROUP_HIT_PIDS);
	destroy(cg);
	reap_all();
}

static int touch_memory(long bytes)
{
	volatile char *p =
		mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	for (long i = 0; i < bytes; i += 4096)
		p[i] = 1;
	return 0;
}

static void test_memory_limit_kills(void **state)
{
	struct cgroup *cg = make("test-memory", &(struct cgroup_wish){ .memory_bytes = 32u << 20 });

	assert_int_equal(run(cg, touch_memory, 8 << 20), 0);
	assert_int_equal(cgroup_limits_hit(cg), 0);
	assert_int_equal(run(cg, touch_memory, 96 << 20), 128 + SIGKILL);
	assert_int_equal(cgroup_limits_hit(cg), CGROUP_HIT_MEMORY);
	destroy(cg);
}

static void test_cpu_limit_is_written(void **state)
{
	struct cgroup *cg = make("test-cpu", &(struct cgroup_wish){ .cpus_milli = 1500 });
	char text[64];

	if (cgroup_clone_fd(cg) >= 0)
		assert_string_equal(control(cg, "cpu.max", text), "150000 100000\n");
	else
		assert_string_equal(control(cg, "cpu.cfs_quota_us", text), "150000\n");
	destroy(cg);
}

enum {
	MAKE_BLOCK,
	MAKE_CHAR,
	MAKE_NULL,
	OPEN_NULL,
	OPEN_ZERO,
	OPEN_PTMX,
	OPEN_FUSE,
	OPEN_KMSG,
	OPEN_NODE,
	READ_NODE
};

/* One access; its errno. */
static int try_device(long what)
{
	static const struct {
		const char *path;
		mode_t type;
		unsigned major, minor;
		int flags;
	} tries[] = {
		[MAKE_BLOCK] = { "/tmp/test-cgroup.made", S_IFBLK, 7, 0, 0 },
		[MAKE_CHAR] = { "/tmp/test-cgroup.made", S_IFCHR, 10, 200, 0 },
		[MAKE_NULL] = { "/tmp/test-cgroup.made", S_IFCHR, 1, 3, 0 },
		[OPEN_NULL] = { "/dev/null", 0, 0, 0, O_RDWR },
		[OPEN_ZERO] = { "/dev/zero", 0, 0, 0, O_RDONLY },
		[OPEN_PTMX] = { "/dev/ptmx", 0, 0, 0, O_RDWR | O_NOCTTY },
		[OPEN_FUSE] = { "/dev/fuse", 0, 0, 0, O_RDWR },
		[OPEN_KMSG] = { "/dev/kmsg", 0, 0, 0, O_RDONLY | O_NONBLOCK },
		[OPEN_NODE] = { TMP_NODE, 0, 0, 0, O_RDWR },
		[READ_NODE] = { TMP_NODE, 0, 0, 0, O_RDONLY },
	};
	int r;

	if (tries[what].type) {
		r = mknod(tries[what].path, tries[what].type | 0600,
			  makedev(tries[what].major, tries[what].minor));
		if (r == 0)
			unlink(tries[what].path);
	} else {
		r = open(tries[what].path, tries[what].flags | O_CLOEXEC);
	}
	return r < 0 ? errno : 0;
}

static int sleep_for_ever(long arg);

/* One more device, and one less, while a process is in the group. p: what it has now. */
static void check_permit(struct cgroup *cg, struct device_policy *p)
{
	_cleanup_device_policy_ struct device_policy *more = NULL;
	_cleanup_buf_ struct buf text = { 0 };
	char path[32];

	pid_t pid = spawn(cg, sleep_for_ever, 0);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	do { /* it moves itself */
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

		text.len = 0;
		assert_int_equal(buf_read_fd(&text, fd, 65536, NULL), 0);
	} while (!strstr(buf_str(&text), "test-devices"));
	assert_int_equal(device_policy_new(&more, NULL), 0);
	assert_int_equal(device_policy_allow(more, TMP_NODE, true, false, false, NULL), 0);
	assert_int_equal(cgroup_permit(buf_str(&text), more, more, true, NULL), 1);
	assert_int_equal(run(cg, try_device, READ_NODE), try_device(READ_NODE));
	assert_int_equal(run(cg, try_device, OPEN_NODE), EPERM);
	assert_int_equal(run(cg, try_device, OPEN_NULL), 0);
	assert_int_equal(cgroup_permit(buf_str(&text), p, more, false, NULL), 1);
	assert_int_equal(run(cg, try_device, READ_NODE), EPERM);
	assert_int_equal(run(cg, try_device, OPEN_NULL), 0);
	kill(pid, SIGKILL);
	wait_for(pid);
}

static void check_devices(const char *mountinfo)
{
	_cleanup_device_policy_ struct device_policy *p = NULL;
	struct cgroup *cg;

	assert_int_equal(device_policy_new(&p, NULL), 0);
	unlink(TMP_NODE);
	if (mknod(TMP_NODE, S_IFBLK | 0600, makedev(7, 0)) < 0 || try_device(READ_NODE) == EACCES) {
		unlink(TMP_NODE);
		skip_test("device nodes can't be made or used in /tmp");
	}
	cg = make("test-devices", &(struct cgroup_wish){ .devices = p, .mountinfo = mountinfo });
	assert_int_equal(run(cg, try_device, MAKE_BLOCK), EPERM);
	assert_int_equal(run(cg, try_device, OPEN_NODE), EPERM);
	assert_int_equal(run(cg, try_device, READ_NODE), EPERM);
	assert_int_equal(run(cg, try_device, MAKE_CHAR), 0);
	assert_int_equal(run(cg, try_device, MAKE_NULL), 0);
	assert_int_equal(run(cg, try_device, OPEN_NULL), 0);
	assert_int_equal(run(cg, try_device, OPEN_ZERO), 0);
	assert_int_equal(run(cg, try_device, OPEN_PTMX), try_device(OPEN_PTMX));
	if (try_device(OPEN_FUSE) == 0)
		assert_int_equal(run(cg, try_device, OPEN_FUSE), EPERM);
	if (try_device(OPEN_KMSG) == 0)
		assert_int_equal(run(cg, try_device, OPEN_KMSG), EPERM);
	check_permit(cg, p);
	destroy(cg);

	/* asked for, but to read alone */
	assert_int_equal(device_policy_allow(p, TMP_NODE, true, false, false, NULL), 0);
	cg = make("test-devices", &(struct cgroup_wish){ .devices = p, .mountinfo = mountinfo });
	assert_int_equal(run(cg, try_device, READ_NODE), try_device(READ_NODE));
	assert_int_equal(run(cg, try_device, OPEN_NODE), EPERM);
	assert_int_equal(run(cg, try_device, MAKE_BLOCK), EPERM);
	assert_int_equal(run(cg, try_device, MAKE_CHAR), 0);
	destroy(cg);
	unlink(TMP_NODE);
}

static void test_devices_here(void **state)
{
	need_root();
	check_devices(NULL);
}

static void test_devices_v2(void **state)
{
	need_v2();
	check_devices(v2_mountinfo);
}

static void check_wildcards(const char *mountinfo)
{
	struct device_rule rules[200] = {
		{ .type = 'c', .any_major = true, .minor = 3, .read = true, .write = true },
		{ .type = 'b', .major = 7, .any_minor = true, .read = true, .make = true },
		{ .type = 'c', .major = 1, .minor = 5, .write = true },
	};
	const struct device_policy p = { rules, ARRAY_SIZE(rules) };
	struct cgroup *cg;

	for (unsigned i = 3; i < ARRAY_SIZE(rules); i++)
		rules[i] = (struct device_rule){
			.type = i % 2 ? 'c' : 'b', .major = 240 + i % 8, .minor = i, .make = true
		};
	unlink(TMP_NODE);
	if (mknod(TMP_NODE, S_IFBLK | 0600, makedev(7, 0)) < 0)
		skip_test("device nodes can't be made in /tmp");
	cg = make("test-wild", &(struct cgroup_wish){ .devices = &p, .mountinfo = mountinfo });
	assert_int_equal(run(cg, try_device, OPEN_NULL), 0); /* 1:3 */
	assert_int_equal(run(cg, try_device, OPEN_ZERO), EPERM); /* 1:5 for writing alone */
	assert_int_equal(run(cg, try_device, MAKE_NULL), EPERM);
	assert_int_equal(run(cg, try_device, MAKE_BLOCK), 0);
	assert_int_equal(run(cg, try_device, READ_NODE), try_device(READ_NODE));
	assert_int_equal(run(cg, try_device, OPEN_NODE), EPERM);
	destroy(cg);
	unlink(TMP_NODE);
}

static void test_devices_wildcards_and_many_rules(void **state)
{
	need_root();
	check_wildcards(NULL);
	if (v2_mountinfo)
		check_wildcards(v2_mountinfo);
}

static void test_new_half_made_leaves_nothing(void **state)
{
	_cleanup_device_policy_ struct device_policy *p = NULL;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct cgroup_wish wish = { .mountinfo = v2_mountinfo };
	struct cgroup *cg = NULL;

	need_v2();
	assert_int_equal(device_policy_new(&p, NULL), 0);
	wish.devices = p;
	bpf_fails = EPERM;
	assert_int_equal(cgroup_new("test-half", &wish, &cg, &err), -KENNEL_E_PERM);
	bpf_fails = 0;
	assert_null(cg);
	assert_non_null(strstr(kennel_error_message(err), "load the device policy"));
	cg = make("test-half", &wish); /* would be EEXIST */
	err = kennel_error_free(err);
	struct cgroup *second = NULL;
	assert_int_equal(cgroup_new("test-half", &wish, &second, &err), -KENNEL_E_EXISTS);
	assert_non_null(strstr(kennel_error_hint(err), "kennel gc"));
	destroy(cg);
}

/* A process that forks and ends, for ever: its pid is stale the moment that anybody reads it. */
static int fork_chain(long arg)
{
	for (;;) {
		pid_t pid = fork();

		if (pid > 0)
			_exit(0);
	}
}

static int fork_bomb(long max)
{
	signal(SIGTERM, SIG_IGN);
	for (long i = 0; i < max; i++)
		if (fork() == 0)
			fork_chain(0);
	pause();
	return 0;
}

static double ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) * 1e3 + (double)(now.tv_nsec - t->tv_nsec) / 1e6;
}

static void check_destroy(const struct cgroup_wish *wish)
{
	struct cgroup *cg = make("test-bomb", wish);
	struct timespec start;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0); /* the chain's orphans come to us */
	spawn(cg, fork_bomb, 6);
	usleep(50000);
	clock_gettime(CLOCK_MONOTONIC, &start);
	destroy(cg);
	assert_true(ms_since(&start) < 10000); /* some milliseconds on a machine that is idle */
	reap_all(); /* ends: nobody is left */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0), 0);
}

static void test_destroy_ends_what_forks(void **state)
{
	_cleanup_device_policy_ struct device_policy *p = NULL;

	need_root();
	assert_int_equal(device_policy_new(&p, NULL), 0);
	check_destroy(&(struct cgroup_wish){ .pids = 100 });
	check_destroy(&(struct cgroup_wish){ .devices = p });
	check_destroy(&(struct cgroup_wish){ .devices = p, .pids = 100 });
	if (v2_mountinfo)
		check_destroy(&(struct cgroup_wish){ .devices = p, .mountinfo = v2_mountinfo });
}

static int sleep_for_ever(long arg)
{
	for (;;)
		pause();
	return 0;
}

/* Groups in groups, with a process in the deepest. */
static void check_nested(const struct cgroup_wish *wish, int levels)
{
	struct cgroup *cg = make("test-nested", wish);
	const char *name;
	int parent_fd = cgroup_dir(cg, 0, &name);
	_cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_CLOEXEC);
	_cleanup_close_ int procs_fd = -EBADF;
	char text[16];
	pid_t pid;

	for (int i = 0; i < levels; i++) {
		assert_int_equal(mkdirat(fd, "side", 0755), 0);
		assert_int_equal(mkdirat(fd, "down", 0755), 0);
		replace_fd(&fd, openat(fd, "down", O_PATH | O_CLOEXEC));
		assert_true(fd >= 0);
	}
	pid = spawn(cg, sleep_for_ever, 0);
	procs_fd = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	(void)!snprintf(text, sizeof(text), "%d", (int)pid);
	assert_true(write(procs_fd, text, strlen(text)) > 0);
	destroy(cg);
	assert_int_equal(wait_for(pid), SIGKILL);
}

static void test_destroy_removes_groups_made_inside(void **state)
{
	_cleanup_device_policy_ struct device_policy *p = NULL;

	need_root();
	assert_int_equal(device_policy_new(&p, NULL), 0);
	check_nested(&(struct cgroup_wish){ .pids = 100 }, 3);
	check_nested(&(struct cgroup_wish){ .pids = 100 }, 40);
	if (v2_mountinfo)
		check_nested(&(struct cgroup_wish){ .devices = p, .mountinfo = v2_mountinfo }, 10);
}

/* In every group of the wish, as /proc tells. */
static unsigned count_memberships(pid_t pid, const char *name)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	unsigned n = 0;
	char path[64];

	(void)!snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	f = fopen(path, "re");
	while (f && getline(&line, &room, f) > 0)
		n += strstr(line, name) != NULL;
	return n;
}

static void test_attach_moves_a_running_process(void **state)
{
	struct cgroup *cg = make("test-attach", &(struct cgroup_wish){ .pids = 9, .cpus_milli = 2000 });
	_cleanup_error_ struct kennel_error *err = NULL;
	pid_t pid = fork();

	if (pid == 0)
		_exit(sleep_for_ever(0));
	assert_int_equal(count_memberships(pid, "kennel-test-attach"), 0);
	assert_int_equal(cgroup_attach(cg, pid, NULL), 0);
	assert_int_equal(count_memberships(pid, "kennel-test-attach"), cgroup_dirs(cg));
	destroy(cg);
	assert_int_equal(wait_for(pid), SIGKILL);

	cg = make("test-attach", &(struct cgroup_wish){ .pids = 9 });
	assert_true(cgroup_attach(cg, pid, &err) < 0);
	assert_non_null(strstr(kennel_error_message(err),
			       "into the control group \"kennel-test-attach\": No such process"));
	destroy(cg);
}

/*
 * Between the reading of the list and the holding of the process it leaves the group, as if its pid were
 * someone else's.
 */
static void test_destroy_spares_a_pid_that_is_no_longer_listed(void **state)
{
	struct cgroup *cg = make("test-reuse", &(struct cgroup_wish){ .pids = 9 });
	const char *name;
	int parent_fd = cgroup_dir(cg, 0, &name), status;
	pid_t pid;

	if (cgroup_clone_fd(cg) >= 0) {
		destroy(cg);
		skip_test("v2 kills by the kernel's own hand");
	}
	pid = fork();
	if (pid == 0)
		_exit(sleep_for_ever(0));
	assert_int_equal(cgroup_attach(cg, pid, NULL), 0);
	leave_on_pidfd = openat(parent_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	assert_true(leave_on_pidfd >= 0);
	destroy(cg);
	replace_fd(&leave_on_pidfd, -1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(wait_for(pid), SIGKILL);
}

static bool is_alive(void *data, const char *id)
{
	/* of the groups of others, such as sandboxes of this machine, nothing is known here */
	return strcmp(id, "test-gc") != 0 || *(bool *)data;
}

static void test_gc_removes_only_what_is_dead_and_empty(void **state)
{
	struct cgroup *cg = make("test-gc", &(struct cgroup_wish){ .pids = 9, .cpus_milli = 1000 });
	const int dirs = (int)cgroup_dirs(cg);
	bool alive = true;
	pid_t pid;

	assert_int_equal(cgroup_gc(is_alive, &alive, geteuid(), NULL), 0);
	alive = false;
	pid = spawn(cg, sleep_for_ever, 0);
	usleep(20000);
	assert_int_equal(cgroup_gc(is_alive, &alive, geteuid(), NULL), 0);
	kill(pid, SIGKILL);
	wait_for(pid);
	assert_int_equal(cgroup_gc(is_alive, &alive, geteuid(), NULL), dirs);
	assert_int_equal(cgroup_gc(is_alive, &alive, geteuid(), NULL), 0);
	destroy(cg);
}

static bool is_not_test(void *data, const char *id)
{
	if (!strncmp(id, "test-", 5))
		(*(int *)data)++;
	return true;
}

static void test_nothing_is_left(void **state)
{
	int left = 0;

	need_root();
	assert_int_equal(cgroup_gc(is_not_test, &left, geteuid(), NULL), 0);
	assert_int_equal(left, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(access(TMP_NODE, F_OK) + access("/tmp/test-cgroup.made", F_OK), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_without_a_wish_makes_nothing),
		cmocka_unit_test(test_new_refuses_with_reason_and_remedy),
		cmocka_unit_test(test_pids_limit_holds),
		cmocka_unit_test(test_memory_limit_kills),
		cmocka_unit_test(test_cpu_limit_is_written),
		cmocka_unit_test(test_devices_here),
		cmocka_unit_test(test_devices_v2),
		cmocka_unit_test(test_devices_wildcards_and_many_rules),
		cmocka_unit_test(test_new_half_made_leaves_nothing),
		cmocka_unit_test(test_destroy_ends_what_forks),
		cmocka_unit_test(test_destroy_removes_groups_made_inside),
		cmocka_unit_test(test_attach_moves_a_running_process),
		cmocka_unit_test(test_destroy_spares_a_pid_that_is_no_longer_listed),
		cmocka_unit_test(test_gc_removes_only_what_is_dead_and_empty),
		cmocka_unit_test(test_nothing_is_left),
	};
	/*
	 * Other tests run beside this one: their collector must not take our groups, which have no entry, nor
	 * ours the groups of sandboxes that are just being started.
	 */
	_cleanup_close_ int registry_fd = geteuid() == 0 ? registry_open(NULL) : -EBADF;
	int r;

	if (registry_fd >= 0)
		(void)!flock(registry_fd, LOCK_EX);
	leave_on_pidfd = -1;
	read_v2_mountinfo();
	r = cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
	free(v2_mountinfo);
	return r;
}
