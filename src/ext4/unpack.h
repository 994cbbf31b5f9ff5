/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/unpack.h - files out of a stream of kennel-ext4 (stream.h), which may be anybody's work.
 *
 * Every name is made new, one component at a time below a directory that nobody else changes; nothing
 * that is there
 * is ever followed, opened or written over.
 */
#ifndef KENNEL_EXT4_UNPACK_H
#define KENNEL_EXT4_UNPACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* What could not be made as it is in the image. */
struct unpack_loss {
	uint64_t n;
	char first[256]; /* the name of one of them */
};

struct unpack_where {
	int dir_fd; /* an empty directory, the image's root */
	int links_fd; /* another one on the same file system, which is empty again afterwards */
	uid_t uid; /* owner of what stands in the root itself, unless with_top */
	gid_t gid;
	bool with_top; /* the stream may have the root's own attributes, and all owners are as it says */
	bool keep_owner; /* all is whoever's who unpacks */
	/*
	 * Files, directories and links without any right: no set-user-id bits, of attributes user.* that mean
	 * nothing to an overlay. What else the stream has is not told the truth by who was asked: CORRUPT.
	 */
	bool plain;
	/*
	 * What this user may not make is left out and counted: device nodes, ids that are not the user's
	 * (the owner is who unpacks, and no set-user-id bit is left), attributes. NULL: an error.
	 */
	struct unpack_loss *loss;
	uint64_t max_bytes; /* of the stream: LIMIT; 0: any */
};

/*
 * Makes everything, with owners, modes, times and xattrs as far as the caller may. What would be lost is
 * an error:
 * PERM, with a hint, for device nodes and for ids that are not ours to give. CORRUPT: what the stream
 * says can't be,
 * or the reader's own words.
 */
int ext4_unpack(int stream_fd, const struct unpack_where *where, struct kennel_error **err) MUST_CHECK;

#endif
