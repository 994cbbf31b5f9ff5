/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/clone.c - the child's birth: pipes and memory that it shares with us, clone3(), before or after the
 * plan; and the file that it becomes.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "ns/ns.h"
#include "run/program-file.h"
#include "run/sandbox.h"
#include "sys/sys.h"

int clone_pipes(struct launch *l, struct kennel_error **err)
{
	int go[2], report[2];

	if (pipe2(go, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	l->child.go_fd = go[0];
	l->go_fd = go[1];
	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	l->report_fd = report[0];
	l->child.report_fd = report[1];
	l->shared_size = pack_room(l->spec);
	l->shared = mmap(NULL, l->shared_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (l->shared == MAP_FAILED) {
		l->shared = NULL;
		return fail_errno(err, "make shared memory");
	}
	l->shared->delta_fd = l->shared->scratch_fd = l->shared->master_fd = l->shared->pts_fd =
		l->shared->tap_fd = l->shared->second_tap_fd = -EBADF;
	l->shared->mount_ns_fd = l->shared->init_fd = -EBADF;
	for (unsigned i = 0; i < SPEC_TTYS_MAX; i++)
		l->shared->tty_fds[i] = -EBADF;
	l->shared->user_xattr = true;
	l->child.shared = l->shared;
	return 0;
}

int clone_init_file(struct launch *l, struct kennel_error **err)
{
	int fd = l->vm ? program_file_vm(err) : program_file_init(err);

	l->shared->init_fd = fd;
	return fd < 0 ? fd : 0;
}

/* What this thread is in at the clone, the child is born in. */
static int enter_network(struct launch *l, int *ret_back_fd, struct kennel_error **err)
{
	_cleanup_close_ int back_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (back_fd < 0)
		return fail_errno(err, "open the network namespace");
	if (sys_setns(l->join_ns_fd, CLONE_NEWNET) < 0)
		return hint(err, fail_errno(err, "join the network \"%s\"", l->spec->net_where),
			    "it takes root over the namespace that is joined");
	*ret_back_fd = take_fd(&back_fd);
	return 0;
}

static int leave_network(int back_fd, struct kennel_error **err)
{
	int r = sys_setns(back_fd, CLONE_NEWNET);

	if (r < 0)
		r = fail_errno(err, "go back to the machine's network");
	close_fd(back_fd);
	return r;
}

static int clone_child(struct launch *l, unsigned long ns_flags, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	int pidfd = -EBADF;
	sigset_t all, old;
	struct clone_args args = {
		.flags = ns_flags | CLONE_FILES | CLONE_PIDFD,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	int group_fd = sb->cgroup ? cgroup_clone_fd(sb->cgroup) : -EBADF;

	if (group_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)group_fd;
	}
	/* init waits for blocked signals, and no handler of the caller may run in the child */
	int back_fd = -EBADF;
	int r = l->join_ns_fd >= 0 ? enter_network(l, &back_fd, err) : 0;
	if (r < 0)
		return r;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		child_main(&l->child);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (back_fd >= 0)
		r = leave_network(back_fd, err);
	if (pid < 0) {
		/* A lack of something is no reason for a weaker level. */
		l->level_refused = saved != EAGAIN && saved != ENOMEM && saved != EMFILE && saved != ENFILE;
		return ns_explain_failure(args.flags, saved, err);
	}
	sb->init_pid = pid;
	sb->init_pidfd = sb->work.init_pidfd = pidfd;
	return r;
}

static unsigned long planned_flags(const struct launch *l)
{
	const struct plan *p = l->sb->plan;

	return p->clone_flags | (network_is_early(p) && l->net_ns_fd < 0 ? CLONE_NEWNET : 0);
}

/* Before the plan: see pack.c. What is set here is what plan_new() and plan_child() will come to. */
int clone_early(struct launch *l, struct kennel_error **err)
{
	struct child_plan *c = &l->child;

	int r = clone_pipes(l, err);
	if (r < 0)
		return r;
	c->parent_pidfd = l->sb->work.monitor_pidfd;
	c->net_ns_fd = c->keep_fd = -EBADF;
	c->rootless = l->sb->rootless;
	c->n_views = c->rootless ? 1 : 0;
	l->shared->fuse_fds[0] = -EBADF;
	c->loopback = l->spec->net != SPEC_NET_HOST;
	c->unshare_flags = CLONE_NEWNS | CLONE_NEWCGROUP | (c->loopback ? CLONE_NEWNET : 0);
	plan_default_hostname(l->spec, l->sb->id, l->early_hostname);
	c->hostname = l->early_hostname;
	c->hostname_len = strlen(c->hostname);
	return clone_child(l, CLONE_NEWUSER | PLAN_NS_FLAGS, err);
}

int clone_planned(struct launch *l, struct kennel_error **err)
{
	return clone_child(l, planned_flags(l), err);
}

int clone_open_proc(struct launch *l, struct kennel_error **err)
{
	char name[32];

	/* ours, and unreaped: the number can't have been reused */
	snprintf(name, sizeof(name), "/proc/%d", l->sb->init_pid);
	int fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open \"%s\"", name) : fd;
}
