/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unit tests of conf/network.c (the words of --net and --publish) and of what run/interfaces.c decides. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "conf/spec.h"
#include "net/dhcp.h"
#include "net/names.h"
#include "net/netlink.h"
#include "net/switch.h"
#include "run/interfaces.h"

static void set(struct spec *s, const char *key, const char *value)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	if (spec_set(s, key, value, &err) < 0)
		fail_msg("%s=%s: %s", key, value, kennel_error_message(err));
}

static void assert_address(const struct spec_address *a, const char *text)
{
	char got[NETWORK_ADDRESS_TEXT];

	network_address_text(a, true, got);
	assert_string_equal(got, text);
}

static void test_network_set_all_options(void **state)
{
	struct spec *s = spec_new(NULL);

	set(s, "net",
	    "bridge:br0,name=lan,ip=10.0.3.5/24,ip=10.0.3.6/32,gw=10.0.3.1,ip6=fd00::5/64,gw6=fe80::1,"
	    "mac=02:00:00:00:0a:FF,mtu=1400,slaac");
	set(s, "net", "veth:v-out,outer=10.1.0.1/30,outer6=fd01::1/64,ip=10.1.0.2/30");
	assert_int_equal(s->net, SPEC_NET_INTERFACES);
	assert_int_equal(s->n_interfaces, 2);
	const struct spec_interface *in = s->interfaces;
	assert_int_equal(in->kind, SPEC_LINK_BRIDGE);
	assert_string_equal(in->link, "br0");
	assert_string_equal(in->name, "lan");
	assert_int_equal(in->n_addresses, 3);
	assert_address(&in->addresses[0], "10.0.3.5/24");
	assert_address(&in->addresses[1], "10.0.3.6/32");
	assert_address(&in->addresses[2], "fd00::5/64");
	assert_address(&in->gateways[0], "10.0.3.1/32");
	assert_address(&in->gateways[1], "fe80::1/128");
	assert_true(in->has_mac && in->slaac);
	assert_memory_equal(in->mac, "\x02\0\0\0\x0a\xff", 6);
	assert_int_equal(in->mtu, 1400);
	assert_address(&in[1].outer[0], "10.1.0.1/30");
	assert_address(&in[1].outer[1], "fd01::1/64");
	assert_int_equal(spec_check(s, NULL), 0);
	spec_free(s);
}

static void test_network_set_modes_replace_and_interfaces_add(void **state)
{
	struct spec *s = spec_new(NULL);

	set(s, "net", "bridge");
	set(s, "net", "macvlan:eth7");
	assert_int_equal(s->n_interfaces, 2);
	set(s, "net", "container:web");
	assert_int_equal(s->net, SPEC_NET_CONTAINER);
	assert_int_equal(s->n_interfaces, 0);
	assert_string_equal(s->net_where, "web");
	set(s, "net", "ns:/run/netns//blue");
	assert_string_equal(s->net_where, "/run/netns/blue");
	set(s, "net", "private:lab");
	assert_int_equal(s->net, SPEC_NET_PRIVATE);
	assert_string_equal(s->net_where, "lab");
	assert_int_equal(s->n_interfaces, 0);
	set(s, "net", "private");
	assert_null(s->net_where);
	assert_int_equal(s->n_interfaces, 1);
	set(s, "publish", "80:80");
	/* What is said from now on takes the place of what a configuration has. */
	spec_mark_configured(s);
	set(s, "net", "bridge:br1");
	set(s, "net", "bridge:br2");
	assert_int_equal(s->n_interfaces, 2);
	assert_string_equal(s->interfaces[0].link, "br1");
	set(s, "publish", "80:81");
	assert_int_equal(s->n_ports, 1);
	assert_int_equal(s->ports[0].inside, 81);
	assert_int_equal(spec_key_use("net"), SPEC_USE_GROUP);
	assert_int_equal(spec_key_use("publish"), SPEC_USE_LIST);
	spec_free(s);
}

static void test_network_name_counts_around_those_that_are_taken(void **state)
{
	static const char *const want[] = { "eth0", "eth1", "eth2", "lan", "eth3" };
	struct spec *s = spec_new(NULL);
	char name[NETWORK_NAME_SIZE];

	set(s, "net", "private");
	set(s, "net", "private,name=eth1");
	set(s, "net", "private");
	set(s, "net", "private,name=lan");
	set(s, "net", "private");
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		network_name(s, i, name);
		assert_string_equal(name, want[i]);
	}
	spec_free(s);
}

