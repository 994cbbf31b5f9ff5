/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/package.h - what a build installed, as a package.
 *
 * Of a delta go in: files, links and new directories, but not caches, logs, home directories, accounts and
 * package databases, nor what belongs to packages that were installed meanwhile. Files in /etc are
 * configuration. Deletions are recorded, for whoever wants to carry them out: neither dpkg nor tar does.
 */
#ifndef KENNEL_SHIP_PACKAGE_H
#define KENNEL_SHIP_PACKAGE_H

#include <stdbool.h>

#include "ship/walk.h"

enum ship_package_kind { SHIP_PACKAGE_DEB, SHIP_PACKAGE_TAR };

struct ship_package {
	enum ship_package_kind kind;
	const char *name, *version, *arch;
	const char *depends, *description, *maintainer; /* or NULL */
	/* Does the base have a directory of this name? 1 or 0. */
	int (*in_base)(void *data, const char *path);
	void *data;
};

/* Are name, version and the rest fit for a control file? Pure. */
int ship_package_check(const struct ship_package *p, struct kennel_error **err) MUST_CHECK;
/* A name out of a path: "out/My Tool_1.deb" gives "my-tool". *ret is the caller's. Pure. */
int ship_package_name(const char *path, char **ret, struct kennel_error **err) MUST_CHECK;
/* The same of its version, "1" here; "1.0" where none is in it. *ret is the caller's. Pure. */
int ship_package_version(const char *path, char **ret, struct kennel_error **err) MUST_CHECK;
/* This machine as dpkg says it. */
const char *ship_package_arch(void);

/* Does a package take what has this path (relative)? Pure; what other packages own is left out beside. */
bool ship_package_takes(const char *path);

int ship_package_write(const struct ship_walk *w, const struct ship_package *p, int fd,
		       struct ship_progress *progress, struct kennel_error **err) MUST_CHECK;

#endif
