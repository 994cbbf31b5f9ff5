/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ext4/peek.c - see peek.h. */
#include "ext4/peek.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "ext4/stream.h"

struct peek {
	size_t max;
	bool has_entry;
	struct ext4_entry entry;
	struct buf *content;
	char record[EXT4_RECORD_MAX];
};

static int take_entry(struct peek *p, size_t len, struct kennel_error **err)
{
	static const char zeros[4096];

	if (p->has_entry || len < sizeof(p->entry))
		return stream_corrupt(err, "more than was asked for");
	memcpy(&p->entry, p->record, sizeof(p->entry));
	if (!S_ISREG(p->entry.mode) || p->entry.again || p->entry.size > p->max)
		return stream_corrupt(err, "a file of kennel's own is none, or too long");
	p->has_entry = true;
	for (size_t left = p->entry.size; left; left -= MIN(left, sizeof(zeros)))
		buf_add(p->content, zeros, MIN(left, sizeof(zeros)));
	return buf_check(p->content, err);
}

static int take_data(struct peek *p, size_t len, struct kennel_error **err)
{
	struct ext4_data d;

	if (!p->has_entry || len < sizeof(d))
		return stream_corrupt(err, "data without a file");
	memcpy(&d, p->record, sizeof(d));
	len -= sizeof(d);
	if (d.offset > p->entry.size || len > p->entry.size - d.offset)
		return stream_corrupt(err, "data behind the end of a file");
	memcpy(p->content->data + p->content->len - p->entry.size + d.offset, p->record + sizeof(d), len);
	return 0;
}

/* Return: 1 goes on, 0 the end, or a code. */
static int take(struct peek *p, uint32_t kind, size_t len, struct kennel_error **err)
{
	int r;

	switch (kind) {
	case EXT4_ENTRY:
		r = take_entry(p, len, err);
		break;
	case EXT4_DATA:
		r = take_data(p, len, err);
		break;
	case EXT4_XATTR:
		r = 0;
		break;
	case EXT4_END:
		return 0;
	case EXT4_FAILED:
		return stream_failed(p->record, len, err);
	default:
		return stream_corrupt(err, "an unknown record");
	}
	return r < 0 ? r : 1;
}

int ext4_peek(int stream_fd, size_t max, struct buf *ret, struct kennel_error **err)
{
	_cleanup_free_ struct peek *p = calloc(1, sizeof(*p));
	struct ext4_record record;
	int r = 1;

	if (!p)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	p->max = max;
	p->content = ret;
	while (r > 0) {
		r = stream_next(stream_fd, &record, p->record, err);
		if (r == 0)
			r = take(p, record.kind, record.len, err);
	}
	return r < 0 ? r : p->has_entry;
}