static const struct {
	const char *key, *value, *text;
} refused[] = {
	{ "net", "", "\"\" is not a kind of network" },
	{ "net", "bridge:", "\"\" can't be the name of an interface" },
	{ "net", "bridge:a/b", "\"a/b\" can't be the name of an interface" },
	{ "net", "bridge:..", "can't be the name" },
	{ "net", "bridge:-a", "can't be the name" },
	{ "net", "bridge:a%d", "can't be the name" },
	{ "net", "bridge:a b", "can't be the name" },
	{ "net", "bridge:sixteen-letters-", "\"sixteen-letters-\" can't be the name" },
	{ "net", "veth:v,name=lo", "\"lo\" is there already" },
	{ "net", "macvlan", "does not say over which device" },
	{ "net", "private:", "\"\" can't be the name of a private network" },
	{ "net", "private:a/b", "\"a/b\" can't be the name of a private network" },
	{ "net", "private:..", "can't be the name of a private network" },
	{ "net", "private:sixteen-letters-", "can't be the name of a private network" },
	{ "net", "private:lab,mtu=1400", "private:NAME takes no options" },
	{ "net", "nat:x", "\"nat\" stands alone" },
	{ "net", "none,mtu=1400", "\"none\" stands alone" },
	{ "net", "ns", "ns does not say which" },
	{ "net", "ns:run/x", "is not an absolute path" },
	{ "net", "container", "container does not say which" },
	{ "net", "container:../x", "does not begin with a letter or a digit" },
	{ "net", "private,", "there is no option \"\"" },
	{ "net", "private,mtv=1400", "there is no option \"mtv\"" },
	{ "net", "private,mtu", "option \"mtu\" has no value" },
	{ "net", "private,slaac=yes", "option \"slaac\" takes no value" },
	{ "net", "private,mtu=1400,mtu=1400", "option \"mtu\" is there twice" },
	{ "net", "private,mtu=67", "\"67\" is not an MTU from 68 to 65535" },
	{ "net", "private,mtu=1000,ip6=fd00::1/64", "IPv6 needs an MTU of 1280 or more" },
	{ "net", "private,outer=10.0.0.1/8", "private has no option \"outer\"" },
	{ "net", "private,ip=10.0.0.1", "\"10.0.0.1\" does not say how long its network is" },
	{ "net", "private,ip=10.0.0.1/33", "\"33\" is not the length of a network" },
	{ "net", "private,ip=10.0.0.1/0", "\"0\" is not the length of a network" },
	{ "net", "private,ip=10.0.0/8", "\"10.0.0\" is not the IPv4 address of a host" },
	{ "net", "private,ip=127.0.0.1/8", "not the IPv4 address of a host" },
	{ "net", "private,ip=224.0.0.1/8", "not the IPv4 address of a host" },
	{ "net", "private,ip=fd00::1/64", "\"fd00::1\" is not the IPv4 address of a host" },
	{ "net", "private,ip6=::1/64", "\"::1\" is not the IPv6 address of a host" },
	{ "net", "private,ip6=ff02::1/64", "not the IPv6 address of a host" },
	{ "net", "private,gw=10.0.0.1", "\"gw\" needs an address: ip=" },
	{ "net", "private,ip=10.0.0.2/8,gw6=fd00::1", "\"gw6\" needs an address: ip6=" },
	{ "net", "private,ip=10.0.0.2/8,gw=10.0.0.1/8", "is one address" },
	{ "net", "private,mac=02:00:00:00:00", "is not a MAC address" },
	{ "net", "private,mac=02:00:00:00:00:0g", "is not a MAC address" },
	{ "net", "private,mac=02-00-00-00-00-00", "is not a MAC address" },
	{ "net", "private,mac=01:00:00:00:00:00", "is not the MAC address of one device" },
	{ "net", "private,mac=00:00:00:00:00:00", "is not the MAC address of one device" },
	{ "net", "bridge:b,dhcp,ip=10.0.0.1/8", "\"dhcp\" gives the IPv4 address" },
	{ "net", "bridge,dhcp", "addresses on kennel's own bridge are kennel's choice" },
	{ "net", "bridge,ip=10.0.0.1/8", "addresses on kennel's own bridge are kennel's choice" },
	{ "publish", "", "does not say which port inside" },
	{ "publish", "0:80", "has no two ports from 1 to 65535" },
	{ "publish", "80:65536", "has no two ports" },
	{ "publish", "80:80/sctp", "\"sctp\" behind the slash is neither tcp nor udp" },
	{ "publish", "localhost:80:80", "\"localhost\" is not an address of a host" },
	{ "publish", "::1:80:80", "\"::1\" is not an address of a host" },
	{ "publish", "239.0.0.1:80:80", "is not an address of a host" },
};

static void test_network_refusals_are_told_and_change_nothing(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct spec *s = spec_new(NULL);

		set(s, "net", "private,name=old");
		assert_int_equal(spec_set(s, refused[i].key, refused[i].value, &err), -KENNEL_E_INVALID);
		if (!strstr(kennel_error_message(err), refused[i].text) || !kennel_error_hint(err))
			fail_msg("%s: %s", refused[i].value, kennel_error_message(err));
		assert_int_equal(s->n_interfaces, 1);
		assert_int_equal(s->n_ports, 0);
		spec_free(s);
	}
}

static void test_network_publish_parts(void **state)
{
	struct spec *s = spec_new(NULL);

	set(s, "publish", "8080:80");
	set(s, "publish", "127.0.0.1:53:5353/udp");
	set(s, "publish", "[fd00::1]:8081:81/tcp");
	assert_int_equal(s->ports[0].at.family, 0);
	assert_int_equal(s->ports[0].outside, 8080);
	assert_int_equal(s->ports[0].inside, 80);
	assert_false(s->ports[0].udp);
	assert_address(&s->ports[1].at, "127.0.0.1/32");
	assert_true(s->ports[1].udp);
	assert_address(&s->ports[2].at, "fd00::1/128");
	assert_int_equal(spec_check(s, NULL), 0);
	spec_free(s);
}

