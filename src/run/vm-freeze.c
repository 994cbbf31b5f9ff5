/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/vm-freeze.c - see vm-freeze.h.
 *
 * A guest's kernel is one process, a child of pid 1 of the sandbox, and each address space of the guest is a
 * child of that, traced by it. So the kernel is stopped (SIGSTOP), and with it all but the one address space
 * that it let run. That gets a SIGALRM: the kernel sends it the same at each tick of its clock, so it knows
 * it as nothing else. Whom it reaches stops for its tracer, which does not answer before it goes on. What the
 * kernel has further are threads that read and write for it; they finish what they are at and wait.
 *
 * Supervisor and clients run on, for to them it is a guest that says nothing.
 */
#include "run/vm-freeze.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"
#include "path/path.h"
#include "sys/sys.h"

#define KERNEL_NAME "linux"
#define STEP_MS 2
#define STEPS 1000
/*
 * One that is just made stops by itself after some system calls, and its kernel expects that stop before any
 * other.
 */
#define STEPS_OF_BIRTH 10

struct process {
	pid_t pid, parent, tracer;
	char state;
	char name[32];
};

struct children {
	struct process *items;
	size_t n, room;
};

static bool read_process(int proc_fd, pid_t pid, struct process *ret)
{
	char path[32], text[1024];
	int parent, tracer;

	snprintf(path, sizeof(path), "%d/status", pid);
	_cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[MAX(n, (ssize_t)0)] = '\0';
	/* the kernel escapes line ends in a name */
	const char *state = strstr(text, "\nState:"), *ppid = strstr(text, "\nPPid:"),
		   *traced = strstr(text, "\nTracerPid:");
	*ret = (struct process){ .pid = pid };
	if (sscanf(text, "Name: %31[^\n]", ret->name) != 1 || !state ||
	    sscanf(state, "\nState: %c", &ret->state) != 1 || !ppid ||
	    sscanf(ppid, "\nPPid: %d", &parent) != 1 || !traced ||
	    sscanf(traced, "\nTracerPid: %d", &tracer) != 1)
		return false;
	ret->parent = parent;
	ret->tracer = tracer;
	return true;
}

static int add_child(struct children *all, const struct process *p, struct kennel_error **err)
{
	if (all->n == all->room) {
		const size_t room = all->room ? all->room * 2 : 32;
		struct process *grown = reallocarray(all->items, room, sizeof(*grown));

		if (!grown)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		all->items = grown;
		all->room = room;
	}
	all->items[all->n++] = *p;
	return 0;
}

static int add_if_child(int proc_fd, const char *number, pid_t parent, struct children *all,
			struct kennel_error **err)
{
	struct process p;
	uint32_t pid;

	if (parse_u32(number, &pid) < 0 || !read_process(proc_fd, (pid_t)pid, &p) || p.parent != parent)
		return 0;
	return add_child(all, &p, err);
}

/* For a kernel that does not tell the children of a process (CONFIG_PROC_CHILDREN). */
static int find_among_all(int proc_fd, pid_t parent, struct children *ret, struct kennel_error **err)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return fail_errno(err, "look at all processes");
	for (const struct dirent *e; r == 0 && (e = readdir(dir));)
		r = add_if_child(proc_fd, e->d_name, parent, ret, err);
	return r;
}

static int find_children(int proc_fd, pid_t parent, struct children *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_strv_ struct strv numbers = { 0 };
	char path[64];

	ret->n = 0;
	snprintf(path, sizeof(path), "%d/task/%d/children", parent, parent);
	_cleanup_close_ int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return find_among_all(proc_fd, parent, ret, err);
	int r = buf_read_fd(&text, fd, 1u << 20, err);
	if (r == 0)
		r = strv_split(&numbers, buf_str(&text), ' ', err);
	for (size_t i = 0; r == 0 && i < numbers.n; i++)
		r = add_if_child(proc_fd, numbers.items[i], parent, ret, err);
	return r;
}

/* To a process that still is the child of that parent. */
static void tell(int proc_fd, const struct process *p, int sig)
{
	_cleanup_close_ int fd = sys_pidfd_open(p->pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	struct process now;

	if (fd >= 0 && read_process(proc_fd, p->pid, &now) && now.parent == p->parent &&
	    poll(&ended, 1, 0) == 0)
		(void)!sys_pidfd_send_signal(fd, sig, 0);
}

/* Return: 1, 0 there is none, or a code. */
static int find_kernel(int proc_fd, pid_t init, struct process *ret, struct kennel_error **err)
{
	struct children all = { 0 };
	int r = find_children(proc_fd, init, &all, err);
	bool found = false;

	for (size_t i = 0; r == 0 && i < all.n && !found; i++) {
		found = !strcmp(all.items[i].name, KERNEL_NAME);
		*ret = all.items[i];
	}
	free(all.items);
	return r < 0 ? r : found;
}

static bool stands_still(char state)
{
	return state == 'T' || state == 't' || state == 'Z' || state == 'X';
}

/* Return: whether nothing of it runs any more. */
static bool settle(int proc_fd, const struct process *kernel, const struct children *all, bool born)
{
	struct process now;
	bool still = read_process(proc_fd, kernel->pid, &now) && stands_still(now.state);

	for (size_t i = 0; i < all->n; i++) {
		const struct process *p = &all->items[i];

		if (stands_still(p->state))
			continue;
		if (p->tracer == kernel->pid) {
			still = false;
			if (born)
				tell(proc_fd, p, SIGALRM);
		} else if (p->state != 'S') { /* at work for the kernel, or not traced yet */
			still = false;
		}
	}
	return still;
}

static int must_find(int proc_fd, pid_t init, struct process *ret, struct kennel_error **err)
{
	const int r = find_kernel(proc_fd, init, ret, err);

	return r == 0 ? fail(err, KENNEL_E_BUSY, "its guest is just starting or ending") : MIN(r, 0);
}

int vm_freeze(pid_t init, struct kennel_error **err)
{
	_cleanup_close_ int proc_fd = path_open_proc(err);
	struct children all = { 0 };
	struct process kernel;
	bool still = false;

	int r = proc_fd < 0 ? proc_fd : must_find(proc_fd, init, &kernel, err);
	if (r < 0)
		return r;
	tell(proc_fd, &kernel, SIGSTOP);
	for (unsigned i = 0; i < STEPS && r == 0 && !still; i++) {
		r = find_children(proc_fd, kernel.pid, &all, err);
		still = r == 0 && settle(proc_fd, &kernel, &all, i >= STEPS_OF_BIRTH);
		if (!still)
			clock_pause_ms(STEP_MS);
	}
	free(all.items);
	if (still)
		return 0;
	tell(proc_fd, &kernel, SIGCONT);
	return r < 0 ? r :
		       hint(err, fail(err, KENNEL_E_BUSY, "its guest does not stand still"),
			    "it waits for a file of this machine: see ps -eo stat,wchan,cmd");
}

int vm_thaw(pid_t init, struct kennel_error **err)
{
	_cleanup_close_ int proc_fd = path_open_proc(err);
	struct process kernel;

	int r = proc_fd < 0 ? proc_fd : must_find(proc_fd, init, &kernel, err);
	if (r == 0)
		tell(proc_fd, &kernel, SIGCONT);
	return r;
}

bool vm_is_frozen(pid_t init)
{
	_cleanup_close_ int proc_fd = path_open_proc(NULL);
	struct process kernel;

	return proc_fd >= 0 && find_kernel(proc_fd, init, &kernel, NULL) > 0 && kernel.state == 'T';
}
