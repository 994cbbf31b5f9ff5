/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-guest.c - what comes over the serial line of a guest, whose root may write what it likes on
 * it. Input: bytes of the line, in pieces whose size the first byte tells. A frame that is taken keeps all
 * limits, and reads the same when it is written again; what it opens has as many words as it says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vm/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_open(const struct vm_frame *f)
{
	unsigned char again[VM_OPEN_SIZE];
	struct vm_open open;

	if (!vm_open_get(f, &open))
		return;
	if (open.words_len > VM_WORDS_MAX || open.n_args < 3 || open.n_args > open.words_len)
		abort();
	vm_open_put(&open, again);
	if (memcmp(again, f->data, VM_OPEN_SIZE) != 0)
		abort();
}

static void look_at_words(const struct vm_frame *f)
{
	char *words = malloc(f->len + 1), *found[9];

	if (!words)
		return;
	memcpy(words, f->data, f->len);
	if (vm_words_split(words, f->len, 8, found))
		for (unsigned i = 0; i < 8; i++)
			if (found[i] < words || found[i] >= words + f->len)
				abort();
	free(words);
}

static void look_at(const struct vm_frame *f)
{
	unsigned char again[VM_HEADER];
	struct vm_credit c = { .left = VM_WINDOW / 2 };
	struct vm_size size;
	uint32_t n;

	if (f->len > VM_PAYLOAD || f->session >= VM_SESSIONS || f->stream >= VM_STREAMS ||
	    f->type >= VM_TYPES)
		abort();
	vm_frame_put(f, again);
	if (memcmp(again, f->data - VM_HEADER, VM_HEADER) != 0)
		abort();
	look_at_open(f);
	look_at_words(f);
	(void)vm_size_get(f, &size);
	if (vm_get_number(f, 0, &n) && vm_credit_give(&c, n) && c.left > VM_WINDOW)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_decoder *d = calloc(1, sizeof(*d));
	const size_t piece = size ? data[0] + 1u : 1;
	size_t at = 1;
	struct vm_frame f;

	while (d && at < size) {
		size_t room, n = size - at < piece ? size - at : piece;
		unsigned char *to = vm_decoder_room(d, &room);

		if (!room)
			abort();
		n = n < room ? n : room;
		memcpy(to, data + at, n);
		vm_decoder_added(d, n);
		at += n;
		while (vm_decoder_next(d, &f))
			look_at(&f);
	}
	free(d);
	return 0;
}
