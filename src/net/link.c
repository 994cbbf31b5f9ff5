/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/link.c - see link.h. */
#include "net/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "net/netlink.h"

#define MAKE (NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)

static size_t begin_link(struct netlink *m, unsigned type, unsigned flags, unsigned index)
{
	const struct ifinfomsg header = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };

	return netlink_begin(m, type, flags, &header, sizeof(header));
}

static int finish(int nl_fd, struct netlink *m, size_t at)
{
	netlink_end(m, at);
	return netlink_send(nl_fd, m, 1);
}

static bool take_index(unsigned type, const void *body, size_t size, void *data)
{
	struct ifinfomsg info;

	if (type != RTM_NEWLINK || size < sizeof(info))
		return true;
	memcpy(&info, body, sizeof(info));
	*(unsigned *)data = (unsigned)info.ifi_index;
	return false;
}

int link_find(int nl_fd, const char *name, unsigned *ret_index)
{
	struct netlink m = { 0 };
	unsigned index = 0;
	size_t at = begin_link(&m, RTM_GETLINK, 0, 0);

	netlink_put_text(&m, IFLA_IFNAME, name);
	netlink_end(&m, at);
	if (netlink_dump(nl_fd, &m, take_index, &index) < 0 && errno != ENODEV)
		return -1;
	*ret_index = index;
	return 0;
}

static void put_inner(struct netlink *m, const struct link_inner *inner)
{
	netlink_put_text(m, IFLA_IFNAME, inner->name);
	netlink_put_u32(m, IFLA_NET_NS_FD, (uint32_t)inner->netns_fd);
	if (inner->mac)
		netlink_put(m, IFLA_ADDRESS, inner->mac, 6);
	if (inner->mtu)
		netlink_put_u32(m, IFLA_MTU, inner->mtu);
}

int link_make_veth(int nl_fd, const char *outer, unsigned bridge, const struct link_inner *inner)
{
	const struct ifinfomsg peer = { .ifi_family = AF_UNSPEC };
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_NEWLINK, MAKE, 0);

	netlink_put_text(&m, IFLA_IFNAME, outer);
	if (inner->mtu)
		netlink_put_u32(&m, IFLA_MTU, inner->mtu);
	if (bridge)
		netlink_put_u32(&m, IFLA_MASTER, bridge);
	size_t info = netlink_nest(&m, IFLA_LINKINFO);
	netlink_put_text(&m, IFLA_INFO_KIND, "veth");
	size_t data = netlink_nest(&m, IFLA_INFO_DATA);
	size_t end = netlink_nest(&m, VETH_INFO_PEER);
	netlink_put_header(&m, &peer, sizeof(peer));
	put_inner(&m, inner);
	netlink_nest_end(&m, end);
	netlink_nest_end(&m, data);
	netlink_nest_end(&m, info);
	return finish(nl_fd, &m, at);
}

int link_make_macvlan(int nl_fd, unsigned below, const struct link_inner *inner)
{
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_NEWLINK, MAKE, 0);

	netlink_put_u32(&m, IFLA_LINK, below);
	put_inner(&m, inner);
	size_t info = netlink_nest(&m, IFLA_LINKINFO);
	netlink_put_text(&m, IFLA_INFO_KIND, "macvlan");
	size_t data = netlink_nest(&m, IFLA_INFO_DATA);
	netlink_put_u32(&m, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
	netlink_nest_end(&m, data);
	netlink_nest_end(&m, info);
	return finish(nl_fd, &m, at);
}

int link_make_bridge(int nl_fd, const char *name, const uint8_t mac[6])
{
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_NEWLINK, MAKE, 0);

	netlink_put_text(&m, IFLA_IFNAME, name);
	netlink_put(&m, IFLA_ADDRESS, mac, 6);
	size_t info = netlink_nest(&m, IFLA_LINKINFO);
	netlink_put_text(&m, IFLA_INFO_KIND, "bridge");
	netlink_nest_end(&m, info);
	return finish(nl_fd, &m, at);
}

