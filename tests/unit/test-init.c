/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-init.c - kennel-init as it is embedded, run as pid 1 of real namespaces and as a subreaper.
 *
 * As root the namespaces are made as root and once more in a user namespace; as anybody else all of them are
 * in a user namespace of one id, and what needs a second id is skipped. test-init-user.c has the lookup of
 * users by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "run/init.h"
#include "sys/sys.h"

struct job {
	const char *user, *workdir; /* NULL is "" */
	unsigned flags;
	bool user_ns; /* besides, always where the test is not root */
	bool host_pids; /* no pid namespace: as with level fs */
	int tty_fd; /* 0: none */
	const char *passwd, *group; /* text to stand in /etc/passwd, /etc/group */
	const char *const *env; /* NULL: PATH and nothing else */
	const char *argv[8];
};

struct process {
	pid_t pid;
	int out_fd;
	struct init_report report; /* valid once started() was called */
	int report_fd;
};

static char tmp_dir[] = "/tmp/kennel-test-init-XXXXXX";

static void write_file(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static const char *tmp_path(const char *name)
{
	static char path[8][128];
	static unsigned at;
	char *p = path[at++ % ARRAY_SIZE(path)];

	snprintf(p, sizeof(path[0]), "%s/%s", tmp_dir, name);
	return p;
}

static const char *tmp_file(const char *name, const char *text, mode_t mode)
{
	const char *path = tmp_path(name);

	write_file(path, text, strlen(text), mode);
	return path;
}

static void put_over(const char *path, const char *target)
{
	int fd = sys_open_tree(AT_FDCWD, path, SYS_OPEN_TREE_CLONE);

	if (fd < 0 || sys_move_mount(fd, "", AT_FDCWD, target, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
		_exit(99);
	close(fd);
}

static _Noreturn void run_init(const struct job *j, int out_fd, int report_fd, int go_fd)
{
	static const char *const plain_env[] = { "PATH=/usr/bin:/bin", NULL };
	const struct sys_mount_attr private = { .propagation = 1 << 18 }; /* MS_PRIVATE */
	char report_text[16], tty_text[16], flags_text[16], c;
	const char *argv[INIT_ARG_COMMAND + 9] = {
		"kennel-init",
		report_text,
		tty_text,
		flags_text,
		j->user ? j->user : "",
		j->workdir ? j->workdir : "",
	};
	int memfd;

	/* Should the test fail, nothing of it stays. */
	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || read(go_fd, &c, 1) != 1)
		_exit(99);
	if (j->passwd || j->group) {
		if (sys_unshare(CLONE_NEWNS) < 0 ||
		    sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
			_exit(99);
		if (j->passwd)
			put_over(tmp_path("passwd"), "/etc/passwd");
		if (j->group)
			put_over(tmp_path("group"), "/etc/group");
	}
	memfd = sys_memfd_create("kennel-init", 1);
	if (memfd < 0 || write(memfd, init_blob, init_blob_size) != (ssize_t)init_blob_size ||
	    dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
		_exit(99);
	/* What the test itself inherited is not to be taken for a leak. */
	if (sys_close_range(3, ~0u, SYS_CLOSE_RANGE_CLOEXEC) < 0 ||
	    (j->tty_fd && fcntl(j->tty_fd, F_SETFD, 0) < 0))
		_exit(99);
	report_fd = fcntl(report_fd, F_DUPFD, 20);
	snprintf(report_text, sizeof(report_text), "%d", report_fd);
	snprintf(tty_text, sizeof(tty_text), "%d", j->tty_fd ? j->tty_fd : -1);
	snprintf(flags_text, sizeof(flags_text), "%u", j->flags | (j->host_pids ? INIT_SUBREAPER : 0));
	for (size_t i = 0; i < ARRAY_SIZE(j->argv) && j->argv[i]; i++)
		argv[INIT_ARG_COMMAND + i] = j->argv[i];
	sys_execveat(memfd, "", (char *const *)argv, (char *const *)(j->env ? j->env : plain_env),
		     AT_EMPTY_PATH);
	_exit(99);
}

static void write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void map_ids(pid_t pid)
{
	unsigned count = geteuid() ? 1 : 65536;
	char map[64];

	if (geteuid())
		write_proc(pid, "setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u %u", geteuid(), count);
	write_proc(pid, "uid_map", map);
	snprintf(map, sizeof(map), "0 %u %u", getegid(), count);
	write_proc(pid, "gid_map", map);
}

static struct process start_job(const struct job *j)
{
	bool user_ns = j->user_ns || geteuid();
	struct clone_args args = {
		.flags = (j->host_pids ? 0 : CLONE_NEWPID) | (user_ns ? CLONE_NEWUSER : 0),
		.exit_signal = SIGCHLD,
	};
	int out[2], report[2], go[2];

	if (j->passwd)
		tmp_file("passwd", j->passwd, 0644);
	if (j->group)
		tmp_file("group", j->group, 0644);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid_t pid = sys_clone3(&args, sizeof(args));
	assert_true(pid >= 0);
	if (!pid) {
		close(go[1]);
		run_init(j, out[1], report[1], go[0]);
	}
	if (user_ns)
		map_ids(pid);
	assert_int_equal(write(go[1], "g", 1), 1);
	close(out[1]);
	close(report[1]);
	close(go[0]);
	close(go[1]);
	return (struct process){ .pid = pid, .out_fd = out[0], .report_fd = report[0] };
}

/* Waits until the command runs or init has told why not. */
static bool started(struct process *p)
{
	ssize_t n = read(p->report_fd, &p->report, sizeof(p->report));

	assert_true(n == 0 || n == (ssize_t)sizeof(p->report));
	close(p->report_fd);
	p->report_fd = -EBADF;
	return n && !p->report.step;
}

static void read_output(struct process *p, char *ret, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(p->out_fd, ret + len, size - 1 - len)) > 0)
		len += (size_t)n;
	ret[len] = '\0';
}

static int finish(struct process *p)
{
	int status;

	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	close_fd(p->out_fd);
	close_fd(p->report_fd);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Runs to the end. Return: the exit code; ret_out NULL: not looked at. */
static int run_job(const struct job *j, struct init_report *ret_report, char *ret_out, size_t out_size)
{
	struct process p = start_job(j);

	started(&p);
	*ret_report = p.report;
	if (ret_out)
		read_output(&p, ret_out, out_size);
	return finish(&p);
}

/* Reads a line's worth that says that the command got so far. */
static void expect_output(struct process *p, const char *text)
{
	char got[64] = "";
	size_t len = strlen(text), at = 0;

	while (at < len) {
		struct pollfd fd = { .fd = p->out_fd, .events = POLLIN };
		ssize_t n = poll(&fd, 1, 60000) == 1 ? read(p->out_fd, got + at, len - at) : -1;

		assert_true(n > 0);
		at += (size_t)n;
	}
	assert_string_equal(got, text);
}

#define NEED_ROOT() \
	do { \
		if (geteuid()) { \
			print_message("skipped: needs root, for a second id\n"); \
			skip(); \
		} \
	} while (0)

/* --- the program --- */

static void test_blob_is_one_read_only_segment_without_data(void **state)
{
	const Elf64_Ehdr *e = (const void *)init_blob;
	const Elf64_Phdr *p = (const void *)(init_blob + sizeof(*e));
	unsigned loads = 0;

	assert_memory_equal(init_blob, ELFMAG, SELFMAG);
	assert_int_equal(e->e_type, ET_EXEC);
	assert_int_equal(e->e_phoff, sizeof(*e));
	assert_true(init_blob_size <= 3 * 4096);
	for (unsigned i = 0; i < e->e_phnum; i++) {
		assert_true(p[i].p_type == PT_LOAD || p[i].p_type == PT_GNU_STACK ||
			    p[i].p_type >= PT_LOPROC);
		if (p[i].p_type != PT_LOAD)
			continue;
		loads++;
		assert_int_equal(p[i].p_flags, PF_R | PF_X);
		assert_int_equal(p[i].p_filesz, p[i].p_memsz);
	}
	assert_int_equal(loads, 1);
}

static void test_command_ends_code_and_report(void **state)
{
	const char *script = tmp_file("no-format", "exit 9\n", 0755), *data = tmp_path("binary");
	const char *plain = tmp_file("plain", "#!/bin/sh\n", 0644),
		   *lost = tmp_file("lost", "#!/nowhere/sh\n", 0755);
	const char *spaced = tmp_file("arguments",
				      "test \"$0\" = "
				      "\"$ME\" && test $# -eq 2 && exit \"$2\"\n",
				      0755);
	char me[160];
	const char *me_env[] = { me, "PATH=/usr/bin:/bin", NULL };
	const struct {
		struct job job;
		int code, step, errnum;
	} cases[] = {
		{ { .argv = { "true" } }, 0, 0, 0 },
		{ { .argv = { "/bin/sh", "-c", "exit 7" } }, 7, 0, 0 },
		{ { .argv = { "sh", "-c", "exit 255" } }, 255, 0, 0 },
		{ { .argv = { "sh", "-c", "kill -TERM $$" } }, 128 + SIGTERM, 0, 0 },
		{ { .argv = { "sh", "-c", "kill -KILL $$" } }, 128 + SIGKILL, 0, 0 },
		{ { .argv = { script } }, 9, 0, 0 },
		{ { .argv = { spaced, "a", "5" }, .env = me_env }, 5, 0, 0 },
		{ { .argv = { "no-such-command" } }, 127, INIT_STEP_EXEC, ENOENT },
		{ { .argv = { "/no/such/command" } }, 127, INIT_STEP_EXEC, ENOENT },
		{ { .argv = { "" } }, 127, INIT_STEP_EXEC, ENOENT },
		{ { .argv = { plain } }, 126, INIT_STEP_EXEC, EACCES },
		{ { .argv = { "/etc" } }, 126, INIT_STEP_EXEC, EACCES },
		{ { .argv = { data } }, 126, INIT_STEP_EXEC, ENOEXEC },
		{ { .argv = { lost } }, 126, INIT_STEP_INTERPRETER, ENOENT },
		{ { .argv = { "/etc/passwd/x" } }, 126, INIT_STEP_EXEC, ENOTDIR },
		{ { .argv = { "true" }, .workdir = "/no/such" }, 125, INIT_STEP_WORKDIR, ENOENT },
		{ { .argv = { "true" }, .user = "no-such-user" }, 125, INIT_STEP_USER, ENOENT },
		{ { .argv = { "true" }, .user = "root:no-such-group" }, 125, INIT_STEP_USER, ENOENT },
		{ { .argv = { "true" }, .user = ":" }, 125, INIT_STEP_USER, EINVAL },
		{ { .argv = { "true" }, .tty_fd = 1 }, 125, INIT_STEP_TTY, ENOTTY },
		{ { .argv = { NULL } }, 125, 0, 0 },
	};

	write_file(data,
		   "\x7f"
		   "ELF\0\0\0\n",
		   8, 0755);
	snprintf(me, sizeof(me), "ME=%s", spaced);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int variant = 0; variant < 3; variant++) {
			struct job job = cases[i].job;
			struct init_report r;

			job.user_ns = variant == 1;
			job.host_pids = variant == 2;
			int code = run_job(&job, &r, NULL, 0);
			if (code != cases[i].code || r.step != cases[i].step || r.errnum != cases[i].errnum)
				fail_msg("case %zu variant %d: code %d step %d errno %d", i, variant, code,
					 r.step, r.errnum);
		}
	}
}

static void test_path_search_passes_over_what_cannot_be_run(void **state)
{
	char path[400];
	const char *env[] = { path, NULL };
	struct init_report r;
	char out[64];

	mkdir(tmp_path("dir1"), 0755);
	mkdir(tmp_path("dir2"), 0755);
	mkdir(tmp_path("dir1/found"), 0755);
	tmp_file("dir1/denied", "#!/bin/sh\n", 0644);
	tmp_file("dir2/found", "#!/bin/sh\necho \"$0\"\n", 0755);
	tmp_file("dir2/denied", "#!/bin/sh\n", 0644);
	snprintf(path, sizeof(path), "PATH=/nowhere:%s/dir1:/etc/passwd:%s/dir2", tmp_dir, tmp_dir);
	assert_int_equal(run_job(&(struct job){ .argv = { "found" }, .env = env }, &r, out, sizeof(out)), 0);
	out[strcspn(out, "\n")] = '\0';
	assert_string_equal(out, tmp_path("dir2/found"));
	assert_int_equal(run_job(&(struct job){ .argv = { "denied" }, .env = env }, &r, NULL, 0), 126);
	assert_int_equal(r.errnum, EACCES);
	/* no PATH at all, and an empty one: the working directory */
	assert_int_equal(
		run_job(&(struct job){ .argv = { "true" }, .env = (const char *const[]){ "A=b", NULL } }, &r,
			NULL, 0),
		0);
	snprintf(path, sizeof(path), "PATH=:/nowhere");
	assert_int_equal(
		run_job(&(struct job){ .argv = { "found" }, .env = env, .workdir = tmp_path("dir2") }, &r,
			NULL, 0),
		0);
}

static void test_path_element_longer_than_any_path_is_passed_over(void **state)
{
	char path[6000] = "PATH=/";
	const char *env[] = { path, NULL };
	struct init_report r;

	memset(path + 6, 'a', 5000);
	memcpy(path + 5006, ":/bin:/usr/bin", 15);
	assert_int_equal(run_job(&(struct job){ .argv = { "true" }, .env = env }, &r, NULL, 0), 0);
}

static void test_workdir_optional_falls_back_to_home_then_root(void **state)
{
	const char *home = tmp_path("home");
	char var[160], want[160], out[160];
	const char *env[] = { var, "PATH=/usr/bin:/bin", NULL };
	struct init_report r;
	struct job job = {
		.argv = { "pwd" }, .env = env, .workdir = "/no/such", .flags = INIT_WORKDIR_OPTIONAL
	};

	mkdir(home, 0755);
	snprintf(var, sizeof(var), "HOME=%s", home);
	snprintf(want, sizeof(want), "%s\n", home);
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, want);
	job.workdir = NULL;
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, want);
	snprintf(var, sizeof(var), "HOME=/no/such/home");
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, "/\n");
	job.workdir = "/usr";
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, "/usr\n");
}

