/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/rules.c - see rules.h. In the words of nft(8):
 *
 *   table inet kennel-ID {
 *     flags owner
 *     chain guard { type filter hook prerouting priority raw;  iifname DEVICE ip daddr 127.0.0.0/8 drop }
 *     chain in    { type nat hook prerouting priority dstnat;  fib daddr type local tcp dport 80 dnat }
 *     chain own   { type nat hook output priority dstnat;      the same }
 *     chain out   { type nat hook postrouting priority srcnat; ip saddr ... oifname != DEVICE masquerade
 *                   ip saddr 127.0.0.0/8 ... masquerade;       ip saddr NETWORK ip daddr ... masquerade }
 *   }
 *
 * guard: a device that lets packets of 127.0.0.0/8 through (route_localnet, for ports on the machine's
 * loopback) would let its neighbours reach every service there (CVE-2020-8558). Answers have the machine's
 * other address when they pass guard, for it comes before their translation back.
 */
#include "net/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/netlink.h"

#define TYPE(message) (NFNL_SUBSYS_NFTABLES << 8 | (message))
#define PRIORITY_RAW (-300)
#define PRIORITY_DSTNAT (-100)
#define PRIORITY_SRCNAT 100
#define OWNER 2u /* NFT_TABLE_F_OWNER */
#define OFF_SADDR(v6) ((v6) ? 8u : 12u)
#define OFF_DADDR(v6) ((v6) ? 24u : 16u)
#define OFF_DPORT 2u

/* A rule being written. */
struct rule {
	struct netlink *m;
	size_t message, list;
};

static size_t begin(struct netlink *m, unsigned type, unsigned flags)
{
	const struct nfgenmsg header = { .nfgen_family = NFPROTO_INET };

	return netlink_begin(m, TYPE(type), flags, &header, sizeof(header));
}

static size_t begin_batch(struct netlink *m)
{
	const struct nfgenmsg header = { .res_id = htons(NFNL_SUBSYS_NFTABLES) };
	size_t at = netlink_begin(m, NFNL_MSG_BATCH_BEGIN, 0, &header, sizeof(header));

	netlink_end(m, at);
	return at;
}

/* The last of them asks for an answer; the others answer only where they fail. */
static int send_batch(int fd, struct netlink *m)
{
	const struct nfgenmsg header = { .res_id = htons(NFNL_SUBSYS_NFTABLES) };
	size_t at = netlink_begin(m, NFNL_MSG_BATCH_END, 0, &header, sizeof(header));

	netlink_end(m, at);
	return netlink_send(fd, m, 1);
}

static void put_be32(struct netlink *m, unsigned type, uint32_t value)
{
	netlink_put_u32(m, type, htonl(value));
}

static void put_data(struct netlink *m, unsigned type, const void *value, size_t size)
{
	size_t at = netlink_nest(m, type);

	netlink_put(m, NFTA_DATA_VALUE, value, size);
	netlink_nest_end(m, at);
}

struct expression {
	struct netlink *m;
	size_t element, data;
};

static struct expression begin_expression(struct netlink *m, const char *name)
{
	struct expression e = { .m = m, .element = netlink_nest(m, NFTA_LIST_ELEM) };

	netlink_put_text(m, NFTA_EXPR_NAME, name);
	e.data = netlink_nest(m, NFTA_EXPR_DATA);
	return e;
}

static void end_expression(const struct expression *e)
{
	netlink_nest_end(e->m, e->data);
	netlink_nest_end(e->m, e->element);
}

