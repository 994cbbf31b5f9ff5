/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * caps/caps.c - the library half of caps.h; the child's half, which may only make system calls, is
 * caps-apply.c.
 */
#include "caps/caps.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <stdbool.h>

#include "sys/sys.h"

#define BIT(cap) (UINT64_C(1) << (cap))

uint64_t caps_default_ns(void)
{
	return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) | BIT(CAP_MKNOD) |
	       BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) |
	       BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
}

static bool kernel_knows(unsigned cap)
{
	return sys_prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0;   /* EINVAL: no such capability */
}

uint64_t caps_all(void)
{
	unsigned last = CAP_LAST_CAP;

	while (last > 0 && !kernel_knows(last))         /* a kernel older than our headers */
		last--;
	while (last < 62 && kernel_knows(last + 1))     /* or newer */
		last++;
	return (BIT(last) << 1) - 1;
}

uint64_t caps_combine(uint64_t base, uint64_t add, uint64_t drop)
{
	if (drop == UINT64_MAX) /* ALL: what is added is then all that is left, as with docker and podman */
		return add;
	return (base | add) & ~drop;
}
