/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness/stop-at.c - run a command and stop it in one of its system calls: see lib_each_point in lib.bash
 *
 *   stop-at [OPTION]... list FILE COMMAND...    run it whole; a line of FILE per point: N NAME WHAT
 *   stop-at [OPTION]... kill N COMMAND...       SIGKILL before the call of point N is made
 *   stop-at [OPTION]... ERROR N COMMAND...      the call of N is not made, and fails: EIO, ENOSPC
 *
 * Options: -f, -A, -c NAME, -o, -r DIR.
 *
 * A point is a call that changes something outside of its process. Killed before one that changes
 * nothing, a program leaves the very state that it leaves when it is killed before the next one that
 * does, for whatever dies with a process (memory, descriptors and their locks, what no other process can
 * reach) is gone in either case. A call that the table below does not know counts as a change. WHAT is
 * "well", or why it changed nothing after all: "failed", or "sync", which only brings to the disk what is
 * there already; these are points too because they can be made to fail. So are calls that only read,
 * where -r says on which file system, that of DIR: "read". What programs load from /usr and /etc is left
 * out. With -A every call is a point. Memory that is shared and mapped is changed without a call.
 *
 * With -c only calls of that name are points, and counted: several processes do not come to their calls in
 * the same order twice, and the Nth of all would be another one each time.
 *
 * With -o the same call of that process fails from then on, too.
 *
 * -f follows children: the count is over all of them, and a kill ends all. Programs with a set-user-id
 * bit, which would not get it, are let go. Without -f, only the command's own process counts and is
 * killed. The exit code is the command's, 128 plus the signal's number where one ended it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <elf.h>

#define TRACEES 256
#define DEVICES 256

enum kind { CHANGE, PURE, SYNC, READ, OPEN, OPENAT, OPENAT2, IOCTL, FCNTL };

struct call {
	long nr;
	const char *name;
	enum kind kind;
	int fd; /* which argument says where the change is, a name being the next one: 1 first, 0 none */
};

#define C(name, kind, fd) { SYS_##name, #name, kind, fd }

