/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-bus.c - what a client inside says to the relay of a session bus. Input: a line; its first bytes
 * as those of a message, too. What goes on is one line, and says no id but ours.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char external[] = "AUTH EXTERNAL ", ours[] = "AUTH EXTERNAL 31303030\r\n";
	const size_t word = sizeof(external) - 1;
	uint8_t head[NET_BUS_HEAD] = { 0 };
	/* of its own, so that a byte too many is seen */
	char *line = malloc(size ? size : 1), *ret = malloc(NET_BUS_LINE);
	bool begin;

	if (line && ret) {
		memcpy(line, size ? data : (const uint8_t *)"", size);
		size_t n = net_bus_line(line, size, 1000, ret, &begin);

		if (n > NET_BUS_LINE || (n && memchr(ret, '\n', n) != ret + n - 1))
			abort();
		if (n > word + 2 && memcmp(ret, external, word) == 0 &&
		    (n != sizeof(ours) - 1 || memcmp(ret, ours, n) != 0))
			abort();
		if (begin && (n < 7 || memcmp(ret, "BEGIN", 5) != 0))
			abort();
		memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
		size_t rest = net_bus_rest(head);
		if (rest != SIZE_MAX && rest > (128u << 20) - NET_BUS_HEAD)
			abort();
	}
	free(line);
	free(ret);
	return 0;
}
