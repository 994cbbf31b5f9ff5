/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/enter-child.c - see enter-child.h. System calls alone: the caller may have threads. */
#include "run/enter-child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps/caps.h"
#include "run/init.h"
#include "run/label.h"
#include "sys/sys.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static _Noreturn void die(const struct enter_plan *p, enum enter_step step)
{
	const struct init_report r = { .step = (int32_t)step, .errnum = errno };

	(void)!write(p->report_fd, &r, sizeof(r));
	_exit(125);
}

/*
 * The sandbox's own devpts, and nothing that somebody put in its place: no link is followed, and the
 * kernel says what file system it is before anything is asked of it. Opening the wrong thing could hang,
 * hence O_NONBLOCK.
 */
static void open_terminal(const struct enter_plan *p)
{
	const struct open_how how = {
		.flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int unlock = 0;
	long magic = 0;
	struct stat st;

	int fd = sys_openat2(AT_FDCWD, "/dev/pts/ptmx", &how);
	if (fd < 0)
		die(p, ENTER_STEP_PTY);
	if (sys_fgetfsmagic(fd, &magic) < 0 || fstat(fd, &st) < 0)
		die(p, ENTER_STEP_PTY);
	if (magic != DEVPTS_SUPER_MAGIC || !S_ISCHR(st.st_mode)) {
		errno = ENOTTY;
		die(p, ENTER_STEP_PTY);
	}
	if (fcntl(fd, F_SETFL, O_RDWR) < 0 || sys_ioctl(fd, TIOCSPTLCK, &unlock) < 0)
		die(p, ENTER_STEP_PTY);
	if (p->tty_start.has_size) /* only cosmetics are lost */
		(void)!sys_ioctl(fd, TIOCSWINSZ, (void *)&p->tty_start.size);
	if (p->tty_start.has_modes)
		(void)!sys_ioctl(fd, TCSETS, (void *)p->tty_start.modes);
	p->shared->master_fd = fd;
}

/* From here on only 0, 1, 2, the report and the program itself are open. */
static void keep_few_files(const struct enter_plan *p)
{
	const struct init_report ready = { .step = ENTER_READY };

	if (sys_unshare(CLONE_FILES) < 0)
		die(p, ENTER_STEP_FILES);
	if (p->tty) {
		int slave_fd =
			sys_ioctl_int(p->shared->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

		if (slave_fd < 0)
			die(p, ENTER_STEP_PTY);
		for (int fd = 0; fd <= 2; fd++)
			if (dup3(slave_fd, fd, 0) < 0)
				die(p, ENTER_STEP_FILES);
	}
	if (sys_close_range(3, ~0U, SYS_CLOSE_RANGE_CLOEXEC) < 0 || fcntl(p->report_fd, F_SETFD, 0) < 0)
		die(p, ENTER_STEP_FILES);
	if (write(p->report_fd, &ready, sizeof(ready)) != sizeof(ready))
		die(p, ENTER_STEP_FILES);
}

static _Noreturn void become_command(const struct enter_plan *p)
{
	keep_few_files(p);
	/* by the machine's /proc: the one of the inside may be anything; for the program, not for us */
	if (labels_write(p->labels, p->proc_fd) < 0)
		die(p, ENTER_STEP_LABEL);
	(void)!sys_keyctl_join_session(NULL); /* the caller's keys stay outside; a kernel may have none */
	if (p->no_new_privs && sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(p, ENTER_STEP_NO_NEW_PRIVS);
	if (p->filter && sys_seccomp_load(p->filter) < 0)
		die(p, ENTER_STEP_SECCOMP);
	if (p->set_caps && caps_apply(p->caps, p->last_cap) < 0)
		die(p, ENTER_STEP_CAPS);
	sys_execveat(p->program_fd, "", p->argv, p->envp, AT_EMPTY_PATH);
	die(p, ENTER_STEP_EXEC);
}

static void become_root(const struct enter_plan *p)
{
	/* With a single id the kernel allows no setgroups(); there are no others to give up then. */
	if (sys_setgroups(0, NULL) < 0 && !(p->root_of_user_ns && errno == EPERM))
		die(p, ENTER_STEP_IDS);
	if (p->root_of_user_ns && (sys_setresgid(0, 0, 0) < 0 || sys_setresuid(0, 0, 0) < 0))
		die(p, ENTER_STEP_IDS);
}

static int become_command_main(void *plan)
{
	become_command(plan);
}

/* With a copy of our memory where nothing else is wanted, or this processor can't do without. */
static int start(struct clone_args *args, const struct enter_plan *p, unsigned stack, int (*main)(void *plan))
{
	if (p->stacks) {
		args->flags |= CLONE_VM;
		args->stack = (uintptr_t)p->stacks + (uintptr_t)stack * ENTER_STACK_SIZE;
		args->stack_size = ENTER_STACK_SIZE;
		int pid = sys_clone3_on_stack(args, sizeof(*args), main, (void *)p);
		if (pid >= 0 || errno != ENOSYS)
			return pid;
		args->flags &= ~(uint64_t)CLONE_VM;
		args->stack = args->stack_size = 0;
	}
	int pid = sys_clone3(args, sizeof(*args));
	if (pid == 0)
		main((void *)p);
	return pid;
}

static _Noreturn void guide(const struct enter_plan *p)
{
	struct clone_args args = {
		.flags = CLONE_PARENT | CLONE_FILES | CLONE_PIDFD,
		.pidfd = (uintptr_t)&p->shared->pidfd,
	};

	if (sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die(p, ENTER_STEP_IDS);
	/* While we still are who opened them: writing is judged by both. */
	for (unsigned i = 0; i < p->n_cgroup_fds; i++)
		if (write(p->cgroup_fds[i], "0", 1) != 1)
			die(p, ENTER_STEP_CGROUP);
	if (sys_setns(p->init_pidfd, (int)p->namespaces) < 0)
		die(p, ENTER_STEP_JOIN);
	become_root(p);
	if (sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* a change of ids may have set it */
		die(p, ENTER_STEP_IDS);
	umask(022);
	if (p->tty)
		open_terminal(p);
	if (p->cgroup_clone_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)p->cgroup_clone_fd;
	}
	int pid = start(&args, p, 1, become_command_main);
	if (pid < 0)
		die(p, ENTER_STEP_START);
	p->shared->pid = pid;
	_exit(0);
}

static int guide_main(void *plan)
{
	guide(plan);
}

int enter_start_guide(const struct enter_plan *p, struct clone_args *args)
{
	return start(args, p, 0, guide_main);
}
