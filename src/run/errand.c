/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/errand.c - see errand.h. fork() of the C library, so that malloc works in the process also where the
 * caller has threads.
 */
#include "run/errand.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/answer.h"
#include "base/cleanup.h"
#include "idmap/user.h"
#include "ns/ns.h"
#include "sys/sys.h"

#define STACK_SIZE (256u << 10)

void errand_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)!setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int become_inner_root(int user_ns_fd, struct kennel_error **err)
{
	if (sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    (user_ns_fd >= 0 && sys_setns(user_ns_fd, CLONE_NEWUSER) < 0))
		return fail_errno(err, "join the sandbox's user namespace");
	if (user_ns_fd < 0)
		return 0;
	/* denied where there is one id only, and then there are none to drop */
	(void)!sys_setgroups(0, NULL);
	if (sys_setresgid(0, 0, 0) < 0 || sys_setresuid(0, 0, 0) < 0)
		return fail_errno(err, "become root of the sandbox's user namespace");
	return 0;
}

static _Noreturn void answer(int fd, int result, const struct kennel_error *err, const struct buf *out)
{
	_exit(!answer_write(fd, result, err, out));
}

int errand_run(int user_ns_fd, errand_fn work, void *data, struct buf *out, struct kennel_error **err)
{
	_cleanup_buf_ struct buf in = { 0 };
	int pipe_fds[2], status;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = pipe_fds[0];
	_cleanup_close_ int write_fd = pipe_fds[1];
	pid_t pid = fork();
	if (pid < 0)
		return fail_errno(err, "start a process that prepares the sandbox");
	if (pid == 0) {
		struct kennel_error *inner = NULL;
		struct buf bytes = { 0 };
		int r = become_inner_root(user_ns_fd, &inner);

		if (r == 0)
			r = work(data, &bytes, &inner);
		answer(write_fd, r, inner, &bytes);
	}
	replace_fd(&write_fd, -EBADF);
	int r = buf_read_fd(&in, read_fd, ANSWER_MAX, err);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : answer_take(&in, "the process that prepares the sandbox", out, err);
}

struct shared {
	int user_ns_fd;
	errand_fn work;
	void *data;
	struct kennel_error **err;
	int result;
	bool ended;
};

/* On a stack that the sanitizers don't know. */
__attribute__((no_sanitize("address", "undefined"))) static int share(void *data)
{
	struct shared *s = data;

	s->result = become_inner_root(s->user_ns_fd, s->err);
	if (s->result == 0)
		s->result = s->work(s->data, NULL, s->err);
	s->ended = true;
	_exit(0);
}

int errand_share(int user_ns_fd, errand_fn work, void *data, struct kennel_error **err)
{
	struct shared s = { .user_ns_fd = user_ns_fd, .work = work, .data = data, .err = err };
	int dumpable = sys_prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), status;
	sigset_t all, old;

	void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
			   -1, 0);
	if (stack == MAP_FAILED)
		return fail_errno(err, "make a stack");
	/* no handler of the caller may run on that stack, nor with those rights */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	const int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
	pid_t pid = sys_clone_on_stack(share, (char *)stack + STACK_SIZE, flags, &s, NULL);
	int saved = errno;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (dumpable == 1)
		sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the memory was that of both */
	sigprocmask(SIG_SETMASK, &old, NULL);
	munmap(stack, STACK_SIZE);
	errno = saved;
	if (pid < 0)
		return fail_errno(err, "start a process that prepares the sandbox");
	if (!s.ended)
		return fail(err, KENNEL_E_IO, "the process that prepares the sandbox ended without a word");
	return s.result;
}

/*
 * In the process that the namespace begins with: says how it went, then waits to be killed, or for our end.
 */
static _Noreturn void begin_namespace(int say_fd, int hold_fd)
{
	/* A reader of deltas shares our memory and made it undumpable; our parent must see our namespace. */
	sys_prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	int errnum = sys_unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	char byte;

	if (write(say_fd, &errnum, sizeof(errnum)) == (ssize_t)sizeof(errnum))
		(void)!read(hold_fd, &byte, 1);
	_exit(0);
}

/* map: NULL for the caller's own. */
static int map_namespace(pid_t pid, int say_fd, const struct idmap_user *map, int *ret_fd,
			 struct kennel_error **err)
{
	struct idmap_user own;
	char name[32];
	int errnum;

	if (read(say_fd, &errnum, sizeof(errnum)) != (ssize_t)sizeof(errnum))
		return fail(err, KENNEL_E_IO, "the process that makes a user namespace ended without a word");
	if (errnum)
		return ns_explain_failure(CLONE_NEWUSER, errnum, err);
	snprintf(name, sizeof(name), "/proc/%d", pid);
	_cleanup_close_ int proc_fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0)
		return fail_errno(err, "open \"%s\"", name);
	int r = map ? 0 : idmap_pick_user(&own, err);
	if (r == 0)
		r = map ? idmap_user_write_as_root(proc_fd, map, err) :
			  idmap_user_write(pid, proc_fd, &own, err);
	if (r < 0)
		return r;
	*ret_fd = openat(proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? fail_errno(err, "open the user namespace") : 0;
}

static int make_namespace(const struct idmap_user *map, int *ret_fd, struct kennel_error **err)
{
	int say[2], hold[2], status;

	if (pipe2(say, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int say_read_fd = say[0];
	_cleanup_close_ int say_fd = say[1];
	if (pipe2(hold, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int hold_read_fd = hold[0];
	_cleanup_close_ int hold_fd = hold[1];
	pid_t pid = fork();
	if (pid < 0)
		return fail_errno(err, "start a process in a user namespace");
	if (pid == 0) {
		close_fd(hold_fd);
		begin_namespace(say_fd, hold_read_fd);
	}
	replace_fd(&say_fd, -EBADF);
	int r = map_namespace(pid, say_read_fd, map, ret_fd, err);
	replace_fd(&hold_fd, -EBADF);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return r;
}

int errand_namespace(int *ret_fd, struct kennel_error **err)
{
	return make_namespace(NULL, ret_fd, err);
}

int errand_namespace_of(const struct idmap_user *map, int *ret_fd, struct kennel_error **err)
{
	return make_namespace(map, ret_fd, err);
}

int errand_alone(errand_fn work, void *data, struct buf *out, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;

	int r = errand_namespace(&fd, err);
	return r < 0 ? wrap(err, r, "become root over the ids of this user") :
		       errand_run(fd, work, data, out, err);
}
