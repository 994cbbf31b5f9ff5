/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/view-stage.c - see view-stage.h. A step that fails ends the process with its name: nothing to test
 * then.
 */
#include "view-stage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/sys.h"
#include "view/view.h"

static char place[128];

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "view stage: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static char *below(const char *name, char buf[static 256])
{
	snprintf(buf, 256, "%s/%s", place, name);
	return buf;
}

void stage_prepare(const char *dir)
{
	char path[256];

	snprintf(place, sizeof(place), "%s", dir);
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make mounts private");
	must(mount("stage", place, "tmpfs", 0, "mode=755") == 0, "mount tmpfs");
	must(mknod(below("fuse", path), S_IFCHR | 0666, makedev(10, 229)) == 0 && chmod(path, 0666) == 0,
	     "make a node for FUSE");
	must(mount(path, "/dev/fuse", NULL, MS_BIND, NULL) == 0, "bind /dev/fuse");
	must(mkdir(below("in", path), 0755) == 0, "mkdir");
}

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = (char[]){ 'f' }, .iov_len = 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	must(sendmsg(sock, &m, 0) == 1, "send a descriptor");
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	int fd;

	must(recvmsg(sock, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m), "receive a descriptor");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void become(uid_t uid, gid_t gid)
{
	must(setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0,
	     "become a user");
}

static int mount_view(void)
{
	static const char *const strings[][2] = VIEW_MOUNT_STRINGS;
	static const char *const flags[] = VIEW_MOUNT_FLAGS;
	int fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int fs_fd = sys_fsopen("fuse");
	char number[16], path[256];

	must(fuse_fd >= 0 && fs_fd >= 0, "open FUSE");
	snprintf(number, sizeof(number), "%d", fuse_fd);
	int r = sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", VIEW_MOUNT_SOURCE, 0);
	r |= sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "fd", number, 0);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		r |= sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, strings[i][0], strings[i][1], 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		r |= sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, flags[i], NULL, 0);
	must(r == 0 && sys_fsconfig(fs_fd, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0,
	     "make the FUSE mount");
	int tree_fd = sys_fsmount(fs_fd, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV);
	must(tree_fd >= 0 && sys_move_mount(tree_fd, "", AT_FDCWD, below("in/view", path),
					    SYS_MOVE_MOUNT_F_EMPTY_PATH) == 0,
	     "attach the FUSE mount");
	close(tree_fd);
	close(fs_fd);
	return fuse_fd;
}

struct errand {
	int (*fn)(void *arg);
	void *arg;
	char where[16];
};

static _Noreturn void child_main(int sock)
{
	char path[256], lower[256], upper[256], work[256], data[900];
	struct errand e;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	become(STAGE_UID, STAGE_UID);
	must(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "unshare a user namespace");
	must(write(sock, "m", 1) == 1 && read(sock, data, 1) == 1, "wait for the id maps");
	become(0, 0);
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make mounts private");
	must(mount("in", below("in", path), "tmpfs", 0, "mode=755") == 0, "mount tmpfs inside");
	static const char *const names[] = { "in/view", "in/upper", "in/work", "in/root" };
	for (size_t i = 0; i < 4; i++)
		must(mkdir(below(names[i], path), 0755) == 0, "mkdir inside");
	int fuse_fd = mount_view();
	send_fd(sock, fuse_fd);
	close(fuse_fd);
	must(read(sock, data, 1) == 1, "wait for the server");
	snprintf(data, sizeof(data), "lowerdir=%s,upperdir=%s,workdir=%s,userxattr", below("in/view", lower),
		 below("in/upper", upper), below("in/work", work));
	must(mount("overlay", below("in/root", path), "overlay", 0, data) == 0, "mount the overlay");
	must(write(sock, "r", 1) == 1, "answer");
	while (read(sock, &e, sizeof(e)) == sizeof(e)) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			char in[20];

			snprintf(in, sizeof(in), "in/%s", e.where);
			must(chdir(below(in, path)) == 0, "chdir inside");
			_exit(e.fn(e.arg));
		}
		must(pid > 0 && waitpid(pid, &status, 0) == pid, "run inside");
		must(write(sock, &status, sizeof(status)) == sizeof(status), "answer");
	}
	_exit(0);
}

static void write_map(pid_t pid, const char *name)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int len = snprintf(map, sizeof(map), "0 %d 65536\n", STAGE_FIRST_SUBID);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	must(fd >= 0 && write(fd, map, (size_t)len) == len, "write an id map");
	close(fd);
}

static _Noreturn void server_main(const char *program, const int fds[4], const char *const *words,
				  unsigned max_files)
{
	const struct rlimit files = { max_files, max_files };
	char number[4][16];
	const char *names[] = { "--fuse", "--root", "--death", "--report" };
	const char *argv[64] = { program };
	int n = 1;

	must(!max_files || setrlimit(RLIMIT_NOFILE, &files) == 0, "limit the descriptors");
	become(STAGE_UID, STAGE_UID);
	for (int i = 0; i < 4; i++) {
		must(fcntl(fds[i], F_SETFD, 0) == 0, "keep a descriptor");
		snprintf(number[i], sizeof(number[i]), "%d", fds[i]);
		argv[n++] = names[i];
		argv[n++] = number[i];
	}
	while (words && *words)
		argv[n++] = *words++;
	execv(program, (char **)(uintptr_t)argv);
	must(0, program);
	_exit(99);
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void start_server(struct stage *s, int fuse_fd, const char *program, const char *root,
			 const char *const *words, unsigned max_files)
{
	int death[2], report[2];
	double from = now_us();

	must(pipe2(death, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC) == 0, "make pipes");
	int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(root_fd >= 0, "open the root");
	s->server = fork();
	if (!s->server)
		server_main(program, (int[]){ fuse_fd, root_fd, death[0], report[1] }, words, max_files);
	close(fuse_fd);
	close(root_fd);
	close(death[0]);
	close(report[1]);
	s->death_fd = death[1];
	must(read(report[0], s->report, sizeof(s->report)) == sizeof(s->report), "read the server's report");
	s->ready_us = now_us() - from;
	close(report[0]);
}

void stage_start(struct stage *s, const char *program, const char *root, const char *const *words,
		 unsigned max_files)
{
	int sock[2];
	char byte;

	*s = (struct stage){ .death_fd = -1 };
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) == 0, "make a socket");
	s->child = fork();
	if (!s->child) {
		close(sock[0]);
		child_main(sock[1]);
	}
	close(sock[1]);
	s->child_fd = sock[0];
	must(read(sock[0], &byte, 1) == 1, "wait for the child");
	write_map(s->child, "uid_map");
	write_map(s->child, "gid_map");
	must(write(sock[0], "g", 1) == 1, "let the child go on");
	start_server(s, receive_fd(sock[0]), program, root, words, max_files);
	must(write(sock[0], "s", 1) == 1 && read(sock[0], &byte, 1) == 1, "wait for the overlay");
}

int stage_inside(struct stage *s, const char *where, int (*fn)(void *arg), void *arg)
{
	struct errand e = { .fn = fn, .arg = arg };
	int status;

	snprintf(e.where, sizeof(e.where), "%s", where);
	must(write(s->child_fd, &e, sizeof(e)) == sizeof(e), "ask the child");
	must(read(s->child_fd, &status, sizeof(status)) == sizeof(status), "hear from the child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void stage_end(struct stage *s)
{
	close(s->child_fd);
	waitpid(s->child, NULL, 0);
	if (s->death_fd >= 0)
		close(s->death_fd);
	waitpid(s->server, NULL, 0);
}
