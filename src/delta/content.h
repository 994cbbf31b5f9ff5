/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/content.h - the bytes of a file into a new one: the same blocks where the file system can share them,
 * else a copy in which holes stay holes.
 */
#ifndef KENNEL_DELTA_CONTENT_H
#define KENNEL_DELTA_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

#define CONTENT_BUFFER (256u << 10)

struct content {
	char *buffer; /* of CONTENT_BUFFER bytes, borrowed; NULL: made for each file */
	/* What the file systems turned out not to do; not asked again. */
	bool no_clone, no_range;
	/* Called after each piece; what it returns, if not 0, ends the copy and is returned. Or NULL. */
	int (*step)(void *data, size_t bytes, struct kennel_error **err);
	void *data;
};

/*
 * out_fd is empty. st: of in_fd; its size counts. BUSY where it has become shorter. shown: what it is called
 * in an error.
 */
int content_copy(struct content *c, int in_fd, const struct stat *st, int out_fd, const char *shown,
		 struct kennel_error **err) MUST_CHECK;

#endif
