/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unit tests of net/switch*.c: private networks, what passes there, and the names of their members. */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/names.h"
#include "net/switch.h"

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

static void test_net_names_is_ours_by_its_end(void **state)
{
	assert_true(net_names_is_ours("web.kennel"));
	assert_true(net_names_is_ours("web.lab.kennel"));
	assert_false(net_names_is_ours(".kennel"));
	assert_false(net_names_is_ours("kennel"));
	assert_false(net_names_is_ours("web.kennel.org"));
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
		cmocka_unit_test(test_net_switch_pick_stays_and_finds_all_numbers),
		cmocka_unit_test(test_net_switch_number_is_four_digits),
		cmocka_unit_test(test_net_switch_judge_by_frame),
		cmocka_unit_test(test_net_switch_judge_by_packet_of_ipv6),
		cmocka_unit_test(test_net_switch_query_by_frame),
		cmocka_unit_test(test_net_switch_resolver_answers_in_frames_of_its_own),
		cmocka_unit_test(test_net_names_is_ours_by_its_end),
		cmocka_unit_test(test_net_names_find_private_by_network),
		cmocka_unit_test(test_net_switch_join_takes_another_number_and_removes_dead_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
