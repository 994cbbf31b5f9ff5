/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/switch-jail.c - what the process of switch.h may still do once it serves: frames of a sandbox are what
 * it reads all the time. Whoever takes it over through one has the network, and can read the runtime
 * directory and remove names there; no other file, no process, no socket of another kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

#include "base/macro.h"
#include "net/switch.h"
#include "sys/sys.h"

#if defined(__x86_64__)
#define JAIL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define JAIL_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define JAIL_ARCH AUDIT_ARCH_RISCV64
#endif

static const int allowed[] = {
	SYS_read,	  SYS_write,	       SYS_recvfrom, SYS_sendto,	SYS_ppoll,
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_connect,	  SYS_close,	       SYS_lseek,    SYS_getdents64,	SYS_flock,
	SYS_fstat,	  SYS_newfstatat,      SYS_unlinkat, SYS_clock_gettime, SYS_exit_group,
	SYS_rt_sigreturn, SYS_restart_syscall,
};

#define N ARRAY_SIZE(allowed)

/* The lower half of an argument, on the little-endian machines that JAIL_ARCH is for. */
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i))

static int load_filter(void)
{
	const uint32_t only_read = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_DIRECTORY;
	struct sock_filter code[N + 14];
	struct sock_fprog prog = { .filter = code };
	unsigned short n = 0;

	code[n++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, JAIL_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < N; i++) /* to the last one */
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i],
							 (unsigned char)(N - i + 6), 0);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 2);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(0));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 4, 3);
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 2);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG(2));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~only_read, 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;
	return sys_seccomp_load(&prog);
}

/* Where the kernel has no Landlock the filter stands alone. */
static void keep_to(int dir_fd)
{
	const uint64_t all = (1ull << 13) - 1; /* of the first version */
	const uint64_t own = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
			     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR;
	int fd = sys_landlock_create_ruleset(&all, sizeof(all));

	if (fd < 0)
		return;
	if (sys_landlock_add_path(fd, dir_fd, own) == 0)
		(void)!sys_landlock_restrict_self(fd);
	close(fd);
}

int net_switch_jail(int runtime_fd)
{
	keep_to(runtime_fd);
	return load_filter();
}
