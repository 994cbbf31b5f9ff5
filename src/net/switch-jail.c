/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/switch-jail.c - what the process of switch.h may still do once it serves: frames of a sandbox are what
 * it reads all the time. Whoever takes it over through one has the network, and can read the runtime
 * directory and remove names there; no other file, no process, no socket of another kind.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "base/macro.h"
#include "net/switch.h"
#include "sys/jail.h"
#include "sys/sys.h"

#define ONLY_READ (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_DIRECTORY)

static const struct jail_call allowed[] = {
	{ SYS_read },
	{ SYS_write },
	{ SYS_recvfrom },
	{ SYS_sendto },
	{ SYS_ppoll },
#ifdef SYS_poll
	{ SYS_poll },
#endif
	{ SYS_connect },
	{ SYS_close },
	{ SYS_lseek },
	{ SYS_getdents64 },
	{ SYS_flock },
	{ SYS_fstat },
	{ SYS_newfstatat },
	{ SYS_unlinkat },
	{ SYS_clock_gettime },
	{ SYS_exit_group },
	{ SYS_rt_sigreturn },
	{ SYS_restart_syscall },
	{ SYS_socket, 1, UINT32_MAX, AF_UNIX },
	{ SYS_openat, 3, ~(uint32_t)ONLY_READ, 0 },
};

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
	return jail_enter(allowed, ARRAY_SIZE(allowed));
}
