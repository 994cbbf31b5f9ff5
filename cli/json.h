/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/json.h - the few shapes of --json: members of an object with their commas, numbers where a fact is
 * one.
 */
#ifndef KENNEL_CLI_JSON_H
#define KENNEL_CLI_JSON_H

#include "base/buf.h"

/*
 * Appends "key": in front of a value that the caller appends next; a comma first unless the object was just
 * opened.
 */
void json_key(struct buf *b, const char *key);
/* "key": "value", or a bare number where numeric and value is one, or null. */
void json_member(struct buf *b, const char *key, const char *value, bool numeric);

#endif
