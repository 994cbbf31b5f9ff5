/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/enter.c - the parent's part of entering a sandbox.
 *
 * What the walls are is asked of the kernel, which knows it of the sandbox's first process: its namespaces,
 * bounding set, control groups.
 */
#include "run/enter.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "caps/caps.h"
#include "cgroup/cgroup.h"
#include "path/path.h"
#include "run/enter-child.h"
#include "run/follow.h"
#include "run/init.h"
#include "run/label.h"
#include "run/plan.h"
#include "run/program-file.h"
#include "run/report.h"
#include "run/vm-freeze.h"
#include "seccomp/filter.h"
#include "sys/sys.h"
#include "vm/blob.h"

struct enter {
	const struct enter_request *q;
	struct enter_plan plan;
	struct enter_shared *shared;
	struct cgroup_join cgroup;
	struct strv argv, env;
	struct labels labels;
	int proc_fd, report_fd, write_fd, program_fd;
	int dumpable; /* before */
	int host_proc_fd;
};

static void enter_done(struct enter *e)
{
	cgroup_join_done(&e->cgroup);
	strv_done(&e->argv);
	strv_done(&e->env);
	close_fd(e->proc_fd);
	close_fd(e->host_proc_fd);
	labels_done(&e->labels);
	close_fd(e->report_fd);
	close_fd(e->write_fd);
	close_fd(e->program_fd);
	if (e->plan.stacks)
		munmap(e->plan.stacks, 2 * ENTER_STACK_SIZE);
	if (e->dumpable == 1)
		(void)!sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (e->shared) {
		close_fd(e->shared->pidfd);
		close_fd(e->shared->master_fd);
		munmap(e->shared, sizeof(*e->shared));
	}
}

static int has_ended(struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended"),
		    "\"kennel list\" shows those that are running");
}

/* Its /proc directory: after that the pidfd must still say "runs", then both are one process. */
static int open_process(struct enter *e, struct kennel_error **err)
{
	struct pollfd ended = { .fd = e->q->init_pidfd, .events = POLLIN };
	_cleanup_close_ int proc_fd = path_open_proc(err);
	char name[16];

	if (proc_fd < 0)
		return proc_fd;
	snprintf(name, sizeof(name), "%d", e->q->init);
	e->proc_fd = openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (poll(&ended, 1, 0) != 0 || e->proc_fd < 0)
		return has_ended(err);
	e->host_proc_fd = take_fd(&proc_fd);
	return 0;
}

static int read_fact(const struct enter *e, const char *name, size_t max, struct buf *b,
		     struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(e->proc_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "read \"%s\" of the sandbox's first process", name);
	return buf_read_fd(b, fd, max, err);
}

static int find_namespaces(struct enter *e, struct kennel_error **err)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} kinds[] = { { "ns/user", CLONE_NEWUSER },    { "ns/mnt", CLONE_NEWNS },  { "ns/pid", CLONE_NEWPID },
		      { "ns/net", CLONE_NEWNET },      { "ns/ipc", CLONE_NEWIPC }, { "ns/uts", CLONE_NEWUTS },
		      { "ns/cgroup", CLONE_NEWCGROUP } };
	_cleanup_close_ int self_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat theirs, ours;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (fstatat(e->proc_fd, kinds[i].name, &theirs, 0) < 0 ||
		    fstatat(self_fd, kinds[i].name, &ours, 0) < 0)
			return fail_errno(err, "compare the sandbox's namespaces with ours");
		if (theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev)
			e->plan.namespaces |= kinds[i].flag;
	}
	e->plan.root_of_user_ns = e->plan.namespaces & CLONE_NEWUSER;
	if (!(e->plan.namespaces & CLONE_NEWNS))
		return hint(err, fail(err, KENNEL_E_BUSY, "the sandbox is still being made"),
			    "try again in a moment");
	return 0;
}

