/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view/harden.c - see harden.h. */
#include "view/harden.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "sys/sys.h"

/* No right to change any file, nor to connect or bind over TCP where the kernel knows that right. */
static void give_up_writing(void)
{
	const uint64_t fs =
		LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
	const uint64_t refer = 1ull << 13, truncate = 1ull << 14, tcp = 3;
	const uint64_t attrs[][2] = { { fs | refer | truncate, tcp },
				      { fs | refer | truncate, 0 },
				      { fs, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		_cleanup_close_ int fd = sys_landlock_create_ruleset(attrs[i], attrs[i][1] ? 16 : 8);

		if (fd >= 0) {
			(void)!sys_landlock_restrict_self(fd);
			return;
		}
	}
}

/* Closes all descriptors but ours and standard error, which keeps a number taken. */
static int close_others(const int *ours, size_t n)
{
	unsigned from = 0;

	for (;;) {
		unsigned next = ~0u;

		for (size_t i = 0; i < n; i++)
			if ((unsigned)ours[i] >= from && (unsigned)ours[i] < next)
				next = (unsigned)ours[i];
		if (next > from && sys_close_range(from, next == ~0u ? ~0u : next - 1, 0) < 0)
			return -1;
		if (next == ~0u)
			return 0;
		from = next + 1;
	}
}

int view_harden(const int *ours, size_t n, const char *name)
{
	sigset_t none;

	/* Who started us blocked all of them: see sys/spawn.h. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (close_others(ours, n) < 0 || sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	/* The lowest numbers are for nobody: a library that prints must not print into a device. */
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 2)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd > 2)
		close_fd(fd);
	give_up_writing();
	sys_prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0);
	return 0;
}
