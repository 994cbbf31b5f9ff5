/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mount/clone.c - a directory of a detached mount as a mount of its own: see mount.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mount/mount.h"
#include "sys/sys.h"

/*
 * What was attached once can't be again when the mount namespace is gone. So mount_fd, and whoever uses it
 * next, gets an equal mount in its place, which never was.
 */
static void replace_with_clone(int mount_fd)
{
	int fd = sys_open_tree(mount_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);

	if (fd < 0)
		return;
	(void)!dup3(fd, mount_fd, O_CLOEXEC);
	(void)!close(fd);
}

/* In a process that shares our table of descriptors but has its own mounts: attaches it, and clones. */
static _Noreturn void clone_attached(int mount_fd, const char *dir, int say_fd)
{
	static const char *const places[] = { "/tmp", "/mnt", "/srv", "/run", "/var" };
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };
	int answer[2] = { -1, ENOENT };

	if (sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) == 0)
		for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
			bool attached = sys_move_mount(mount_fd, "", AT_FDCWD, places[i],
						       SYS_MOVE_MOUNT_F_EMPTY_PATH) == 0;

			if (attached)
				answer[0] = sys_open_tree(mount_fd, dir, SYS_OPEN_TREE_CLONE);
			answer[1] = errno;
			if (attached) {
				replace_with_clone(mount_fd);
				break;
			}
		}
	(void)!write(say_fd, answer, sizeof(answer));
	_exit(0);
}

int mount_clone_dir(int mount_fd, const char *dir)
{
	int fd = sys_open_tree(mount_fd, dir, SYS_OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
	int fds[2], answer[2] = { -1, EIO }, pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_FILES | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uintptr_t)&pidfd,
	};

	if (fd >= 0 || errno != EINVAL)
		return fd;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		clone_attached(mount_fd, dir, fds[1]);
	if (pid > 0) {
		siginfo_t info;

		while (sys_waitid_pidfd(pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
			;
		(void)!close(pidfd);
		if (read(fds[0], answer, sizeof(answer)) != (ssize_t)sizeof(answer))
			answer[0] = -1;
	}
	int errnum = pid < 0 ? errno : answer[1];
	(void)!close(fds[0]);
	(void)!close(fds[1]);
	errno = errnum;
	return answer[0];
}