/* clang-format off */
static const struct call calls[] = {
#ifdef SYS_open
	C(open, OPEN, 0), C(access, PURE, 0), C(arch_prctl, PURE, 0), C(dup2, PURE, 0),
	C(epoll_wait, PURE, 0), C(getdents, READ, 1), C(poll, PURE, 0), C(readlink, PURE, 0),
	C(select, PURE, 0), C(stat, PURE, 0), C(lstat, PURE, 0), C(alarm, PURE, 0), C(getpgrp, PURE, 0),
	C(time, PURE, 0), C(fork, CHANGE, 0), C(vfork, CHANGE, 0), C(rename, CHANGE, 0),
	C(link, CHANGE, 0), C(unlink, CHANGE, 0), C(mkdir, CHANGE, 0), C(rmdir, CHANGE, 0),
	C(symlink, CHANGE, 0), C(chmod, CHANGE, 0), C(chown, CHANGE, 0), C(mknod, CHANGE, 0),
#endif
	C(openat, OPENAT, 1), C(openat2, OPENAT2, 1), C(ioctl, IOCTL, 1), C(fcntl, FCNTL, 1),
	C(fsync, SYNC, 1), C(fdatasync, SYNC, 1), C(syncfs, SYNC, 1), C(sync, SYNC, 0),
	C(sync_file_range, SYNC, 1), C(read, READ, 1), C(pread64, READ, 1), C(readv, READ, 1),
	C(preadv, READ, 1), C(getdents64, READ, 1), C(newfstatat, READ, 1), C(statx, READ, 1),
	C(readlinkat, READ, 1), C(fgetxattr, READ, 1), C(flistxattr, READ, 1), C(brk, PURE, 0),
	C(capget, PURE, 0), C(capset, PURE, 0), C(chdir, PURE, 0), C(clock_getres, PURE, 0),
	C(clock_gettime, PURE, 0), C(clock_nanosleep, PURE, 0), C(close, PURE, 0), C(close_range, PURE, 0),
	C(dup, PURE, 0), C(dup3, PURE, 0), C(epoll_create1, PURE, 0), C(epoll_ctl, PURE, 0),
	C(epoll_pwait, PURE, 0), C(eventfd2, PURE, 0), C(faccessat, PURE, 0), C(faccessat2, PURE, 0),
	C(fadvise64, PURE, 0), C(fchdir, PURE, 0), C(fsopen, PURE, 0), C(fsconfig, PURE, 0),
	C(fsmount, PURE, 0), C(fstat, PURE, 0), C(fstatfs, PURE, 0), C(futex, PURE, 0),
	C(get_robust_list, PURE, 0), C(getcwd, PURE, 0), C(getegid, PURE, 0), C(geteuid, PURE, 0),
	C(getgid, PURE, 0), C(getgroups, PURE, 0), C(getitimer, PURE, 0), C(getpeername, PURE, 0),
	C(getpgid, PURE, 0), C(getpid, PURE, 0), C(getppid, PURE, 0), C(getpriority, PURE, 0),
	C(getrandom, PURE, 0), C(getresgid, PURE, 0), C(getresuid, PURE, 0), C(getrlimit, PURE, 0),
	C(getrusage, PURE, 0), C(getsid, PURE, 0), C(getsockname, PURE, 0), C(getsockopt, PURE, 0),
	C(gettid, PURE, 0), C(gettimeofday, PURE, 0), C(getuid, PURE, 0), C(getxattr, PURE, 0),
	C(lgetxattr, PURE, 0), C(listxattr, PURE, 0), C(llistxattr, PURE, 0), C(lseek, PURE, 0),
	C(madvise, PURE, 0), C(memfd_create, PURE, 0), C(mincore, PURE, 0), C(mmap, PURE, 0),
	C(mprotect, PURE, 0), C(mremap, PURE, 0), C(munmap, PURE, 0), C(nanosleep, PURE, 0),
	C(open_tree, PURE, 0), C(mount_setattr, PURE, 0), C(pidfd_open, PURE, 0), C(pipe2, PURE, 0),
	C(ppoll, PURE, 0), C(prctl, PURE, 0), C(prlimit64, PURE, 0), C(pselect6, PURE, 0),
	C(readahead, PURE, 0), C(recvfrom, PURE, 0), C(recvmsg, PURE, 0), C(rseq, PURE, 0),
	C(rt_sigaction, PURE, 0), C(rt_sigpending, PURE, 0), C(rt_sigprocmask, PURE, 0),
	C(rt_sigreturn, PURE, 0), C(rt_sigsuspend, PURE, 0), C(rt_sigtimedwait, PURE, 0),
	C(sched_getaffinity, PURE, 0), C(sched_setaffinity, PURE, 0), C(sched_yield, PURE, 0),
	C(set_robust_list, PURE, 0), C(set_tid_address, PURE, 0), C(setitimer, PURE, 0),
	C(setsockopt, PURE, 0), C(sigaltstack, PURE, 0), C(signalfd4, PURE, 0), C(socket, PURE, 0),
	C(socketpair, PURE, 0), C(statfs, PURE, 0), C(sysinfo, PURE, 0), C(times, PURE, 0),
	C(umask, PURE, 0), C(uname, PURE, 0), C(wait4, PURE, 0), C(waitid, PURE, 0),
	/* with a name for people, and where what they change is */
	C(write, CHANGE, 1), C(pwrite64, CHANGE, 1), C(writev, CHANGE, 1), C(pwritev, CHANGE, 1),
	C(ftruncate, CHANGE, 1), C(fallocate, CHANGE, 1), C(copy_file_range, CHANGE, 3),
	C(sendfile, CHANGE, 1), C(mkdirat, CHANGE, 1), C(mknodat, CHANGE, 1), C(unlinkat, CHANGE, 1),
	C(symlinkat, CHANGE, 2), C(fchmodat, CHANGE, 1), C(fchmod, CHANGE, 1), C(fchownat, CHANGE, 1),
	C(fchown, CHANGE, 1), C(utimensat, CHANGE, 1), C(fsetxattr, CHANGE, 1), C(fremovexattr, CHANGE, 1),
	C(linkat, CHANGE, 0), C(renameat, CHANGE, 0), C(renameat2, CHANGE, 0), C(flock, CHANGE, 0),
	C(setxattr, CHANGE, 0), C(lsetxattr, CHANGE, 0), C(removexattr, CHANGE, 0),
	C(lremovexattr, CHANGE, 0), C(truncate, CHANGE, 0), C(splice, CHANGE, 0), C(move_mount, CHANGE, 0),
	C(mount, CHANGE, 0), C(umount2, CHANGE, 0), C(clone, CHANGE, 0), C(clone3, CHANGE, 0),
	C(execve, CHANGE, 0), C(execveat, CHANGE, 0), C(kill, CHANGE, 0), C(tgkill, CHANGE, 0),
	C(pidfd_send_signal, CHANGE, 0), C(setns, CHANGE, 0), C(unshare, CHANGE, 0), C(connect, CHANGE, 0),
	C(bind, CHANGE, 0), C(sendto, CHANGE, 0), C(sendmsg, CHANGE, 0), C(exit, CHANGE, 0),
	C(exit_group, CHANGE, 0), C(pivot_root, CHANGE, 0), C(chroot, CHANGE, 0), C(setsid, CHANGE, 0),
	C(setpgid, CHANGE, 0),
};
/* clang-format on */

