/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/ns-child.c - see ns-child.h. Mounts, network and host name come before the ids: who becomes somebody
 * else than root loses the rights for them. A time namespace is entered by the exec that follows, or by its
 * child on older kernels; so its offsets are written before.
 */
#include "run/ns-child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mount/mount.h"
#include "net/nat.h"
#include "run/init.h"
#include "sys/sys.h"

static _Noreturn void die(const struct ns_plan *p, enum ns_step step)
{
	const struct init_report r = { .step = (int32_t)step, .errnum = errno };

	(void)!write(p->report_fd, &r, sizeof(r));
	_exit(125);
}

static void wait_for_go(const struct ns_plan *p, struct ns_go *ret)
{
	const struct init_report ready = { .step = NS_READY };

	if (write(p->report_fd, &ready, sizeof(ready)) != (ssize_t)sizeof(ready) ||
	    read(p->go_fd, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		_exit(125);
}

static void mount_proc(const struct ns_plan *p)
{
	int fd = mount_new("proc", SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC);

	if (fd < 0 || sys_move_mount(fd, "", AT_FDCWD, "/proc", SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
		die(p, NS_STEP_PROC);
	close(fd);
}

static void furnish(const struct ns_plan *p)
{
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };

	if ((p->kinds & CLONE_NEWNS) && sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
		die(p, NS_STEP_PRIVATE);
	if (p->proc)
		mount_proc(p);
	if ((p->kinds & CLONE_NEWNET) && net_loopback_up() < 0)
		die(p, NS_STEP_LOOPBACK);
	if (p->hostname && sys_sethostname(p->hostname, p->hostname_len) < 0)
		die(p, NS_STEP_HOSTNAME);
}

/* With ambient capabilities, for exec() takes them from whoever is not root. */
static void keep_caps(const struct ns_plan *p)
{
	struct sys_cap_data caps[2];

	if (sys_capget(caps) < 0)
		die(p, NS_STEP_CAPS);
	for (unsigned i = 0; i < 2; i++)
		caps[i].effective = caps[i].inheritable = caps[i].permitted;
	if (sys_capset(caps) < 0)
		die(p, NS_STEP_CAPS);
	for (unsigned cap = 0; cap < 64; cap++)
		if (caps[cap / 32].permitted & (UINT32_C(1) << (cap % 32)) &&
		    sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			die(p, NS_STEP_CAPS);
}

static void become(const struct ns_plan *p, const struct ns_go *go)
{
	if (p->keep_caps && sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		die(p, NS_STEP_CAPS);
	/* Denied where a user mapped just itself: the groups stay, and give no right that was not there. */
	if (go->become && sys_setgroups(0, NULL) < 0 && !(errno == EPERM && (p->kinds & CLONE_NEWUSER)))
		die(p, NS_STEP_GROUPS);
	if (go->become &&
	    (sys_setresgid(go->gid, go->gid, go->gid) < 0 || sys_setresuid(go->uid, go->uid, go->uid) < 0))
		die(p, NS_STEP_IDS);
	if (p->keep_caps)
		keep_caps(p);
}

/* It ends with us. Who went before that was asked for has closed the other end of the pipe. */
static void bind_to_parent(const struct ns_plan *p)
{
	struct pollfd fd = { .fd = p->go_fd };

	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    (sys_poll(&fd, 1, 0) > 0 && (fd.revents & POLLHUP)))
		_exit(125);
}

static _Noreturn void child(const struct ns_plan *p)
{
	struct ns_go go = { 0 };

	close(p->go_write_fd);
	if ((p->kinds & CLONE_NEWTIME) && sys_unshare(CLONE_NEWTIME) < 0)
		die(p, NS_STEP_TIME);
	wait_for_go(p, &go);
	furnish(p);
	become(p, &go);
	bind_to_parent(p);
	if (fcntl(p->report_fd, F_SETFD, 0) < 0)
		die(p, NS_STEP_EXEC);
	sys_execveat(p->program_fd, "", p->argv, p->envp, AT_EMPTY_PATH);
	die(p, NS_STEP_EXEC);
}

int ns_child_start(const struct ns_plan *p, struct clone_args *args)
{
	int pid = sys_clone3(args, sizeof(*args));

	if (pid == 0)
		child(p);
	return pid;
}
