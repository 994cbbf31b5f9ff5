/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/enter-child.h - what the two processes do that bring a command into a running sandbox: system calls,
 * in a fixed order, from a finished list.
 *
 * The first one, the guide, joins the namespaces and opens the terminal there; it is never seen from
 * inside, for its pid namespace stays ours. It makes the second one, which is a child of the caller and
 * lives in the sandbox's pid namespace. That one takes the walls on and becomes run/init.h's program, a
 * sealed file in memory, which finds the command by the files of the inside. Until then nobody inside may
 * look at it: it is not dumpable, and its memory belongs to the user namespace that it came from.
 *
 * Caller and guide share one table of descriptors; the second one takes a copy. Where the caller is a
 * program that does nothing else, all three share memory, each with a stack of its own, for copies of it
 * cost more than all that is done: the caller waits meanwhile, and is not dumpable either. Others take
 * copies: where the sandbox runs out of memory while it is entered, the kernel kills whoever shares that of
 * the process that it chooses.
 */
#ifndef KENNEL_RUN_ENTER_CHILD_H
#define KENNEL_RUN_ENTER_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "tty/tty.h"

struct clone_args;
struct labels;
struct sock_fprog;

/* In the order in which they happen; init's own steps follow (run/init.h). */
enum enter_step {
	ENTER_STEP_CGROUP = 1,
	ENTER_STEP_JOIN,
	ENTER_STEP_IDS,
	ENTER_STEP_PTY,
	ENTER_STEP_START,
	ENTER_STEP_FILES,
	ENTER_STEP_LABEL,
	ENTER_STEP_NO_NEW_PRIVS,
	ENTER_STEP_SECCOMP,
	ENTER_STEP_CAPS,
	ENTER_STEP_EXEC,
};

/* Not a failure: the second process has its own descriptors; what comes next is from it alone. */
#define ENTER_READY (-1)

/* Both processes' reports are struct init_report (run/init.h). */
struct enter_shared {
	int pidfd, pid; /* of the second process */
	int master_fd; /* of its terminal, or -EBADF */
};

#define ENTER_STACK_SIZE (64u << 10)

struct enter_plan {
	void *stacks; /* of both, in turn; NULL: they take copies of our memory */
	struct enter_shared *shared;
	int init_pidfd; /* the sandbox's first process, whose namespaces are joined */
	unsigned long namespaces; /* CLONE_NEW*: those that are not ours */
	bool root_of_user_ns; /* become root of the one that is joined */
	const int *cgroup_fds; /* v1 groups to enter, by writing "0" */
	unsigned n_cgroup_fds;
	int cgroup_clone_fd; /* v2, for root of the inside to be born into; or -EBADF */
	int report_fd, program_fd;
	bool tty;
	struct tty_start tty_start;
	const struct labels *labels; /* what the program is to be called */
	int proc_fd; /* the machine's /proc */
	bool no_new_privs;
	const struct sock_fprog *filter; /* NULL: none */
	bool set_caps;
	uint64_t caps;
	unsigned last_cap;
	char *const *argv, *const *envp; /* of the program */
};

/* Flags and group of args; the pid, or -1 and errno. */
int enter_start_guide(const struct enter_plan *p, struct clone_args *args);

#endif
