/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-jail.c - see image.h: a list of the system calls that reading and serving take. Everything else
 * fails with EPERM. Whoever takes the process over through a bad image has the image, the FUSE device and
 * memory; no file, no process, no socket.
 */
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "sys/sys.h"
#include "view/image.h"

#define MEMORY_MAX (1ull << 30) /* a damaged size must not take the machine's memory */

#if defined(__x86_64__)
#define JAIL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define JAIL_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define JAIL_ARCH AUDIT_ARCH_RISCV64
#endif

static const int allowed[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_preadv,
	SYS_lseek,
	SYS_fstat,
	SYS_newfstatat,
	SYS_ppoll,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_brk,
	SYS_madvise,
	SYS_futex,
	SYS_close,
	SYS_exit,
	SYS_exit_group,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_clock_gettime,
	SYS_restart_syscall,
	SYS_getrandom,
	SYS_sched_yield,
	SYS_gettimeofday,
	SYS_getpid,
	SYS_gettid,
};

#define N ARRAY_SIZE(allowed)

int image_jail(void)
{
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };
	struct sock_filter code[N + 7];
	struct sock_fprog prog = { .filter = code };
	unsigned short n = 0;

	(void)!setrlimit(RLIMIT_DATA, &memory);
	code[n++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, JAIL_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < N; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i],
							 (unsigned char)(N - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;
	return sys_seccomp_load(&prog) < 0 ? -errno : 0;
}
