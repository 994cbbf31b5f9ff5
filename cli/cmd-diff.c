/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-diff.c - "kennel diff": what a sandbox changed, as a list, as numbers, as text, as packages, or as
 * JSON.
 *
 * Output is written as it comes, in large pieces: there may be a million lines. Names and contents are a
 * sandbox's work, so on a terminal they go through buf_safe(); into a file or pipe contents go as they are,
 * for patch(1).
 */
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/change.h"
#include "cli/cmd.h"
#include "cli/diff.h"
#include "cli/spec-opt.h"

#define PIECE (64u << 10)

int diff_flush(struct diff_out *o, size_t at_least)
{
	if (o->b.len < at_least || o->failed)
		return o->failed;
	o->failed = cli_out(o->cli, &o->b) != 0;
	o->b.len = 0;
	return o->failed;
}

static int list_change(void *data, const struct kennel_change *c)
{
	struct diff_out *o = data;

	o->n++;
	change_put_line(&o->b, c, o->cli->out_colour);
	buf_puts(&o->b, "\n");
	return diff_flush(o, PIECE);
}

static int json_change(void *data, const struct kennel_change *c)
{
	struct diff_out *o = data;

	buf_puts(&o->b, o->n++ ? ",\n" : "[\n");
	diff_json(o, c);
	return diff_flush(o, PIECE);
}

static int content_change(void *data, const struct kennel_change *c)
{
	struct diff_out *o = data;

	o->n++;
	if (diff_content(o, c) < 0)
		return 1;
	return diff_flush(o, PIECE);
}

static int stat_change(void *data, const struct kennel_change *c)
{
	struct diff_out *o = data;

	o->n++;
	return diff_stat_add(&o->stat, c, &o->err) < 0;
}

static int list_package(void *data, const struct kennel_package *p)
{
	struct diff_out *o = data;
	enum kennel_change_kind kind = !p->before ? KENNEL_ADDED :
				       !p->after  ? KENNEL_DELETED :
						    KENNEL_CHANGED;

	o->n++;
	if (!p->name) {
		_cleanup_buf_ struct buf text = { 0 };

		buf_printf(&text,
			   "the packages of %s were changed, but its database can't be read from outside",
			   p->manager);
		cli_say(o->cli, buf_str(&text), "\n");
		return 0;
	}
	change_put_letter(&o->b, kind, o->cli->out_colour);
	buf_safe(&o->b, p->name);
	buf_puts(&o->b, " ");
	buf_safe(&o->b, p->before ? p->before : p->after);
	if (p->before && p->after) {
		buf_puts(&o->b, " -> ");
		buf_safe(&o->b, p->after);
	}
	buf_printf(&o->b, " (%s)\n", p->manager);
	return diff_flush(o, PIECE);
}

static int json_package(void *data, const struct kennel_package *p)
{
	struct diff_out *o = data;

	buf_puts(&o->b, o->n++ ? ",\n" : "[\n");
	diff_json_package(&o->b, p);
	return diff_flush(o, PIECE);
}

struct diff_args {
	const char *store, *from;
	bool stat, content, packages, json, all, exit_code;
};

static int compare(struct diff_out *o, const struct diff_args *args, const char *below)
{
	int (*visit)(void *data, const struct kennel_change *c) = args->stat	? stat_change :
								  args->content ? content_change :
								  args->json	? json_change :
										  list_change;

	if (args->packages)
		return kennel_delta_packages(o->delta, args->json ? json_package : list_package, o, &o->err);
	/* Numbers and texts are those of files, also where a whole directory is gone. */
	return kennel_delta_diff(o->delta, below,
				 args->all || args->stat || args->content ? KENNEL_DELTA_ALL : 0, visit, o,
				 &o->err);
}

static int show(struct diff_out *o, const struct diff_args *args, const char *below)
{
	int r = compare(o, args, below);

	if (r < 0 || o->err)
		return cli_error(o->cli, o->err);
	if (o->failed)
		return CLI_EXIT_FAILED;
	if (args->stat && args->json)
		diff_stat_json(&o->stat, &o->b);
	else if (args->stat)
		diff_stat_table(&o->stat, &o->b);
	else if (args->json)
		buf_puts(&o->b, o->n ? "\n]\n" : "[]\n");
	if (diff_flush(o, 1))
		return CLI_EXIT_FAILED;
	return args->exit_code && o->n ? 1 : 0;
}

static int diff_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct diff_args *args = p;
	struct diff_out o = { .cli = cli, .terminal = cli_is_terminal(cli) };
	const char *below = in->n_operands > 1 ? in->operands[1] : NULL;

	if (args->packages && below) {
		int r = fail(&o.err, KENNEL_E_INVALID, "\"--packages\" takes no PATH");
		(void)hint(&o.err, r, "packages are those of the whole sandbox");
		int code = cli_error(cli, o.err);
		error_clear(&o.err);
		return code;
	}
	_cleanup_buf_ struct buf b = { 0 };
	const char *store;
	int r = spec_opt_store(args->store, &b, &store, &o.err);
	if (r == 0)
		r = kennel_delta_open_since(store, in->operands[0], args->from, &o.delta, &o.err);
	int code = r < 0 ? cli_error(cli, o.err) : show(&o, args, below);
	kennel_delta_free(o.delta);
	error_clear(&o.err);
	buf_done(&o.b);
	diff_stat_done(&o.stat);
	return code;
}

#define ARG(m) offsetof(struct diff_args, m)
static const struct opt diff_opts[] = {
	{ 0, "stat", NULL, OPT_FLAG, ARG(stat), "numbers for each directory at the top, and in all", NULL },
	{ 0, "content", NULL, OPT_FLAG, ARG(content), "what was changed in text files, as diff -u shows it",
	  NULL },
	{ 0, "packages", NULL, OPT_FLAG, ARG(packages), "packages that were installed, removed or upgraded",
	  NULL },
	{ 'a', "all", NULL, OPT_FLAG, ARG(all), "everything in a deleted directory, not only the directory",
	  NULL },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "an array of objects, for programs", NULL },
	{ 0, "from", "SNAP", OPT_STRING, ARG(from), "only what was changed since this snapshot of it", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(store), "the store that the container is in", OPT_WORDS_PATH },
	{ 0, "exit-code", NULL, OPT_FLAG, ARG(exit_code), "exit with 1 where something was changed", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule diff_rules[] = {
	{ "stat", OPT_EXCLUDES, "content" },
	{ "stat", OPT_EXCLUDES, "packages" },
	{ "content", OPT_EXCLUDES, "packages" },
	{ "content", OPT_EXCLUDES, "json" },
	{ 0 },
};

const struct cmd cmd_diff = {
	.name = "diff",
	.summary = "show what a sandbox changed",
	.usage = "[OPTION]... NAME|ID|FILE [PATH]",
	.more = "Lines are A for added, M for changed (and what of it), D for deleted, T for something of "
		"another type. PATH is a path inside: only changes of it and in it are shown.",
	.opts = diff_opts,
	.rules = diff_rules,
	.min_operands = 1,
	.max_operands = 2,
	.missing = "\"kennel list\" shows names and ids",
	.operand_words = OPT_WORDS_SANDBOX " " OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct diff_args),
	.run = diff_run,
};
