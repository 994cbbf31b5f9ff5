/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* view/unreadable.h - between the walk and its cache. A list in memory: kind byte, path, NUL, and so on. */
#ifndef KENNEL_VIEW_UNREADABLE_H
#define KENNEL_VIEW_UNREADABLE_H

#include "base/buf.h"
#include "base/strv.h"
#include "view/view.h"

int unreadable_walk(const struct unreadable_query *q, struct buf *ret, struct kennel_error **err) MUST_CHECK;
/* One directory, not those in it. */
int unreadable_look(const struct unreadable_query *q, const char *dir, struct buf *ret,
		    struct kennel_error **err) MUST_CHECK;
/* Mount points of file systems that are not looked into. */
int unreadable_foreign_mounts(struct strv *ret, struct kennel_error **err) MUST_CHECK;

#endif