static void test_command_gets_clean_signals_and_no_descriptor(void **state)
{
	char out[4096];
	struct init_report r;
	sigset_t all, old;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	int code =
		run_job(&(struct job){ .argv = { "sh", "-c",
						 "grep -E '^(SigBlk|SigIgn|NoNewPrivs)' /proc/self/status; "
						 "ls /proc/self/fd | tr '\\n' ' '" },
				       .flags = INIT_NO_NEW_PRIVS,
				       .host_pids = true },
			&r, out, sizeof(out));
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_int_equal(code, 0);
	assert_string_equal(out,
			    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n0 1 2 3 ");
}

static unsigned count_entries(pid_t pid, const char *what)
{
	char path[64];
	unsigned n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	_cleanup_closedir_ DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	return n;
}

static unsigned long proc_number(pid_t pid, const char *file, const char *key)
{
	char path[64], line[256];
	unsigned long v = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			v = strtoul(line + strlen(key), NULL, 10);
	return v;
}

static void test_idle_init_holds_no_descriptor_and_little_memory(void **state)
{
	struct process p = start_job(&(struct job){ .argv = { "sleep", "100" } });
	char name[32] = "", path[64];

	assert_true(started(&p));
	for (int i = 0; i < 3000 && count_entries(p.pid, "fd") > 0; i++)
		usleep(20000); /* the report closes a little before init is at rest */
	assert_int_equal(count_entries(p.pid, "fd"), 0);
	unsigned long pss = proc_number(p.pid, "smaps_rollup", "Pss:");
	print_message("init: %zu bytes, Pss %lu kB, page tables %lu kB\n", init_blob_size, pss,
		      proc_number(p.pid, "status", "VmPTE:"));
	assert_in_range(pss, 8, 28);
	snprintf(path, sizeof(path), "/proc/%d/comm", p.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, name, sizeof(name) - 1) > 0);
	close(fd);
	assert_string_equal(name, "kennel-init\n");
	kill(p.pid, SIGTERM);
	assert_int_equal(finish(&p), 128 + SIGTERM);
}

