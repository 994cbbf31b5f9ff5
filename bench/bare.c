/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench/bare.c - the floor: the bare system calls of a throwaway copy and nothing else, to be measured
 * against.
 *
 *   bare [-m MOUNT]... COMMAND [ARG]...
 *
 * Six namespaces and a user namespace with a map of 65536 ids written from outside, idmapped clones of /
 * and of each MOUNT, one tmpfs for all changes, one overlay for each of them, a new /proc, a /dev with the
 * basic nodes, the loopback interface up, pivot_root, exec, wait. Parent and child share their descriptors
 * and meet in one write to a pipe, and all that can go on in parallel does, as in kennel. What is missing
 * on purpose, and so is kennel's own cost: an init, a seccomp filter, capabilities dropped, masks, /sys,
 * devpts, /tmp and /run, host name and hosts, a registry entry, a janitor, planning, messages. It stops at
 * the first surprise.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/sys.h"

#define MOUNTS_MAX 64
#define MAP "0 1000000000 65536\n"
#define EMPTY_PATHS (SYS_MOVE_MOUNT_F_EMPTY_PATH | SYS_MOVE_MOUNT_T_EMPTY_PATH)

#define must(call) must_be((call), __LINE__)

static const char *mounts[MOUNTS_MAX] = { "/" };
static unsigned n_mounts = 1;

struct trees { /* numbers in the table of descriptors that both have */
	int delta_fd, lower_fds[MOUNTS_MAX];
};

static int must_be(int r, int line)
{
	if (r < 0) {
		dprintf(STDERR_FILENO, "bare: line %d: %s\n", line, strerror(errno));
		_exit(125);
	}
	return r;
}

static void write_map(int proc_fd, const char *name)
{
	int fd = must(openat(proc_fd, name, O_WRONLY | O_CLOEXEC));

	must(write(fd, MAP, sizeof(MAP) - 1) == sizeof(MAP) - 1 ? 0 : -1);
	close(fd);
}

/* The parent's share, while the child makes its network namespace. */
static void make_trees(int user_ns_fd, struct trees *t)
{
	static const struct {
		const char *path;
		unsigned minor;
	} nodes[] = { { "dev/null", 3 },
		      { "dev/zero", 5 },
		      { "dev/full", 7 },
		      { "dev/random", 8 },
		      { "dev/urandom", 9 } };
	const struct sys_mount_attr shift = { .attr_set = SYS_MOUNT_ATTR_IDMAP,
					      .userns_fd = (uint64_t)user_ns_fd };
	int fs_fd = must(sys_fsopen("tmpfs"));

	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "mode", "0755", 0));
	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	t->delta_fd = must(sys_fsmount(fs_fd, 0));
	must(mkdirat(t->delta_fd, "dev", 0755));
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		must(mknodat(t->delta_fd, nodes[i].path, S_IFCHR | 0666, makedev(1, nodes[i].minor)));
	for (unsigned i = 0; i < n_mounts; i++) {
		char upper[] = { 'u', (char)('0' + i), '\0' }, work[] = { 'w', (char)('0' + i), '\0' };

		must(mkdirat(t->delta_fd, upper, 0755));
		must(mkdirat(t->delta_fd, work, 0755));
		t->lower_fds[i] = must(sys_open_tree(AT_FDCWD, mounts[i], SYS_OPEN_TREE_CLONE));
		must(sys_mount_setattr(t->lower_fds[i], "", AT_EMPTY_PATH, &shift));
	}
	must(sys_mount_setattr(t->delta_fd, "", AT_EMPTY_PATH, &shift));
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	must(sys_ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

static int make_overlay(const struct trees *t, unsigned i)
{
	char upper[] = { 'u', (char)('0' + i), '\0' }, work[] = { 'w', (char)('0' + i), '\0' };
	int fs_fd = must(sys_fsopen("overlay"));

	int upper_fd = must(openat(t->delta_fd, upper, O_PATH | O_CLOEXEC));
	int work_fd = must(openat(t->delta_fd, work, O_PATH | O_CLOEXEC));
	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, "lowerdir+", NULL, t->lower_fds[i]));
	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, "upperdir", NULL, upper_fd));
	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, "workdir", NULL, work_fd));
	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, "userxattr", NULL, 0));
	must(sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	return must(sys_fsmount(fs_fd, 0));
}