static bool take_kind(unsigned type, const void *body, size_t size, void *data)
{
	size_t info_size, kind_size;

	if (type != RTM_NEWLINK || size < sizeof(struct ifinfomsg))
		return true;
	const void *info = netlink_find(body, size, sizeof(struct ifinfomsg), IFLA_LINKINFO, 0, &info_size);
	const void *kind = info ? netlink_find(info, info_size, 0, IFLA_INFO_KIND, 1, &kind_size) : NULL;
	*(bool *)data = kind && kind_size >= sizeof("bridge") &&
			memcmp(kind, "bridge", sizeof("bridge")) == 0;
	return false;
}

int link_is_bridge(int nl_fd, unsigned index, bool *ret)
{
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_GETLINK, 0, index);

	netlink_end(&m, at);
	*ret = false;
	return netlink_dump(nl_fd, &m, take_kind, ret);
}

struct ports {
	unsigned bridge;
	bool any;
};

/* Kernels that don't know the filter send all links: so each is looked at. */
static bool take_port(unsigned type, const void *body, size_t size, void *data)
{
	struct ports *p = data;
	uint32_t master;
	size_t n;

	if (type != RTM_NEWLINK || size < sizeof(struct ifinfomsg))
		return true;
	const void *found =
		netlink_find(body, size, sizeof(struct ifinfomsg), IFLA_MASTER, sizeof(master), &n);
	if (!found)
		return true;
	memcpy(&master, found, sizeof(master));
	p->any |= master == p->bridge;
	return true;
}

int link_has_ports(int nl_fd, unsigned bridge, bool *ret)
{
	struct ports p = { .bridge = bridge };
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_GETLINK, NLM_F_DUMP, 0);

	netlink_put_u32(&m, IFLA_MASTER, bridge);
	netlink_end(&m, at);
	if (netlink_dump(nl_fd, &m, take_port, &p) < 0)
		return -1;
	*ret = p.any;
	return 0;
}

static bool take_mac(unsigned type, const void *body, size_t size, void *data)
{
	size_t n;

	if (type != RTM_NEWLINK || size < sizeof(struct ifinfomsg))
		return true;
	const void *found = netlink_find(body, size, sizeof(struct ifinfomsg), IFLA_ADDRESS, 6, &n);
	if (found)
		memcpy(data, found, 6);
	return false;
}

int link_mac(int nl_fd, unsigned index, uint8_t ret[6])
{
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_GETLINK, 0, index);

	netlink_end(&m, at);
	return netlink_dump(nl_fd, &m, take_mac, ret);
}

int link_set_up(int nl_fd, unsigned index)
{
	const struct ifinfomsg header = {
		.ifi_family = AF_UNSPEC, .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP
	};
	struct netlink m = { 0 };
	size_t at = netlink_begin(&m, RTM_NEWLINK, NLM_F_ACK, &header, sizeof(header));

	return finish(nl_fd, &m, at);
}

int link_remove(int nl_fd, const char *name)
{
	struct netlink m = { 0 };
	size_t at = begin_link(&m, RTM_DELLINK, NLM_F_ACK, 0);

	netlink_put_text(&m, IFLA_IFNAME, name);
	return finish(nl_fd, &m, at);
}

static size_t address_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

