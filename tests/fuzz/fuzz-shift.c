/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-shift.c - the record of a conversion, and the bytes of ACLs and capabilities in it. Input:
 * the record's text.
 *
 * The promises looked after: what was read is written as it was read, and ids that were moved stay
 * where they are when they are moved again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ship/shift.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void move_twice(const struct shift_ids *ids, const struct shift_special *s)
{
	uint8_t caps[SHIFT_CAPS_MAX];
	size_t caps_size = s->caps_size;

	if (s->acl_size && shift_acl(ids, s->acl, s->acl_size) == 0 &&
	    shift_acl(ids, s->acl, s->acl_size) < 0)
		abort();
	if (!caps_size || caps_size > sizeof(caps))
		return;
	memcpy(caps, s->caps, caps_size);
	if (shift_caps(ids, caps, &caps_size) == 0 &&
	    (caps_size > sizeof(caps) || shift_caps(ids, caps, &caps_size) < 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	_cleanup_buf_ struct buf first = { 0 }, second = { 0 };
	struct shift_record r = { 0 }, again = { 0 };

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (shift_record_parse(text, &r, NULL) < 0)
		return 0;
	shift_record_format(&r, &first);
	if (shift_record_parse(buf_str(&first), &again, NULL) < 0)
		abort();
	shift_record_format(&again, &second);
	if (r.n != again.n || first.len != second.len)
		abort();
	for (size_t i = 0; i < r.n; i++)
		move_twice(&r.ids, &r.items[i]);
	shift_record_done(&r);
	shift_record_done(&again);
	return 0;
}