static void test_signals_are_handed_to_the_command(void **state)
{
	static const struct {
		int sig;
		const char *name;
	} cases[] = { { SIGTERM, "TERM" }, { SIGHUP, "HUP" },	{ SIGUSR1, "USR1" },   { SIGUSR2, "USR2" },
		      { SIGINT, "INT" },   { SIGQUIT, "QUIT" }, { SIGWINCH, "WINCH" }, { SIGCONT, "CONT" },
		      { SIGTSTP, "TSTP" }, { SIGALRM, "ALRM" }, { SIGPWR, "PWR" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int variant = 0; variant < 3; variant++) {
			char script[128];

			if (variant == 2 && cases[i].sig == SIGPWR)
				continue; /* init's own there */
			snprintf(script, sizeof(script),
				 "trap 'exit 42' %s; echo ready; while :; do sleep 0.01; done",
				 cases[i].name);
			struct process p = start_job(&(struct job){ .argv = { "sh", "-c", script },
								    .user_ns = variant == 1,
								    .host_pids = variant == 2 });
			assert_true(started(&p));
			expect_output(&p, "ready\n");
			assert_int_equal(kill(p.pid, cases[i].sig), 0);
			assert_int_equal(finish(&p), 42);
		}
	}
}

static void test_interrupt_reaches_the_whole_foreground(void **state)
{
	struct process p = start_job(
		&(struct job){ .argv = { "sh", "-c", "trap 'exit 43' INT; echo ready; sleep 100" } });

	assert_true(started(&p));
	expect_output(&p, "ready\n");
	usleep(50000);
	kill(p.pid, SIGINT);
	assert_int_equal(finish(&p), 43);
}

