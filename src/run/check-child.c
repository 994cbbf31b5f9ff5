/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check-child.c - see check-child.h. The order is that of run/child.c, for many a thing works only after
 * another.
 *
 * Mounts are attached over "/": a process whose root directory lies below such a mount does not see it, and
 * no directory has to be found for them. Whether a memory file may be executed shows in how the kernel
 * refuses one that is no program: ENOEXEC after it looked inside, EACCES or EPERM before.
 */
#include "run/check-child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mount/mount.h"
#include "net/tap.h"
#include "sys/sys.h"

#define SIZE "1048576"
#define INODES "64"
#define MFD_FLAGS (0x1u | 0x2u) /* MFD_CLOEXEC | MFD_ALLOW_SEALING */
#define MFD_EXEC_FLAG 0x10u /* Linux 6.3 */

/* Notes how it went: r is what the call returned. */
static bool note(const struct check_child *p, enum check_try what, int r)
{
	p->shared->errnum[what] = r < 0 ? errno : 0;
	return r >= 0;
}

static void wait_for_go(const struct check_child *p)
{
	struct pollfd fds[2] = {
		{ .fd = p->go_fd, .events = POLLIN },
		{ .fd = p->parent_pidfd, .events = POLLIN },
	};
	char go;

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (!(fds[0].revents & POLLIN) || read(p->go_fd, &go, 1) != 1 || go != 'g')
		_exit(1);
}

static void enter(const struct check_child *p)
{
	static const struct {
		enum check_try what;
		unsigned long flag;
	} spaces[] = {
		{ CHECK_TRY_IPC_NS, CLONE_NEWIPC },
		{ CHECK_TRY_UTS_NS, CLONE_NEWUTS },
		{ CHECK_TRY_CGROUP_NS, CLONE_NEWCGROUP },
		{ CHECK_TRY_NET_NS, CLONE_NEWNET },
	};
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };

	if (p->user_ns) {
		(void)!sys_setgroups(0, NULL); /* denied where there is one id only */
		if (!note(p, CHECK_TRY_IDS, sys_setresgid(0, 0, 0)) ||
		    !note(p, CHECK_TRY_IDS, sys_setresuid(0, 0, 0)))
			_exit(1);
	}
	/* Changing ids has cleared it, and a parent that is gone by now can't be noticed any more. */
	(void)!sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (!note(p, CHECK_TRY_MOUNT_NS, sys_unshare(CLONE_NEWNS)) ||
	    !note(p, CHECK_TRY_MOUNT_NS, sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private)))
		_exit(1);
	for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		(void)note(p, spaces[i].what, sys_unshare(spaces[i].flag));
	if (sys_unshare(CLONE_FILES) < 0) /* what is opened from here on goes away with us alone */
		_exit(1);
}

static int attach(int mount_fd)
{
	return sys_move_mount(mount_fd, "", AT_FDCWD, "/", SYS_MOVE_MOUNT_F_EMPTY_PATH);
}

static int layer_by_fd(int layer_fd)
{
	int fs_fd = sys_fsopen("overlay");

	return fs_fd < 0 ? -1 : sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, "lowerdir+", NULL, layer_fd);
}

static void try_overlay(const struct check_child *p)
{
	struct check_shared *s = p->shared;
	int fd = s->delta_fd >= 0 ? s->delta_fd : mount_new_tmpfs(SIZE, INODES);

	if (!note(p, CHECK_TRY_TMPFS, fd) || !note(p, CHECK_TRY_TMPFS, attach(fd)))
		return;
	int dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool user_xattr = note(p, CHECK_TRY_USER_XATTR, fsetxattr(dir_fd, "user.kennel", "1", 1, 0));
	if (!note(p, CHECK_TRY_OVERLAY, mkdirat(fd, "upper", 0755)) ||
	    !note(p, CHECK_TRY_OVERLAY, mkdirat(fd, "work", 0755)) ||
	    !note(p, CHECK_TRY_OVERLAY, mkdirat(fd, "lower", 0755)))
		return;
	for (unsigned i = 0; i < s->n_lowers; i++)
		if (!note(p, CHECK_TRY_OVERLAY, attach(s->lower_fds[i])))
			return;
	if (!s->n_lowers) {
		s->lower_fds[0] = openat(fd, "lower", O_PATH | O_DIRECTORY | O_CLOEXEC);
		s->n_lowers = 1;
	}
	(void)note(p, CHECK_TRY_LAYER_FD, layer_by_fd(s->lower_fds[0]));
	const struct mount_overlay m = {
		.lower_fds = s->lower_fds,
		.n_lowers = s->n_lowers,
		.upper_fd = openat(fd, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.work_fd = openat(fd, "work", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.user_xattr = user_xattr,
	};
	int overlay_fd = mount_overlay(&m);
	if (note(p, CHECK_TRY_OVERLAY,
		 overlay_fd)) /* a wrong owner of the work directory makes it read-only, silently */
		(void)note(p, CHECK_TRY_WRITE,
			   openat(overlay_fd, ".kennel-check", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void try_kernel_mounts(const struct check_child *p)
{
	const unsigned flags = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC;

	(void)note(p, CHECK_TRY_PROC, mount_new("proc", flags));
	(void)note(p, CHECK_TRY_SYS, mount_new("sysfs", flags | SYS_MOUNT_ATTR_RDONLY));
	(void)note(p, CHECK_TRY_DEVPTS, mount_new_devpts("16"));
}

static void try_devices(const struct check_child *p)
{
	if (p->fuse) {
		int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

		if (note(p, CHECK_TRY_FUSE_OPEN, fd))
			(void)note(p, CHECK_TRY_FUSE_MOUNT, mount_new_view(fd));
	}
	if (p->tap)
		(void)note(p, CHECK_TRY_TAP, net_tap_new(NET_TAP_NAME));
}

static void try_memory_file(const struct check_child *p)
{
	char *const words[] = { (char[]){ "kennel" }, NULL }, *const no_env[] = { NULL };
	int fd = sys_memfd_create("kennel-check", MFD_FLAGS | MFD_EXEC_FLAG);

	if (fd < 0 && errno == EINVAL)
		fd = sys_memfd_create("kennel-check", MFD_FLAGS);
	if (!note(p, CHECK_TRY_MEMORY_FILE, fd) ||
	    !note(p, CHECK_TRY_MEMORY_FILE, (int)write(fd, "no program", 10)))
		return;
	(void)note(p, CHECK_TRY_MEMORY_FILE, sys_execveat(fd, "", words, no_env, AT_EMPTY_PATH));
	if (p->shared->errnum[CHECK_TRY_MEMORY_FILE] == ENOEXEC)
		p->shared->errnum[CHECK_TRY_MEMORY_FILE] = 0;
}

_Noreturn void check_child_main(const struct check_child *p)
{
	(void)!sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	wait_for_go(p);
	enter(p);
	try_overlay(p);
	try_kernel_mounts(p);
	try_devices(p);
	try_memory_file(p);
	if (p->filter) /* last: what it forbids is nothing of ours */
		(void)note(p, CHECK_TRY_FILTER,
			   sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -1 : sys_seccomp_load(p->filter));
	_exit(0);
}
