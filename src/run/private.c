/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/private.c - a private network (net/switch.h) in the order of a start: the child has made the tap device
 * in its own network; it gets its addresses, by root of the sandbox's user namespace, before anything of the
 * inside runs. There is no gateway, and a resolver that knows the members alone; where there is nat beside
 * it, that has the other names.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "cgroup/cgroup.h"
#include "net/link.h"
#include "net/netlink.h"
#include "net/switch.h"
#include "net/tap.h"
#include "run/errand.h"
#include "run/interfaces.h"
#include "run/sandbox.h"
#include "sys/sys.h"

const char *private_network(const struct launch *l)
{
	const enum spec_net net = l->sb->plan->net;

	return net == SPEC_NET_PRIVATE || net == SPEC_NET_NAT ? network_private(l->spec) : NULL;
}

static const char *name_inside(const struct launch *l)
{
	return l->sb->plan->net == SPEC_NET_NAT ? NET_TAP_SECOND : NET_TAP_NAME;
}

/*
 * The address of its own on the link is the one that may pass (net/switch.h); that nobody else has it need
 * not be asked, and nobody would answer. A kernel without IPv6 has no such files.
 */
static void prepare_ipv6(const char *name)
{
	static const char *const files[] = { "addr_gen_mode", "accept_dad", "accept_ra" };
	char path[80];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, files[i]);
		_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			(void)!write(fd, "0", 1);
	}
}

/* As root of the user namespace: an errand. */
static int configure(void *data, struct buf *out, struct kennel_error **err)
{
	const struct launch *l = data;
	struct net_switch *lan = &l->sb->lan;
	const char *name = name_inside(l);
	unsigned index = 0;
	uint8_t bytes[4], bytes6[16];

	(void)out;
	if (sys_setns(l->net_ns_fd, CLONE_NEWNET) < 0)
		return fail_errno(err, "enter the sandbox's network");
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);
	if (nl_fd < 0)
		return fail_errno(err, "open a netlink socket");
	net_switch_address(lan->number, bytes);
	net_switch_address6(lan->number, bytes6);
	const struct link_address a = { AF_INET, bytes, NET_SWITCH_PREFIX, 0 };
	const struct link_address a6 = { AF_INET6, bytes6, NET_SWITCH_PREFIX6, 0 };
	prepare_ipv6(name);
	if (link_find(nl_fd, name, &index) < 0 || link_set_up(nl_fd, index) < 0 ||
	    link_add_address(nl_fd, index, &a) < 0)
		return fail_errno(err, "give an address to \"%s\"", name);
	/* a machine may have no IPv6 */
	lan->has_ipv6 = link_add_address(nl_fd, index, &a6) == 0;
	return 0;
}

static int set_mac(int tap_fd, const char *name, uint16_t number)
{
	struct ifreq request = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(request.ifr_name, name, strnlen(name, sizeof(request.ifr_name) - 1));
	net_switch_mac(number, (uint8_t *)request.ifr_hwaddr.sa_data);
	return sys_ioctl(tap_fd, SIOCSIFHWADDR, &request);
}

int private_make(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	const bool has_nat = sb->plan->net == SPEC_NET_NAT;
	const int tap_fd = has_nat ? l->shared->second_tap_fd : l->shared->tap_fd;
	const char *network = private_network(l), *name = name_inside(l);
	_cleanup_close_ int socket_fd = -EBADF;

	if (tap_fd < 0)
		return fail(err, KENNEL_E_UNSUPPORTED, "this start has no tap device for \"private:%s\"",
			    network);
	int r = net_switch_join(sb->registry_fd, network, sb->plan->hostname, &sb->lan, &socket_fd, err);
	if (r < 0)
		return wrap(err, r, "join \"private:%s\"", network);
	if (set_mac(tap_fd, name, sb->lan.number) < 0)
		return fail_errno(err, "give a hardware address to \"%s\"", name);
	r = errand_share(l->user_ns_fd, configure, l, err);
	if (r < 0)
		return r;
	struct net_switch_member m = {
		.tap_fd = tap_fd,
		.socket_fd = socket_fd,
		.monitor_pidfd = sb->work.monitor_pidfd,
		.group.clone_fd = -EBADF,
		.has_others = has_nat,
	};
	/* in one that the inside manages it would be in the way: a group with processes has none below it */
	if (sb->cgroup && !l->shared->handed_over)
		m.group = (struct net_helper_group){ cgroup_clone_fd(sb->cgroup), l->cgroup_fds,
						     cgroup_entries(sb->cgroup) };
	return net_switch_start(&sb->lan, &m, err);
}

void private_describe(const struct launch *l, struct spec_interface *ret)
{
	const struct net_switch *lan = &l->sb->lan;

	*ret = (struct spec_interface){
		.kind = SPEC_LINK_PRIVATE,
		.addresses = { { .family = 4, .prefix = NET_SWITCH_PREFIX },
			       { .family = 6, .prefix = NET_SWITCH_PREFIX6 } },
		.n_addresses = lan->has_ipv6 ? 2 : 1,
	};
	memcpy(ret->link, lan->name, sizeof(ret->link));
	memcpy(ret->name, name_inside(l), sizeof(NET_TAP_NAME));
	net_switch_address(lan->number, ret->addresses[0].bytes);
	net_switch_address6(lan->number, ret->addresses[1].bytes);
}
