/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-import.h - a container out of something that is read, or made on the spot. */
#ifndef KENNEL_API_IMPORT_H
#define KENNEL_API_IMPORT_H

#include <kennel/ship.h>

#include "conf/spec.h"

/* Fills dir_fd's directory "target", and has "work" for what it needs meanwhile; both are empty. */
typedef int (*import_make_fn)(void *data, int dir_fd, const char *target, const char *work,
			      struct kennel_error **err);

struct storage_wish;

struct import_wish {
	const struct kennel_import_options *o;
	const char *input; /* a path; or NULL: */
	import_make_fn make; /* makes a root, or an OCI image layout */
	void *make_data;
	bool makes_oci;
	bool image_words; /* it is an OCI image, and how it wants to be run becomes the configuration */
	const struct storage_wish *store; /* the backing store; NULL: what is usual */
	const struct spec *spec; /* the configuration, but for the base; NULL: nothing of it */
	uint32_t shift_base, shift_count; /* of a tree that another tool gave these ids; count 0: none did */
};

/* api-foreign.c: is it a container of LXC or systemd-nspawn, by its word or by what is there? */
bool import_is_foreign(const char *input);
int import_foreign(const char *input, const char *name, const struct kennel_import_options *o,
		   uint64_t *ret_left_out, struct kennel_error **err) MUST_CHECK;

int import_container(const struct import_wish *w, const char *name, uint64_t *ret_left_out,
		     struct kennel_error **err) MUST_CHECK;

#endif
