/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/net-outer.c - the network of the sandbox becomes the guest's.
 *
 * Whatever made the interfaces (pasta's tap, a veth on a bridge, macvlan) has given them addresses. The guest
 * gets a card for each, which sends and receives on that interface as it is, with its hardware address; the
 * addresses and ways are told to the guest and taken away here, so that this kernel answers nothing itself.
 *
 *   card=NAME MTU            one for each, in the order of the guest's vec0, vec1, ...
 *   address=NAME IP/PREFIX
 *   gateway=NAME IP
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "net/link.h"
#include "net/names.h"
#include "net/netlink.h"
#include "vm/program/net.h"

#define ADDRESSES_MAX 64

struct address {
	unsigned index;
	uint8_t family, prefix, scope;
	uint8_t bytes[16];
};

struct seen {
	struct address addresses[ADDRESSES_MAX];
	unsigned n;
	/* of the ways to everything */
	struct address gateways[NET_CARDS_MAX * 2];
	unsigned n_gateways;
};

static size_t size_of(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

static bool take_address(unsigned type, const void *body, size_t size, void *data)
{
	struct seen *s = data;
	struct ifaddrmsg m;
	size_t len;

	if (type != RTM_NEWADDR || size < sizeof(m) || s->n == ADDRESSES_MAX)
		return true;
	memcpy(&m, body, sizeof(m));
	if (m.ifa_family != AF_INET && m.ifa_family != AF_INET6)
		return true;
	/* the own one where there is another end */
	const void *a = netlink_find(body, size, sizeof(m), IFA_LOCAL, size_of(m.ifa_family), &len);
	if (!a)
		a = netlink_find(body, size, sizeof(m), IFA_ADDRESS, size_of(m.ifa_family), &len);
	if (!a)
		return true;
	struct address *to = &s->addresses[s->n++];
	*to = (struct address){ m.ifa_index, m.ifa_family, m.ifa_prefixlen, m.ifa_scope, { 0 } };
	memcpy(to->bytes, a, size_of(m.ifa_family));
	return true;
}

static bool take_route(unsigned type, const void *body, size_t size, void *data)
{
	struct seen *s = data;
	struct rtmsg m;
	uint32_t index;
	size_t len;

	if (type != RTM_NEWROUTE || size < sizeof(m) || s->n_gateways == ARRAY_SIZE(s->gateways))
		return true;
	memcpy(&m, body, sizeof(m));
	if (m.rtm_dst_len || m.rtm_type != RTN_UNICAST || m.rtm_table != RT_TABLE_MAIN ||
	    (m.rtm_family != AF_INET && m.rtm_family != AF_INET6))
		return true;
	const void *gateway = netlink_find(body, size, sizeof(m), RTA_GATEWAY, size_of(m.rtm_family), &len);
	const void *out = netlink_find(body, size, sizeof(m), RTA_OIF, sizeof(index), &len);
	if (!gateway || !out)
		return true;
	memcpy(&index, out, sizeof(index));
	struct address *to = &s->gateways[s->n_gateways++];
	*to = (struct address){ .index = index, .family = m.rtm_family };
	memcpy(to->bytes, gateway, size_of(m.rtm_family));
	return true;
}

static int look(int nl_fd, struct seen *s)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && r == 0; i++) {
		const struct ifaddrmsg a = { .ifa_family = families[i] };
		const struct rtmsg route = { .rtm_family = families[i] };
		struct netlink m = { 0 };

		netlink_end(&m, netlink_begin(&m, RTM_GETADDR, NLM_F_DUMP, &a, sizeof(a)));
		r = netlink_dump(nl_fd, &m, take_address, s);
		m = (struct netlink){ 0 };
		netlink_end(&m, netlink_begin(&m, RTM_GETROUTE, NLM_F_DUMP, &route, sizeof(route)));
		if (r == 0)
			r = netlink_dump(nl_fd, &m, take_route, s);
	}
	return r;
}

