/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys/spawn.c - see spawn.h. The new process shares our memory until it is another program: a copy of it
 * would cost more than all the rest. It has a stack of its own, no handler of ours can run on that, for all
 * signals are blocked, and of the C library it uses what only makes system calls. Of ours that can show only
 * errno, where it can't be executed and we did not wait.
 */
#include "sys/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/sys.h"

#define STACK_SIZE (32 << 10)

/* No handler may be left when signals come through again: its memory is ours. */
static int freshen(const struct sys_spawn *s)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &plain, NULL); /* but for those two that nobody can change */
	sigemptyset(&none);
	if (chdir("/") < 0 || sys_close_range((unsigned)(s->first + s->n_sources), ~0U, 0) < 0)
		return -1;
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int run(void *data)
{
	struct sys_spawn *s = data;

	if (s->session)
		setsid();
	if (s->death_signal)
		sys_prctl(PR_SET_PDEATHSIG, (unsigned long)s->death_signal, 0, 0, 0);
	for (int i = 0; i < s->n_sources; i++)
		if (dup2(s->sources[i], s->first + i) < 0) {
			s->errnum = errno;
			_exit(SYS_SPAWN_FAILED);
		}
	if (s->fresh && freshen(s) < 0) {
		s->errnum = errno;
		_exit(SYS_SPAWN_FAILED);
	}
	execve(s->path, s->argv, s->envp);
	s->errnum = errno;
	_exit(SYS_SPAWN_FAILED);
}

pid_t sys_spawn(struct sys_spawn *s)
{
	const int flags = CLONE_VM | (s->wait ? CLONE_VFORK : 0) | SIGCHLD;
	sigset_t all, old;

	s->errnum = 0;
	s->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
			0);
	if (s->stack == MAP_FAILED) {
		s->stack = NULL;
		return -1;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = sys_clone_on_stack(run, (char *)s->stack + STACK_SIZE, flags, s, NULL);
	int errnum = pid < 0 ? errno : s->wait ? s->errnum : 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0 || s->wait)
		sys_spawn_done(s);
	if (pid > 0 && errnum)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	errno = errnum;
	return errnum ? -1 : pid;
}

void sys_spawn_done(struct sys_spawn *s)
{
	if (s->stack)
		munmap(s->stack, STACK_SIZE);
	s->stack = NULL;
}
