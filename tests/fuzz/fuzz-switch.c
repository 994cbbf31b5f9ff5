/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-switch.c - frames in a private network. Input: a frame. What goes out says that it is its
 * sender's, and only where it is sent to is it accepted.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/switch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	free(copy);
	return 0;
}
