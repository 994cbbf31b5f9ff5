/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* storage/keys.h - what storage.c and storage-file.c share. */
#ifndef KENNEL_STORAGE_KEYS_H
#define KENNEL_STORAGE_KEYS_H

#include "storage/storage.h"

/* One of the options of "kennel create"; one that is none of ours is passed over. */
int storage_set_key(struct storage_keys *ret, const char *option, const char *value,
		    struct kennel_error **err) MUST_CHECK;
/* Writes the file, whole or not at all. */
int storage_write(const struct storage *s, struct kennel_error **err) MUST_CHECK;

#endif
