/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-jail.c - see image.h: a list of the system calls that reading and serving take. Everything else
 * fails with EPERM. Whoever takes the process over through a bad image has the image, the FUSE device and
 * memory; no file, no process, no socket.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/macro.h"
#include "sys/jail.h"
#include "view/image.h"

#define MEMORY_MAX (1ull << 30) /* a damaged size must not take the machine's memory */

static const struct jail_call allowed[] = {
	{ SYS_read },
	{ SYS_write },
	{ SYS_readv },
	{ SYS_writev },
	{ SYS_pread64 },
	{ SYS_preadv },
	{ SYS_lseek },
	{ SYS_fstat },
	{ SYS_newfstatat },
	{ SYS_ppoll },
#ifdef SYS_poll
	{ SYS_poll },
#endif
	{ SYS_mmap },
	{ SYS_munmap },
	{ SYS_mremap },
	{ SYS_brk },
	{ SYS_madvise },
	{ SYS_futex },
	{ SYS_close },
	{ SYS_exit },
	{ SYS_exit_group },
	{ SYS_rt_sigreturn },
	{ SYS_rt_sigprocmask },
	{ SYS_clock_gettime },
	{ SYS_restart_syscall },
	{ SYS_getrandom },
	{ SYS_sched_yield },
	{ SYS_gettimeofday },
	{ SYS_getpid },
	{ SYS_gettid },
};

int image_jail(void)
{
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX };

	(void)!setrlimit(RLIMIT_DATA, &memory);
	return jail_enter(allowed, ARRAY_SIZE(allowed)) < 0 ? -errno : 0;
}
