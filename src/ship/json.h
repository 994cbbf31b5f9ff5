/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/json.h - reads JSON (RFC 8259) that others wrote: at most 64 levels deep, no NUL in a string. Pure. */
#ifndef KENNEL_SHIP_JSON_H
#define KENNEL_SHIP_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	char *key; /* in an object */
	char *string; /* of JSON_STRING, and the text of a number */
	struct json *items; /* of an array or object */
	size_t n, room;
};

int json_parse(const char *text, size_t len, struct json *ret, struct kennel_error **err) MUST_CHECK;
void json_done(struct json *j);
#define _cleanup_json_ __attribute__((cleanup(json_done)))

/* All take NULL and what is of another type, and return NULL (0) for it. */
const struct json *json_get(const struct json *object, const char *key);
const struct json *json_at(const struct json *array, size_t i);
const char *json_text(const struct json *string);
/* A number that is a whole one and fits. Return: 1 or 0. */
int json_u64(const struct json *number, uint64_t *ret);

#endif
