/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/attr.h - everything of a file but its name and content: owner, mode, times, extended attributes
 * (access lists and capabilities are such), read from one place and given to another.
 *
 * What only an overlay or this machine's security policy means is no attribute of the file: *.overlay.*,
 * security.selinux, security.ima, security.evm.
 */
#ifndef KENNEL_DELTA_ATTR_H
#define KENNEL_DELTA_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

struct attr_x {
	char *name;
	void *value;
	size_t size;
};

struct attr_xs {
	struct attr_x *items; /* sorted by name */
	size_t n, room;
};

struct attr {
	mode_t mode; /* with the type */
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime;
	struct attr_xs xs;
};

/* Is this one an attribute in the sense of above? */
bool attr_is_kept(const char *xattr);

/* Appends a copy, keeping the order. */
int attr_xs_add(struct attr_xs *xs, const char *name, const void *value, size_t size,
		struct kennel_error **err) MUST_CHECK;
const struct attr_x *attr_xs_get(const struct attr_xs *xs, const char *name);
void attr_xs_done(struct attr_xs *xs);
bool attr_x_equal(const struct attr_x *a, const struct attr_x *b); /* either may be NULL: not there */

/* fd may be O_PATH, of anything. shown is what it is called in an error. */
int attr_read(int fd, const char *shown, struct attr *ret, struct kennel_error **err) MUST_CHECK;
void attr_from_stat(struct attr *a, const struct stat *st);
/*
 * Gives all of them to what fd (may be O_PATH) is; extended attributes that it has beyond these are taken
 * away where exact. Owner first, for that clears capabilities and bits of the mode; times last.
 */
int attr_apply(int fd, const char *shown, const struct attr *a, bool exact, struct kennel_error **err)
	MUST_CHECK;
int attr_apply_times(int fd, const char *shown, const struct timespec times[2], struct kennel_error **err)
	MUST_CHECK;
void attr_done(struct attr *a);

static inline void cleanup_attrp(struct attr *a)
{
	attr_done(a);
}
#define _cleanup_attr_ __attribute__((cleanup(cleanup_attrp)))

#endif
