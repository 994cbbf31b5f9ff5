/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe-calls.c - "probe calls native|int80|x32 user|ns": makes every system call that a sandbox of that
 * level may not make.
 *
 * The arguments are such that a kernel that let the call through would answer something else than EPERM or
 * ENOSYS and still do nothing: a wrong magic, an unknown flag, a NULL. Each call is made in a process of its
 * own. Prints "OPEN entry name result" for what was not refused, and at the end how many were tried.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

#define X32_BIT 0x40000000
#define NONE (-1)
#define SCARCE (-5)     /* a bad address or flag that is no pointer */

struct call {
	const char *name;
	long native, i386;      /* numbers of x86_64; on others libc's are taken, and "i386" is not used */
	long a, b, c, d, e;
};

/* At every level with a filter. */
static const struct call always[] = {
	{ "io_uring_setup", 425, 425, 1, 0, 0, 0, 0 },
	{ "bpf", 321, 357, 0, 0, 0, 0, 0 },
	{ "userfaultfd", 323, 374, 1, 0, 0, 0, 0 },
	{ "perf_event_open", 298, 336, 0, 0, -1, -1, 0 },
	{ "keyctl", 250, 288, 0, -3, 0, 0, 0 },
	{ "add_key", 248, 286, 0, 0, 0, 0, -3 },
	{ "request_key", 249, 287, 0, 0, 0, -3, 0 },
	{ "kexec_load", 246, 283, 0, 0, 0, SCARCE, 0 },
	{ "kexec_file_load", 320, NONE, -1, -1, 0, 0, SCARCE },
	{ "init_module", 175, 128, 0, 0, 0, 0, 0 },
	{ "finit_module", 313, 350, -1, 0, 0, 0, 0 },
	{ "delete_module", 176, 129, 0, 0, 0, 0, 0 },
	{ "settimeofday", 164, 79, 0, 0, 0, 0, 0 },
	{ "clock_settime", 227, 264, 0, 0, 0, 0, 0 },
	{ "swapon", 167, 87, 0, 0, 0, 0, 0 },
	{ "swapoff", 168, 115, 0, 0, 0, 0, 0 },
	{ "acct", 163, 51, 1, 0, 0, 0, 0 },     /* never NULL: that one turns accounting off */
	{ "quotactl", 179, 131, 0, 0, 0, 0, 0 },
	{ "syslog", 103, 103, 10, 0, 0, 0, 0 },
	{ "iopl", 172, 110, 3, 0, 0, 0, 0 },
	{ "ioperm", 173, 101, 0x80, 1, 1, 0, 0 },
	{ "open_by_handle_at", 304, 342, -1, 0, 0, 0, 0 },
	{ "move_pages", 279, 317, 0, 0, 0, 0, 0 },
	{ "migrate_pages", 256, 294, 0, 0, 0, 0, 0 },
	{ "vm86", NONE, 166, 0, 0, 0, 0, 0 },
	{ "a call of the future", 1000, 1000, 0, 0, 0, 0, 0 },
	{ "the last number", 0x3ffffff, 0x7ffffff, 0, 0, 0, 0, 0 },
};

/* Where root inside shares the initial user namespace. */
static const struct call without_userns[] = {
	{ "mount", 165, 21, 0, 0, 0, 0, 0 },
	{ "umount2", 166, 52, 0, SCARCE, 0, 0, 0 },
	{ "pivot_root", 155, 217, 0, 0, 0, 0, 0 },
	{ "fsopen", 430, 430, 0, 0, 0, 0, 0 },
	{ "fspick", 433, 433, -1, 0, 0, 0, 0 },
	{ "open_tree", 428, 428, -1, 0, SCARCE, 0, 0 },
	{ "move_mount", 429, 429, -1, 0, -1, 0, SCARCE },
	{ "mount_setattr", 442, 442, -1, 0, SCARCE, 0, 0 },
	{ "setns", 308, 346, -1, 0, 0, 0, 0 },
	{ "clone3", 435, 435, 0, 0, 0, 0, 0 },
	{ "unshare(NEWUSER)", 272, 310, CLONE_NEWUSER, 0, 0, 0, 0 },
	{ "unshare(NEWNS)", 272, 310, CLONE_NEWNS, 0, 0, 0, 0 },
	{ "unshare(NEWNET)", 272, 310, CLONE_NEWNET, 0, 0, 0, 0 },
	{ "unshare(NEWPID, high bits)", 272, 310, CLONE_NEWPID | ~0xffffffffl, 0, 0, 0, 0 },
	{ "clone(NEWUSER)", 56, 120, CLONE_NEWUSER, 0, 0, 0, 0 },
	{ "clone(NEWCGROUP|NEWIPC)", 56, 120, CLONE_NEWCGROUP | CLONE_NEWIPC, 0, 0, 0, 0 },
	{ "sethostname", 170, 74, 0, -1, 0, 0, 0 },
	{ "reboot", 169, 88, 1, 2, 3, 0, 0 }, /* else it ends its own pid namespace: 87-live.bats */
	{ "fanotify_init", 300, 338, SCARCE, 0, 0, 0, 0 },
};

long call_int80(long nr, long a, long b, long c, long d, long e)
{
#ifdef __x86_64__
	long r = nr;

	__asm__ volatile("int $0x80"
			 : "+a"(r)
			 : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
#else
	(void)nr, (void)a, (void)b, (void)c, (void)d, (void)e;
	return -ENOSYS;
#endif
}

/* Returns 0 where it was refused, or is not there at all. */
static int try(const char *entry, const struct call *call)
{
	long nr = strcmp(entry, "int80") == 0 ? call->i386 : call->native;
	int status = 0;

	if (nr == NONE)
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		long r;

		if (strcmp(entry, "int80") == 0)
			r = call_int80(nr, call->a, call->b, call->c, call->d, call->e);
		else
			r = syscall(strcmp(entry, "x32") == 0 ? nr | X32_BIT : nr, call->a, call->b, call->c,
				    call->d, call->e);
		if (r < 0 && strcmp(entry, "int80") != 0)
			r = -errno;
		_exit(r == -EPERM || r == -ENOSYS ? 0 : r < 0 ? (int)-r : 255);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	/* Without 32-bit support in the kernel the entry itself is a fault. */
	if (WIFSIGNALED(status) || WEXITSTATUS(status) == 0)
		return 0;
	printf("OPEN %s %s: %s\n", entry, call->name,
	       WEXITSTATUS(status) == 255 ? "done" : strerror(WEXITSTATUS(status)));
	return 1;
}

int probe_calls(int argc, char **argv)
{
	size_t n = sizeof(always) / sizeof(always[0]), m = sizeof(without_userns) / sizeof(without_userns[0]);
	int open = 0;

	if (argc != 3)
		return 2;
	for (size_t i = 0; i < n; i++)
		open += try(argv[1], &always[i]);
	if (strcmp(argv[2], "user") == 0)
		m = 0;
	for (size_t i = 0; i < m; i++)
		open += try(argv[1], &without_userns[i]);
	printf("%s: %zu calls tried\n", argv[1], n + m);
	return open != 0;
}
