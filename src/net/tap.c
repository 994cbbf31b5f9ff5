/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/tap.c - see tap.h. */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/nat.h"
#include "sys/sys.h"

int net_tap_new(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	for (unsigned i = 0; i < sizeof(request.ifr_name) - 1 && name[i]; i++)
		request.ifr_name[i] = name[i];
	int r = sys_ioctl(fd, TUNSETIFF, &request);
	if (r == 0)
		r = sys_ioctl(fd, TUNATTACHFILTER, (void *)(uintptr_t)net_nat_filter());
	if (r == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