struct tracee {
	pid_t pid;
	bool failing;  /* its call is the one that fails */
	size_t point;  /* its call is this one, 0 none */
};

struct point {
	const char *name;
	const char *what;
};

static struct {
	bool follow, every, on, live, killing;
	const char *only;     /* with -c */
	pid_t failed;         /* with -o: whose */
	const char *failed_name;
	int error;            /* 0: kill */
	size_t target, count; /* no target: list */
	FILE *list;
	dev_t readable;
	pid_t main;
	int status;
	struct tracee tracees[TRACEES];
	struct point *points;
	size_t allocated;
	dev_t devices[DEVICES]; /* of all mounts that we see */
	size_t n_devices;
} s;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "stop-at: %s: %s\n", what, strerror(errno));
	exit(99);
}

static struct tracee *tracee_of(pid_t pid)
{
	struct tracee *empty = NULL;

	for (size_t i = 0; i < TRACEES; i++) {
		if (s.tracees[i].pid == pid)
			return &s.tracees[i];
		if (!s.tracees[i].pid && !empty)
			empty = &s.tracees[i];
	}
	if (!empty) {
		errno = ENOSPC;
		die("too many processes");
	}
	*empty = (struct tracee){ .pid = pid };
	return empty;
}

static void read_mounts(void)
{
	char line[8192];
	unsigned ma, mi;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof(line), f) && s.n_devices < DEVICES)
		if (sscanf(line, "%*u %*u %u:%u", &ma, &mi) == 2)
			s.devices[s.n_devices++] = makedev(ma, mi);
	if (f)
		fclose(f);
}

static size_t read_memory(pid_t pid, uint64_t at, void *buf, size_t size)
{
	struct iovec here = { buf, size }, there = { (void *)(uintptr_t)at, size };
	ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

	return n < 0 ? 0 : (size_t)n;
}

static bool starts_absolute(pid_t pid, uint64_t path)
{
	char c = 0;

	return read_memory(pid, path, &c, 1) != 1 || c == '/';
}

static bool is_tree(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

/* Is FD on a tmpfs that is mounted nowhere: a memory file, or a mount that goes with its processes? */
static bool is_private(pid_t pid, int fd)
{
	char path[64];
	struct stat st;
	struct statfs fs;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (stat(path, &st) < 0 || statfs(path, &fs) < 0 || fs.f_type != TMPFS_MAGIC || !is_tree(&st))
		return false;
	for (size_t i = 0; i < s.n_devices; i++)
		if (s.devices[i] == st.st_dev)
			return false;
	return s.n_devices < DEVICES;
}

/* Is it on the file system that -r names, and nothing that programs bring along? */
static bool is_read(pid_t pid, int fd)
{
	char path[64], name[64] = "";
	struct stat st;

	if (!s.readable || fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (stat(path, &st) < 0 || st.st_dev != s.readable || !is_tree(&st))
		return false;
	if (readlink(path, name, sizeof(name) - 1) <= 1)
		return false;
	return strncmp(name, "/usr", 4) && strncmp(name, "/etc", 4) && strncmp(name, "/lib", 4);
}

static bool ioctl_changes(uint64_t request)
{
	switch ((uint32_t)request) {
	case TCGETS:
	case TIOCGWINSZ:
	case FIONREAD:
	case 0x1260:                       /* BLKGETSIZE */
	case _IOR(0x12, 114, size_t):      /* BLKGETSIZE64 */
	case 0x4c05:                       /* LOOP_GET_STATUS64 */
	case _IOR('f', 1, long):           /* FS_IOC_GETFLAGS */
	case _IOC(_IOC_READ, 0x15, 0, 17): /* FS_IOC_GETFSUUID */
	case _IOC(_IOC_READ | _IOC_WRITE, 'f', 11, 32): /* FS_IOC_FIEMAP */
		return false;
	}
	return (request >> 8 & 0xff) != 0xb7; /* what a namespace is */
}

static bool fcntl_changes(int command)
{
	return command == F_SETLK || command == F_SETLKW || command == F_SETLEASE || command == F_OFD_SETLK;
}

/* What a call is: the name of what it would change is known by its arguments. */
static const char *what_is(pid_t pid, const struct call *c, const uint64_t *args)
{
	uint64_t flags = 0;
	int fd = c->fd ? (int)args[c->fd - 1] : -1;

	switch (c->kind) {
	case PURE:
		return NULL;
	case SYNC:
		return "sync";
	case READ:
		return is_read(pid, fd) ? "read" : NULL;
	case OPEN:
		flags = args[1];
		break;
	case OPENAT:
		flags = args[2];
		break;
	case OPENAT2:
		if (read_memory(pid, args[2], &flags, sizeof(flags)) != sizeof(flags))
			return "well";
		break;
	case IOCTL:
		return ioctl_changes(args[1]) ? "well" : NULL;
	case FCNTL:
		return fcntl_changes((int)args[1]) ? "well" : NULL;
	case CHANGE:
		flags = O_CREAT;
		break;
	}
	if (!(flags & (O_CREAT | O_TRUNC)))
		return is_read(pid, fd) ? "read" : NULL;
	if (fd < 0 || !is_private(pid, fd))
		return "well";
	bool has_name = (c->nr != SYS_write && strstr(c->name, "at")) || c->kind == OPENAT2;
	return has_name && starts_absolute(pid, args[c->fd]) ? "well" : NULL;
}

static const struct call *call_of(long nr)
{
	static struct call unknown = { .name = "unknown" };

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].nr == nr)
			return &calls[i];
	unknown.nr = nr;
	return &unknown;
}

