/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * caps/caps.c - the library half of caps.h; the child's half, which may only make system calls, is
 * caps-apply.c.
 */
#include "caps/caps.h"

#include <fcntl.h>
#include <linux/capability.h>

#include "base/cleanup.h"

#define BIT(cap) (UINT64_C(1) << (cap))

uint64_t caps_default_ns(void)
{
	return BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) | BIT(CAP_MKNOD) |
	       BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) |
	       BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
}

uint64_t caps_all(void)
{
	unsigned last = CAP_LAST_CAP;
	_cleanup_close_ int fd = open("/proc/sys/kernel/cap_last_cap", O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n > 0) {
		unsigned v = 0;

		for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
			v = v * 10 + (unsigned)(text[i] - '0');
		if (v < 63)
			last = v;
	}
	return (BIT(last) << 1) - 1;
}

uint64_t caps_combine(uint64_t base, uint64_t add, uint64_t drop)
{
	if (drop == UINT64_MAX) /* ALL: what is added is then all that is left, as with docker and podman */
		return add;
	return (base | add) & ~drop;
}
