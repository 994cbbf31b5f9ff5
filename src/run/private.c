/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/private.c - a private network (net/switch.h) in the order of a start: the child has made the tap device
 * in its own network; it gets its addresses, by root of the sandbox's user namespace, before anything of the
 * inside runs. There is no gateway, and a resolver
 * that knows the members alone.
 */
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net/link.h"
#include "net/netlink.h"
#include "net/switch.h"
#include "net/tap.h"
#include "run/errand.h"
#include "run/interfaces.h"
#include "run/sandbox.h"
#include "sys/sys.h"

/* Nothing of it passes, so the inside should not wait for answers. A kernel without IPv6 has no such file. */
static void close_ipv6(void)
{
	_cleanup_close_ int fd =
		open("/proc/sys/net/ipv6/conf/" NET_TAP_NAME "/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

/* As root of the user namespace: an errand. */
static int configure(void *data, struct buf *out, struct kennel_error **err)
{
	const struct launch *l = data;
	unsigned index = 0;
	uint8_t bytes[4];

	(void)out;
	if (sys_setns(l->net_ns_fd, CLONE_NEWNET) < 0)
		return fail_errno(err, "enter the sandbox's network");
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);
	if (nl_fd < 0)
		return fail_errno(err, "open a netlink socket");
	net_switch_address(l->sb->lan.number, bytes);
	const struct link_address a = { AF_INET, bytes, NET_SWITCH_PREFIX, 0 };
	close_ipv6();
	if (link_find(nl_fd, NET_TAP_NAME, &index) < 0 || link_set_up(nl_fd, index) < 0 ||
	    link_add_address(nl_fd, index, &a) < 0)
		return fail_errno(err, "give an address to \"" NET_TAP_NAME "\"");
	return 0;
}

static int set_mac(int tap_fd, uint16_t number)
{
	struct ifreq request = { .ifr_name = NET_TAP_NAME, .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	net_switch_mac(number, (uint8_t *)request.ifr_hwaddr.sa_data);
	return sys_ioctl(tap_fd, SIOCSIFHWADDR, &request);
}

int private_make(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	const int tap_fd = l->shared->tap_fd;
	_cleanup_close_ int socket_fd = -EBADF;

	if (tap_fd < 0)
		return fail(err, KENNEL_E_UNSUPPORTED, "this start has no tap device for \"private:%s\"",
			    l->spec->net_where);
	int r = net_switch_join(sb->registry_fd, l->spec->net_where, sb->plan->hostname, &sb->lan, &socket_fd,
				err);
	if (r < 0)
		return wrap(err, r, "join \"private:%s\"", l->spec->net_where);
	if (set_mac(tap_fd, sb->lan.number) < 0)
		return fail_errno(err, "give a hardware address to \"" NET_TAP_NAME "\"");
	r = errand_share(l->user_ns_fd, configure, l, err);
	return r < 0 ? r : net_switch_start(&sb->lan, tap_fd, socket_fd, sb->work.monitor_pidfd, err);
}

void private_describe(const struct launch *l, struct spec_interface *ret)
{
	const struct net_switch *lan = &l->sb->lan;

	*ret = (struct spec_interface){
		.kind = SPEC_LINK_PRIVATE,
		.name = NET_TAP_NAME,
		.addresses[0] = { .family = 4, .prefix = NET_SWITCH_PREFIX },
		.n_addresses = 1,
	};
	memcpy(ret->link, lan->name, sizeof(ret->link));
	net_switch_address(lan->number, ret->addresses[0].bytes);
}