static int find_walls(struct enter *e, struct kennel_error **err)
{
	_cleanup_buf_ struct buf status = { 0 };
	struct enter_plan *p = &e->plan;
	unsigned long long caps;
	int nnp;

	int r = read_fact(e, "status", 64u << 10, &status, err);
	if (r < 0)
		return r;
	const char *bounding = strstr(buf_str(&status), "\nCapBnd:"),
		   *privs = strstr(buf_str(&status), "\nNoNewPrivs:");
	if (!bounding || sscanf(bounding, "\nCapBnd: %llx", &caps) != 1 || !privs ||
	    sscanf(privs, "\nNoNewPrivs: %d", &nnp) != 1)
		return fail(err, KENNEL_E_CORRUPT, "the state of the sandbox's first process");
	p->no_new_privs = nnp;
	p->set_caps = e->q->level != SPEC_ISOLATE_FS;
	p->caps = caps;
	p->last_cap = 63 - (unsigned)__builtin_clzll(caps_all());
	if (e->q->level == SPEC_ISOLATE_FS)
		return 0;
	p->filter = seccomp_filter(caps);
	return p->filter ? 0 :
			   fail(err, KENNEL_E_UNSUPPORTED,
				"kennel was built without a system call filter for this processor");
}

static int find_labels(struct enter *e, struct kennel_error **err)
{
	_cleanup_close_ int self_fd = openat(e->host_proc_fd, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (self_fd < 0)
		return fail_errno(err, "look at our own process");
	int r = labels_read(e->proc_fd, self_fd, &e->labels, err);
	e->plan.labels = &e->labels;
	e->plan.proc_fd = e->host_proc_fd;
	return r;
}

/*
 * Into a v2 group: root of the machine may write to its groups, where root of the inside may not. An ordinary
 * user may not write to those that a service manager inside has made; root of the inside may.
 */
static bool is_born_early(const struct enter *e)
{
	return e->cgroup.clone_fd >= 0 && geteuid() == 0;
}

static int find_cgroup(struct enter *e, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	const bool guest = e->q->level == SPEC_ISOLATE_VM;
	int r = read_fact(e, "cgroup", 1u << 20, &text, err);

	/* To thaw a guest for that would let all that is in it run meanwhile. */
	if (r == 0 && (cgroup_is_frozen(buf_str(&text)) > 0 || (guest && vm_is_frozen(e->q->init))))
		r = hint(err,
			 fail(err, KENNEL_E_BUSY, "the sandbox is frozen%s",
			      guest ? ", and with it the kernel that alone sees what is inside" : ""),
			 "\"kennel thaw\" lets it go on");
	if (r == 0)
		r = cgroup_join_open(buf_str(&text), &e->cgroup, err);
	if (r < 0)
		return r;
	e->plan.cgroup_fds = e->cgroup.entry_fds;
	e->plan.n_cgroup_fds = e->cgroup.n_entries;
	e->plan.cgroup_clone_fd = is_born_early(e) ? -EBADF : e->cgroup.clone_fd;
	return 0;
}

static int make_env(struct enter *e, struct kennel_error **err)
{
	const struct enter_request *q = e->q;

	int r = plan_make_env(&e->env, q->id, e->plan.tty ? getenv("TERM") : NULL, getenv("LANG"), q->env,
			      err);
	for (size_t i = 0; r == 0 && i < q->spec->env.n; i++)
		r = plan_set_env(&e->env, q->spec->env.items[i], err);
	return r;
}

static int make_argv(struct enter *e, struct kennel_error **err)
{
	const struct plan_words w = {
		.name = "kennel-enter",
		.report_fd = e->write_fd,
		.tty = e->plan.tty,
		/* Where no pid namespace takes the command along, it ends with us. */
		.flags = INIT_BECOME | (e->q->level == SPEC_ISOLATE_FS ? INIT_SUBREAPER : 0) |
			 (e->q->errand ? INIT_ERRAND : 0),
	};

	return plan_make_argv(&e->argv, e->q->spec, &w, err);
}

static int prepare(struct enter *e, struct kennel_error **err)
{
	int report[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	e->report_fd = report[0];
	e->write_fd = report[1];
	e->shared = mmap(NULL, sizeof(*e->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (e->shared == MAP_FAILED) {
		e->shared = NULL;
		return fail_errno(err, "make shared memory");
	}
	if (e->q->last)
		e->plan.stacks = mmap(NULL, 2 * ENTER_STACK_SIZE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (e->plan.stacks == MAP_FAILED) {
		e->plan.stacks = NULL;
		return fail_errno(err, "make a stack");
	}
	*e->shared = (struct enter_shared){ .pidfd = -EBADF, .master_fd = -EBADF };
	e->plan.tty = e->q->spec->tty == SPEC_TTY_YES ||
		      (e->q->spec->tty == SPEC_TTY_AUTO && tty_is_terminal(STDIN_FILENO));
	if (e->plan.tty)
		tty_start_read(&e->plan.tty_start, STDIN_FILENO, STDOUT_FILENO);
	int r = open_process(e, err);
	if (r == 0)
		r = find_namespaces(e, err);
	if (r == 0)
		r = find_walls(e, err);
	if (r == 0)
		r = find_labels(e, err);
	if (r == 0)
		r = find_cgroup(e, err); /* what enters a frozen one stands still before it can say a word */
	if (r == 0)
		r = make_env(e, err);
	if (r == 0)
		r = make_argv(e, err);
	if (r == 0)
		r = e->program_fd = e->q->level == SPEC_ISOLATE_VM ? program_file_vm(err) :
								     program_file_init(err);
	if (r < 0)
		return r;
	e->plan.shared = e->shared;
	e->plan.init_pidfd = e->q->init_pidfd;
	e->plan.report_fd = e->write_fd;
	e->plan.program_fd = e->program_fd;
	e->plan.argv = e->argv.items;
	e->plan.envp = e->env.items;
	return 0;
}

static int guest_failed(const struct enter *e, const struct init_report *r, struct kennel_error **err)
{
	struct pollfd fd = { .fd = e->report_fd, .events = POLLIN };
	char text[VM_REPORT_TEXT + 1] = "";

	if (poll(&fd, 1, 0) > 0)
		(void)!read(e->report_fd, text, sizeof(text) - 1);
	return report_guest_failed(r, text, err);
}

static int failed(const struct enter *e, const struct init_report *r, struct kennel_error **err)
{
	static const char *const phrases[] = {
		[ENTER_STEP_CGROUP] = "join the sandbox's control group",
		[ENTER_STEP_JOIN] = "join the sandbox's namespaces",
		[ENTER_STEP_IDS] = "become root of the sandbox",
		[ENTER_STEP_PTY] = "make a terminal in the sandbox",
		[ENTER_STEP_START] = "start a process in the sandbox",
		[ENTER_STEP_FILES] = "close descriptors",
		[ENTER_STEP_LABEL] = "take the security label of the sandbox's first process",
		[ENTER_STEP_NO_NEW_PRIVS] = "forbid new privileges",
		[ENTER_STEP_SECCOMP] = "load the system call filter",
		[ENTER_STEP_CAPS] = "drop capabilities",
		[ENTER_STEP_EXEC] = "start kennel's own program in the sandbox",
	};

	if (report_is_of_guest(r->step))
		return guest_failed(e, r, err);
	if (r->step >= INIT_STEP_ARGS)
		return report_init_failed(e->q->spec, r, err);
	if (r->step <= 0 || (size_t)r->step >= ARRAY_SIZE(phrases))
		return fail(err, KENNEL_E_IO, "the process in the sandbox sent rubbish");
	errno = r->errnum;
	int code = fail_errno(err, "%s", phrases[r->step]);
	if (r->step == ENTER_STEP_START && (r->errnum == EPERM || r->errnum == EACCES) &&
	    e->cgroup.clone_fd >= 0)
		return hint(err, code,
			    "its control group belongs to another session: enter it from there, or through "
			    "systemd-run --user --scope kennel enter ...");
	if (r->step == ENTER_STEP_START && (r->errnum == EAGAIN || r->errnum == ENOMEM))
		return hint(err, code, "the sandbox is full of processes (--pids), or is just ending");
	if (r->step == ENTER_STEP_LABEL)
		return hint(err, code,
			    "AppArmor or SELinux does not let you: do it with the label that started it");
	if (r->step == ENTER_STEP_PTY)
		return hint(err, code, "its /dev/pts is not what it was: try --no-tty");
	return code;
}

/* One report, or 0 at the end of them. */
static int next_report(const struct enter *e, int pidfd, struct init_report *ret, struct kennel_error **err)
{
	struct pollfd fds[2] = { { .fd = e->report_fd, .events = POLLIN },
				 { .fd = pidfd, .events = POLLIN } };

	while (poll(fds, 2, -1) < 0)
		; /* a signal; errno may be that of those who share our memory */
	/* Whoever is dead has written before. */
	if (!fds[0].revents && poll(fds, 1, 0) <= 0)
		return fail(err, KENNEL_E_IO, "the process in the sandbox was killed before its command ran");
	ssize_t n = read(e->report_fd, ret, sizeof(*ret));
	if (n < 0)
		return fail_errno(err, "hear of the sandbox");
	if (n && n < (ssize_t)sizeof(*ret))
		return fail(err, KENNEL_E_IO, "the process in the sandbox sent half a report");
	return n > 0;
}

static int start_guide(struct enter *e, int *ret_pidfd, struct kennel_error **err)
{
	struct clone_args args = { .flags = CLONE_FILES | CLONE_PIDFD, .pidfd = (uintptr_t)ret_pidfd };
	sigset_t all, old;

	if (is_born_early(e)) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)e->cgroup.clone_fd;
	}

	e->dumpable = sys_prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of the caller's may run in the child */
	int pid = enter_start_guide(&e->plan, &args);
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	if (pid >= 0)
		return 0;
	int code = fail_errno(err, "start a process in the sandbox's control group");
	return saved == EAGAIN || saved == ENOMEM ?
		       hint(err, code, "the sandbox is full of processes (--pids), or is just ending") :
		       code;
}

/* Until the command runs in the second process, whose pidfd is in shared memory then. */
static int bring_in(struct enter *e, struct kennel_error **err)
{
	struct init_report report = { 0 };
	int guide_pidfd = -EBADF, status;

	int r = start_guide(e, &guide_pidfd, err);
	_cleanup_close_ int pidfd = guide_pidfd;
	if (r < 0)
		return r;
	r = next_report(e, pidfd, &report, err);
	if (follow_reap(pidfd, &status, r < 0 ? NULL : err) < 0 && r >= 0)
		r = -KENNEL_E_IO;
	/* The guide may have ended well a moment before the other one says that it is ready. */
	if (r < 0 && e->shared->pidfd >= 0) {
		if (err)
			*err = kennel_error_free(*err);
		r = next_report(e, e->shared->pidfd, &report, err);
	}
	if (r < 0)
		return r;
	if (r == 0 || report.step != ENTER_READY)
		return failed(e, &report, err);
	close_fd(e->write_fd);
	e->write_fd = -EBADF;
	r = next_report(e, -1, &report, err);
	return r > 0 ? failed(e, &report, err) : r;
}

int enter_run(const struct enter_request *q, int *ret_status, struct kennel_error **err)
{
	struct enter e = { .q = q,
			   .plan = { .cgroup_clone_fd = -EBADF },
			   .cgroup = { .clone_fd = -EBADF },
			   .proc_fd = -EBADF,
			   .host_proc_fd = -EBADF,
			   .report_fd = -EBADF,
			   .write_fd = -EBADF,
			   .program_fd = -EBADF };
	int status;

	int r = prepare(&e, err);
	if (r == 0) {
		r = bring_in(&e, err);
		if (r < 0 && e.shared->pidfd >= 0) {
			(void)!sys_pidfd_send_signal(e.shared->pidfd, SIGKILL, 0);
			(void)!follow_reap(e.shared->pidfd, &status, NULL);
		}
	}
	if (r == 0) {
		const struct follow f = {
			.pidfd = e.shared->pidfd,
			.master_fd = e.shared->master_fd,
			/* Where there is no pid namespace that takes it along. */
			.host_pidfd = q->level == SPEC_ISOLATE_FS ? q->init_pidfd : -EBADF,
			.leads = true,
			.word_fd = -EBADF,
		};

		r = follow_process(&f, ret_status, err);
	}
	enter_done(&e);
	return r;
}
