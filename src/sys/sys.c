/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sys/sys.c - see sys.h. Numbers that older headers lack are the same on all architectures since 5.x. */
#include "sys/sys.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

int sys_clone3(struct clone_args *args, size_t size)
{
	return (int)syscall(SYS_clone3, args, size);
}

int sys_clone_on_stack(int (*main)(void *data), void *stack_top, int flags, void *data, int *ret_pidfd)
{
	return clone(main, stack_top, flags, data, ret_pidfd);
}

#if defined(__x86_64__) && !defined(__ILP32__)
/* Between the call and main nothing may touch the stack, which is another one then. */
int sys_clone3_on_stack(struct clone_args *args, size_t size, int (*main)(void *data), void *data)
{
	register int (*r8)(void *data) __asm__("r8") = main;
	register void *r9 __asm__("r9") = data;
	long r = SYS_clone3;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r9, %%rdi\n\t"
			 "call *%%r8\n\t"
			 "hlt\n"
			 "1:"
			 : "+a"(r)
			 : "D"(args), "S"(size), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	if (r < 0)
		errno = (int)-r;
	return r < 0 ? -1 : (int)r;
}
#elif defined(__aarch64__)
int sys_clone3_on_stack(struct clone_args *args, size_t size, int (*main)(void *data), void *data)
{
	register long x8 __asm__("x8") = SYS_clone3;
	register long x0 __asm__("x0") = (long)args;
	register size_t x1 __asm__("x1") = size;
	register int (*x2)(void *data) __asm__("x2") = main;
	register void *x3 __asm__("x3") = data;

	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x29, xzr\n\t"
			 "mov x0, x3\n\t"
			 "blr x2\n\t"
			 "brk #0\n"
			 "1:"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
			 : "memory", "cc");
	if (x0 < 0)
		errno = (int)-x0;
	return x0 < 0 ? -1 : (int)x0;
}
#else
int sys_clone3_on_stack(struct clone_args *args, size_t size, int (*main)(void *data), void *data)
{
	(void)args, (void)size, (void)main, (void)data;
	errno = ENOSYS;
	return -1;
}
#endif

int sys_unshare(unsigned long flags)
{
	return (int)syscall(SYS_unshare, flags);
}

int sys_setns(int fd, int nstype)
{
	return (int)syscall(SYS_setns, fd, nstype);
}

int sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

int sys_pidfd_send_signal(int pidfd, int sig, unsigned flags)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, flags);
}

int sys_pidfd_getfd(int pidfd, int target_fd)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, target_fd, 0);
}

int sys_waitid_pidfd(int pidfd, siginfo_t *ret_info, int options)
{
	return (int)syscall(SYS_waitid, 3 /* P_PIDFD */, pidfd, ret_info, options, NULL);
}

int sys_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)syscall(SYS_execveat, fd, path, argv, envp, flags);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

int sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
	return (int)syscall(SYS_prctl, option, a2, a3, a4, a5);
}

int sys_capget(struct sys_cap_data ret_data[2])
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capget, &h, ret_data);
}

int sys_capset(const struct sys_cap_data data[2])
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return (int)syscall(SYS_capset, &h, data);
}

int sys_setresuid(uid_t r, uid_t e, uid_t s)
{
	return (int)syscall(SYS_setresuid, r, e, s);
}

int sys_setresgid(gid_t r, gid_t e, gid_t s)
{
	return (int)syscall(SYS_setresgid, r, e, s);
}

int sys_setgroups(size_t n, const gid_t *groups)
{
	return (int)syscall(SYS_setgroups, n, groups);
}

uid_t sys_setfsuid(uid_t uid)
{
	return (uid_t)syscall(SYS_setfsuid, uid);
}

gid_t sys_setfsgid(gid_t gid)
{
	return (gid_t)syscall(SYS_setfsgid, gid);
}

int sys_seccomp_listen(const struct sock_fprog *prog)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, prog);
}

int sys_seccomp_load(const struct sock_fprog *prog)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, prog);
}

