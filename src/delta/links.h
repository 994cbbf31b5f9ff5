/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/links.h - which names of a walk are one file. */
#ifndef KENNEL_DELTA_LINKS_H
#define KENNEL_DELTA_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

struct link_first { /* the first name of a file */
	dev_t dev;
	ino_t ino; /* 0: free */
	char *path;
	bool in_base; /* the base has that name, too: */
	dev_t base_dev;
	ino_t base_ino;
};

struct links {
	struct link_first *slots; /* by inode; a power of two */
	size_t n, size;
};

/*
 * The first name of a file with more than one; where there is none yet, path becomes it and *ret is NULL.
 * base: what the base has under this name, or NULL.
 */
int links_see(struct links *l, const struct stat *st, const char *path, const struct stat *base,
	      const struct link_first **ret, struct kennel_error **err) MUST_CHECK;
void links_done(struct links *l);

#endif
