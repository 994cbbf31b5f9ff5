/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-netlink.c - answers of the kernel about the network. Input: bytes of a datagram. Nothing outside
 * of them is read; what comes out of it lies in them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct whole {
	const uint8_t *data;
	size_t size;
};

static void check_inside(const struct whole *w, const void *part, size_t size)
{
	const uint8_t *p = part;

	if (p < w->data || size > w->size || (size_t)(p - w->data) > w->size - size)
		abort();
}

static bool look(unsigned type, const void *body, size_t size, void *data)
{
	const struct whole *w = data;
	size_t n, inner;

	check_inside(w, body, size);
	for (unsigned kind = 0; kind < 64; kind++) {
		const void *found = netlink_find(body, size, type % 32, kind, kind % 5, &n);

		if (!found)
			continue;
		check_inside(w, found, n);
		const void *in = netlink_find(found, n, 0, 1, 1, &inner);
		if (in)
			check_inside(w, in, inner);
	}
	return type != 77;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct whole w = { copy, size };

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (netlink_parse(copy, size, look, &w) > 1)
		abort();
	free(copy);
	return 0;
}
