/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-auto.c - which containers of a store start by themselves, and in which order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "base/buf.h"
#include "base/parse.h"

/* The n-th value of a key of its configuration, or NULL. */
static const char *configured(const struct registry_entry *e, const char *key, size_t n)
{
	const size_t len = strlen(key);
	const char *line;

	for (size_t i = 0; (line = registry_get(e, "config", i)); i++)
		if (strncmp(line, key, len) == 0 && line[len] == '\t' && n-- == 0)
			return line + len + 1;
	return NULL;
}

static bool is_auto(const struct registry_entry *e)
{
	const char *value = configured(e, "autostart", 0);
	int on = 0;

	return value && parse_bool(value, &on) == 0 && on;
}

static bool is_in(const struct registry_entry *e, const char *const *groups)
{
	const char *group;

	if (!groups || !*groups)
		return true;
	for (; *groups; groups++)
		for (size_t i = 0; (group = configured(e, "start-group", i)); i++)
			if (strcmp(group, *groups) == 0)
				return true;
	return false;
}

/* One whose configuration can't be read may be meant, so it is told. */
static bool is_wanted(const struct registry_entry *e, const char *const *groups)
{
	return registry_get(e, "damage", 0) || (is_auto(e) && is_in(e, groups));
}

static uint64_t order_of(const struct registry_entry *e)
{
	const char *value = configured(e, "start-order", 0);
	uint64_t n;

	return value && parse_u64(value, &n) == 0 ? n : 0;
}

static int compare(const void *a, const void *b)
{
	const struct registry_entry *x = a, *y = b;
	const uint64_t i = order_of(x), k = order_of(y);

	return i != k ? (i < k) - (i > k) : strcmp(x->id, y->id);
}

static int put_number(struct registry_entry *e, const char *key, uint64_t n, struct kennel_error **err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return list_put(e, key, text, err);
}

static int put_facts(struct registry_entry *e, struct kennel_error **err)
{
	const char *text = configured(e, "start-delay", 0), *group;
	uint64_t delay_ms = 0;

	if (text && parse_duration_ms(text, &delay_ms) < 0)
		delay_ms = 0;
	int r = put_number(e, "order", order_of(e), err);
	if (r == 0)
		r = put_number(e, "delay-ms", delay_ms, err);
	for (size_t i = 0; r == 0 && (group = configured(e, "start-group", i)); i++)
		r = list_put(e, "group", group, err);
	return r;
}

/* Those that are meant move to the front; what was there goes where they were. */
static size_t choose(struct kennel_list *l, const char *const *groups)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct registry_entry e = l->entries[i];

		if (!is_wanted(&e, groups))
			continue;
		l->entries[i] = l->entries[n];
		l->entries[n++] = e;
	}
	return n;
}

int kennel_autostart_list(const char *store, const char *const *groups, struct kennel_list **ret,
			  struct kennel_error **err)
{
	struct kennel_list *l = NULL;

	int r = kennel_container_list(store, NULL, &l, err);
	if (r < 0)
		return r;
	const size_t n = choose(l, groups);
	while (l->n > n) {
		struct registry_entry *e = &l->entries[--l->n];

		free(e->id);
		strv_done(&e->keys);
		strv_done(&e->values);
	}
	if (n)
		qsort(l->entries, n, sizeof(*l->entries), compare);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_facts(&l->entries[i], err);
	if (r < 0) {
		kennel_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}
