/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-list.h - what a kennel_list is: entries with an id and facts. Whoever makes one fills it; api-list.c
 * has the rest.
 */
#ifndef KENNEL_API_LIST_H
#define KENNEL_API_LIST_H

#include <kennel/kennel.h>

#include "run/registry.h"

struct kennel_list {
	struct registry_entry *entries; /* of malloc, as the ids are */
	size_t n;
	bool id_is_value; /* "id" is a fact like others: the entry's own id is something else */
};

/* One more entry, for list_put(): or NULL, without memory. */
struct registry_entry *list_add(struct kennel_list *l, const char *id, struct kennel_error **err) MUST_CHECK;

/* Both or neither of the two, which are read in pairs: 0, or NOMEM. */
int list_put(struct registry_entry *e, const char *key, const char *value, struct kennel_error **err)
	MUST_CHECK;
/* Of what runs: running or frozen, as it was when the list was read. */
enum kennel_state list_state(const struct kennel_list *list, size_t i);

#endif