static void test_orphans_are_reaped(void **state)
{
	/* each subshell leaves a child behind that ends after it, so init gets 200 dead */
	struct process p = start_job(
		&(struct job){ .argv = { "sh", "-c",
					 "i=0; while [ $i -lt 200 ]; do (sleep 0.01 &); i=$((i+1)); done; "
					 "sleep 0.1; echo ready; exec sleep 100" } });
	char path[64], text[256];
	ssize_t n = 0;

	assert_true(started(&p));
	expect_output(&p, "ready\n");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", p.pid, p.pid);
	for (int tries = 0; tries < 6000; tries++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (n > 0 && strchr(text, ' ') == text + n - 1)
			break;
		usleep(10000);
	}
	assert_true(n > 0 && strchr(text, ' ') == text + n - 1); /* one number: the command */
	kill(p.pid, SIGTERM);
	finish(&p);
}

static void test_namespace_ends_with_the_command(void **state)
{
	struct process p = start_job(&(struct job){ .argv = { "sh", "-c", "setsid sleep 100 & exit 3" } });
	char out[16];

	assert_true(started(&p));
	read_output(&p, out, sizeof(out)); /* ends only when the last holder of the pipe has ended */
	assert_int_equal(finish(&p), 3);
}

static void test_subreaper_ends_all_descendants_with_the_command(void **state)
{
	struct process p =
		start_job(&(struct job){ .host_pids = true,
					 .argv = { "sh", "-c",
						   "(setsid sh -c 'sleep 100 & sleep 100' &); "
						   "(setsid setsid sleep 100 &); sleep 0.1; exit 4" } });
	char out[16];

	assert_true(started(&p));
	read_output(&p, out, sizeof(out));
	assert_int_equal(finish(&p), 4);
}

