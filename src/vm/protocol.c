/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/protocol.c - see protocol.h. Numbers are little-endian. */
#include "vm/protocol.h"

#include <string.h>

#define MAGIC 0xb7

static void put16(unsigned char *to, unsigned v)
{
	to[0] = (unsigned char)v;
	to[1] = (unsigned char)(v >> 8);
}

static unsigned get16(const unsigned char *from)
{
	return from[0] | (unsigned)from[1] << 8;
}

void vm_put_number(unsigned char *to, uint32_t v)
{
	put16(to, v & 0xffff);
	put16(to + 2, v >> 16);
}

static uint32_t get32(const unsigned char *from)
{
	return get16(from) | (uint32_t)get16(from + 2) << 16;
}

/* Tells a header from what only begins like one; it is no proof against malice, and needs to be none. */
static unsigned check(const unsigned char header[VM_HEADER])
{
	unsigned sum = 0x5a17;

	for (unsigned i = 0; i < VM_HEADER - 2; i++)
		sum = (sum * 31 + header[i]) & 0xffff;
	return sum;
}

void vm_frame_put(const struct vm_frame *frame, unsigned char ret[VM_HEADER])
{
	ret[0] = MAGIC;
	ret[1] = (unsigned char)frame->type;
	ret[2] = (unsigned char)frame->session;
	ret[3] = (unsigned char)frame->stream;
	put16(ret + 4, (unsigned)frame->len);
	put16(ret + 6, check(ret));
}

unsigned char *vm_decoder_room(struct vm_decoder *d, size_t *ret_size)
{
	if (d->start) {
		memmove(d->data, d->data + d->start, d->end - d->start);
		d->end -= d->start;
		d->start = 0;
	}
	*ret_size = sizeof(d->data) - d->end;
	return d->data + d->end;
}

void vm_decoder_added(struct vm_decoder *d, size_t n)
{
	d->end += n;
}

static bool is_header(const unsigned char *h)
{
	return h[0] == MAGIC && get16(h + 6) == check(h) && h[1] && h[1] < VM_TYPES && h[2] < VM_SESSIONS &&
	       h[3] < VM_STREAMS && get16(h + 4) <= VM_PAYLOAD;
}

bool vm_decoder_next(struct vm_decoder *d, struct vm_frame *ret)
{
	while (d->end - d->start >= VM_HEADER) {
		const unsigned char *h = d->data + d->start;

		if (!is_header(h)) {
			d->start++;
			d->skipped++;
			continue;
		}
		const size_t len = get16(h + 4);
		if (d->end - d->start < VM_HEADER + len)
			return false;
		*ret = (struct vm_frame){
			.type = (enum vm_type)h[1],
			.session = h[2],
			.stream = h[3],
			.len = len,
			.data = h + VM_HEADER,
		};
		d->start += VM_HEADER + len;
		return true;
	}
	return false;
}

bool vm_get_number(const struct vm_frame *frame, unsigned index, uint32_t *ret)
{
	if (frame->len < (index + 1) * 4)
		return false;
	*ret = get32(frame->data + index * 4);
	return true;
}

void vm_size_put(const struct vm_size *size, unsigned char ret[VM_SIZE_SIZE])
{
	put16(ret, size->rows);
	put16(ret + 2, size->cols);
	put16(ret + 4, size->x);
	put16(ret + 6, size->y);
}

static void size_get(const unsigned char *from, struct vm_size *ret)
{
	*ret = (struct vm_size){
		.rows = (uint16_t)get16(from),
		.cols = (uint16_t)get16(from + 2),
		.x = (uint16_t)get16(from + 4),
		.y = (uint16_t)get16(from + 6),
	};
}

bool vm_size_get(const struct vm_frame *frame, struct vm_size *ret)
{
	if (frame->len != VM_SIZE_SIZE)
		return false;
	size_get(frame->data, ret);
	return true;
}

void vm_open_put(const struct vm_open *open, unsigned char ret[VM_OPEN_SIZE])
{
	vm_put_number(ret, open->flags);
	vm_put_number(ret + 4, open->init_flags);
	vm_put_number(ret + 8, open->n_args);
	vm_put_number(ret + 12, open->n_env);
	vm_put_number(ret + 16, open->words_len);
	vm_size_put(&open->size, ret + 20);
	memcpy(ret + 28, open->modes, VM_MODES);
}

bool vm_open_get(const struct vm_frame *frame, struct vm_open *ret)
{
	const unsigned char *d = frame->data;

	if (frame->len != VM_OPEN_SIZE)
		return false;
	*ret = (struct vm_open){
		.flags = get32(d),
		.init_flags = get32(d + 4),
		.n_args = get32(d + 8),
		.n_env = get32(d + 12),
		.words_len = get32(d + 16),
	};
	size_get(d + 20, &ret->size);
	memcpy(ret->modes, d + 28, VM_MODES);
	/* a word has one byte at least, its end */
	return ret->words_len <= VM_WORDS_MAX && ret->n_args >= 3 && ret->n_args <= ret->words_len &&
	       ret->n_env <= ret->words_len - ret->n_args;
}

bool vm_words_split(char *words, size_t len, size_t n, char **ret)
{
	size_t found = 0;

	if (len ? words[len - 1] != '\0' : n > 0)
		return false;
	for (char *w = words; w < words + len; w += strlen(w) + 1) {
		if (found == n)
			return false;
		ret[found++] = w;
	}
	ret[found] = NULL;
	return found == n;
}

bool vm_type_is_of_client(enum vm_type type)
{
	return (type >= VM_OPEN && type <= VM_HANGUP) || (type >= VM_DATA && type <= VM_CREDIT);
}

bool vm_type_is_of_session(enum vm_type type)
{
	return type >= VM_DATA && type <= VM_EXIT;
}

void vm_credit_init(struct vm_credit *c)
{
	*c = (struct vm_credit){ .left = VM_WINDOW };
}

bool vm_credit_take(struct vm_credit *c, size_t n)
{
	if (n > c->left)
		return false;
	c->left -= (uint32_t)n;
	return true;
}

uint32_t vm_credit_consume(struct vm_credit *c, size_t n)
{
	c->consumed += (uint32_t)n;
	if (c->consumed < VM_GRANT)
		return 0;
	n = c->consumed;
	c->left += c->consumed;
	c->consumed = 0;
	return (uint32_t)n;
}

bool vm_credit_give(struct vm_credit *c, uint32_t n)
{
	if (n > VM_WINDOW - c->left)
		return false;
	c->left += n;
	return true;
}
