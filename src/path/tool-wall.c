/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/tool-wall.c - see tool-wall.h. From the outside in:
 *
 *   a mount namespace   in which everything but its own directory is read-only; for root of some namespace
 *   capabilities        but for those that reading, and where it makes files making them, takes
 *   Landlock            no file is opened but programs, libraries, a few settings, its file and directory;
 *                       no signal to a process outside (where the kernel has it, from 5.13 on)
 *   seccomp             no socket, namespace, mount, other process, key or module; and unless it makes files
 *                       no change of modes, owners, times and attributes, which Landlock does not know
 *
 * What the kernel lacks or this user may not do is left out; the filter is always there. A list of allowed
 * calls would be closed better, but these programs are others' and change: one that fails with the next
 * version of squashfs-tools helps nobody.
 */
#include "path/tool-wall.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#define DATA_MAX (4ull << 30)

#if defined(__x86_64__)
#define WALL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define WALL_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define WALL_ARCH AUDIT_ARCH_RISCV64
#endif

/* --- mounts */

/* Its directory becomes a mount of its own; then nothing else can be written by name. */
static int make_readonly(const struct tool_child *c)
{
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NOSUID,
		.propagation = MS_PRIVATE,
	};
	_cleanup_close_ int fd = -EBADF;

	/* the working directory goes along, a descriptor would still be of the old namespace */
	if (sys_unshare(CLONE_NEWNS) < 0) /* not for this user, or not in this sandbox */
		return errno == EPERM || errno == ENOSYS || errno == ENOSPC ? 0 : -1;
	if (c->dir_fd >= 0)
		fd = sys_open_tree(AT_FDCWD, ".", SYS_OPEN_TREE_CLONE);
	if (c->fills_dir && fd < 0)
		return -1;
	/* in a chroot that is no mount there is nothing to set; Landlock is the other wall */
	if (sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &attr) < 0)
		return errno == EINVAL || errno == EPERM ? 0 : -1;
	if (fd < 0)
		return 0;
	/* anywhere, for some ask for the name of their directory */
	(void)!sys_move_mount(fd, "", AT_FDCWD, "/tmp", SYS_MOVE_MOUNT_F_EMPTY_PATH);
	return fchdir(fd);
}

/* --- capabilities */

static int drop_capabilities(bool fills_dir)
{
	/* CAP_SYS_ADMIN is for attributes in trusted.*; all else that it would open, the filter closes */
	const uint64_t read = 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_SYS_ADMIN;
	const uint64_t make = 1ull << CAP_CHOWN | 1ull << CAP_FOWNER | 1ull << CAP_FSETID |
			      1ull << CAP_MKNOD | 1ull << CAP_SETFCAP;
	const uint64_t keep = fills_dir ? read | make : read;
	struct sys_cap_data caps[2];

	for (unsigned long cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && sys_prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno == EINVAL)
			break;
	if (sys_capget(caps) < 0)
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		caps[i].effective &= (uint32_t)(keep >> 32 * i);
		caps[i].permitted &= (uint32_t)(keep >> 32 * i);
		caps[i].inheritable = 0;
	}
	return sys_capset(caps);
}

/* --- Landlock */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define EXEC LANDLOCK_ACCESS_FS_EXECUTE
#define WRITE LANDLOCK_ACCESS_FS_WRITE_FILE
#define TRUNCATE (1ull << 14) /* LANDLOCK_ACCESS_FS_TRUNCATE */
#define OF_A_FILE (LANDLOCK_ACCESS_FS_READ_FILE | EXEC | WRITE | TRUNCATE)

static const struct {
	const char *path;
	uint64_t access;
} readable[] = {
	{ "/usr", READ | EXEC },
	{ "/lib", READ | EXEC },
	{ "/lib64", READ | EXEC },
	{ "/bin", READ | EXEC },
	{ "/sbin", READ | EXEC },
	{ "/etc/ld.so.cache", READ },
	{ "/etc/ld.so.preload", READ },
	{ "/etc/mke2fs.conf", READ },
	{ "/etc/e2fsck.conf", READ },
	{ "/proc", READ },
	{ "/dev/null", READ | WRITE },
	{ "/dev/zero", READ },
	{ "/dev/urandom", READ },
	{ "/dev/random", READ },
};

