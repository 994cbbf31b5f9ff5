/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/mark.h - what an exported tree is: a delta and over which base, or a whole root.
 *
 * Text, lines "key<tab>value". It travels as an attribute of the top directory (tar, directories), as an
 * annotation (OCI), or in 4096 bytes behind the end of an image, which no file system looks at. cpio has no
 * place for it.
 */
#ifndef KENNEL_SHIP_MARK_H
#define KENNEL_SHIP_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct ship_mark {
	bool known; /* there was one */
	bool root; /* else a delta */
	char *base, *base_id; /* of a delta: as the manifest has them, or NULL */
	bool has_top;
	uint32_t top_mode, top_uid, top_gid; /* of the top directory, for formats that don't keep them */
	int64_t top_mtime;
};

void ship_mark_done(struct ship_mark *m);
void ship_mark_format(struct buf *b, bool root, const char *base, const char *base_id);
struct stat;
void ship_mark_add_top(struct buf *b, const struct stat *st);
/* Unknown keys are left out; a text that is none gives known = false. Pure. */
int ship_mark_parse(const char *text, size_t len, struct ship_mark *ret, struct kennel_error **err)
	MUST_CHECK;

#define SHIP_TRAILER_BYTES 4096
/* Appends it to an image; reads it again ("" where there is none). */
int ship_trailer_write(int fd, const char *mark, struct kennel_error **err) MUST_CHECK;
int ship_trailer_read(int fd, struct buf *ret, struct kennel_error **err) MUST_CHECK;

#endif