/* Overlay takes only layers that are attached in its mounter's mount namespace. */
static void stage(int fd)
{
	must(sys_move_mount(fd, "", AT_FDCWD, "/tmp", SYS_MOVE_MOUNT_F_EMPTY_PATH));
}

static void build_root(const struct trees *t)
{
	int root_fd, proc_fd, dev_fd;

	stage(t->delta_fd);
	for (unsigned i = 0; i < n_mounts; i++)
		stage(t->lower_fds[i]);
	root_fd = make_overlay(t, 0);
	stage(root_fd);
	for (unsigned i = 1; i < n_mounts; i++)
		must(sys_move_mount(make_overlay(t, i), "", root_fd, mounts[i] + 1,
				    SYS_MOVE_MOUNT_F_EMPTY_PATH));
	proc_fd = must(sys_fsopen("proc"));
	must(sys_fsconfig(proc_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	must(sys_move_mount(must(sys_fsmount(proc_fd, 0)), "", root_fd, "proc", SYS_MOVE_MOUNT_F_EMPTY_PATH));
	dev_fd = must(sys_open_tree(t->delta_fd, "dev", SYS_OPEN_TREE_CLONE));
	must(sys_move_mount(dev_fd, "", root_fd, "dev", SYS_MOVE_MOUNT_F_EMPTY_PATH));
	must(fchdir(root_fd));
	must(sys_pivot_root(".", "."));
	must(sys_umount2(".", MNT_DETACH));
}

static _Noreturn void child(int go_fd, char **argv)
{
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };
	struct trees trees;

	must(sys_unshare(CLONE_NEWNET | CLONE_NEWNS));
	loopback_up();
	must(sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private));
	must(read(go_fd, &trees, sizeof(trees)) == sizeof(trees) ? 0 : -1);
	must(sys_setresgid(0, 0, 0));
	must(sys_setresuid(0, 0, 0));
	must(sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	build_root(&trees);
	must(sys_close_range(3, ~0u, SYS_CLOSE_RANGE_UNSHARE));
	execvp(argv[0], argv);
	must(-1);
	_exit(127);
}

int main(int argc, char **argv)
{
	int go[2], pidfd = -1, status_fd;
	char name[32];
	struct trees trees;
	siginfo_t info = { 0 };
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
			 CLONE_FILES | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = (uintptr_t)&pidfd,
	};

	(void)argc;
	for (argv++; *argv && strcmp(*argv, "-m") == 0 && argv[1] && n_mounts < MOUNTS_MAX; argv += 2)
		mounts[n_mounts++] = argv[1];
	if (*argv && strcmp(*argv, "--") == 0)
		argv++;
	if (!*argv || argv[0][0] == '-') {
		dprintf(STDERR_FILENO, "usage: bare [-m MOUNT]... COMMAND [ARG]...\n");
		return 125;
	}
	umask(0);
	must(pipe2(go, O_CLOEXEC));
	int pid = must(sys_clone3(&args, sizeof(args)));
	if (pid == 0)
		child(go[0], argv);
	snprintf(name, sizeof(name), "/proc/%d", pid);
	status_fd = must(open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
	write_map(status_fd, "uid_map");
	write_map(status_fd, "gid_map");
	make_trees(must(openat(status_fd, "ns/user", O_RDONLY | O_CLOEXEC)), &trees);
	must(write(go[1], &trees, sizeof(trees)) == sizeof(trees) ? 0 : -1);
	must(sys_waitid_pidfd(pidfd, &info, WEXITED));
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}