/* Who makes files may want to know whose: ssh-keygen does nothing for who has no name. */
static const char *const accounts[] = { "/etc/nsswitch.conf", "/etc/passwd" };

/* Where it can't be, the program has one file less. */
static void allow(int ruleset_fd, int fd, uint64_t access)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	if (!S_ISDIR(st.st_mode))
		access &= OF_A_FILE;
	(void)!sys_landlock_add_path(ruleset_fd, fd, access);
}

static void allow_path(int ruleset_fd, const char *path, uint64_t access)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0)
		allow(ruleset_fd, fd, access);
}

/* The best that this kernel knows: handled accesses of files, of TCP, and what ends at its own processes. */
static int make_ruleset(uint64_t *ret_all)
{
	const uint64_t first = (1ull << 13) - 1, scoped = 3, tcp = 3;
	const struct {
		uint64_t attr[3];
		size_t size;
	} tries[] = {
		{ { first | 1ull << 13 | TRUNCATE, tcp, scoped }, 24 },
		{ { first | 1ull << 13 | TRUNCATE, tcp }, 16 },
		{ { first | 1ull << 13 | TRUNCATE }, 8 },
		{ { first }, 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		int fd = sys_landlock_create_ruleset(tries[i].attr, tries[i].size);

		*ret_all = tries[i].attr[0];
		if (fd >= 0)
			return fd;
	}
	return -1;
}

static int give_up_files(const struct tool_child *c)
{
	uint64_t all = 0;
	_cleanup_close_ int fd = make_ruleset(&all);

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
		allow_path(fd, readable[i].path, readable[i].access & all);
	for (size_t i = 0; c->fills_dir && i < ARRAY_SIZE(accounts); i++)
		allow_path(fd, accounts[i], READ & all);
	if (c->file_fd >= 0)
		allow(fd, 3, (READ | WRITE | TRUNCATE) & all);
	if (c->dir_fd >= 0)
		allow_path(fd, ".", c->fills_dir ? all & ~(uint64_t)EXEC : READ);
	return sys_landlock_restrict_self(fd);
}

/* --- seccomp */

/* Numbers that older headers lack are the same everywhere. */
static const int denied[] = {
	SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_sendto,
	SYS_sendmsg, SYS_shmget, SYS_msgget, SYS_semget, SYS_mq_open, SYS_ptrace, SYS_process_vm_readv,
	SYS_process_vm_writev, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	424, /* pidfd_send_signal */
	434, /* pidfd_open */
	438, /* pidfd_getfd */
	440, /* process_madvise */
	SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_swapon, SYS_swapoff,
	428, 429, 430, 431, 432, 433, /* open_tree to fspick */
	442, /* mount_setattr */
	425, 426, 427, /* io_uring */
	SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl, SYS_add_key, SYS_request_key,
	SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_acct,
	SYS_quotactl, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname,
	SYS_setdomainname, SYS_syslog, SYS_open_by_handle_at, SYS_fanotify_init, SYS_personality,
};

static const int of_makers[] = {
#ifdef SYS_chmod
	SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
	SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_utimensat, SYS_setxattr, SYS_lsetxattr,
	SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
	452, /* fchmodat2 */
	463, /* setxattrat */
	466, /* removexattrat */
	469, /* file_setattr */
};

#define NEW_NAMESPACES 0x7e020000u
#define CLONE3 435u
#define X32 0x40000000u

struct program {
	struct sock_filter code[2 * (ARRAY_SIZE(denied) + ARRAY_SIZE(of_makers)) + 24];
	unsigned short n;
};

static void add(struct program *p, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	p->code[p->n++] = (struct sock_filter){ code, yes, no, k };
}

#define LOAD (BPF_LD | BPF_W | BPF_ABS)
#define IF_EQ (BPF_JMP | BPF_JEQ | BPF_K)
#define RET (BPF_RET | BPF_K)
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)

