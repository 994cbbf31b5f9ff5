/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/export.h - one walk into one output. Runs in a process of its own that sees the tree's ids as they
 * are inside.
 */
#ifndef KENNEL_SHIP_EXPORT_H
#define KENNEL_SHIP_EXPORT_H

#include "ship/format.h"
#include "ship/walk.h"

struct ship_output {
	const struct ship_format *format;
	int fd; /* the file, or the empty directory */
	int spare_fd; /* an empty directory for what needs one, or -EBADF */
	const char *mark; /* mark.h */
	bool root; /* a whole root: it has no deletions */
	bool journal; /* ext4: to be written to later */
	const char *name; /* OCI: of the image */
	const char *arch; /* OCI: as Go says it */
	/* More entries at the end, or in the place of some; NULL: none. */
	const struct ship_entry *extra;
	size_t n_extra;
	struct ship_progress *progress;
};

/* Does this output need a spare directory? */
bool ship_output_needs_spare(const struct ship_output *o);
int ship_export(const struct ship_walk *w, const struct ship_output *o, struct kennel_error **err) MUST_CHECK;

/* The size of an image that holds what was measured, of this file system. */
uint64_t ship_image_bytes(const struct ship_size *s, bool journal);

struct archive_lib;
int ship_oci_write(const struct archive_lib *lib, const struct ship_walk *w, const struct ship_output *o,
		   struct kennel_error **err) MUST_CHECK;
/* The walk, then the extra entries, into a sink. */
int ship_push_all(const struct ship_walk *w, const struct ship_output *o, struct ship_sink *sink,
		  struct kennel_error **err) MUST_CHECK;

#endif
