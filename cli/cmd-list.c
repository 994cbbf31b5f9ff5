/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-list.c - "kennel list": a table for people, --json for programs, -q for shell loops. First what
 * runs, then the containers that don't.
 *
 * On a terminal the command, which stands last, is cut to what is left of the line; in a pipe nothing is cut.
 */
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/json.h"
#include "cli/list-tree.h"
#include "cli/spec-opt.h"

#define GAP 2           /* spaces between columns */
#define COMMAND_MIN 10  /* columns of the command on a terminal that is too narrow */

struct list_args {
	const char *path;
	bool json, quiet, kept, size, tree;
};

struct row {
	const struct kennel_list *list;
	size_t i;
	bool has_size;
	uint64_t bytes;
};

struct rows {
	struct kennel_list *running, *containers;
	struct row *items;
	size_t n;
	const char *store;
};

static void rows_done(struct rows *r)
{
	kennel_list_free(r->running);
	kennel_list_free(r->containers);
	free(r->items);
}
#define _cleanup_rows_ __attribute__((cleanup(rows_done)))

static bool is_in(const struct kennel_list *list, const char *key, const char *value)
{
	for (size_t i = 0; i < kennel_list_count(list); i++)
		if (strcmp(fact_text(list, i, key), value) == 0)
			return true;
	return false;
}

static int read_rows(struct rows *r, const struct list_args *args, struct kennel_error **err)
{
	int n = kennel_list_read(NULL, &r->running, err);

	if (n == 0)
		n = kennel_container_list(r->store, NULL, &r->containers, err);
	if (n < 0)
		return n;
	size_t running = kennel_list_count(r->running), all = running + kennel_list_count(r->containers);
	r->items = calloc(all + 1, sizeof(*r->items));
	if (!r->items)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	/* What runs may be of another store: it is no container of this one. */
	for (size_t i = 0; i < running; i++)
		if (!args->kept || is_in(r->containers, "path", fact_text(r->running, i, "path")))
			r->items[r->n++] = (struct row){ .list = r->running, .i = i };
	for (size_t i = 0; i < all - running; i++)
		if (!is_in(r->running, "path", fact_text(r->containers, i, "path")))
			r->items[r->n++] = (struct row){ .list = r->containers, .i = i };
	return 0;
}

static void measure(struct rows *r)
{
	for (size_t k = 0; k < r->n; k++) {
		const char *name = kennel_list_value(r->items[k].list, r->items[k].i, "name");

		/* One that is being removed has none. */
		r->items[k].has_size =
			name &&
			is_in(r->containers, "path", fact_text(r->items[k].list, r->items[k].i, "path")) &&
			kennel_container_measure(r->store, name, &r->items[k].bytes, NULL) == 0;
	}
}

enum { SIZE_COLUMN = 2 };

static const struct column {
	const char *title;
	const char *key; /* NULL: made of something else */
} columns[] = {
	{ "ID", "id" },	      { "NAME", "name" },     { "SIZE", NULL },
	{ "STATE", "state" }, { "LEVEL", "isolate" }, { "AGE", NULL },
	{ "PID", "pid" },     { "BASE", "base" },     { "COMMAND", "command" },
};
#define LAST (ARRAY_SIZE(columns) - 1)

/* What a container that is stopped is configured for. */
static const char *configured(const struct row *r, const char *key)
{
	const char *line;
	size_t len = strlen(key);

	for (size_t n = 0; (line = kennel_list_detail(r->list, r->i, "config", n)); n++)
		if (strncmp(line, key, len) == 0 && line[len] == '\t')
			return line + len + 1;
	return "-";
}

/* A base of the container's own, which is told as such while it does not run, and is where it always is. */
static bool is_own_base(const struct row *r)
{
	const char *base = fact_text(r->list, r->i, "base"), *path = fact_text(r->list, r->i, "path");
	size_t len = strlen(path);

	return strncmp(base, path, len) == 0 && strcmp(base + len, "/base") == 0;
}

static void add_cell_text(struct buf *b, const struct row *r, size_t c)
{
	const char *key = columns[c].key;
	bool stopped = strcmp(fact_text(r->list, r->i, "state"), "stopped") == 0;

	if (c == SIZE_COLUMN && r->has_size)
		text_size(b, r->bytes);
	else if (c == SIZE_COLUMN)
		buf_puts(b, "-");
	else if (!key)
		text_age(b, fact_age(r->list, r->i));
	else if (c == LAST && kennel_list_detail(r->list, r->i, "damage", 0))
		buf_puts(b, "(its configuration can't be read)");
	else if (stopped && (c == LAST || strcmp(key, "isolate") == 0))
		buf_puts(b, configured(r, key));
	else if (strcmp(key, "base") == 0 && is_own_base(r))
		buf_puts(b, "own");
	else
		buf_puts(b, fact_text(r->list, r->i, key));
}

