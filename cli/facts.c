/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/facts.c - see facts.h. The members of the JSON objects are an interface: none is ever renamed or
 * dropped.
 */
#include "cli/facts.h"

#include <time.h>

#include "base/parse.h"
#include "cli/json.h"

static const struct fact {
	const char *key;
	bool numeric;
} facts[] = {
	{ "id", false },   { "isolate", false }, { "created", true }, { "pid", true },
	{ "init", true },  { "base", false },    { "command", false }, { "root", false },
	{ "net", false },  { "hostname", false }, { "idmap", false }, { "size", true },
};

const char *fact_text(const struct kennel_list *list, size_t i, const char *key)
{
	const char *value = kennel_list_value(list, i, key);

	return value && *value ? value : "-";
}

uint64_t fact_age(const struct kennel_list *list, size_t i)
{
	uint64_t created, now = (uint64_t)time(NULL);

	if (parse_u64(fact_text(list, i, "created"), &created) < 0 || created > now)
		return 0;       /* the clock was set back meanwhile */
	return now - created;
}

void fact_json(struct buf *b, const struct kennel_list *list, size_t i)
{
	for (size_t f = 0; f < ARRAY_SIZE(facts); f++)
		json_member(b, facts[f].key, kennel_list_value(list, i, facts[f].key), facts[f].numeric);
}
