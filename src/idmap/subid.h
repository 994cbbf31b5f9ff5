/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* idmap/subid.h - subordinate ids that a directory service gives, through libsubid. */
#ifndef KENNEL_IDMAP_SUBID_H
#define KENNEL_IDMAP_SUBID_H

#include "idmap/idmap.h"

/*
 * Where nsswitch.conf has "subid: SOMETHING" other than files, asks libsubid for the user's first range of at
 * least 65536 ids that users and groups have in common. Return: 1 found, 0 no such line or no range, or a
 * negative code (libsubid is missing).
 */
int subid_from_service(const char *user, struct idmap *ret, struct kennel_error **err) MUST_CHECK;

/* Does the text of nsswitch.conf name a source for subid other than "files"? Pure. */
bool subid_service_is_named(const char *nsswitch);

#endif