static void put_compare(struct netlink *m, bool equal, const void *value, size_t size)
{
	struct expression e = begin_expression(m, "cmp");

	put_be32(m, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(m, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
	put_data(m, NFTA_CMP_DATA, value, size);
	end_expression(&e);
}

static void put_meta(struct netlink *m, unsigned key, bool equal, const void *value, size_t size)
{
	struct expression e = begin_expression(m, "meta");

	put_be32(m, NFTA_META_DREG, NFT_REG_1);
	put_be32(m, NFTA_META_KEY, key);
	end_expression(&e);
	put_compare(m, equal, value, size);
}

static void put_device(struct netlink *m, unsigned key, bool equal, const char *device)
{
	char name[IFNAMSIZ] = "";

	memcpy(name, device, strnlen(device, sizeof(name) - 1));
	put_meta(m, key, equal, name, sizeof(name));
}

static void put_family(struct netlink *m, bool v6)
{
	const uint8_t family = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;

	put_meta(m, NFT_META_NFPROTO, true, &family, sizeof(family));
}

static void put_payload(struct netlink *m, unsigned base, unsigned offset, unsigned size)
{
	struct expression e = begin_expression(m, "payload");

	put_be32(m, NFTA_PAYLOAD_DREG, NFT_REG_1);
	put_be32(m, NFTA_PAYLOAD_BASE, base);
	put_be32(m, NFTA_PAYLOAD_OFFSET, offset);
	put_be32(m, NFTA_PAYLOAD_LEN, size);
	end_expression(&e);
}

/* The address at that place in the header is in the network of this one. */
static void put_address(struct netlink *m, bool v6, unsigned offset, const uint8_t *address, unsigned prefix)
{
	const unsigned size = v6 ? 16 : 4;
	uint8_t mask[16] = { 0 }, network[16], zero[16] = { 0 };

	for (unsigned bit = 0; bit < prefix && bit < size * 8; bit++)
		mask[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	for (unsigned i = 0; i < size; i++)
		network[i] = address[i] & mask[i];
	put_payload(m, NFT_PAYLOAD_NETWORK_HEADER, offset, size);
	if (prefix < size * 8) {
		struct expression e = begin_expression(m, "bitwise");

		put_be32(m, NFTA_BITWISE_SREG, NFT_REG_1);
		put_be32(m, NFTA_BITWISE_DREG, NFT_REG_1);
		put_be32(m, NFTA_BITWISE_LEN, size);
		put_data(m, NFTA_BITWISE_MASK, mask, size);
		put_data(m, NFTA_BITWISE_XOR, zero, size);
		end_expression(&e);
	}
	put_compare(m, true, network, size);
}

static void put_is_local(struct netlink *m)
{
	const uint32_t local = RTN_LOCAL;
	struct expression e = begin_expression(m, "fib");

	put_be32(m, NFTA_FIB_DREG, NFT_REG_1);
	put_be32(m, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_be32(m, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	end_expression(&e);
	put_compare(m, true, &local, sizeof(local));
}

static void put_load(struct netlink *m, unsigned to, const void *value, size_t size)
{
	struct expression e = begin_expression(m, "immediate");

	put_be32(m, NFTA_IMMEDIATE_DREG, to);
	put_data(m, NFTA_IMMEDIATE_DATA, value, size);
	end_expression(&e);
}

static void put_drop(struct netlink *m)
{
	struct expression e = begin_expression(m, "immediate");

	put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	size_t data = netlink_nest(m, NFTA_IMMEDIATE_DATA), verdict = netlink_nest(m, NFTA_DATA_VERDICT);
	put_be32(m, NFTA_VERDICT_CODE, NF_DROP);
	netlink_nest_end(m, verdict);
	netlink_nest_end(m, data);
	end_expression(&e);
}

static void put_masquerade(struct netlink *m)
{
	struct expression e = begin_expression(m, "masq");

	end_expression(&e);
}

static void put_dnat(struct netlink *m, bool v6, const uint8_t *address, uint16_t port)
{
	const uint16_t be = htons(port);

	put_load(m, NFT_REG_1, address, v6 ? 16 : 4);
	put_load(m, NFT_REG_2, &be, sizeof(be));
	struct expression e = begin_expression(m, "nat");
	put_be32(m, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	put_be32(m, NFTA_NAT_FAMILY, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
	put_be32(m, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	put_be32(m, NFTA_NAT_REG_PROTO_MIN, NFT_REG_2);
	end_expression(&e);
}

static void put_table(struct netlink *m, const char *table)
{
	size_t at = begin(m, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);

	netlink_put_text(m, NFTA_TABLE_NAME, table);
	put_be32(m, NFTA_TABLE_FLAGS, OWNER);
	netlink_end(m, at);
}

static void put_chain(struct netlink *m, const char *table, const char *name, const char *type, unsigned hook,
		      int priority)
{
	size_t at = begin(m, NFT_MSG_NEWCHAIN, NLM_F_CREATE);

	netlink_put_text(m, NFTA_CHAIN_TABLE, table);
	netlink_put_text(m, NFTA_CHAIN_NAME, name);
	size_t nest = netlink_nest(m, NFTA_CHAIN_HOOK);
	put_be32(m, NFTA_HOOK_HOOKNUM, hook);
	put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)priority);
	netlink_nest_end(m, nest);
	netlink_put_text(m, NFTA_CHAIN_TYPE, type);
	netlink_end(m, at);
}

static struct rule begin_rule(struct netlink *m, const char *table, const char *chain, bool last)
{
	struct rule r = { .m = m,
			  .message = begin(m, NFT_MSG_NEWRULE,
					   NLM_F_CREATE | NLM_F_APPEND | (last ? NLM_F_ACK : 0)) };

	netlink_put_text(m, NFTA_RULE_TABLE, table);
	netlink_put_text(m, NFTA_RULE_CHAIN, chain);
	r.list = netlink_nest(m, NFTA_RULE_EXPRESSIONS);
	return r;
}

static void end_rule(const struct rule *r)
{
	netlink_nest_end(r->m, r->list);
	netlink_end(r->m, r->message);
}

static void put_way_out(struct netlink *m, const struct net_rules *r, bool v6)
{
	const uint8_t *inside = v6 ? r->inside6 : r->inside4;

	if (r->masquerade) {
		struct rule rule = begin_rule(m, r->table, "out", false);

		put_family(m, v6);
		put_address(m, v6, OFF_SADDR(v6), inside, v6 ? 128 : 32);
		put_device(m, NFT_META_OIFNAME, false, r->device);
		put_masquerade(m);
		end_rule(&rule);
	}
	if (!r->n_ports)
		return;
	/* Its neighbours come by the machine, too: the answers must take the same way. */
	struct rule rule = begin_rule(m, r->table, "out", false);

	put_family(m, v6);
	put_address(m, v6, OFF_SADDR(v6), inside, v6 ? r->prefix6 : r->prefix4);
	put_address(m, v6, OFF_DADDR(v6), inside, v6 ? 128 : 32);
	put_device(m, NFT_META_OIFNAME, true, r->device);
	put_masquerade(m);
	end_rule(&rule);
}

static void put_loopback(struct netlink *m, const struct net_rules *r)
{
	static const uint8_t loopback[4] = { 127 };
	struct rule rule = begin_rule(m, r->table, "out", false);

	put_family(m, false);
	put_address(m, false, OFF_SADDR(false), loopback, 8);
	put_address(m, false, OFF_DADDR(false), r->inside4, 32);
	put_device(m, NFT_META_OIFNAME, true, r->device);
	put_masquerade(m);
	end_rule(&rule);
}

/* Always: another's ports may have opened the device. */
static void put_guard(struct netlink *m, const struct net_rules *r)
{
	static const uint8_t loopback[4] = { 127 };
	struct rule rule = begin_rule(m, r->table, "guard", true);

	put_device(m, NFT_META_IIFNAME, true, r->device);
	put_family(m, false);
	put_address(m, false, OFF_DADDR(false), loopback, 8);
	put_drop(m);
	end_rule(&rule);
}

static int make_table(int fd, const struct net_rules *r)
{
	struct netlink m = { 0 };

	begin_batch(&m);
	put_table(&m, r->table);
	put_chain(&m, r->table, "guard", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW);
	put_chain(&m, r->table, "in", "nat", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT);
	put_chain(&m, r->table, "own", "nat", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT);
	put_chain(&m, r->table, "out", "nat", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
	if (r->inside4)
		put_way_out(&m, r, false);
	if (r->inside6)
		put_way_out(&m, r, true);
	if (r->loopback && r->inside4 && r->n_ports)
		put_loopback(&m, r);
	put_guard(&m, r);
	return send_batch(fd, &m);
}

static void put_port(struct netlink *m, const struct net_rules *r, const struct net_rules_port *p,
		     const char *chain, bool v6, bool last)
{
	const uint8_t protocol = p->udp ? IPPROTO_UDP : IPPROTO_TCP;
	const uint16_t port = htons(p->outside);
	struct rule rule = begin_rule(m, r->table, chain, last);

	put_family(m, v6);
	if (p->at_family)
		put_address(m, v6, OFF_DADDR(v6), p->at, v6 ? 128 : 32);
	else
		put_is_local(m);
	if (!p->at_family && v6) { /* nothing leads from there to another device: refused at once, it is */
		static const uint8_t loopback[16] = { [15] = 1 };

		put_payload(m, NFT_PAYLOAD_NETWORK_HEADER, OFF_DADDR(v6), sizeof(loopback));
		put_compare(m, false, loopback, sizeof(loopback));
	}
	put_meta(m, NFT_META_L4PROTO, true, &protocol, sizeof(protocol));
	put_payload(m, NFT_PAYLOAD_TRANSPORT_HEADER, OFF_DPORT, sizeof(port));
	put_compare(m, true, &port, sizeof(port));
	put_dnat(m, v6, v6 ? r->inside6 : r->inside4, p->inside);
	end_rule(&rule);
}

static int make_port(int fd, const struct net_rules *r, const struct net_rules_port *p)
{
	bool four = r->inside4 && p->at_family != AF_INET6, six = r->inside6 && p->at_family != AF_INET;
	struct netlink m = { 0 };

	if (!four && !six) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	begin_batch(&m);
	if (four) {
		put_port(&m, r, p, "in", false, false);
		put_port(&m, r, p, "own", false, !six);
	}
	if (six) {
		put_port(&m, r, p, "in", true, false);
		put_port(&m, r, p, "own", true, true);
	}
	return send_batch(fd, &m);
}

int net_rules_make(const struct net_rules *r)
{
	int fd = netlink_open(NETLINK_NETFILTER);
	int code = fd < 0 ? -1 : make_table(fd, r);

	for (size_t i = 0; i < r->n_ports && code == 0; i++)
		code = make_port(fd, r, &r->ports[i]);
	if (code < 0 && fd >= 0) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return code < 0 ? -1 : fd;
}

int net_rules_lead(const uint8_t from[4], uint16_t from_port, uint16_t port)
{
	static const uint8_t loopback[4] = { 127, 0, 0, 1 };
	const struct net_rules r = { .table = "kennel-names", .inside4 = loopback };
	struct net_rules_port p = { .at_family = AF_INET, .outside = from_port, .inside = port, .udp = true };
	struct netlink m = { 0 };
	int fd = netlink_open(NETLINK_NETFILTER);

	if (fd < 0)
		return -1;
	memcpy(p.at, from, 4);
	begin_batch(&m);
	put_table(&m, r.table);
	put_chain(&m, r.table, "own", "nat", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT);
	put_port(&m, &r, &p, "own", false, true);
	if (send_batch(fd, &m) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static bool take_chain(unsigned type, const void *body, size_t size, void *data)
{
	uint32_t hook, policy;
	struct nfgenmsg header;
	size_t n, k;

	if (type != TYPE(NFT_MSG_NEWCHAIN) || size < sizeof(header))
		return true;
	memcpy(&header, body, sizeof(header));
	const void *nest = netlink_find(body, size, sizeof(header), NFTA_CHAIN_HOOK, 0, &n);
	const void *number = nest ? netlink_find(nest, n, 0, NFTA_HOOK_HOOKNUM, sizeof(hook), &k) : NULL;
	const void *found = netlink_find(body, size, sizeof(header), NFTA_CHAIN_POLICY, sizeof(policy), &k);
	if (!number || !found || (header.nfgen_family != NFPROTO_IPV4 && header.nfgen_family != NFPROTO_INET))
		return true;
	memcpy(&hook, number, sizeof(hook));
	memcpy(&policy, found, sizeof(policy));
	*(bool *)data |= ntohl(hook) == NF_INET_FORWARD && ntohl(policy) == NF_DROP;
	return true;
}

int net_rules_forward_drops(bool *ret)
{
	const struct nfgenmsg header = { .nfgen_family = NFPROTO_UNSPEC };
	struct netlink m = { 0 };
	int fd = netlink_open(NETLINK_NETFILTER);

	if (fd < 0)
		return -1;
	size_t at = netlink_begin(&m, TYPE(NFT_MSG_GETCHAIN), NLM_F_DUMP, &header, sizeof(header));
	netlink_end(&m, at);
	*ret = false;
	int r = netlink_dump(fd, &m, take_chain, ret);
	int saved = errno;
	close(fd);
	errno = saved;
	return r;
}