static const struct {
	const char *words[3][2];
	const char *text;
} conflicts[] = {
	{ { { "publish", "80:80" }, { "publish", "127.0.0.1:80:81" } },
	  "port 80 of the machine is published twice" },
	{ { { "publish", "80:80" }, { "net", "host" } }, "no meaning in the machine's own network" },
	{ { { "publish", "80:80" }, { "isolate", "fs" } }, "no meaning in the machine's own network" },
	{ { { "publish", "80:80" }, { "net", "none" } }, "needs a network with an address" },
	{ { { "publish", "80:80" }, { "net", "private" } }, "needs a network with an address" },
	{ { { "net", "private,name=a" }, { "net", "bridge:b,name=a" } },
	  "two interfaces have the name \"a\"" },
	{ { { "net", "veth:a" }, { "net", "veth:a" } }, "two interfaces have the name \"a\" outside" },
	{ { { "net", "bridge" }, { "net", "bridge" } }, "one interface on kennel's own bridge is enough" },
};

static void test_network_check_conflicts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(conflicts); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		struct spec *s = spec_new(NULL);

		for (size_t k = 0; k < 3 && conflicts[i].words[k][0]; k++)
			set(s, conflicts[i].words[k][0], conflicts[i].words[k][1]);
		assert_int_equal(spec_check(s, &err), -KENNEL_E_INVALID);
		if (!strstr(kennel_error_message(err), conflicts[i].text))
			fail_msg("%s", kennel_error_message(err));
		spec_free(s);
	}
}

static void test_interfaces_pick_host_is_stable_and_free(void **state)
{
	bool taken[256] = { false };
	unsigned first = interfaces_pick_host("web", taken), n = 0;

	assert_int_equal(interfaces_pick_host("web", taken), first);
	for (unsigned host; (host = interfaces_pick_host("web", taken)); n++) {
		assert_in_range(host, 2, 254);
		assert_false(taken[host]);
		taken[host] = true;
	}
	assert_int_equal(n, 253);
}

static void test_interfaces_own_address_both_families(void **state)
{
	struct spec_address a[2];

	interfaces_own_address(7, 254, a);
	assert_address(&a[0], "10.107.7.254/24");
	assert_address(&a[1], "fd6b:656e:6e65:6c07::fe/64");
}

static bool count(unsigned type, const void *body, size_t size, void *data)
{
	(*(unsigned *)data)++;
	return true;
}

