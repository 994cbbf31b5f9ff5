/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/channel.h - a descriptor that frames go over, both ways, without ever waiting for it. */
#ifndef KENNEL_VM_PROGRAM_CHANNEL_H
#define KENNEL_VM_PROGRAM_CHANNEL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "vm/protocol.h"

/* Bytes that wait; grows as far as its user lets it. */
struct queue {
	unsigned char *data;
	size_t start, end, size;
};

static inline size_t queue_used(const struct queue *q)
{
	return q->end - q->start;
}

/* False: no memory; nothing was added. */
bool queue_add(struct queue *q, const void *data, size_t n);
void queue_remove(struct queue *q, size_t n);
void queue_free(struct queue *q);
/* Writes once, at most max bytes. Return: bytes, or -1 with errno (EAGAIN: later). */
ssize_t queue_write(struct queue *q, int fd, size_t max);

struct channel {
	int fd; /* non-blocking */
	bool failed; /* no more can be sent: no memory, or nobody there */
	size_t limit, under_way; /* bytes that may be under way, if not 0, and are */
	struct vm_decoder in;
	struct queue out;
};

/* Reads what there is. Return: 1, or 0: the other end is gone. */
int channel_read(struct channel *c);
/* The other end has told that n bytes are no longer under way. */
void channel_taken(struct channel *c, size_t n);
void channel_write(struct channel *c);
void channel_send(struct channel *c, const struct vm_frame *frame);
/* With up to two numbers, or text. */
void channel_send_number(struct channel *c, enum vm_type type, unsigned session, unsigned stream, uint32_t v);
void channel_send_text(struct channel *c, enum vm_type type, unsigned session, int errnum, const char *text);
/* Writes all that waits, and waits for it; for as long as timeout_ms says. */
void channel_flush(struct channel *c, int timeout_ms);
void channel_close(struct channel *c);

/* What to wait for. can_read: more frames are wanted. */
struct pollfd channel_poll(const struct channel *c, bool can_read);

#endif