int link_add_address(int nl_fd, unsigned index, const struct link_address *a)
{
	const struct ifaddrmsg header = {
		.ifa_family = (uint8_t)a->family,
		.ifa_prefixlen = (uint8_t)a->prefix,
		.ifa_flags = a->family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = index,
	};
	struct netlink m = { 0 };
	const struct ifa_cacheinfo times = { .ifa_prefered = a->seconds, .ifa_valid = a->seconds };
	size_t at = netlink_begin(&m, RTM_NEWADDR,
				  a->seconds ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : MAKE, &header,
				  sizeof(header));

	netlink_put(&m, IFA_LOCAL, a->bytes, address_size(a->family));
	netlink_put(&m, IFA_ADDRESS, a->bytes, address_size(a->family));
	if (a->seconds)
		netlink_put(&m, IFA_CACHEINFO, &times, sizeof(times));
	if (a->family == AF_INET && a->prefix < 31) {
		uint8_t all[4];

		memcpy(all, a->bytes, sizeof(all));
		for (unsigned bit = a->prefix; bit < 32; bit++)
			all[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
		netlink_put(&m, IFA_BROADCAST, all, sizeof(all));
	}
	return finish(nl_fd, &m, at);
}

int link_remove_address(int nl_fd, unsigned index, int family, const void *address, unsigned prefix)
{
	const struct ifaddrmsg header = { .ifa_family = (uint8_t)family,
					  .ifa_prefixlen = (uint8_t)prefix,
					  .ifa_index = index };
	struct netlink m = { 0 };
	size_t at = netlink_begin(&m, RTM_DELADDR, NLM_F_ACK, &header, sizeof(header));

	netlink_put(&m, IFA_LOCAL, address, address_size(family));
	return finish(nl_fd, &m, at);
}

int link_add_gateway(int nl_fd, unsigned index, int family, const void *gateway)
{
	const struct rtmsg header = {
		.rtm_family = (uint8_t)family,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
		.rtm_flags = RTNH_F_ONLINK,
	};
	struct netlink m = { 0 };
	size_t at = netlink_begin(&m, RTM_NEWROUTE, MAKE, &header, sizeof(header));

	netlink_put(&m, RTA_GATEWAY, gateway, address_size(family));
	netlink_put_u32(&m, RTA_OIF, index);
	return finish(nl_fd, &m, at);
}

struct first {
	unsigned index;
	uint8_t *bytes;
	unsigned prefix;
};

static bool take_address(unsigned type, const void *body, size_t size, void *data)
{
	struct first *f = data;
	struct ifaddrmsg address;
	size_t n;

	if (type != RTM_NEWADDR || size < sizeof(address) || f->prefix)
		return true;
	memcpy(&address, body, sizeof(address));
	const void *found = netlink_find(body, size, sizeof(address), IFA_LOCAL, 4, &n);
	if (address.ifa_index != f->index || address.ifa_family != AF_INET || !found)
		return true;
	memcpy(f->bytes, found, 4);
	f->prefix = address.ifa_prefixlen;
	return true;
}

int link_first_address(int nl_fd, unsigned index, uint8_t ret[4], unsigned *ret_prefix)
{
	const struct ifaddrmsg header = { .ifa_family = AF_INET };
	struct first f = { .index = index, .bytes = ret };
	struct netlink m = { 0 };
	size_t at = netlink_begin(&m, RTM_GETADDR, NLM_F_DUMP, &header, sizeof(header));

	netlink_end(&m, at);
	if (netlink_dump(nl_fd, &m, take_address, &f) < 0)
		return -1;
	*ret_prefix = f.prefix;
	return 0;
}

struct network {
	const struct link_address *a;
	bool found;
};

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) & 0x80u >> i % 8)
			return false;
	return true;
}

static bool take_route(unsigned type, const void *body, size_t size, void *data)
{
	struct network *n = data;
	struct rtmsg route;
	size_t len;

	if (type != RTM_NEWROUTE || size < sizeof(route))
		return true;
	memcpy(&route, body, sizeof(route));
	/* A way to everything is no network that is taken; the local table repeats the addresses. */
	if (route.rtm_family != n->a->family || route.rtm_dst_len == 0)
		return true;
	const void *to = netlink_find(body, size, sizeof(route), RTA_DST, address_size(n->a->family), &len);
	unsigned bits = route.rtm_dst_len < n->a->prefix ? route.rtm_dst_len : n->a->prefix;
	n->found |= to && same_bits(to, n->a->bytes, bits);
	return true;
}

int link_has_network(int nl_fd, const struct link_address *a, bool *ret)
{
	const struct rtmsg header = { .rtm_family = (uint8_t)a->family };
	struct network n = { .a = a };
	struct netlink m = { 0 };
	size_t at = netlink_begin(&m, RTM_GETROUTE, NLM_F_DUMP, &header, sizeof(header));

	netlink_end(&m, at);
	if (netlink_dump(nl_fd, &m, take_route, &n) < 0)
		return -1;
	*ret = n.found;
	return 0;
}
