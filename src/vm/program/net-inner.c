/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/net-inner.c - see net.h: what net-outer.c tells, done in the guest. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "net/link.h"
#include "net/netlink.h"
#include "vm/program/net.h"

/* vec0, vec1, ... come in the order in which they are told. */
static int make_card(const char *name, const char *rest)
{
	static unsigned number;
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };
	int mtu;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "vec%u", number++);
	snprintf(r.ifr_newname, sizeof(r.ifr_newname), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCSIFNAME, &r) < 0)
		return -1;
	r = (struct ifreq){ 0 };
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (sscanf(rest, "%d", &mtu) == 1 && mtu >= 68) {
		r.ifr_mtu = mtu;
		(void)!ioctl(fd, SIOCSIFMTU, &r);
	}
	r.ifr_flags = IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &r);
}

/*
 * As a distribution's kernel has it: a module, below the directory that the guest's root has mounted for
 * them. Return: whether there is IPv6.
 */
static bool has_ipv6(void)
{
	static const char *const files[] = { "kernel/lib/crc-ccitt.ko", "kernel/net/ipv6/ipv6.ko" };
	static bool tried;
	char path[96];

	for (size_t i = 0; !tried && i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), NET_MODULES "/%s", files[i]);
		_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			(void)!syscall(SYS_finit_module, fd, "", 0);
	}
	tried = true;
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

static int add(const char *name, const char *ip, bool gateway)
{
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);
	struct link_address a = { .family = strchr(ip, ':') ? AF_INET6 : AF_INET };
	const char *slash = strchr(ip, '/');
	char text[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	unsigned index = 0;

	if (a.family == AF_INET6 && !has_ipv6())
		return 0; /* as on any machine without */
	snprintf(text, sizeof(text), "%.*s", slash ? (int)(slash - ip) : (int)strlen(ip), ip);
	if (inet_pton(a.family, text, bytes) != 1 || (slash && sscanf(slash + 1, "%u", &a.prefix) != 1)) {
		errno = EINVAL;
		return -1;
	}
	a.bytes = bytes;
	if (nl_fd < 0 || link_find(nl_fd, name, &index) < 0)
		return -1;
	return gateway ? link_add_gateway(nl_fd, index, a.family, bytes) : link_add_address(nl_fd, index, &a);
}

int net_configure(const char *line)
{
	const char *equals = strchr(line, '='), *space = equals ? strchr(equals, ' ') : NULL;
	char name[IFNAMSIZ];

	if (!space)
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)(space - equals - 1), equals + 1);
	if (strncmp(line, "card=", 5) == 0)
		return make_card(name, space + 1);
	if (strncmp(line, "address=", 8) == 0)
		return add(name, space + 1, false);
	return strncmp(line, "gateway=", 8) == 0 ? add(name, space + 1, true) : 0;
}