static void add_point(const char *name, const char *what)
{
	if (s.count == s.allocated) {
		s.allocated = s.allocated ? 2 * s.allocated : 256;
		s.points = realloc(s.points, s.allocated * sizeof(*s.points));
		if (!s.points)
			die("memory");
	}
	s.points[s.count++] = (struct point) { name, what };
}

static void kill_them(void)
{
	s.killing = true;
	if (kill(s.main, SIGKILL) < 0)
		die("kill");
	for (size_t i = 0; s.follow && i < TRACEES; i++)
		if (s.tracees[i].pid)
			kill(s.tracees[i].pid, SIGKILL);
}

/* An exit from a call with -1 as its number: the kernel makes none, and the process sees RESULT. */
static void replace_call(pid_t pid, bool at_exit)
{
#if defined(__x86_64__)
	struct user_regs_struct r;
	struct iovec io = { &r, sizeof(r) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) < 0)
		die("registers");
	if (at_exit)
		r.rax = (uint64_t)-s.error;
	else
		r.orig_rax = (uint64_t)-1;
	if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) < 0)
		die("registers");
#elif defined(__aarch64__)
	struct user_regs_struct r;
	struct iovec io = { &r, sizeof(r) };
	int none = -1;
	struct iovec nr = { &none, sizeof(none) };

	if (!at_exit) {
		if (ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &nr) < 0)
			die("registers");
		return;
	}
	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io) < 0)
		die("registers");
	r.regs[0] = (uint64_t)-s.error;
	if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &io) < 0)
		die("registers");
#else
#error "how a call is left out on this machine is not known"
#endif
}

/* A program that gets rights by its file: traced, it would not. */
static bool is_let_go(pid_t pid, long nr, const uint64_t *args)
{
	char path[256] = "";
	static const char *const names[] = { "newuidmap", "newgidmap", "pasta", "passt", "fusermount3" };

	if (nr != SYS_execve)
		return false;
	read_memory(pid, args[0], path, sizeof(path) - 1);
	const char *slash = strrchr(path, '/');
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(slash ? slash + 1 : path, names[i]) == 0)
			return true;
	return false;
}

enum next { GO_ON, LET_GO, GONE };

static enum next at_call(struct tracee *t, const struct __ptrace_syscall_info *info)
{
	const struct call *c = call_of((long)info->entry.nr);
	uint64_t args[6];

