/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor/protocol.h - what is said on the socket of a monitor (ID.sock in the runtime directory). Pure.
 *
 * The socket is SOCK_SEQPACKET, so each message comes whole: a head of eight bytes, little-endian as the
 * machine is, and what follows. A client begins with one of the first group; an answer to another version
 * than its own is PROTOCOL_ERROR in the head of that version's, which never changes.
 */
#ifndef KENNEL_MONITOR_PROTOCOL_H
#define KENNEL_MONITOR_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PROTOCOL_VERSION 1u
#define PROTOCOL_DATA_MAX 8192u /* what follows a head at most */

enum protocol_type {
	/* from a client */
	PROTOCOL_ATTACH = 1, /* struct protocol_attach: output comes until the end, or the client goes */
	PROTOCOL_INPUT, /* bytes for the terminal; after ATTACH */
	PROTOCOL_SIZE, /* struct protocol_size; after ATTACH */
	PROTOCOL_TTY, /* uint32_t, from 1 on: a further terminal, in the place of ATTACH */
	/* from the monitor */
	PROTOCOL_OUTPUT = 64, /* bytes of the terminal */
	PROTOCOL_LOST, /* uint64_t: so many bytes were left out, for the client was too slow */
	PROTOCOL_ENDED, /* int32_t: exit status of the sandbox; the last message */
	PROTOCOL_ERROR, /* text, not terminated; the last message */
	/*
	 * uint32_t, and the master of that terminal as a descriptor: it is the client's for as long as it
	 * stays connected. Comes again where the container was started anew.
	 */
	PROTOCOL_MASTER,
};

struct protocol_head {
	uint16_t version, type;
	uint32_t size; /* bytes that follow */
};

struct protocol_size {
	uint16_t rows, columns; /* 0: not known */
};

#define PROTOCOL_BACKLOG 1u /* begin with what the terminal has shown lately */
struct protocol_attach {
	struct protocol_size size;
	uint32_t flags;
};

/* A message with its parts, as it was received: data points into it. */
struct protocol_message {
	enum protocol_type type;
	const void *data;
	size_t size;
};

/*
 * Return: 0; -KENNEL_E_UNSUPPORTED another version; -KENNEL_E_CORRUPT a size or a type that can't be, or one
 * that the other side has to send.
 */
int protocol_parse(const void *bytes, size_t n, bool from_client, struct protocol_message *ret,
		   struct kennel_error **err) MUST_CHECK;
/* Sends one, without waiting; with a descriptor, or -1. Return: 0, or -1 and errno. */
int protocol_send_fd(int fd, enum protocol_type type, const void *data, size_t size, int with_fd);
int protocol_send(int fd, enum protocol_type type, const void *data, size_t size);
/*
 * Receives one into room for a head and PROTOCOL_DATA_MAX, without waiting. Return: 1; 0 the other side is
 * gone; -KENNEL_E_BUSY nothing now, and no error is set; or as protocol_parse(). *ret_fd is a descriptor that
 * came with it, or -EBADF.
 */
#define PROTOCOL_ROOM (sizeof(struct protocol_head) + PROTOCOL_DATA_MAX)
int protocol_receive_fd(int fd, char room[PROTOCOL_ROOM], bool from_client, struct protocol_message *ret,
			int *ret_fd, struct kennel_error **err) MUST_CHECK;
/* Without the descriptor: one that comes is closed. */
int protocol_receive(int fd, char room[PROTOCOL_ROOM], bool from_client, struct protocol_message *ret,
		     struct kennel_error **err) MUST_CHECK;

#endif