static void test_subreaper_ends_all_when_its_parent_is_killed(void **state)
{
	int keep[2];
	char c;

	assert_int_equal(pipe2(keep, O_CLOEXEC), 0);
	pid_t monitor = fork();
	assert_true(monitor >= 0);
	if (!monitor) {
		struct process p =
			start_job(&(struct job){ .host_pids = true,
						 .tty_fd = 0,
						 .argv = { "sh", "-c",
							   "trap '' TERM HUP; (setsid sleep 100 &); "
							   "echo ready; while :; do sleep 1; done" } });
		char got[8] = "";

		/*
		 * the end of keep is open in all of them through descriptor 1 of the command: pass what it
		 * says
		 */
		if (!started(&p) || read(p.out_fd, got, 6) != 6 || write(keep[1], got, 6) != 6)
			_exit(1);
		char pid_text[16];
		int n = snprintf(pid_text, sizeof(pid_text), "%d\n", p.pid);
		if (write(keep[1], pid_text, (size_t)n) != n)
			_exit(1);
		for (;;)
			pause();
	}
	char text[64] = "";
	close(keep[1]);
	assert_int_equal(read(keep[0], text, 6), 6);
	usleep(50000);
	ssize_t n = read(keep[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	pid_t init = (pid_t)strtol(text, NULL, 10);
	_cleanup_close_ int pidfd = sys_pidfd_open(init, 0);
	assert_true(pidfd >= 0);
	kill(monitor, SIGKILL);
	assert_int_equal(waitpid(monitor, NULL, 0), monitor);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	assert_int_equal(poll(&end, 1, 60000), 1);
	assert_int_equal(read(keep[0], &c, 1), 0);
	close(keep[0]);
}

static void test_tty_becomes_the_controlling_terminal(void **state)
{
	_cleanup_close_ int master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char out[512] = "";
	size_t len = 0;

	assert_true(master_fd >= 0);
	assert_int_equal(grantpt(master_fd), 0);
	assert_int_equal(unlockpt(master_fd), 0);
	int slave_fd = open(ptsname(master_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave_fd >= 0);
	struct process p = start_job(
		&(struct job){ .tty_fd = slave_fd,
			       .user = "0",
			       .argv = { "sh", "-c",
					 "exec 3</dev/tty && exec 3<&- && test -t 0 && test -t 1 && "
					 "test -t 2 && ls /proc/self/fd | tr '\\n' ' '" } });
	close(slave_fd);
	assert_true(started(&p));
	assert_int_equal(finish(&p), 0);
	for (ssize_t n; (n = read(master_fd, out + len, sizeof(out) - 1 - len)) > 0;)
		len += (size_t)n;
	assert_string_equal(out, "0 1 2 3 ");
}

/* --- users --- */

#define PASSWD "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1001:Alice,,,:/home/alice:/bin/zsh\n"
#define GROUP \
	"audio:x:29:alice,bob\nbad:x:y:alice\nvideo:x:44:bob,alice\nprimary:x:1001:alice\nlast:x:47:alice"

static void test_user_ids_groups_and_variables_are_taken(void **state)
{
	static const char *const env[] = { "HOME=/root", "A=b", "USER=root", "PATH=/usr/bin:/bin", NULL };
	char out[1024];
	struct init_report r;

	NEED_ROOT();
	for (int variant = 0; variant < 3; variant++) {
		struct job job = {
			.user = "alice",
			.passwd = PASSWD,
			.group = GROUP,
			.env = env,
			.user_ns = variant == 1,
			.host_pids = variant == 2,
			.argv = { "sh", "-c",
				  "id -u; id -g; id -G; id -ru; echo $HOME $USER $LOGNAME $SHELL $A; "
				  "grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status | tr -d '\\t\\n'" },
		};

		assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
		assert_string_equal(out,
				    "1000\n1001\n1001 29 44 47\n1000\n/home/alice alice alice /bin/zsh b\n"
				    "CapPrm:0000000000000000CapEff:0000000000000000CapAmb:0000000000000000");
	}
}

static void test_environment_without_room_gets_all_four_variables(void **state)
{
	static const char *const env[] = { NULL };
	struct init_report r;
	char out[256];
	/* also a script without "#!", which needs one word more in front */
	const char *script = tmp_file("show-env", "echo $HOME $USER $LOGNAME $SHELL $0 $1\n", 0755);
	char want[160];

	assert_int_equal(run_job(&(struct job){ .user = "0", .env = env, .argv = { script, "arg" } }, &r, out,
				 sizeof(out)),
			 0);
	snprintf(want, sizeof(want), " root root ");
	assert_non_null(strstr(out, want));
	snprintf(want, sizeof(want), " %s arg\n", script);
	assert_non_null(strstr(out, want));
}

static void test_login_shell_is_the_users_own(void **state)
{
	const char *shell = tmp_file("shell", "#!/bin/sh\necho \"$0 $HOME\"\n", 0755);
	char passwd[512], out[256];
	struct init_report r;
	struct job job = { .flags = INIT_LOGIN_SHELL, .passwd = passwd, .argv = { "" } };

	NEED_ROOT();
	snprintf(passwd, sizeof(passwd), "root:x:0:0::/:%s\n", shell);
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_non_null(strstr(out, "/shell /\n"));
	/* argv[0] is seen with a real shell only: a "#!" line replaces it */
	job.argv[1] = "-c";
	job.argv[2] = "echo $0";
	snprintf(passwd, sizeof(passwd), "root:x:0:0::/:/bin/bash\n");
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, "-bash\n");
	/* no entry, and a shell that is not there: /bin/sh */
	snprintf(passwd, sizeof(passwd), "nobody:x:1:1::/:/bin/bash\n");
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, "-sh\n");
	snprintf(passwd, sizeof(passwd), "root:x:0:0::/:/no/such/shell\n");
	assert_int_equal(run_job(&job, &r, out, sizeof(out)), 0);
	assert_string_equal(out, "-sh\n");
}

static void test_ids_that_are_not_mapped_are_reported(void **state)
{
	struct init_report r;

	assert_int_equal(run_job(&(struct job){ .user = "70000", .user_ns = true, .argv = { "true" } }, &r,
				 NULL, 0),
			 125);
	assert_int_equal(r.errnum, geteuid() ? EPERM : EINVAL);
	assert_true(r.step == INIT_STEP_GROUPS || r.step == INIT_STEP_IDS);
}

static int make_tmp_dir(void **state)
{
	return mkdtemp(tmp_dir) && !chmod(tmp_dir, 0755) ? 0 : -1;
}

static int remove_tmp_dir(void **state)
{
	static const char *const names[] = {
		"no-format",  "binary",	     "plain",  "lost",	"arguments", "dir1/denied",
		"dir2/found", "dir2/denied", "passwd", "group", "show-env",  "shell",
	};
	static const char *const dirs[] = { "dir1/found", "dir1", "dir2", "home" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(tmp_path(names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		rmdir(tmp_path(dirs[i]));
	return rmdir(tmp_dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blob_is_one_read_only_segment_without_data),
		cmocka_unit_test(test_command_ends_code_and_report),
		cmocka_unit_test(test_path_search_passes_over_what_cannot_be_run),
		cmocka_unit_test(test_path_element_longer_than_any_path_is_passed_over),
		cmocka_unit_test(test_workdir_optional_falls_back_to_home_then_root),
		cmocka_unit_test(test_command_gets_clean_signals_and_no_descriptor),
		cmocka_unit_test(test_idle_init_holds_no_descriptor_and_little_memory),
		cmocka_unit_test(test_signals_are_handed_to_the_command),
		cmocka_unit_test(test_interrupt_reaches_the_whole_foreground),
		cmocka_unit_test(test_orphans_are_reaped),
		cmocka_unit_test(test_namespace_ends_with_the_command),
		cmocka_unit_test(test_subreaper_ends_all_descendants_with_the_command),
		cmocka_unit_test(test_subreaper_ends_all_when_its_parent_is_killed),
		cmocka_unit_test(test_tty_becomes_the_controlling_terminal),
		cmocka_unit_test(test_user_ids_groups_and_variables_are_taken),
		cmocka_unit_test(test_environment_without_room_gets_all_four_variables),
		cmocka_unit_test(test_login_shell_is_the_users_own),
		cmocka_unit_test(test_ids_that_are_not_mapped_are_reported),
	};

	return cmocka_run_group_tests_name("init", tests, make_tmp_dir, remove_tmp_dir);
}
