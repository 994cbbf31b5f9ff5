/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/protocol.h - what the supervisor of a guest and the agent inside tell each other over a line, and
 * a client and its supervisor over a socket: frames with a session, a stream and a length. Pure: bytes in,
 * frames out.
 *
 * Nothing that comes from a guest is believed: lengths have limits, what is no frame is skipped byte by
 * byte until one begins again (a kernel or somebody inside may write on the line), and what a sender may
 * have under way is bounded by credit, so no receiver holds more than VM_WINDOW bytes for a stream. A
 * sender that oversteps it has lost its session, not more.
 *
 * A client's frames have session 0; the supervisor gives them a number on the line. Session 0 on the line is
 * the guest itself.
 */
#ifndef KENNEL_VM_PROTOCOL_H
#define KENNEL_VM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_VERSION 1
#define VM_HEADER 8
#define VM_PAYLOAD 4096 /* at most, of one frame */
#define VM_WINDOW (128 << 10) /* bytes of a stream that may be under way */
#define VM_GRANT (VM_WINDOW / 4) /* what was consumed is told in pieces of this */
/*
 * Bytes to the guest that may lie in its terminal: 4096 have room there, and where less than 128 of them are
 * left the driver is told to wait, which UML's (6.1) never gets over.
 */
#define VM_LINE_ROOM 3584
/*
 * UML reads a line with one call for each byte. So what is longer than a keystroke lies in a file that the
 * guest sees over hostfs, in slots that are used in turn: more of them than frames fit on the line and in a
 * decoder.
 */
#define VM_SLOTS 1024
#define VM_SLOT VM_PAYLOAD
#define VM_SLOT_FROM 256 /* bytes, for shorter ones it is not worth it */
#define VM_SESSIONS 255 /* their numbers are below it, and a byte in a frame */
#define VM_WORDS_MAX (4u << 20) /* arguments and environment of one command */
#define VM_CONFIG_MAX (64u << 10)

enum vm_stream { VM_STDIN, VM_STDOUT, VM_STDERR, VM_STREAMS };

enum vm_type {
	/* of the guest */
	VM_HELLO = 1, /* agent: number, VM_VERSION; once its line is raw, so nothing is sent to it before */
	VM_CONFIG, /* a piece of "key=value\0..." */
	VM_CONFIG_END,
	VM_READY, /* agent: commands can run */
	VM_FAILED, /* agent: number, an errno; text: what it did. It switches off. */
	VM_POWER_OFF, /* end all, write all back, switch off */
	VM_TAKEN, /* agent: number, bytes that it has read from the line since it last said so */
	VM_DATA_AT, /* supervisor, of a session: two numbers, a slot and a length: VM_DATA that lies there */

	/* of a session, from its client */
	VM_OPEN, /* struct vm_open */
	VM_WORDS, /* a piece of open.words_len bytes: argv and environment; with the last one it starts */
	VM_SIGNAL, /* number */
	VM_SIZE, /* struct vm_size: the terminal has another size */
	VM_HANGUP, /* the client, or its terminal, is gone */

	/* both ways */
	VM_DATA, /* bytes of a stream */
	VM_END, /* of a stream: no more comes, or nobody reads it any more */
	VM_CREDIT, /* number: bytes of a stream that were consumed */

	/* of a session, from the agent */
	VM_RUNS,
	VM_REFUSED, /* two numbers: struct init_report */
	VM_EXIT, /* number: exit code, 128+N for a signal. The last frame of a session. */

	/* to a client, from the supervisor alone */
	VM_GONE, /* number: errno or 0; text: what happened to the guest */
	VM_TYPES,
};

struct vm_frame {
	enum vm_type type;
	unsigned session, stream;
	size_t len;
	const unsigned char *data;
};

/* A header for the frame; frame->len is at most VM_PAYLOAD. */
void vm_frame_put(const struct vm_frame *frame, unsigned char ret[VM_HEADER]);

struct vm_decoder {
	size_t start, end;
	uint64_t skipped; /* bytes that were no frame */
	unsigned char data[2 * (VM_HEADER + VM_PAYLOAD)];
};

/* Where the next bytes go, and how many have room: at least one when vm_decoder_next() has said no. */
unsigned char *vm_decoder_room(struct vm_decoder *d, size_t *ret_size);
void vm_decoder_added(struct vm_decoder *d, size_t n);
/* ret->data is good until the next vm_decoder_room(). */
bool vm_decoder_next(struct vm_decoder *d, struct vm_frame *ret);

void vm_put_number(unsigned char *to, uint32_t v);
/* The index'th number of a frame; false when the frame is too short for it. */
bool vm_get_number(const struct vm_frame *frame, unsigned index, uint32_t *ret);

struct vm_size {
	uint16_t rows, cols, x, y;
};

#define VM_MODES 44 /* bytes of the kernel's struct termios, or more */

enum vm_open_flags {
	VM_OPEN_TTY = 1 << 0, /* a terminal; without it three pipes */
	VM_OPEN_MERGED = 1 << 1, /* standard error is the same as standard output */
	VM_OPEN_MODES = 1 << 2, /* modes is set */
	VM_OPEN_FIRST = 1 << 3, /* the command that the guest is for */
	VM_OPEN_ERRAND = 1 << 4, /* no command, but what the agent does by itself (program/errand.h) */
};

struct vm_open {
	uint32_t flags, init_flags; /* enum vm_open_flags; enum init_flags */
	uint32_t n_args, n_env; /* user and directory are the first two arguments, the command follows */
	uint32_t words_len;
	struct vm_size size;
	unsigned char modes[VM_MODES];
};

#define VM_OPEN_SIZE (5 * 4 + 4 * 2 + VM_MODES)
#define VM_SIZE_SIZE 8

void vm_open_put(const struct vm_open *open, unsigned char ret[VM_OPEN_SIZE]);
/* False: it is none, or asks for what there can't be. */
bool vm_open_get(const struct vm_frame *frame, struct vm_open *ret);
void vm_size_put(const struct vm_size *size, unsigned char ret[VM_SIZE_SIZE]);
bool vm_size_get(const struct vm_frame *frame, struct vm_size *ret);

/* Splits "word\0word\0...", which must be n words exactly, into ret[n] and a NULL behind them. */
bool vm_words_split(char *words, size_t len, size_t n, char **ret);

/* Whether a frame of this type may come from there. */
bool vm_type_is_of_client(enum vm_type type);
bool vm_type_is_of_session(enum vm_type type); /* from the agent */

/* One direction of one stream, at its sender and at its receiver. */
struct vm_credit {
	uint32_t left; /* sender: bytes that may still be sent. receiver: that may still come */
	uint32_t consumed; /* receiver: not told yet */
};

void vm_credit_init(struct vm_credit *c);
/* Receiver: n bytes have come. False: more than it was allowed. */
bool vm_credit_take(struct vm_credit *c, size_t n);
/* Receiver: n bytes were consumed. Return: the number for a VM_CREDIT, or 0: none is due. */
uint32_t vm_credit_consume(struct vm_credit *c, size_t n);
/* Sender: a VM_CREDIT has come. False: more than was ever sent. */
bool vm_credit_give(struct vm_credit *c, uint32_t n);

#endif
