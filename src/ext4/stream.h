/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/stream.h - files as a stream: of an ext4 image from the program kennel-ext4, which reads it with
 * libext2fs and may do nothing else, or of a tree from pack.c, which runs in a guest, too; to unpack.c, which
 * makes files of it and trusts none of it.
 *
 *   kennel-ext4 IMAGE_FD OUT_FD [NAME]     all of the image but lost+found, or one entry of its root
 *   kennel-ext4 IMAGE_FD OUT_FD /top       all of it, and first the root itself, an entry without a name
 *   kennel-ext4 IMAGE_FD DIR_FD /fill      the other way: what is in a directory into an empty image
 *
 * A record is a struct ext4_record and len bytes. An entry is followed by its data and then its xattrs; a
 * directory
 * by what is in it, up to EXT4_LEAVE. The last record is EXT4_END, or EXT4_FAILED with words.
 */
#ifndef KENNEL_EXT4_STREAM_H
#define KENNEL_EXT4_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EXT4_PROGRAM "kennel-ext4"
#define EXT4_FILL "/fill" /* no name of an entry */
#define EXT4_TOP "/top"
#define EXT4_EXIT_FULL 3 /* of it: there is no room in the image */

enum ext4_kind { EXT4_ENTRY = 1, EXT4_DATA, EXT4_XATTR, EXT4_LEAVE, EXT4_END, EXT4_FAILED };

struct ext4_record {
	uint32_t kind, len;
};

struct ext4_entry { /* then name and link target, without NULs */
	uint64_t size;
	int64_t atime_s, mtime_s;
	uint32_t atime_ns, mtime_ns;
	uint32_t mode, uid, gid, major, minor;
	uint32_t number; /* of a file that has several names; else 0 */
	uint32_t again; /* 1: another name of it, nothing else counts */
	uint32_t name_len, target_len;
	uint32_t reserved;
};

struct ext4_data { /* then the bytes */
	uint64_t offset;
};

struct ext4_xattr { /* then name and value */
	uint32_t name_len;
};

#define EXT4_DATA_MAX 65536u /* bytes of one EXT4_DATA */
#define EXT4_RECORD_MAX (EXT4_DATA_MAX + 4096u)

/* For who reads one and believes nothing. All but the first return 0 or a code. */
int stream_corrupt(struct kennel_error **err, const char *what); /* the code */
/* data: room for EXT4_RECORD_MAX bytes. */
int stream_next(int fd, struct ext4_record *ret, char *data, struct kennel_error **err) MUST_CHECK;
/* What a record EXT4_FAILED says. */
int stream_failed(char *data, size_t len, struct kennel_error **err) MUST_CHECK;

#endif
