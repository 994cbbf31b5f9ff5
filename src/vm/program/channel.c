/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/channel.c - see channel.h. */
#include "vm/program/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macro.h"

bool queue_add(struct queue *q, const void *data, size_t n)
{
	if (q->start && q->end + n > q->size) {
		memmove(q->data, q->data + q->start, queue_used(q));
		q->end -= q->start;
		q->start = 0;
	}
	if (q->end + n > q->size) {
		const size_t size = MAX(q->size * 2, q->end + n + VM_PAYLOAD);
		unsigned char *p = realloc(q->data, size);

		if (!p)
			return false;
		q->data = p;
		q->size = size;
	}
	if (n)
		memcpy(q->data + q->end, data, n);
	q->end += n;
	return true;
}

void queue_remove(struct queue *q, size_t n)
{
	q->start += n;
	if (q->start == q->end)
		q->start = q->end = 0;
}

void queue_free(struct queue *q)
{
	free(q->data);
	*q = (struct queue){ 0 };
}

ssize_t queue_write(struct queue *q, int fd, size_t max)
{
	ssize_t n;

	do
		n = write(fd, q->data + q->start, MIN(max, queue_used(q)));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		queue_remove(q, (size_t)n);
	return n;
}

int channel_read(struct channel *c)
{
	size_t room;
	unsigned char *to = vm_decoder_room(&c->in, &room);
	ssize_t n;

	if (!room)
		return 1;
	do
		n = read(c->fd, to, room);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN;
	vm_decoder_added(&c->in, (size_t)n);
	return n > 0;
}

static bool can_write(const struct channel *c)
{
	return !c->failed && queue_used(&c->out) && (!c->limit || c->under_way < c->limit);
}

void channel_taken(struct channel *c, size_t n)
{
	c->under_way -= MIN(n, c->under_way);
}

void channel_write(struct channel *c)
{
	while (can_write(c)) {
		ssize_t n = queue_write(&c->out, c->fd, c->limit ? c->limit - c->under_way : 64 << 10);

		if (n <= 0) {
			c->failed = n < 0 && errno != EAGAIN;
			break;
		}
		c->under_way += c->limit ? (size_t)n : 0;
	}
	if (c->failed)
		queue_free(&c->out);
}

void channel_send(struct channel *c, const struct vm_frame *frame)
{
	unsigned char header[VM_HEADER];

	vm_frame_put(frame, header);
	if (c->failed)
		return;
	/* Half a frame would make rubbish of all that follow. */
	c->failed = !queue_add(&c->out, header, sizeof(header)) ||
		    !queue_add(&c->out, frame->data, frame->len);
}

void channel_send_number(struct channel *c, enum vm_type type, unsigned session, unsigned stream, uint32_t v)
{
	unsigned char number[4];

	vm_put_number(number, v);
	channel_send(c, &(struct vm_frame){ .type = type,
					    .session = session,
					    .stream = stream,
					    .data = number,
					    .len = sizeof(number) });
}

void channel_send_text(struct channel *c, enum vm_type type, unsigned session, int errnum, const char *text)
{
	unsigned char data[4 + 240];
	size_t len = MIN(strlen(text), sizeof(data) - 4);

	vm_put_number(data, (uint32_t)errnum);
	memcpy(data + 4, text, len);
	channel_send(c, &(struct vm_frame){ .type = type, .session = session, .data = data, .len = 4 + len });
}

struct pollfd channel_poll(const struct channel *c, bool can_read)
{
	const int events = (can_read ? POLLIN : 0) | (can_write(c) ? POLLOUT : 0);

	return (struct pollfd){ .fd = events ? c->fd : -1, .events = (short)events };
}

void channel_flush(struct channel *c, int timeout_ms)
{
	channel_write(c);
	while (!c->failed && queue_used(&c->out)) {
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };

		if (poll(&p, 1, timeout_ms) <= 0)
			return;
		channel_write(c);
	}
}

void channel_close(struct channel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -EBADF;
	queue_free(&c->out);
}
