/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/packages.h - which packages a database of a package manager names. Pure.
 */
#ifndef KENNEL_DELTA_PACKAGES_H
#define KENNEL_DELTA_PACKAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct package {
	char *name; /* "libc6:amd64" where one name may be there twice */
	char *version;
};

struct package_list {
	struct package *items;
	size_t n, room;
};

/* /var/lib/dpkg/status: those of which files are there, also half installed ones. */
int packages_parse_dpkg(const char *text, size_t size, struct package_list *ret, struct kennel_error **err)
	MUST_CHECK;
/* lib/apk/db/installed */
int packages_parse_apk(const char *text, size_t size, struct package_list *ret, struct kennel_error **err)
	MUST_CHECK;
/* One directory of /var/lib/pacman/local, "name-1:2.3-4". Return: 1 added, 0 it is none, or a code. */
int packages_parse_pacman(const char *dir, struct package_list *ret, struct kennel_error **err) MUST_CHECK;

/* rpmdb.sqlite, without what stands in a log beside it. Return as above; a damaged one names less. */
int packages_parse_rpm(const char *text, size_t size, struct package_list *ret, struct kennel_error **err)
	MUST_CHECK;
/* Is it one? */
bool packages_is_rpm(const char *text, size_t size);

/* Both are copied. */
int packages_add(struct package_list *l, const char *name, const char *version, struct kennel_error **err)
	MUST_CHECK;
void packages_sort(struct package_list *l);
void packages_done(struct package_list *l);

/*
 * What two sorted lists do not have in common: visit(before, after), one of them NULL. A value other than 0
 * ends it and is returned.
 */
int packages_compare(const struct package_list *before, const struct package_list *after,
		     int (*visit)(void *data, const struct package *before, const struct package *after),
		     void *data);

static inline void cleanup_packagesp(struct package_list *l)
{
	packages_done(l);
}
#define _cleanup_packages_ __attribute__((cleanup(cleanup_packagesp)))

#endif
