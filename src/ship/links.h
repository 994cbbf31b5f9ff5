/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/links.h - which files were seen under another name: only those with several names are remembered. */
#ifndef KENNEL_SHIP_LINKS_H
#define KENNEL_SHIP_LINKS_H

#include <sys/stat.h>

#include "base/error.h"

struct ship_link {
	dev_t dev;
	ino_t ino;
	char *path; /* of the first name; NULL: an empty slot */
	unsigned serial; /* 1, 2, ... */
};

struct ship_links {
	struct ship_link *slots;
	size_t n, room;
};

/* Return: 1 with the first name's entry in *ret, 0 not seen before: it is now, as path; or a code. */
int ship_links_see(struct ship_links *l, const struct stat *st, const char *path,
		   const struct ship_link **ret, struct kennel_error **err) MUST_CHECK;
void ship_links_done(struct ship_links *l);

#endif
