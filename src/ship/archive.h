/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/archive.h - tar and cpio through libarchive, as sink and as source. */
#ifndef KENNEL_SHIP_ARCHIVE_H
#define KENNEL_SHIP_ARCHIVE_H

#include "ship/entry.h"

enum ship_archive_format {
	SHIP_TAR, /* pax: everything */
	SHIP_TAR_GNU, /* for dpkg, which reads nothing newer: no xattrs, whole seconds */
	SHIP_CPIO, /* newc, for the kernel: no xattrs, whole seconds, files below 4 GiB */
};

enum ship_filter { SHIP_PLAIN, SHIP_GZIP, SHIP_XZ, SHIP_ZSTD };

enum ship_deletions {
	SHIP_DELETIONS_OCI, /* ".wh.NAME", ".wh..wh..opq" */
	SHIP_DELETIONS_OVERLAY, /* character device 0/0, user.overlay.opaque */
	SHIP_DELETIONS_LEFT_OUT,
};

/* Where bytes go to or come from. read: 0 at the end. */
typedef int (*ship_write_fn)(void *data, const void *bytes, size_t size, struct kennel_error **err);
typedef int (*ship_read_fn)(void *data, const void **ret, size_t *ret_size, struct kennel_error **err);

struct ship_archive_options {
	enum ship_archive_format format;
	enum ship_filter filter;
	enum ship_deletions deletions;
	const char *prefix; /* in front of each name: "./" or "" */
	bool top; /* the top directory has an entry too */
	bool holes_are_zeros;
	ship_write_fn write;
	void *write_data;
	struct ship_progress *progress; /* or NULL */
};

struct archive_lib;

int ship_archive_sink(const struct archive_lib *lib, const struct ship_archive_options *o,
		      struct ship_sink **ret, struct kennel_error **err) MUST_CHECK;

/*
 * A stream that is only compressed. Bytes go in by ship_compress_write(), which is a ship_write_fn.
 */
struct ship_compressor;
int ship_compress_open(const struct archive_lib *lib, enum ship_filter filter, ship_write_fn write,
		       void *write_data, struct ship_compressor **ret, struct kennel_error **err) MUST_CHECK;
int ship_compress_write(void *compressor, const void *bytes, size_t size, struct kennel_error **err);
int ship_compress_close(struct ship_compressor *c, struct kennel_error **err) MUST_CHECK;
void ship_compress_free(struct ship_compressor *c);

/* Leaves up to size bytes out. Return: how many were, 0 where it can't. */
typedef uint64_t (*ship_skip_fn)(void *data, uint64_t size);

struct ship_source_options {
	ship_read_fn read;
	ship_skip_fn skip; /* or NULL */
	void *read_data; /* of both */
	/* ".wh." names are deletions (of our own and OCI archives), else ordinary files. */
	bool whiteouts;
	/* 1 take it, 0 leave it out; or NULL. Called before anything else is known of it. */
	int (*wanted)(void *data, const char *path);
	void *wanted_data;
	struct ship_progress *progress; /* only its stop is looked at: who reads counts */
};

/*
 * Reads tar or cpio, compressed or not, and pushes it into sink, which stays the caller's. Names with ".."
 * are refused, absolute ones are taken as relative to the top, and nothing else is believed either.
 */
int ship_archive_read(const struct archive_lib *lib, const struct ship_source_options *o,
		      struct ship_sink *sink, struct kennel_error **err) MUST_CHECK;

/*
 * A name out of an archive, made clean: no "./", "//" or "/" at either end. Return: 1, 0 it is refused ("..",
 * or too long). buf has room for size bytes. Pure.
 */
int ship_clean_name(const char *name, char *buf, size_t size);

/* A descriptor as the end of a pipe: a ship_write_fn whose data is an int *. */
int ship_write_fd(void *fd, const void *bytes, size_t size, struct kennel_error **err);

#endif
