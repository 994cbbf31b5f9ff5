/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/loopback.c - lo up, in the child.
 *
 * One ioctl: a fresh lo has no flag that SIOCSIFFLAGS could take away, so nothing is read first, and the
 * kernel adds 127.0.0.1 and ::1 by itself. A unix socket does, as interface requests that a family doesn't
 * know go to the device layer; it is cheaper to make than an inet one and there where IPv4 is not.
 */
#include "net/nat.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/sys.h"

int net_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	int r = sys_ioctl(fd, SIOCSIFFLAGS, &request);
	int saved = errno;

	close(fd);
	errno = saved;
	return r;
}
