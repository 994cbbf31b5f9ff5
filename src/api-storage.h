/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-storage.h - what a program wants of a backing store, as storage/ takes it. */
#ifndef KENNEL_API_STORAGE_H
#define KENNEL_API_STORAGE_H

#include <kennel/container.h>

#include "base/error.h"
#include "storage/storage.h"

/* o may be NULL. */
static inline int storage_wish_of(const struct kennel_storage_options *o, struct storage_wish *ret,
				  struct kennel_error **err)
{
	*ret = (struct storage_wish){ 0 };
	if (!o)
		return 0;
	if (o->size != sizeof(*o))
		return fail(err, KENNEL_E_INVALID, "options of another version of the library");
	*ret = (struct storage_wish){
		.store = o->store,
		.fs = o->fs,
		.vg = o->vg,
		.thin_pool = o->thin_pool,
		.zfs_root = o->zfs_root,
		.size_bytes = o->size_bytes,
	};
	return 0;
}

#endif
