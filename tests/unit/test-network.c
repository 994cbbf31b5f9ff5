/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unit tests of conf/network.c (the words of --net and --publish) and of what run/interfaces.c decides. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/spec.h"
#include "net/dhcp.h"
#include "net/names.h"
#include "net/netlink.h"
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
	set(s, "net", "nat");
	assert_int_equal(s->net, SPEC_NET_NAT);
	assert_string_equal(network_private(s), "lab");
	set(s, "net", "private:den");
	assert_int_equal(s->net, SPEC_NET_NAT);
	assert_string_equal(network_private(s), "den");
	set(s, "net", "none");
	assert_null(network_private(s));
	set(s, "net", "nat");
	assert_null(network_private(s));
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
	set(s, "net", "nat");
	spec_mark_configured(s);
	set(s, "net", "private:lab"); /* and no way out, which the configuration has */
	assert_int_equal(s->net, SPEC_NET_PRIVATE);
	spec_mark_configured(s);
	set(s, "net", "nat");
	assert_null(network_private(s));
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
		cmocka_unit_test(test_netlink_message_that_does_not_fit_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
