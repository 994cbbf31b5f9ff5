/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/package-internal.h - what package.c and package-write.c share. */
#ifndef KENNEL_SHIP_PACKAGE_INTERNAL_H
#define KENNEL_SHIP_PACKAGE_INTERNAL_H

#include "base/buf.h"
#include "base/strv.h"
#include "ship/package.h"

/* What is found before anything is written. Paths are relative; one of a hidden directory ends in "/". */
struct package_contents {
	struct strv config, deletions;
	uint64_t bytes, files;
};

void package_describe_deb(const struct ship_package *p, const struct package_contents *c, struct buf *control,
			  struct buf *conffiles, struct buf *deletions);
void package_describe_tar(const struct ship_package *p, const struct package_contents *c, struct buf *b);

#endif