static size_t column_width(const struct rows *rows, size_t c)
{
	size_t width = strlen(columns[c].title);

	for (size_t i = 0; i < rows->n; i++) {
		_cleanup_buf_ struct buf cell = { 0 };

		add_cell_text(&cell, &rows->items[i], c);
		width = MAX(width, text_width(buf_str(&cell)));
	}
	return width;
}

static void add_row(struct buf *b, const struct row *r, const size_t *widths)
{
	for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
		_cleanup_buf_ struct buf cell = { 0 };

		if (!widths[c])
			continue;
		add_cell_text(&cell, r, c);
		if (c < LAST)
			text_pad(b, buf_str(&cell), widths[c] + GAP);
		else
			text_cut(b, buf_str(&cell), widths[c]);
	}
	buf_puts(b, "\n");
}

static void add_table(struct cli *cli, struct buf *b, const struct rows *rows, const struct list_args *args)
{
	size_t widths[ARRAY_SIZE(columns)], used = 0, line = cli_width(cli);

	for (size_t c = 0; c < LAST; c++) {
		widths[c] = c == SIZE_COLUMN && !args->size ? 0 : column_width(rows, c);
		if (!widths[c])
			continue;
		used += widths[c] + GAP;
		text_pad(b, columns[c].title, widths[c] + GAP);
	}
	widths[LAST] = !line ? SIZE_MAX : line > used + COMMAND_MIN ? line - used : COMMAND_MIN;
	buf_printf(b, "%s\n", columns[LAST].title);
	for (size_t i = 0; i < rows->n; i++)
		add_row(b, &rows->items[i], widths);
}

static void add_json(struct buf *b, const struct rows *rows)
{
	buf_puts(b, "[");
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->items[i];

		buf_puts(b, i ? ",\n {" : "\n {");
		fact_json(b, r->list, r->i);
		if (r->has_size)
			buf_printf(b, ", \"bytes\": %llu", (unsigned long long)r->bytes);
		buf_puts(b, "}");
	}
	buf_puts(b, rows->n ? "\n]\n" : "]\n");
}

/* Ids of what runs; names where only containers were asked for. */
static void add_words(struct buf *b, const struct rows *rows, const struct list_args *args)
{
	for (size_t i = 0; i < rows->n; i++) {
		const struct row *r = &rows->items[i];

		if (!args->kept && r->list != rows->running)
			continue;
		buf_safe(b, fact_text(r->list, r->i, args->kept ? "name" : "id"));
		buf_puts(b, "\n");
	}
}

/* Does the locale have characters to draw lines with? The program sets none: a start is measured. */
static bool has_lines(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
	}
	return false;
}

static int list_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct list_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 }, path = { 0 };
	_cleanup_rows_ struct rows rows = { 0 };

	if (spec_opt_store(args->path, &path, &rows.store, &err) < 0 || read_rows(&rows, args, &err) < 0)
		return cli_error(cli, err);
	if (args->size)
		measure(&rows);
	if (args->tree)
		list_tree(&b, rows.containers, !has_lines());
	else if (args->json)
		add_json(&b, &rows);
	else if (args->quiet)
		add_words(&b, &rows, args);
	else
		add_table(cli, &b, &rows, args);
	return cli_out(cli, &b);
}

#define ARG(m) offsetof(struct list_args, m)
static const struct opt list_opts[] = {
	{ 'k', "kept", NULL, OPT_FLAG, ARG(kept), "containers only, running or not", NULL },
	{ 's', "size", NULL, OPT_FLAG, ARG(size), "and what they take on disk (looks at each file)", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 't', "tree", NULL, OPT_FLAG, ARG(tree),
	  "containers below those that they are clones of, with their snapshots", NULL },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "an array of objects, for programs", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "ids only, one a line; with --kept: names", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule list_rules[] = {
	{ "json", OPT_EXCLUDES, "quiet" },
	{ "tree", OPT_EXCLUDES, "json" },
	{ "tree", OPT_EXCLUDES, "quiet" },
	{ "tree", OPT_EXCLUDES, "size" },
	{ .name = NULL },
};

static const char *const list_aliases[] = { "ls", "ps", NULL };

const struct cmd cmd_list = {
	.name = "list",
	.aliases = list_aliases,
	.summary = "show the sandboxes that run, and the containers",
	.usage = "[OPTION]...",
	.opts = list_opts,
	.rules = list_rules,
	.args_size = sizeof(struct list_args),
	.run = list_run,
};
