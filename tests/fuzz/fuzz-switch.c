/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-switch.c - frames in a private network. Input: a frame. What goes out says that it is its
 * sender's, and only where it is sent to is it accepted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/names.h"
#include "net/switch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the resolver says is the resolver's, and no member could have said it. */
static void answer(const uint8_t *frame, size_t size)
{
	uint8_t out[NET_SWITCH_FRAME], mac[6];
	struct net_question q;
	const uint8_t *query;
	size_t n = net_switch_answer_arp(frame, size, out), query_size;

	if (!n && net_switch_query(frame, size, &query, &query_size) &&
	    net_names_question(query, query_size, &q)) {
		uint8_t address6[16];

		net_switch_address6(5, address6);
		n = net_names_answer(query, &q, (const uint8_t *)"\x0a\x6c\0\5", address6,
				     out + NET_SWITCH_HEADERS, NET_SWITCH_ROOM);
		n = n ? net_switch_wrap(frame, n, out) : 0;
	}
	net_switch_mac(NET_SWITCH_RESOLVER, mac);
	if (n && (n > sizeof(out) || memcmp(out + 6, mac, 6) != 0 || net_switch_accept(out, n, 5)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint16_t own = 5, other = 6;
	uint8_t *copy = calloc(size ? size : 1, 1), mac[6];
	uint16_t to = 0;

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	enum net_switch_way way = net_switch_judge(copy, size, own, &to);
	net_switch_mac(own, mac);
	if (way != NET_SWITCH_DROP && (size > NET_SWITCH_FRAME || memcmp(copy + 6, mac, 6) != 0))
		abort();
	if (way == NET_SWITCH_ONE && (to == own || !to))
		abort();
	const bool reaches = way == NET_SWITCH_ALL || (way == NET_SWITCH_ONE && to == other);
	if (reaches && !net_switch_accept(copy, size, other))
		abort();
	if (net_switch_accept(copy, size, own) && way != NET_SWITCH_DROP)
		abort();
	if (way != NET_SWITCH_DROP)
		answer(copy, size);
	free(copy);
	return 0;
}
