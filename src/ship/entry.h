/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/entry.h - one file on its way from a tree or an archive into another.
 *
 * A source (a directory tree, an archive, an OCI image) pushes entries into a sink (the same three), parents
 * before children, one at a time; nothing is held but what hard links need. What a deletion looks like is the
 * sink's matter: an entry only says so.
 */
#ifndef KENNEL_SHIP_ENTRY_H
#define KENNEL_SHIP_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

#define SHIP_XATTR_OPAQUE "user.overlay.opaque"
#define SHIP_XATTR_MARK "user.kennel.export" /* on the top directory: what this tree is; see mark.h */

struct ship_xattr {
	char *name;
	void *value;
	size_t size;
};

struct ship_xattrs {
	struct ship_xattr *items;
	size_t n, room;
};

int ship_xattrs_add(struct ship_xattrs *x, const char *name, const void *value, size_t size,
		    struct kennel_error **err) MUST_CHECK;
const struct ship_xattr *ship_xattrs_find(const struct ship_xattrs *x, const char *name);
void ship_xattrs_done(struct ship_xattrs *x);
/* Those that travel: user.* but overlay's and our own mark, security.capability, ACLs. */
bool ship_xattr_travels(const char *name);

/* The bytes of a regular file: ascending pieces, holes left out. Return: 1 a piece, 0 the end, or a code. */
typedef int (*ship_content_fn)(void *data, const void **ret, size_t *ret_size, uint64_t *ret_offset,
			       struct kennel_error **err);

enum ship_kind {
	SHIP_NODE, /* what st_mode says */
	SHIP_HARDLINK, /* another name of link, which came before */
	SHIP_WHITEOUT, /* the base's entry of this name is gone */
	SHIP_OPAQUE, /* nothing of the base shows in this directory; its own entry may come or not */
};

struct ship_entry {
	enum ship_kind kind;
	const char *path; /* relative to the top, no "." or ".." or "//" in it; "" is the top itself */
	struct stat st; /* mode, owner, size, times, device */
	bool opaque; /* a directory in which nothing of the base shows */
	const char *link; /* of a symbolic link its text, of a hard link the other path */
	struct ship_xattrs xattrs;
	int fd; /* content that can be read at any place, or -EBADF */
	ship_content_fn content; /* content that comes once, or NULL: of fd then, if there is one */
	void *content_data;
};

struct ship_sink {
	int (*add)(struct ship_sink *s, const struct ship_entry *e, struct kennel_error **err);
	/* Everything came. After this only what it was put into is of interest. */
	int (*finish)(struct ship_sink *s, struct kennel_error **err);
	void (*free)(struct ship_sink *s);
};

static inline void cleanup_ship_sinkp(struct ship_sink **s)
{
	if (*s)
		(*s)->free(*s);
}
#define _cleanup_ship_sink_ __attribute__((cleanup(cleanup_ship_sinkp)))

/*
 * How far it is, and whether to go on: in memory that the process which works and the one that watches share.
 */
struct ship_progress {
	volatile uint64_t done, total; /* bytes, an entry counts as SHIP_ENTRY_COST more; total 0: files
					 * that ship_measure() saw */
	volatile int32_t stop;
	volatile uint64_t left_out; /* entries or attributes that could not be kept */
};
#define SHIP_ENTRY_COST 1024u

/* Counts; -KENNEL_E_INTERRUPTED where somebody said stop. progress may be NULL. */
int ship_advance(struct ship_progress *p, uint64_t bytes, struct kennel_error **err) MUST_CHECK;

/* A reader of e->fd, which leaves holes out; 1 MiB of buffer. */
struct ship_reader {
	int fd;
	uint64_t pos, size, data_end;
	char *buffer;
};
#define SHIP_PIECE (1u << 20)
int ship_reader_next(void *reader, const void **ret, size_t *ret_size, uint64_t *ret_offset,
		     struct kennel_error **err);

#endif
