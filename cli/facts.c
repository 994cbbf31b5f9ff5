/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/facts.c - see facts.h. The members of the JSON objects are an interface: none is ever renamed or
 * dropped.
 */
#include "cli/facts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/json.h"

static const struct fact {
	const char *key;
	bool numeric;
} facts[] = {
	{ "id", false },     { "isolate", false },  { "created", true },  { "pid", true },
	{ "init", true },    { "base", false },	    { "command", false }, { "root", false },
	{ "net", false },    { "hostname", false }, { "idmap", false },	  { "size", true },
	{ "name", false },   { "state", false },    { "path", false },	  { "used", true },
	{ "origin", false }, { "ended", true },	    { "status", true },	  { "oom-kills", true },
};

/* What is in the list of running ones runs. */
static const char *value_of(const struct kennel_list *list, size_t i, const char *key)
{
	const char *value = kennel_list_value(list, i, key);

	return !value && strcmp(key, "state") == 0 ? "running" : value;
}

const char *fact_text(const struct kennel_list *list, size_t i, const char *key)
{
	const char *value = value_of(list, i, key);

	return value && *value ? value : "-";
}

uint64_t fact_age(const struct kennel_list *list, size_t i)
{
	uint64_t created, now = (uint64_t)time(NULL);

	if (parse_u64(fact_text(list, i, "created"), &created) < 0 &&
	    parse_u64(fact_text(list, i, "used"), &created) < 0)
		return 0;
	return created > now ? 0 : now - created; /* the clock was set back meanwhile */
}

void fact_json_lines(struct buf *b, const struct kennel_list *list, size_t i, const char *name,
		     const char *key)
{
	const char *line;

	json_key(b, name);
	buf_puts(b, "[");
	for (size_t n = 0; (line = kennel_list_detail(list, i, key, n)); n++) {
		buf_puts(b, n ? ", " : "");
		buf_json(b, line);
	}
	buf_puts(b, "]");
}

const char *fact_killed(unsigned hits)
{
	if (hits & KENNEL_HIT_SWAP)
		return "--memory and --swap together were not enough";
	if (hits & KENNEL_HIT_MEMORY)
		return "--memory was not enough";
	if (hits & KENNEL_HIT_INNER)
		return "a limit of memory that was set inside was not enough";
	return hits & KENNEL_HIT_OUTER ? "the machine, or a control group around it, had no more memory" :
					 NULL;
}

unsigned fact_hits(const struct kennel_list *list)
{
	const char *word, *name;
	unsigned hits = 0;

	for (size_t n = 0; (word = kennel_list_detail(list, 0, "limit-hit", n)); n++)
		for (unsigned bit = 1; (name = kennel_limit_hit_name((enum kennel_limit_hit)bit)); bit <<= 1)
			if (strcmp(name, word) == 0)
				hits |= bit;
	return hits;
}

/* The words of a text between blanks. */
static void json_words(struct buf *b, char *text)
{
	bool first = true;

	for (char *word; (word = strsep(&text, " "));) {
		if (!*word)
			continue;
		buf_puts(b, first ? "" : ", ");
		buf_json(b, word);
		first = false;
	}
}

static void json_interfaces(struct buf *b, const struct kennel_list *list, size_t i)
{
	const char *line;

	json_key(b, "interfaces");
	buf_puts(b, "[");
	for (size_t n = 0; (line = kennel_list_detail(list, i, "interface", n)); n++) {
		_cleanup_interface_line_ struct interface_line in = split_interface(line);

		buf_puts(b, n ? ", {" : "{");
		json_member(b, "name", in.name, false);
		json_member(b, "kind", in.kind, false);
		json_member(b, "outside", in.outside, false);
		json_key(b, "addresses");
		buf_puts(b, "[");
		json_words(b, in.addresses);
		buf_puts(b, "]}");
	}
	buf_puts(b, "]");
}

/* Of a container: what it was once. */
static void json_snapshots(struct buf *b, const struct kennel_list *list, size_t i)
{
	const char *line;

	json_key(b, "snapshots");
	buf_puts(b, "[");
	for (size_t n = 0; (line = kennel_list_detail(list, i, "snapshot", n)); n++) {
		_cleanup_free_ char *copy = strdup(line);
		char *rest = copy;
		const char *name = strsep(&rest, "\t"), *taken = strsep(&rest, "\t");

		buf_puts(b, n ? ", {" : "{");
		json_member(b, "name", name, false);
		json_member(b, "taken", taken, true);
		json_member(b, "comment", rest ? rest : "", false);
		buf_puts(b, "}");
	}
	buf_puts(b, "]");
}

void fact_json(struct buf *b, const struct kennel_list *list, size_t i)
{
	for (size_t f = 0; f < ARRAY_SIZE(facts); f++)
		json_member(b, facts[f].key, value_of(list, i, facts[f].key), facts[f].numeric);
	json_interfaces(b, list, i);
	fact_json_lines(b, list, i, "publish", "publish");
	fact_json_lines(b, list, i, "limits-hit", "limit-hit");
	json_snapshots(b, list, i);
}

void interface_line_done(struct interface_line *in)
{
	free(in->text);
}

struct interface_line split_interface(const char *line)
{
	struct interface_line in = { .text = strdup(line) };
	char **const fields[] = { &in.name, &in.kind, &in.outside, &in.addresses };
	static char none[1];
	char *rest = in.text;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char *field = strsep(&rest, "\t");

		*fields[i] = field ? field : none;
	}
	return in;
}

void mount_line_done(struct mount_line *m)
{
	free(m->text);
}

struct mount_line split_mount(const char *line)
{
	struct mount_line m = { .text = strdup(line) };
	const char **const fields[] = { &m.verdict, &m.path, &m.fstype, &m.reason };
	char *rest = m.text;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *field = strsep(&rest, "\t");

		*fields[i] = field ? field : "";
	}
	return m;
}
