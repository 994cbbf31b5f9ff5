/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/name.h - names of containers; pure. */
#ifndef KENNEL_CONF_NAME_H
#define KENNEL_CONF_NAME_H

#include <stdbool.h>

#include "base/error.h"

#define NAME_MAX_LENGTH 64

/*
 * A letter or digit, then up to 63 letters, digits, ".", "_" and "-": no name can be taken for an option, a
 * path or a file of the store's own. Eight hexadecimal digits in lower case are refused, for that is what
 * ids of running sandboxes look like.
 * Return: 0 or -KENNEL_E_INVALID.
 */
int name_check(const char *name, struct kennel_error **err) MUST_CHECK;

bool name_is_id(const char *name);

#endif
