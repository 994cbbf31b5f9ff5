/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/format.h - the formats by name and by suffix, and what a file that is to be read is. */
#ifndef KENNEL_SHIP_FORMAT_H
#define KENNEL_SHIP_FORMAT_H

#include <stdbool.h>

#include "base/error.h"
#include "ship/archive.h"

enum ship_form {
	SHIP_FORM_DIRECTORY,
	SHIP_FORM_TAR,
	SHIP_FORM_CPIO,
	SHIP_FORM_OCI, /* an image layout in a directory */
	SHIP_FORM_OCI_TAR, /* the same in a tar */
	SHIP_FORM_IMAGE, /* a file system in a file; the format's name is the file system's */
};

struct ship_format {
	const char *name; /* for --format, and what the suffix is without its dot */
	enum ship_form form;
	enum ship_filter filter;
	const char *more_suffixes; /* with spaces between, or NULL */
};

const struct ship_format *ship_format_at(size_t i); /* NULL behind the last */

/* By name. Return: 0, or INVALID with the nearest name. */
int ship_format_find(const char *name, const struct ship_format **ret, struct kennel_error **err) MUST_CHECK;
/*
 * By the suffix of a path; a directory where it has none. Return: 0, or INVALID: a suffix that nobody
 * knows.
 */
int ship_format_of_path(const char *path, const struct ship_format **ret, struct kennel_error **err)
	MUST_CHECK;

enum ship_input {
	SHIP_INPUT_TREE, /* a directory */
	SHIP_INPUT_OCI, /* a directory that is an OCI image layout */
	SHIP_INPUT_ARCHIVE, /* tar, cpio, or an OCI layout in a tar: they are told apart when it is read */
	SHIP_INPUT_IMAGE, /* a file system */
};

/* Looks at the first bytes of a file, or into a directory. */
int ship_input_find(int fd, const char *name, enum ship_input *ret, struct kennel_error **err) MUST_CHECK;

#endif
