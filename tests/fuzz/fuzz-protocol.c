/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-protocol.c - a message on the socket of a monitor, of either side; and a terminal's output as
 * text.
 *
 * Besides memory errors it looks for broken promises: a message that is taken lies within what was
 * received, and plain text has no control character but newline and tab.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/plain.h"
#include "monitor/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_message(const uint8_t *data, size_t size, bool from_client)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct protocol_message m;

	int r = protocol_parse(data, size, from_client, &m, &err);
	if (r < 0 && r != -KENNEL_E_CORRUPT && r != -KENNEL_E_UNSUPPORTED)
		abort();
	if (r == 0 && ((const uint8_t *)m.data != data + sizeof(struct protocol_head) ||
		       m.size + sizeof(struct protocol_head) != size || m.size > PROTOCOL_DATA_MAX))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct plain p = { 0 };

	check_message(data, size, true);
	check_message(data, size, false);
	plain_add(&p, (const char *)data, size, &b);
	for (size_t i = 0; i < b.len; i++)
		if ((unsigned char)b.data[i] < ' ' && b.data[i] != '\n' && b.data[i] != '\t')
			abort();
	return 0;
}
