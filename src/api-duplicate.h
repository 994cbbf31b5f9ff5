/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-duplicate.h - what a copy of a container needs beside the files that ship/duplicate.h copies: all that
 * is seen inside as a base of its own, and an identity.
 */
#ifndef KENNEL_API_DUPLICATE_H
#define KENNEL_API_DUPLICATE_H

#include <stdbool.h>

#include "delta/tree.h"
#include "ship/worker.h"

/*
 * All that is seen inside of a container, as a base: into an empty directory. It is started for that where
 * it does not run, so nobody may hold its lock. What is made anew in every sandbox (/proc, /run, /tmp, ...)
 * stays empty; what this user may not read or make is left out and counted. All is on the disk then.
 */
int duplicate_root(const char *store, const char *name, int base_fd, const struct ship_watch *watch,
		   uint64_t *ret_left_out, struct kennel_error **err) MUST_CHECK;

struct duplicate_identity {
	int dir_fd; /* of the new container: for keys, for a moment */
	int delta_fd; /* O_PATH will do */
	const struct manifest *manifest; /* of the new container; the base is opened by it */
	const struct delta_layers *layers; /* which it stands on, or NULL */
	int base_fd; /* a base of its own, where the manifest does not say; or -EBADF */
	const char *hostname;
};

/*
 * Gives a container that is being made one of its own (ship/identity.h). *ret_no_keys: as there. A base that
 * is an image is not looked into: then only what the changes have is renewed.
 */
int duplicate_identity(const struct duplicate_identity *d, bool *ret_no_keys, struct kennel_error **err)
	MUST_CHECK;

#endif
