/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-list.c - "kennel list": a table for people, --json for programs, -q for shell loops.
 *
 * On a terminal the command, which stands last, is cut to what is left of the line; in a pipe nothing is cut.
 */
#include <string.h>

#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/json.h"

#define GAP 2           /* spaces between columns */
#define COMMAND_MIN 10  /* columns of the command on a terminal that is too narrow */

struct list_args {
	bool json, quiet;
};

struct column {
	const char *title;
	const char *key;        /* NULL: the age */
};

static const struct column columns[] = {
	{ "ID", "id" },	  { "LEVEL", "isolate" }, { "AGE", NULL },
	{ "PID", "pid" }, { "BASE", "base" },	  { "COMMAND", "command" },
};
#define LAST (ARRAY_SIZE(columns) - 1)

static void add_cell_text(struct buf *b, const struct kennel_list *list, size_t i, const struct column *c)
{
	if (c->key)
		buf_puts(b, fact_text(list, i, c->key));
	else
		text_age(b, fact_age(list, i));
}

static size_t column_width(const struct kennel_list *list, const struct column *c)
{
	size_t width = strlen(c->title);

	for (size_t i = 0; i < kennel_list_count(list); i++) {
		_cleanup_buf_ struct buf cell = { 0 };

		add_cell_text(&cell, list, i, c);
		width = MAX(width, text_width(buf_str(&cell)));
	}
	return width;
}

static void add_row(struct buf *b, const struct kennel_list *list, size_t i, const size_t *widths)
{
	for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
		_cleanup_buf_ struct buf cell = { 0 };

		add_cell_text(&cell, list, i, &columns[c]);
		if (c < LAST)
			text_pad(b, buf_str(&cell), widths[c] + GAP);
		else
			text_cut(b, buf_str(&cell), widths[c]);
	}
	buf_puts(b, "\n");
}

static void add_table(struct cli *cli, struct buf *b, const struct kennel_list *list)
{
	size_t widths[ARRAY_SIZE(columns)], used = 0, line = cli_width(cli);

	for (size_t c = 0; c < LAST; c++) {
		widths[c] = column_width(list, &columns[c]);
		used += widths[c] + GAP;
		text_pad(b, columns[c].title, widths[c] + GAP);
	}
	widths[LAST] = !line ? SIZE_MAX : line > used + COMMAND_MIN ? line - used : COMMAND_MIN;
	buf_printf(b, "%s\n", columns[LAST].title);
	for (size_t i = 0; i < kennel_list_count(list); i++)
		add_row(b, list, i, widths);
}

static void add_json(struct buf *b, const struct kennel_list *list)
{
	size_t n = kennel_list_count(list);

	buf_puts(b, "[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",\n {" : "\n {");
		fact_json(b, list, i);
		buf_puts(b, "}");
	}
	buf_puts(b, n ? "\n]\n" : "]\n");
}

static int list_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct list_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_list *list = NULL;

	if (kennel_list_read(NULL, &list, &err) < 0)
		return cli_error(cli, err);
	if (args->json)
		add_json(&b, list);
	else if (!args->quiet)
		add_table(cli, &b, list);
	else
		for (size_t i = 0; i < kennel_list_count(list); i++) {
			buf_safe(&b, fact_text(list, i, "id"));
			buf_puts(&b, "\n");
		}
	kennel_list_free(list);
	return cli_out(cli, &b);
}

#define ARG(m) offsetof(struct list_args, m)
static const struct opt list_opts[] = {
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "an array of objects, for programs", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "ids only, one a line", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule list_rules[] = {
	{ "json", OPT_EXCLUDES, "quiet" },
	{ .name = NULL },
};

static const char *const list_aliases[] = { "ls", "ps", NULL };

const struct cmd cmd_list = {
	.name = "list",
	.aliases = list_aliases,
	.summary = "show the sandboxes that run now",
	.usage = "[OPTION]...",
	.opts = list_opts,
	.rules = list_rules,
	.args_size = sizeof(struct list_args),
	.run = list_run,
};