/* The lower half of the first argument, on the little-endian machines that WALL_ARCH is for. */
#define FIRST offsetof(struct seccomp_data, args)

static int load_filter(bool fills_dir)
{
	struct program p = { .n = 0 };

	add(&p, LOAD, offsetof(struct seccomp_data, arch), 0, 0);
	add(&p, IF_EQ, WALL_ARCH, 1, 0);
	add(&p, RET, SECCOMP_RET_KILL_PROCESS, 0, 0);
	add(&p, LOAD, offsetof(struct seccomp_data, nr), 0, 0);
	add(&p, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
	add(&p, RET, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
	/* threads, with the older call, which shows its flags */
	add(&p, IF_EQ, CLONE3, 0, 1);
	add(&p, RET, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
		add(&p, IF_EQ, (uint32_t)denied[i], 0, 1);
		add(&p, RET, REFUSE, 0, 0);
	}
	for (size_t i = 0; !fills_dir && i < ARRAY_SIZE(of_makers); i++) {
		add(&p, IF_EQ, (uint32_t)of_makers[i], 0, 1);
		add(&p, RET, REFUSE, 0, 0);
	}
	add(&p, IF_EQ, SYS_clone, 0, 4);
	add(&p, LOAD, FIRST, 0, 0);
	add(&p, BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1);
	add(&p, RET, REFUSE, 0, 0);
	add(&p, RET, SECCOMP_RET_ALLOW, 0, 0);
	/* raise() and abort() */
	add(&p, IF_EQ, SYS_tgkill, 0, 3);
	add(&p, LOAD, FIRST, 0, 0);
	add(&p, IF_EQ, (uint32_t)getpid(), 1, 0);
	add(&p, RET, REFUSE, 0, 0);
	add(&p, RET, SECCOMP_RET_ALLOW, 0, 0);
	const struct sock_fprog prog = { .len = p.n, .filter = p.code };
	return sys_seccomp_load(&prog);
}

/* --- the process */

static int limit(void)
{
	const struct rlimit none = { 0, 0 }, data = { DATA_MAX, DATA_MAX };
	struct rlimit now;

	if (setrlimit(RLIMIT_CORE, &none) < 0 || getrlimit(RLIMIT_DATA, &now) < 0)
		return -1;
	return now.rlim_max > DATA_MAX ? setrlimit(RLIMIT_DATA, &data) : 0;
}

static int take_descriptors(const struct tool_child *c)
{
	if (c->dir_fd >= 0 ? fchdir(c->dir_fd) < 0 : chdir("/") < 0)
		return -1;
	if (dup2(c->in_fd, 0) < 0 || dup2(c->out_fd, 1) < 0 || dup2(c->err_fd, 2) < 0 ||
	    (c->file_fd >= 0 && dup2(c->file_fd, 3) < 0))
		return -1;
	return sys_close_range(c->file_fd >= 0 ? 4 : 3, ~0u, 0);
}

static int build_wall(const struct tool_child *c)
{
	if (make_readonly(c) < 0 || limit() < 0 || sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    drop_capabilities(c->fills_dir) < 0 || give_up_files(c) < 0)
		return -1;
	return load_filter(c->fills_dir);
}

static _Noreturn void become(const struct tool_child *c, pid_t parent)
{
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C.UTF-8",
				     (char *)"HOME=/", NULL };
	sigset_t none;

	sigemptyset(&none);
	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent ||
	    take_descriptors(c) < 0 || (!c->manages && build_wall(c) < 0) ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(TOOL_NOT_READY);
	signal(SIGPIPE, SIG_DFL);
	/* Ctrl-C is for the one who started us: it ends us in an orderly way. */
	signal(SIGINT, SIG_IGN);
	execve(c->path, c->argv, env);
	_exit(TOOL_NOT_FOUND);
}

pid_t tool_fork(const struct tool_child *c)
{
	pid_t self = getpid(), pid = fork();

	if (pid == 0)
		become(c, self);
	return pid;
}
