/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sys/sys.h - one thin wrapper per system call: -1 and errno, no policy, no text, no retry.
 *
 * Nobody else calls syscall(), ioctl() or the mount calls, so tests can make any of them fail
 * (-Wl,--wrap=sys_NAME) and a kernel's history stands in one place. Oldest kernel that kennel runs on: 5.12
 * (mount_setattr, idmapped mounts). Everything newer is tried and its errno looked at; a version number is
 * never compared:
 *
 *   5.19  overlay over idmapped layers            6.3   idmapped tmpfs
 *   6.6   user.* xattrs on tmpfs, lowerdir+       6.13  overlay layers by descriptor (FSCONFIG_SET_FD)
 *
 * Constants that older libc headers lack are given here with the kernel header they come from.
 */
#ifndef KENNEL_SYS_SYS_H
#define KENNEL_SYS_SYS_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <linux/openat2.h>
#include <linux/sched.h>

#define KENNEL_OLDEST_KERNEL "5.12"

/* linux/mount.h, which can't be included together with sys/mount.h of glibc before 2.37 */
#define SYS_OPEN_TREE_CLONE 1u
#define SYS_AT_RECURSIVE 0x8000u
#define SYS_MOVE_MOUNT_F_EMPTY_PATH 0x4u
#define SYS_MOVE_MOUNT_T_EMPTY_PATH 0x40u
#define SYS_MOUNT_ATTR_RDONLY 0x1u
#define SYS_MOUNT_ATTR_NOSUID 0x2u
#define SYS_MOUNT_ATTR_NODEV 0x4u
#define SYS_MOUNT_ATTR_NOEXEC 0x8u
#define SYS_MOUNT_ATTR_NOATIME 0x10u
#define SYS_MOUNT_ATTR_IDMAP 0x100000u
enum sys_fsconfig_cmd {
	SYS_FSCONFIG_SET_FLAG = 0,
	SYS_FSCONFIG_SET_STRING = 1,
	SYS_FSCONFIG_SET_FD = 5,
	SYS_FSCONFIG_CMD_CREATE = 6,
	SYS_FSCONFIG_CMD_RECONFIGURE = 7,
};
/* linux/close_range.h */
#define SYS_CLOSE_RANGE_UNSHARE 2u
#define SYS_CLOSE_RANGE_CLOEXEC 4u

struct sys_mount_attr {         /* struct mount_attr of linux/mount.h */
	uint64_t attr_set;
	uint64_t attr_clr;
	uint64_t propagation;   /* MS_PRIVATE, MS_SLAVE, ... or 0 for "leave" */
	uint64_t userns_fd;
};

struct sock_fprog;
struct sys_cap_data {           /* struct __user_cap_data_struct, version 3: two of them */
	uint32_t effective, permitted, inheritable;
};

/* processes and namespaces */
/* 0 in the child, like fork(); runs no atfork handlers */
int sys_clone3(struct clone_args *args, size_t size);
/* libc's clone(): a task that shares our memory needs a stack of its own. ret_pidfd: with CLONE_PIDFD. */
int sys_clone_on_stack(int (*main)(void *data), void *stack_top, int flags, void *data, int *ret_pidfd);
/*
 * A task that shares our memory (CLONE_VM in args) runs main on the stack that args names; main must not
 * return. ENOSYS on processors that nobody has written it for. It shares our errno, too.
 */
int sys_clone3_on_stack(struct clone_args *args, size_t size, int (*main)(void *data), void *data);
int sys_unshare(unsigned long flags);
int sys_setns(int fd, int nstype);
int sys_pidfd_open(pid_t pid, unsigned flags);
int sys_pidfd_send_signal(int pidfd, int sig, unsigned flags);
int sys_pidfd_getfd(int pidfd, int target_fd);
int sys_waitid_pidfd(int pidfd, siginfo_t *ret_info, int options);
int sys_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
int sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5);
int sys_capget(struct sys_cap_data ret_data[2]);
int sys_capset(const struct sys_cap_data data[2]);
/* The calling thread only, unlike the libc functions, which signal all threads of the process. */
int sys_setresuid(uid_t r, uid_t e, uid_t s);
int sys_setresgid(gid_t r, gid_t e, gid_t s);
int sys_setgroups(size_t n, const gid_t *groups);
uid_t sys_setfsuid(uid_t uid);                          /* returns the previous one; never fails visibly */
gid_t sys_setfsgid(gid_t gid);
int sys_seccomp_load(const struct sock_fprog *prog);    /* SECCOMP_SET_MODE_FILTER, no flags */
int sys_seccomp_listen(
	const struct sock_fprog *prog); /* the same with a listener, which is returned (Linux 5.5) */
/*
 * attr: an array of 64-bit masks in the order of struct landlock_ruleset_attr, size of it in bytes.
 * Close-on-exec.
 */
int sys_landlock_create_ruleset(const void *attr, size_t size);
/* What is handled is allowed for this file, or for this directory and all below it. */
int sys_landlock_add_path(int ruleset_fd, int fd, uint64_t access);
int sys_landlock_restrict_self(int ruleset_fd);
int sys_keyctl_join_session(const char *name);          /* NULL: a new anonymous one */
int sys_sethostname(const char *name, size_t len);
int sys_setsid(void);
struct pollfd;
/* Without libc's cancellation point around it. timeout_ms below 0: none. */
int sys_poll(struct pollfd *fds, unsigned n, int timeout_ms);

/* files and mounts */
int sys_faccessat2(int dir_fd, const char *path, int mode, int flags);
int sys_openat2(int dir_fd, const char *path, const struct open_how *how);
int sys_open_tree(int dir_fd, const char *path, unsigned flags);        /* O_CLOEXEC is always added */
int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int sys_mount_setattr(int dir_fd, const char *path, unsigned flags, const struct sys_mount_attr *attr);
int sys_fsopen(const char *fstype);                                     /* close-on-exec */
int sys_fspick(int fd); /* of the mount whose root fd is; close-on-exec */
int sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux);
int sys_fsmount(int fs_fd, unsigned attr_flags);                        /* close-on-exec */
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_umount2(const char *path, int flags);
int sys_memfd_create(const char *name, unsigned flags);
int sys_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name, unsigned flags);
/* FS_IOC_GETFSUUID (Linux 6.9) */
int sys_fs_uuid(int fd, uint8_t ret_uuid[16]);
int sys_fgetfsmagic(int fd, long *ret_magic);                           /* statfs f_type */

/* devices, terminals, network: every ioctl that we use, by name */
int sys_ioctl(int fd, unsigned long request, void *arg);
int sys_ioctl_int(int fd, unsigned long request, unsigned long arg);

/* BPF, for the device policy of cgroup v2; attr is union bpf_attr */
int sys_bpf(int cmd, void *attr, size_t size);

#endif
