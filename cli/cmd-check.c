/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-check.c - "kennel check": what this machine can do, and how to get the rest.
 *
 * A line of the table for each thing, its remedy below it where it is lacking, and at the end the one answer
 * that also is the exit code.
 */
#include <string.h>

#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/json.h"

#define GAP 2
#define EXIT_MISSING 1

#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[1;31m"
#define PLAIN "\033[0m"

struct check_args {
	bool json;
};

struct column {
	const char *title;
	const char *key;
};

static const struct column columns[] = {
	{ "WHAT", "name" },
	{ "STATE", "state" },
	{ "NEEDED FOR", "needed_for" },
	{ "FOUND", "found" },
};
#define STATE 1
#define LAST (ARRAY_SIZE(columns) - 1)

static const char *colour_of(const char *state)
{
	return strcmp(state, "ok") == 0 ? GREEN : strcmp(state, "missing") == 0 ? RED : YELLOW;
}

static size_t column_width(const struct kennel_list *list, const struct column *c)
{
	size_t width = strlen(c->title);

	for (size_t i = 0; i < kennel_list_count(list); i++)
		width = MAX(width, text_width(fact_text(list, i, c->key)));
	return width;
}

static void add_row(struct cli *cli, struct buf *b, const struct kennel_list *list, size_t i,
		    const size_t *widths)
{
	const char *remedy = kennel_list_value(list, i, "remedy");

	for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
		const char *text = fact_text(list, i, columns[c].key);
		bool colour = c == STATE && cli->out_colour;

		if (colour)
			buf_puts(b, colour_of(text));
		text_pad(b, text, c < LAST ? widths[c] + GAP : 0);
		if (colour)
			buf_puts(b, PLAIN);
	}
	buf_puts(b, "\n");
	if (!remedy)
		return;
	text_pad(b, "", GAP);
	buf_puts(b, "remedy: ");
	buf_safe(b, remedy);
	buf_puts(b, "\n");
}

static void add_table(struct cli *cli, struct buf *b, const struct kennel_list *list, size_t n_missing)
{
	size_t widths[ARRAY_SIZE(columns)];

	for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
		widths[c] = column_width(list, &columns[c]);
		text_pad(b, columns[c].title, c < LAST ? widths[c] + GAP : 0);
	}
	buf_puts(b, "\n");
	for (size_t i = 0; i < kennel_list_count(list); i++)
		add_row(cli, b, list, i, widths);
	if (n_missing == 0)
		buf_puts(b, "\nthe default kennel run works here\n");
	else
		buf_printf(b, "\nthe default kennel run does not work here: %zu thing%s missing\n", n_missing,
			   n_missing == 1 ? " is" : "s are");
}

static void add_json(struct buf *b, const struct kennel_list *list)
{
	static const char *const keys[] = { "name", "state", "needed_for", "found", "remedy" };
	size_t n = kennel_list_count(list);

	buf_puts(b, "[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ",\n {" : "\n {");
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			json_member(b, keys[k], kennel_list_value(list, i, keys[k]), false);
		buf_puts(b, "}");
	}
	buf_puts(b, "\n]\n");
}

static int check_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct check_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_list *list = NULL;
	size_t n_missing = 0;

	if (kennel_check_read(&list, &n_missing, &err) < 0)
		return cli_error(cli, err);
	if (args->json)
		add_json(&b, list);
	else
		add_table(cli, &b, list, n_missing);
	kennel_list_free(list);
	int r = cli_out(cli, &b);
	return r ? r : n_missing ? EXIT_MISSING : 0;
}

static const struct opt check_opts[] = {
	{ 0, "json", NULL, OPT_FLAG, offsetof(struct check_args, json), "an array of objects, for programs",
	  NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_check = {
	.name = "check",
	.summary = "show what this machine allows, and how to get the rest",
	.usage = "[OPTION]...",
	.more = "Exits with 0 where the default \"kennel run\" will work for this user, with 1 where it will "
		"not.",
	.opts = check_opts,
	.args_size = sizeof(struct check_args),
	.run = check_run,
};