static bool tell(struct queue *config, const char *key, const char *name, const struct address *a,
		 bool prefix)
{
	char ip[INET6_ADDRSTRLEN], text[128];

	inet_ntop(a->family, a->bytes, ip, sizeof(ip));
	int n = prefix ? snprintf(text, sizeof(text), "%s=%s %s/%u", key, name, ip, a->prefix) :
			 snprintf(text, sizeof(text), "%s=%s %s", key, name, ip);
	return queue_add(config, text, (size_t)n + 1);
}

/* This kernel gives itself no address on it again. */
static void close_ipv6(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

static int take_over(int nl_fd, const struct if_nameindex *card, struct seen *s, struct queue *config)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct address *a = &s->addresses[i];

		if (a->index != card->if_index)
			continue;
		/* of its own on a link, the guest makes by itself */
		if (a->scope != RT_SCOPE_LINK && !tell(config, "address", card->if_name, a, true))
			return -1;
		if (link_remove_address(nl_fd, a->index, a->family, a->bytes, a->prefix) < 0 &&
		    errno != EADDRNOTAVAIL)
			return -1;
	}
	for (unsigned i = 0; i < s->n_gateways; i++)
		if (s->gateways[i].index == card->if_index &&
		    !tell(config, "gateway", card->if_name, &s->gateways[i], false))
			return -1;
	close_ipv6(card->if_name);
	return 0;
}

static int add_card(int nl_fd, const struct if_nameindex *card, struct net_cards *ret, struct queue *config)
{
	struct ifreq mtu = { 0 };
	char text[64];
	uint8_t mac[6];

	snprintf(mtu.ifr_name, sizeof(mtu.ifr_name), "%s", card->if_name);
	if (link_mac(nl_fd, card->if_index, mac) < 0 || ioctl(nl_fd, SIOCGIFMTU, &mtu) < 0)
		return -1;
	int n = snprintf(text, sizeof(text), "card=%s %d", card->if_name, MIN(mtu.ifr_mtu, NET_MTU_MAX));
	snprintf(ret->args[ret->n], sizeof(ret->args[0]),
		 "vec%u:transport=raw,ifname=%s,mac=%02x:%02x:%02x:%02x:%02x:%02x,depth=128,gro=0", ret->n,
		 card->if_name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	ret->n++;
	return queue_add(config, text, (size_t)n + 1) ? 0 : -1;
}

/* On a bridge: who asks there is answered (net/names.h), so the guest has the address as well. */
static bool take_names(unsigned index, const struct seen *s, struct net_cards *ret, struct queue *config)
{
	uint8_t names[4];

	(void)!inet_pton(AF_INET, NET_NAMES_ADDRESS, names);
	for (unsigned i = 0; i < s->n && !ret->names; i++) {
		const struct address *a = &s->addresses[i];

		if (a->index != index || a->family != AF_INET || memcmp(a->bytes, names, sizeof(names)) != 0)
			continue;
		if (!tell(config, "address", "lo", a, true) ||
		    !queue_add(config, "names=1", sizeof("names=1")))
			return false;
		ret->names = true;
	}
	return true;
}

/* Every number is its own in there: the machine itself, whose addresses nobody may take. */
static bool is_initial_user_ns(void)
{
	_cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned inside, outside, count;
	char text[128];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[MAX(n, (ssize_t)0)] = '\0';
	return sscanf(text, "%u %u %u", &inside, &outside, &count) != 3 || count == UINT32_MAX;
}

int net_take_over(struct net_cards *ret, struct queue *config)
{
	struct seen seen = { .n = 0 };
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);

	if (is_initial_user_ns()) {
		errno = EPERM;
		return -1;
	}
	struct if_nameindex *list = nl_fd < 0 ? NULL : if_nameindex();
	int r = list ? look(nl_fd, &seen) : -1;

	ret->n = 0;
	ret->names = false;
	for (const struct if_nameindex *i = list; i && i->if_index && r == 0; i++) {
		if (strcmp(i->if_name, "lo") == 0) {
			r = take_names(i->if_index, &seen, ret, config) ? 0 : -1;
			continue;
		}
		if (ret->n == NET_CARDS_MAX)
			continue;
		r = add_card(nl_fd, i, ret, config);
		if (r == 0)
			r = take_over(nl_fd, i, &seen, config);
	}
	if (list)
		if_freenameindex(list);
	return r;
}
