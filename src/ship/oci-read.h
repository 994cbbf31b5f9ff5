/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/oci-read.h - an OCI image layout, in a directory or a tar, layer by layer. */
#ifndef KENNEL_SHIP_OCI_READ_H
#define KENNEL_SHIP_OCI_READ_H

#include "ship/oci.h"

struct archive_lib;

struct oci_source {
	const struct archive_lib *lib;
	int fd; /* the directory or the tar */
	bool is_tar;
	struct ship_progress *progress;
};

/* Finds the manifest of this machine's architecture. */
int oci_read_manifest(const struct oci_source *s, struct oci_manifest *ret, struct kennel_error **err)
	MUST_CHECK;

/* The text of its configuration, checked; nothing where it has none. */
int oci_read_config(const struct oci_source *s, const struct oci_manifest *m, struct buf *ret,
		    struct kennel_error **err) MUST_CHECK;

/*
 * Pushes layer after layer into a tree sink; each blob's sum is checked. Every layer but the first is read
 * twice: what it takes away of those below first, for in an archive the order of both is free.
 */
int oci_read_layers(const struct oci_source *s, const struct oci_manifest *m, struct ship_sink *tree,
		    struct kennel_error **err) MUST_CHECK;

#endif