int sys_landlock_create_ruleset(const void *attr, size_t size)
{
	return (int)syscall(SYS_landlock_create_ruleset, attr, size, 0);
}

int sys_landlock_add_path(int ruleset_fd, int fd, uint64_t access)
{
	/* struct landlock_path_beneath_attr is packed */
	const struct __attribute__((packed)) {
		uint64_t access;
		int32_t fd;
	} attr = { access, fd };

	return (int)syscall(SYS_landlock_add_rule, ruleset_fd, 1 /* LANDLOCK_RULE_PATH_BENEATH */, &attr, 0);
}

int sys_landlock_restrict_self(int ruleset_fd)
{
	return (int)syscall(SYS_landlock_restrict_self, ruleset_fd, 0);
}

int sys_keyctl_join_session(const char *name)
{
	return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
}

int sys_sethostname(const char *name, size_t len)
{
	return (int)syscall(SYS_sethostname, name, len);
}

int sys_setsid(void)
{
	return (int)syscall(SYS_setsid);
}

/* A janitor killed in here must leave no red zones behind: its stack is unmapped and the place used again. */
__attribute__((no_sanitize("address"))) int sys_poll(struct pollfd *fds, unsigned n, int timeout_ms)
{
	struct timespec t = { .tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L };

	return (int)syscall(SYS_ppoll, fds, n, timeout_ms < 0 ? NULL : &t, NULL, 0);
}

int sys_faccessat2(int dir_fd, const char *path, int mode, int flags)
{
	return (int)syscall(SYS_faccessat2, dir_fd, path, mode, flags);
}

int sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dir_fd, path, how, sizeof(*how));
}

int sys_open_tree(int dir_fd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir_fd, path, flags | O_CLOEXEC);
}

int sys_move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return (int)syscall(SYS_move_mount, from_fd, from, to_fd, to, flags);
}

int sys_mount_setattr(int dir_fd, const char *path, unsigned flags, const struct sys_mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dir_fd, path, flags, attr, sizeof(*attr));
}

int sys_fsopen(const char *fstype)
{
	return (int)syscall(SYS_fsopen, fstype, 1 /* FSOPEN_CLOEXEC */);
}

int sys_fspick(int fd)
{
	return (int)syscall(SYS_fspick, fd, "", 1 /* FSPICK_CLOEXEC */ | 8 /* FSPICK_EMPTY_PATH */);
}

int sys_fsconfig(int fs_fd, enum sys_fsconfig_cmd cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fs_fd, cmd, key, value, aux);
}

int sys_fsmount(int fs_fd, unsigned attr_flags)
{
	return (int)syscall(SYS_fsmount, fs_fd, 1 /* FSMOUNT_CLOEXEC */, attr_flags);
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_umount2(const char *path, int flags)
{
	return (int)syscall(SYS_umount2, path, flags);
}

int sys_memfd_create(const char *name, unsigned flags)
{
	return (int)syscall(SYS_memfd_create, name, flags);
}

int sys_renameat2(int old_dir, const char *old_name, int new_dir, const char *new_name, unsigned flags)
{
	return (int)syscall(SYS_renameat2, old_dir, old_name, new_dir, new_name, flags);
}

int sys_fs_uuid(int fd, uint8_t ret_uuid[16])
{
	struct {
		uint8_t len, uuid[16];
	} u = { 0 };

	/* _IOR(0x15, 0, struct fsuuid2) of linux/fs.h */
	if (ioctl(fd, 0x80111500, &u) < 0)
		return -1;
	if (u.len != sizeof(u.uuid)) {
		errno = ENODATA;
		return -1;
	}
	memcpy(ret_uuid, u.uuid, sizeof(u.uuid));
	return 0;
}

int sys_fgetfsmagic(int fd, long *ret_magic)
{
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return -1;
	*ret_magic = s.f_type;
	return 0;
}

int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

int sys_ioctl_int(int fd, unsigned long request, unsigned long arg)
{
	return ioctl(fd, request, arg);
}

int sys_bpf(int cmd, void *attr, size_t size)
{
	return (int)syscall(SYS_bpf, cmd, attr, size);
}
