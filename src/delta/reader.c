/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/reader.c - see reader.h.
 *
 * setns() into a user namespace is refused to a process with threads, and would change all of a caller's; a
 * task of its own with CLONE_VM and CLONE_FILES has ids of its own. (A forked process that sends what it sees
 * over a pipe was the alternative: every record would be packed and unpacked, and descriptors passed one by
 * one.) It shares thread data with the caller, so the two never run at once: one waits in a bare system call
 * while the other works.
 *
 * Nobody inside can trace it: changing ids makes our memory not dumpable, and it is in none of the sandbox's
 * namespaces but the one of users. It ends with us.
 */
#include "delta/reader.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define STACK_SIZE (256u << 10)

struct delta_reader {
	void *stack;
	int user_ns_fd; /* during the start */
	int own_pidfd; /* of this process */
	int task_pidfd;
	int call_fds[2], answer_fds[2]; /* pipes: read end, write end */
	int dumpable; /* as it was */
	delta_reader_fn fn;
	void *data;
	struct kennel_error **err;
	int result;
};

static int join(void *data, struct kennel_error **err)
{
	const struct delta_reader *r = data;

	if (sys_setns(r->user_ns_fd, CLONE_NEWUSER) < 0)
		return fail_errno(err, "join the sandbox's user namespace");
	/* denied where there is one id only, and then there are none to drop */
	(void)!sys_setgroups(0, NULL);
	if (sys_setresgid(0, 0, 0) < 0 || sys_setresuid(0, 0, 0) < 0)
		return fail_errno(err, "become root of the sandbox's user namespace");
	return 0;
}

__attribute__((no_sanitize("address", "undefined"))) static int reader_main(void *data)
{
	struct delta_reader *r = data;
	struct pollfd fds[2] = {
		{ .fd = r->call_fds[0], .events = POLLIN },
		{ .fd = r->own_pidfd, .events = POLLIN },
	};
	char byte;

	sys_prctl(PR_SET_NAME, (unsigned long)"kreader", 0, 0, 0);
	for (;;) {
		if (sys_poll(fds, 2, -1) <= 0)
			continue;
		/* The caller may have died in the middle of a write: then nobody waits. */
		if (!(fds[0].revents & POLLIN) || read(r->call_fds[0], &byte, 1) != 1 || byte != 'c')
			_exit(0);
		r->result = r->fn(r->data, r->err);
		if (write(r->answer_fds[1], "a", 1) != 1)
			_exit(0);
	}
}

static int start(struct delta_reader *r, struct kennel_error **err)
{
	sigset_t all, old;

	r->dumpable = sys_prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	r->own_pidfd = sys_pidfd_open(getpid(), 0);
	if (r->own_pidfd < 0)
		return fail_errno(err, "open a descriptor of this process");
	if (pipe2(r->call_fds, O_CLOEXEC) < 0 || pipe2(r->answer_fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	r->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1,
			0);
	if (r->stack == MAP_FAILED) {
		r->stack = NULL;
		return fail_errno(err, "make a stack");
	}
	sigfillset(&all);
	/* it inherits this: no handler of the caller may ever run on that stack */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int pid = sys_clone_on_stack(reader_main, (char *)r->stack + STACK_SIZE,
				     CLONE_VM | CLONE_FILES | CLONE_PIDFD, r, &r->task_pidfd);
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	if (pid < 0)
		r->task_pidfd = -EBADF;
	return pid < 0 ? fail_errno(err, "start a process that reads the delta") : 0;
}

int delta_reader_new(int user_ns_fd, struct delta_reader **ret, struct kennel_error **err)
{
	struct delta_reader *r = malloc(sizeof(*r));

	if (!r)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*r = (struct delta_reader){
		.user_ns_fd = user_ns_fd,
		.own_pidfd = -EBADF,
		.task_pidfd = -EBADF,
		.call_fds = { -EBADF, -EBADF },
		.answer_fds = { -EBADF, -EBADF },
	};
	int code = start(r, err);
	if (code == 0)
		code = delta_reader_call(r, join, r, err);
	r->user_ns_fd = -EBADF;
	if (code < 0) {
		delta_reader_free(r);
		return code;
	}
	*ret = r;
	return 0;
}

struct delta_reader *delta_reader_free(struct delta_reader *r)
{
	siginfo_t info;

	if (!r)
		return NULL;
	if (r->task_pidfd >= 0) {
		/* "e": it leaves by itself, out of a place that has nothing on its stack */
		if (write(r->call_fds[1], "e", 1) != 1)
			sys_pidfd_send_signal(r->task_pidfd, SIGKILL, 0);
		while (sys_waitid_pidfd(r->task_pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
			;
		if (r->dumpable == 1)
			sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		close_fd(r->call_fds[i]);
		close_fd(r->answer_fds[i]);
	}
	close_fd(r->own_pidfd);
	close_fd(r->task_pidfd);
	if (r->stack)
		munmap(r->stack, STACK_SIZE);
	free(r);
	return NULL;
}

static int wait_answer(struct delta_reader *r, struct kennel_error **err)
{
	struct pollfd fds[2] = {
		{ .fd = r->answer_fds[0], .events = POLLIN },
		{ .fd = r->task_pidfd, .events = POLLIN },
	};
	char byte;

	while (sys_poll(fds, 2, -1) <= 0)
		;
	if (!(fds[0].revents & POLLIN) || read(r->answer_fds[0], &byte, 1) != 1)
		return fail(err, KENNEL_E_IO, "the process that reads the delta was killed");
	return r->result;
}

int delta_reader_call(struct delta_reader *r, delta_reader_fn fn, void *data, struct kennel_error **err)
{
	sigset_t all, old;

	if (!r)
		return fn(data, err);
	sigfillset(&all);
	/* A handler that ran now would share errno with the other task. */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r->fn = fn;
	r->data = data;
	r->err = err;
	int code = write(r->call_fds[1], "c", 1) == 1 ?
			   wait_answer(r, err) :
			   fail_errno(err, "ask the process that reads the delta");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return code;
}
