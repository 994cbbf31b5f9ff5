/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/xattr.h - extended attributes as they are seen inside: the overlay's own are left out, and those of
 * an overlay inside (user.overlay.overlay.X) have their own names back.
 *
 * Of all kinds those that are part of a file's content: user.*, access control lists, capabilities, and
 * trusted.* where this process may see them. Labels of security modules are each machine's own.
 */
#ifndef KENNEL_DELTA_XATTR_H
#define KENNEL_DELTA_XATTR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct delta_xattr {
	char *name;
	void *value;
	size_t size;
};

struct delta_xattrs {
	struct delta_xattr *items; /* by name */
	size_t n;
};

enum delta_xattr_rules {
	DELTA_XATTR_USER = 1 << 0, /* the overlay keeps its own in user.overlay., else trusted.overlay. */
	DELTA_XATTR_TRUSTED = 1 << 1, /* trusted.* is part of it */
};

/* Those of the file that fd (also an O_PATH one, also of a link) stands for. */
int delta_xattrs_read(int fd, unsigned rules, struct delta_xattrs *ret, struct kennel_error **err) MUST_CHECK;
/*
 * Has the file name in the directory dir_fd any? Without opening it, so true where that can't be told.
 */
bool delta_xattrs_any(int dir_fd, const char *name, unsigned rules);
bool delta_xattrs_equal(const struct delta_xattrs *a, const struct delta_xattrs *b);
void delta_xattrs_done(struct delta_xattrs *x);

/*
 * The name inside of a name on disk, which may be written over: NULL where it is not part of the file. Pure.
 */
const char *delta_xattr_name(char *name, unsigned rules);

static inline void cleanup_delta_xattrsp(struct delta_xattrs *x)
{
	delta_xattrs_done(x);
}
#define _cleanup_xattrs_ __attribute__((cleanup(cleanup_delta_xattrsp)))

#endif