	memcpy(args, info->entry.args, sizeof(args));
	if (t->pid != s.main && is_let_go(t->pid, c->nr, args))
		return LET_GO;
	const char *what = what_is(t->pid, c, args);
	if (s.every && !what)
		what = "well";
	t->point = 0;
	if (!what || (s.only && strcmp(c->name, s.only) != 0))
		return GO_ON;
	add_point(c->name, what);
	t->point = s.count;
	bool again = s.failed == t->pid && s.failed_name == c->name;
	if (!s.target || (s.count != s.target && !again))
		return GO_ON;
	if (!s.error) {
		kill_them();
		return GONE;
	}
	replace_call(t->pid, false);
	t->failing = true;
	if (s.on) {
		s.failed = t->pid;
		s.failed_name = c->name;
	}
	return GO_ON;
}

static void after_call(struct tracee *t, const struct __ptrace_syscall_info *info)
{
	if (t->failing)
		replace_call(t->pid, true);
	else if (t->point && info->exit.is_error && strcmp(s.points[t->point - 1].what, "well") == 0)
		s.points[t->point - 1].what = "failed";
	t->failing = false;
	t->point = 0;
}

static enum next at_syscall_stop(struct tracee *t)
{
	struct __ptrace_syscall_info info;

	if (!s.live)
		return GO_ON;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->pid, sizeof(info), &info) < 0)
		return GO_ON; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		return at_call(t, &info);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		after_call(t, &info);
	return GO_ON;
}

/* One stop of a process. Return: false when all is told. */
static bool step(pid_t pid, int status)
{
	struct tracee *t = tracee_of(pid);
	int sig = 0;
	enum next next = GO_ON;

	if (WIFEXITED(status) || WIFSIGNALED(status)) {
		if (pid == s.main)
			s.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		*t = (struct tracee) { 0 };
		return pid != s.main || (s.killing && s.follow);
	}
	if (s.killing) { /* born this very moment */
		kill(pid, SIGKILL);
		return true;
	}
	if (status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP) {
		(void)ptrace(PTRACE_LISTEN, pid, 0, 0);
		return true;
	}
	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		next = at_syscall_stop(t);
	else if (status >> 16 == PTRACE_EVENT_EXEC)
		s.live = true;
	else if (status >> 16 == 0)
		sig = WSTOPSIG(status);
	if (next == LET_GO) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		*t = (struct tracee) { 0 };
	} else if (next == GO_ON) {
		(void)ptrace(PTRACE_SYSCALL, pid, 0, sig);
	}
	return true;
}

static void trace(char **words)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	int status;

	if (s.follow)
		options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	s.main = fork();
	if (s.main < 0)
		die("fork");
	if (s.main == 0) {
		raise(SIGSTOP);
		execvp(words[0], words);
		_exit(127);
	}
	if (waitpid(s.main, &status, WUNTRACED) != s.main || !WIFSTOPPED(status))
		die("start");
	/* Not PTRACE_TRACEME, whose children stop for good when we end before their first step. */
	if (ptrace(PTRACE_SEIZE, s.main, 0, options) < 0 || kill(s.main, SIGCONT) < 0)
		die("trace");
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno != EINTR)
			break;
		if (pid > 0 && !step(pid, status))
			break;
	}
}

static int error_of(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} errors[] = { { "EIO", EIO },     { "ENOSPC", ENOSPC }, { "EINTR", EINTR },
		       { "EPERM", EPERM }, { "EDQUOT", EDQUOT }, { "ENOMEM", ENOMEM } };

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].number;
	errno = EINVAL;
	die(name);
}

int main(int argc, char **argv)
{
	struct stat st;
	int opt;

	while ((opt = getopt(argc, argv, "+fAc:or:")) != -1) {
		if (opt == 'f')
			s.follow = true;
		else if (opt == 'A')
			s.every = true;
		else if (opt == 'c')
			s.only = optarg;
		else if (opt == 'o')
			s.on = true;
		else if (opt == 'r' && stat(optarg, &st) == 0)
			s.readable = st.st_dev;
		else
			die("usage: see the source");
	}
	if (argc - optind < 3)
		die("usage: see the source");
	const char *what = argv[optind], *where = argv[optind + 1];
	if (strcmp(what, "list") == 0) {
		s.list = fopen(where, "we");
		if (!s.list)
			die(where);
	} else {
		s.target = strtoul(where, NULL, 10);
		s.error = strcmp(what, "kill") == 0 ? 0 : error_of(what);
	}
	read_mounts();
	trace(argv + optind + 2);
	for (size_t i = 0; s.list && i < s.count; i++)
		fprintf(s.list, "%zu %s %s\n", i + 1, s.points[i].name, s.points[i].what);
	if (s.list && fclose(s.list) != 0)
		die(where);
	return s.status;
}