static void test_netlink_message_that_does_not_fit_is_not_sent(void **state)
{
	static const char big[NETLINK_ROOM];
	struct netlink m = { 0 };
	unsigned n = 0;

	size_t at = netlink_begin(&m, 20, 0, "head", 4);
	netlink_put_u32(&m, 1, 7);
	size_t nest = netlink_nest(&m, 2);
	netlink_put_text(&m, 3, "abc");
	netlink_nest_end(&m, nest);
	netlink_end(&m, at);
	assert_false(m.full);
	assert_int_equal(m.len, 16 + 4 + 8 + 4 + 8);
	assert_int_equal(netlink_parse(m.bytes, m.len, count, &n), 0);
	assert_int_equal(n, 1);
	size_t size = 0;
	const void *inner = netlink_find(m.bytes + 16, m.len - 16, 4, 2, 1, &size);
	assert_non_null(inner);
	assert_int_equal(size, 8);
	assert_string_equal(netlink_find(inner, size, 0, 3, 4, &size), "abc");
	assert_null(netlink_find(inner, 8, 0, 3, 5, &size));
	netlink_put(&m, 4, big, sizeof(big));
	assert_true(m.full);
	assert_int_equal(netlink_send(-1, &m, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	/* half a message */
	assert_int_equal(netlink_parse(m.bytes, 30, count, &n), -1);
	assert_int_equal(errno, EBADMSG);
}

#define ENTRY \
	"net\tbridge\nmachine-net\t7\ninterface\teth0\\tbridge\\tbr0\\t10.0.0.9/24\n" \
	"interface\teth1\\tbridge\\tkennel0\\t10.107.0.5/24 fd6b::5/64\nhostname\tweb.lan\nname\tWeb\n"

static void test_net_names_find_by_bridge_machine_and_name(void **state)
{
	static const struct {
		const char *name, *bridge, *machine;
		bool found, four, six;
	} rows[] = {
		{ "web", "kennel0", "7", true, true, true },
		{ "web.kennel", "kennel0", "7", true, true, true },
		{ "web.lan", "br0", "7", false, false, false },
		{ "web.lan.kennel", "br0", "7", true, true, false },
		{ "web", "br1", "7", false, false, false },
		{ "web", "kennel0", "77", false, false, false },
		{ "we", "kennel0", "7", false, false, false },
		{ ".kennel", "kennel0", "7", false, false, false },
		{ "web.other", "kennel0", "7", false, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t found[2][16];
		bool has[2];

		assert_int_equal(net_names_find(ENTRY, rows[i].name, rows[i].bridge, rows[i].machine, found,
						has),
				 rows[i].found);
		assert_int_equal(has[0], rows[i].four);
		assert_int_equal(has[1], rows[i].six);
		if (has[1])
			assert_memory_equal(found[0], "\x0a\x6b\0\x05", 4);
	}
}

static void test_net_names_answer_has_question_and_address(void **state)
{
	static const uint8_t query[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\1" /* with an additional record */
				       "\3WeB\0\0\1\0\1"
				       "\0\0\x29\x10\0\0\0\0\0\0\0";
	static const uint8_t want[] = "\x12\x34\x85\x80\0\1\0\1\0\0\0\0"
				      "\3WeB\0\0\1\0\1"
				      "\xc0\x0c\0\1\0\1\0\0\0\5\0\4"
				      "\x0a\x6b\0\5";
	static const uint8_t v4[4] = { 10, 107, 0, 5 };
	struct net_question q;
	uint8_t ret[64];

	assert_true(net_names_question(query, sizeof(query) - 1, &q));
	assert_string_equal(q.name, "web");
	assert_int_equal(q.type, 1);
	assert_int_equal(net_names_answer(query, &q, v4, NULL, ret, sizeof(ret)), sizeof(want) - 1);
	assert_memory_equal(ret, want, sizeof(want) - 1);
	assert_int_equal(net_names_answer(query, &q, v4, NULL, ret, sizeof(want) - 2), 0);
	q.type = 28; /* it has none: that is an answer, too */
	assert_int_equal(net_names_answer(query, &q, v4, NULL, ret, sizeof(ret)), 21);
	assert_int_equal(ret[7], 0);
}

/* A server's answer, made of a client's request. */
static size_t make_ack(uint8_t packet[DHCP_PACKET_MAX], const struct dhcp_client *c,
		       const struct dhcp_lease *lease)
{
	static const uint8_t options[] = { 53, 1,   5, 54, 4,	10,  9,	  0,  1, 51, 4,	 0,  0,
					   0,  120, 1, 4,  255, 255, 254, 0,  3, 4,  10, 9,  0,
					   1,  6,   8, 10, 9,	0,   2,	  10, 9, 0,  3,	 255 };
	size_t n = dhcp_build(DHCP_REQUEST, c, lease, false, packet);

	packet[21] = 67;
	packet[23] = 68;
	packet[28] = 2;
	memcpy(packet + 28 + 16, lease->address, 4);
	memcpy(packet + 28 + 240, options, sizeof(options));
	return n;
}

static void test_dhcp_parse_takes_the_lease_of_this_client(void **state)
{
	const struct dhcp_client c = { .mac = { 2, 0, 0, 0, 0, 5 }, .transaction = 77, .hostname = "web" };
	const struct dhcp_client others[] = { { .mac = { 2, 0, 0, 0, 0, 6 }, .transaction = 77 },
					      { .mac = { 2, 0, 0, 0, 0, 5 }, .transaction = 78 } };
	const struct dhcp_lease offer = { .address = { 10, 9, 0, 100 }, .server = { 10, 9, 0, 1 } };
	uint8_t packet[DHCP_PACKET_MAX];
	struct dhcp_lease got;

	size_t n = make_ack(packet, &c, &offer);
	assert_int_equal(dhcp_parse(packet, n, &c, &got), DHCP_ACK);
	assert_memory_equal(got.address, offer.address, 4);
	assert_memory_equal(got.gateway, offer.server, 4);
	assert_int_equal(got.prefix, 23);
	assert_int_equal(got.seconds, 120);
	assert_int_equal(got.n_dns, 2);
	assert_int_equal(got.dns[1][3], 3);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		assert_int_equal(dhcp_parse(packet, n, &others[i], &got), DHCP_NONE);
	for (size_t cut = 1; cut < n; cut++)
		assert_int_equal(dhcp_parse(packet, n - cut, &c, &got), DHCP_NONE);
	packet[28 + 240 + 2] = 6;
	assert_int_equal(dhcp_parse(packet, n, &c, &got), DHCP_NAK);
}

static void test_names_resolv_conf_keeps_other_lines(void **state)
{
	_cleanup_free_ char *text = NULL;
	union net_server servers[NET_NAMES_SERVERS];

	assert_int_equal(names_resolv_conf(NAMES_LINE,
					   "search lan\nnameserver 1.2.3.4\noptions ndots:2\nnameserver ::1",
					   &text, NULL),
			 0);
	assert_string_equal(text, "nameserver 169.254.1.1\noptions edns0\nsearch lan\noptions ndots:2\n");
	assert_int_equal(
		net_names_servers(
			"nameserver 1.2.3.4\n#nameserver 5.6.7.8\nnameserver\tfd00::1\nnameserver x\n"
			"nameservers 1.1.1.1\nnameserver 127.0.0.53 # x",
			servers),
		3);
	assert_int_equal(servers[0].any.sa_family, AF_INET);
	assert_int_equal(servers[1].any.sa_family, AF_INET6);
	assert_int_equal(servers[2].any.sa_family, AF_INET);
}

static void test_net_switch_pick_stays_and_finds_all_numbers(void **state)
{
	_cleanup_free_ bool *seen = calloc(65536, sizeof(*seen));

	assert_non_null(seen);
	assert_int_equal(net_switch_pick("web", 0), net_switch_pick("web", 0));
	assert_int_not_equal(net_switch_pick("web", 0), net_switch_pick("db", 0));
	for (unsigned i = 0; i < NET_SWITCH_RESOLVER - 1; i++) {
		uint16_t n = net_switch_pick("web", i);

		assert_false(seen[n]);
		seen[n] = true;
	}
	/* the addresses of the network itself and of all that are on it */
	assert_false(seen[0] || seen[NET_SWITCH_RESOLVER] || seen[65535]);
}

static void test_net_switch_number_is_four_digits(void **state)
{
	static const char *const not [] = { "",	  ".",	   "..",   "0000", "ffff",
					    "12", "12345", "12G4", "ABCD", "-123" };
	char text[NET_SWITCH_DIGITS + 1];

	for (size_t i = 0; i < ARRAY_SIZE(not ); i++)
		assert_int_equal(net_switch_number(not [i]), -1);
	net_switch_digits(0x0a1f, text);
	assert_string_equal(text, "0a1f");
	assert_int_equal(net_switch_number("0a1f"), 0x0a1f);
	assert_int_equal(net_switch_number("fffd"), 0xfffd);
	assert_int_equal(net_switch_number("fffe"), -1); /* the resolver's */
}

/* From 02:6b:65:6e:00:05 and 10.108.0.5 to member 6, unless the row writes something else over it. */
static const struct {
	const char *what;
	bool arp;
	size_t at;
	const char *bytes;
	size_t n, size;
	enum net_switch_way way;
	bool accepted; /* by 6 */
} frames[] = {
	{ "IPv4", false, 0, "", 0, 60, NET_SWITCH_ONE, true },
	{ "the longest", false, 0, "", 0, NET_SWITCH_FRAME, NET_SWITCH_ONE, true },
	{ "too long", false, 0, "", 0, NET_SWITCH_FRAME + 1, NET_SWITCH_DROP, false },
	{ "too short", false, 0, "", 0, 33, NET_SWITCH_DROP, false },
	{ "nothing", false, 0, "", 0, 0, NET_SWITCH_DROP, false },
	{ "to all", false, 0, "\xff\xff\xff\xff\xff\xff", 6, 60, NET_SWITCH_ALL, true },
	{ "to a group", false, 0, "\x01\0\x5e\0\0\x01", 6, 60, NET_SWITCH_ALL, true },
	{ "to another", false, 5, "\x07", 1, 60, NET_SWITCH_ONE, false },
	{ "to itself", false, 5, "\x05", 1, 60, NET_SWITCH_DROP, false },
	{ "to no member", false, 4, "\xff\xff", 2, 60, NET_SWITCH_DROP, false },
	{ "to a stranger", false, 3, "x", 1, 60, NET_SWITCH_DROP, false },
	{ "from a stranger", false, 6, "\x06", 1, 60, NET_SWITCH_DROP, false },
	{ "from its neighbour's card", false, 11, "\x07", 1, 60, NET_SWITCH_DROP, false },
	{ "from its neighbour's address", false, 29, "\x07", 1, 60, NET_SWITCH_DROP, false },
	{ "from elsewhere", false, 26, "\x08\x08\x08\x08", 4, 60, NET_SWITCH_DROP, false },
	{ "IPv6 that says it is IPv4", false, 14, "\x60", 1, 60, NET_SWITCH_DROP, false },
	{ "IPv4 that says it is IPv6", false, 12, "\x86\xdd", 2, 60, NET_SWITCH_DROP, false },
	{ "a VLAN", false, 12, "\x81\0", 2, 60, NET_SWITCH_DROP, false },
	{ "ARP", true, 0, "", 0, 42, NET_SWITCH_ONE, true },
	{ "short ARP", true, 0, "", 0, 41, NET_SWITCH_DROP, false },
	{ "ARP, asks first", true, 28, "\0\0\0\0", 4, 42, NET_SWITCH_ONE, true },
	{ "ARP for its neighbour", true, 31, "\x07", 1, 42, NET_SWITCH_DROP, false },
	{ "ARP with its neighbour's card", true, 27, "\x07", 1, 42, NET_SWITCH_DROP, false },
	{ "ARP of another kind", true, 19, "\x10", 1, 42, NET_SWITCH_DROP, false },
};

static void test_net_switch_judge_by_frame(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		uint8_t frame[NET_SWITCH_FRAME + 1] = { 0 }, *copy;
		uint16_t to = 0;

		net_switch_mac(6, frame);
		net_switch_mac(5, frame + 6);
		memcpy(frame + 12, frames[i].arp ? "\x08\x06\0\1\x08\0\6\4" : "\x08\0\x45",
		       frames[i].arp ? 8 : 3);
		if (frames[i].arp)
			net_switch_mac(5, frame + 22);
		net_switch_address(5, frame + (frames[i].arp ? 28 : 26));
		memcpy(frame + frames[i].at, frames[i].bytes, frames[i].n);
		copy = malloc(frames[i].size + !frames[i].size); /* so that a read behind it is seen */
		assert_non_null(copy);
		memcpy(copy, frame, frames[i].size);
		if (net_switch_judge(copy, frames[i].size, 5, &to) != frames[i].way ||
		    net_switch_accept(copy, frames[i].size, 6) != frames[i].accepted)
			fail_msg("%s", frames[i].what);
		free(copy);
	}
}

#define OWN "\xfdkennem\0\0\0\0\0\0\0\0\5"
#define THEIRS "\xfdkennem\0\0\0\0\0\0\0\0\7"
#define LINK_LOCAL "\xfe\x80\0\0\0\0\0\0\0ke\xff\xfen\0\5"
#define CARD "\2ken\0\5"
#define ASK "\x87\0\0\0\0\0\0\0" THEIRS
#define TELL "\x88\0\0\0\x60\0\0\0"

/* From member 5 to member 6: its header up to the destination, and what follows that. */
#define PACKET(next, source, body) next, source, body, sizeof(body) - 1
static const struct {
	const char *what;
	uint8_t next;
	const char *source;
	const char *body;
	size_t size;
	bool passes;
} packets6[] = {
	{ "TCP", PACKET(6, OWN, "12345678"), true },
	{ "UDP", PACKET(17, OWN, "12345678"), true },
	{ "UDP from the address of the link", PACKET(17, LINK_LOCAL, "12345678"), true },
	{ "from its neighbour's address", PACKET(17, THEIRS, "12345678"), false },
	{ "from another address of the link", PACKET(17, "\xfe\x80\0\0\0\0\0\0\0ke\xff\xfen\0\7", "12345678"),
	  false },
	{ "from none", PACKET(58, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ASK), false },
	{ "IPv4 in it", PACKET(4, OWN, "12345678"), false },
	{ "options for each hop", PACKET(0, OWN, "\x3a\0\1\4\0\0\0\0" ASK), false },
	{ "options for the destination", PACKET(60, OWN, "\x3a\0\1\4\0\0\0\0" ASK), false },
	{ "a way", PACKET(43, OWN, "\x3a\0\0\0\0\0\0\0" ASK), false },
	{ "nothing more", PACKET(59, OWN, ""), false },
	{ "first fragment",
	  PACKET(44, OWN,
		 "\x11\0\0\1\0\0\0\1"
		 "12345678"),
	  true },
	{ "later fragment",
	  PACKET(44, OWN,
		 "\x11\0\0\x08\0\0\0\1"
		 "12345678"),
	  true },
	{ "short fragment", PACKET(44, OWN, "\x11\0\0\0\0\0\0"), false },
	{ "fragment with options", PACKET(44, OWN, "\x3c\0\0\1\0\0\0\1\x3a\0\1\4\0\0\0\0" ASK), false },
	{ "fragment of a fragment", PACKET(44, OWN, "\x2c\0\0\1\0\0\0\1\x3a\0\0\1\0\0\0\1" ASK), false },
	{ "echo in fragments", PACKET(44, OWN, "\x3a\0\0\1\0\0\0\1\x80\0\0\0\0\0\0\0"), true },
	{ "the rest of an echo", PACKET(44, OWN, "\x3a\0\0\x08\0\0\0\1\x88\0\0\0\0\0\0\0"), true },
	{ "discovery in fragments", PACKET(44, OWN, "\x3a\0\0\1\0\0\0\1" ASK), false },
	{ "discovery in a fragment that is all", PACKET(44, OWN, "\x3a\0\0\0\0\0\0\1" TELL OWN), false },
	{ "a fragment of nothing", PACKET(44, OWN, "\x3a\0\0\1\0\0\0\1"), false },
	{ "echo", PACKET(58, OWN, "\x80\0\0\0\0\0\0\0"), true },
	{ "no kind", PACKET(58, OWN, ""), false },
	{ "who is asked for routers", PACKET(58, LINK_LOCAL, "\x85\0\0\0\0\0\0\0"), false },
	{ "a router", PACKET(58, LINK_LOCAL, "\x86\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false },
	{ "a way that is better", PACKET(58, LINK_LOCAL, "\x89\0\0\0\0\0\0\0" OWN OWN), false },
	{ "a question of multicast", PACKET(58, LINK_LOCAL, "\x82\0\0\0\0\0\0\0" OWN), false },
	{ "who has that", PACKET(58, OWN, ASK), true },
	{ "who has that, and my card", PACKET(58, LINK_LOCAL, ASK "\1\1" CARD), true },
	{ "who has that, and a neighbour's card", PACKET(58, OWN, ASK "\1\1\2ken\0\7"), false },
	{ "the same behind my own", PACKET(58, OWN, ASK "\1\1" CARD "\1\1\2ken\0\7"), false },
	{ "who has that, cut off", PACKET(58, OWN, "\x87\0\0\0\0\0\0\0\xfdkennem\0\0\0\0\0\0\0\0"), false },
	{ "an option that is cut off", PACKET(58, OWN, ASK "\1\1\2ken\0"), false },
	{ "an option of no length", PACKET(58, OWN, ASK "\1\0" CARD), false },
	{ "an option longer than all", PACKET(58, OWN, ASK "\1\2" CARD), false },
	{ "another option", PACKET(58, OWN, ASK "\5\1" CARD), false },
	{ "I have that", PACKET(58, OWN, TELL OWN "\2\1" CARD), true },
	{ "I have the address of the link", PACKET(58, OWN, TELL LINK_LOCAL "\2\1" CARD), true },
	{ "I have its neighbour's", PACKET(58, OWN, TELL THEIRS "\2\1" CARD), false },
	{ "I have it with another card", PACKET(58, OWN, TELL OWN "\2\1\2ken\0\7"), false },
	{ "I am a router", PACKET(58, OWN, "\x88\0\0\0\xe0\0\0\0" OWN "\2\1" CARD), false },
};

static size_t put_packet6(size_t i, uint8_t *frame, size_t padding)
{
	net_switch_mac(6, frame);
	net_switch_mac(5, frame + 6);
	memcpy(frame + 12, "\x86\xdd\x60\0\0\0", 6);
	frame[18] = (uint8_t)(packets6[i].size >> 8);
	frame[19] = (uint8_t)packets6[i].size;
	frame[20] = packets6[i].next;
	frame[21] = 255;
	memcpy(frame + 22, packets6[i].source, 16);
	memcpy(frame + 38, "\xfdkennem\0\0\0\0\0\0\0\0\6", 16);
	memcpy(frame + 54, packets6[i].body, packets6[i].size);
	return 54 + packets6[i].size + padding;
}

static void test_net_switch_judge_by_packet_of_ipv6(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packets6); i++) {
		uint8_t frame[256] = { 0 };
		uint16_t to = 0;
		const size_t size = put_packet6(i, frame, 0);
		uint8_t *copy = malloc(size);

		assert_non_null(copy);
		memcpy(copy, frame, size);
		if ((net_switch_judge(copy, size, 5, &to) == NET_SWITCH_ONE) != packets6[i].passes ||
		    net_switch_accept(copy, size, 6) != packets6[i].passes)
			fail_msg("%s", packets6[i].what);
		/* what is behind the packet is no part of it; one that is longer than its frame is none */
		if ((net_switch_judge(frame, size + 3, 5, &to) == NET_SWITCH_ONE) != packets6[i].passes)
			fail_msg("%s, with padding", packets6[i].what);
		copy[19]++;
		if (net_switch_judge(copy, size, 5, &to) != NET_SWITCH_DROP)
			fail_msg("%s, cut off", packets6[i].what);
		free(copy);
	}
	assert_int_equal(net_switch_judge((const uint8_t *)"\2ken\0\6\2ken\0\5\x86\xdd\x60", 15, 5, NULL),
			 NET_SWITCH_DROP);
}

/* A question for the address of "web" from member 5 to the resolver, port 1024. */
static const char query_frame[] = "\x02ken\xff\xfe\x02ken\0\5\x08\0"
				  "\x45\0\0\x31\0\0\x40\0\x40\x11\0\0\x0a\x6c\0\5\x0a\x6c\xff\xfe"
				  "\4\0\0\x35\0\x1d\0\0"
				  "\x12\x34\1\0\0\1\0\0\0\0\0\0\3web\0\0\1\0\1";

static const struct {
	const char *what;
	size_t at;
	const char *bytes;
	size_t n;
	bool taken;
} queries[] = {
	{ "as it is", 0, "", 0, true },
	{ "another card, the same address", 4, "\0\6", 2, true },
	{ "IPv6", 12, "\x86\xdd", 2, false },
	{ "with options", 14, "\x46", 1, false },
	{ "longer than the frame", 16, "\0\x32", 2, false },
	{ "shorter than its headers", 16, "\0\x1b", 2, false },
	{ "a fragment", 20, "\x20\0", 2, false },
	{ "a later fragment", 20, "\0\1", 2, false },
	{ "TCP", 23, "\x06", 1, false },
	{ "to a member", 32, "\0\6", 2, false },
	{ "another port", 37, "\x36", 1, false },
	{ "UDP shorter than its header", 38, "\0\7", 2, false },
	{ "UDP longer than the packet", 38, "\0\x1e", 2, false },
};

static void test_net_switch_query_by_frame(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
		const size_t size = sizeof(query_frame) - 1;
		uint8_t *frame = malloc(size);
		const uint8_t *query = NULL;
		size_t n = 0;

		assert_non_null(frame);
		memcpy(frame, query_frame, size);
		memcpy(frame + queries[i].at, queries[i].bytes, queries[i].n);
		if (net_switch_query(frame, size, &query, &n) != queries[i].taken)
			fail_msg("%s", queries[i].what);
		if (queries[i].taken)
			assert_true(query == frame + NET_SWITCH_HEADERS && n == 21);
		assert_int_equal(net_switch_answer_arp(frame, size, frame), 0);
		free(frame);
	}
}

static void test_net_switch_resolver_answers_in_frames_of_its_own(void **state)
{
	static const char ask[] = "\xff\xff\xff\xff\xff\xff\x02ken\0\5\x08\6\0\1\x08\0\6\4\0\1"
				  "\x02ken\0\5\x0a\x6c\0\5\0\0\0\0\0\0\x0a\x6c\xff\xfe";
	static const char told[] = "\x02ken\0\5\x02ken\xff\xfe\x08\6\0\1\x08\0\6\4\0\2"
				   "\x02ken\xff\xfe\x0a\x6c\xff\xfe\x02ken\0\5\x0a\x6c\0\5";
	static const char packet[] = "\x02ken\0\5\x02ken\xff\xfe\x08\0"
				     "\x45\0\0\x20\0\0\0\0\x40\x11\x65\xf2\x0a\x6c\xff\xfe\x0a\x6c\0\5"
				     "\0\x35\4\0\0\x0c\0\0text";
	const uint8_t *query = (const uint8_t *)query_frame;
	uint8_t ret[NET_SWITCH_FRAME], frame[64];
	uint16_t to = 0;

	assert_int_equal(net_switch_answer_arp((const uint8_t *)ask, sizeof(ask) - 1, ret), 42);
	assert_memory_equal(ret, told, sizeof(told) - 1);
	memcpy(frame, ask, sizeof(ask) - 1);
	frame[41] = 7; /* about a member */
	assert_int_equal(net_switch_answer_arp(frame, sizeof(ask) - 1, ret), 0);
	memcpy(frame, ask, sizeof(ask) - 1);
	frame[21] = 2; /* no question */
	assert_int_equal(net_switch_answer_arp(frame, sizeof(ask) - 1, ret), 0);

	assert_int_equal(net_switch_judge(query, sizeof(query_frame) - 1, 5, &to), NET_SWITCH_ONE);
	assert_int_equal(to, NET_SWITCH_RESOLVER);
	memcpy(ret + NET_SWITCH_HEADERS, "text", 4);
	assert_int_equal(net_switch_wrap(query, 4, ret), sizeof(packet) - 1);
	assert_memory_equal(ret, packet, sizeof(packet) - 1);
	/* said by a neighbour it is not believed */
	assert_false(net_switch_accept(ret, sizeof(packet) - 1, 5));
}

static void test_net_names_find_private_by_network(void **state)
{
	static const char entry[] = "name\tbox\nhostname\tweb\n"
				    "interface\teth0\\tprivate\\tlab\\t10.108.0.5/16 "
				    "fd6b:656e:6e65:6d00::5/64\n";
	uint8_t found[2][16] = { 0 };
	bool has[2];

	assert_true(net_names_find_private(entry, "web", "lab", found, has));
	assert_true(has[0] && has[1]);
	assert_memory_equal(found[0], "\x0a\x6c\0\5", 4);
	assert_memory_equal(found[1], OWN, 16);
	assert_true(net_names_find_private(entry, "box.kennel", "lab", found, has));
	assert_false(net_names_find_private(entry, "web", "LAB", found, has));
	assert_false(net_names_find_private(entry, "web", "la", found, has));
	assert_false(net_names_find_private(entry, "web.example", "lab", found, has));
	assert_false(net_names_find_private(entry, "eth0", "lab", found, has));
}

static void test_net_switch_join_takes_another_number_and_removes_dead_names(void **state)
{
	char path[] = "/tmp/kennel-switch-XXXXXX";
	struct net_switch a = { 0 }, b = { 0 }, c = { 0 };
	int a_fd = -1, b_fd = -1, c_fd = -1;

	assert_non_null(mkdtemp(path));
	int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir_fd >= 0);
	assert_int_equal(net_switch_join(dir_fd, "lab", "web", &a, &a_fd, NULL), 0);
	assert_int_equal(a.number, net_switch_pick("web", 0));
	assert_int_equal(net_switch_join(dir_fd, "lab", "web", &b, &b_fd, NULL), 0);
	assert_int_equal(b.number, net_switch_pick("web", 1));
	assert_int_equal(net_switch_gc(dir_fd), 0);
	/* killed: its name is there, and nobody behind it */
	close(a_fd);
	assert_int_equal(net_switch_join(dir_fd, "lab", "web", &c, &c_fd, NULL), 0);
	assert_int_equal(c.number, a.number);
	/* the first one's end takes nothing of its successor */
	net_switch_leave(&a);
	int fd = net_switch_connect(c.dir_fd, c.number);
	assert_true(fd >= 0);
	close(fd);
	close(b_fd);
	net_switch_leave(&b);
	close(c_fd);
	assert_int_equal(net_switch_gc(dir_fd), 1);
	net_switch_leave(&c);
	net_switch_leave(&c);
	close(dir_fd);
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_network_set_all_options),
		cmocka_unit_test(test_network_set_modes_replace_and_interfaces_add),
		cmocka_unit_test(test_network_name_counts_around_those_that_are_taken),
		cmocka_unit_test(test_network_refusals_are_told_and_change_nothing),
		cmocka_unit_test(test_network_publish_parts),
		cmocka_unit_test(test_network_check_conflicts),
		cmocka_unit_test(test_interfaces_pick_host_is_stable_and_free),
		cmocka_unit_test(test_interfaces_own_address_both_families),
		cmocka_unit_test(test_net_names_find_by_bridge_machine_and_name),
		cmocka_unit_test(test_net_names_answer_has_question_and_address),
		cmocka_unit_test(test_dhcp_parse_takes_the_lease_of_this_client),
		cmocka_unit_test(test_names_resolv_conf_keeps_other_lines),
		cmocka_unit_test(test_net_switch_pick_stays_and_finds_all_numbers),
		cmocka_unit_test(test_net_switch_number_is_four_digits),
		cmocka_unit_test(test_net_switch_judge_by_frame),
		cmocka_unit_test(test_net_switch_judge_by_packet_of_ipv6),
		cmocka_unit_test(test_net_switch_query_by_frame),
		cmocka_unit_test(test_net_switch_resolver_answers_in_frames_of_its_own),
		cmocka_unit_test(test_net_names_find_private_by_network),
		cmocka_unit_test(test_net_switch_join_takes_another_number_and_removes_dead_names),
		cmocka_unit_test(test_netlink_message_that_does_not_fit_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
