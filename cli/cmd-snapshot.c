/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-snapshot.c - "kennel snapshot": remember what a container is now, and what it was. */
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/json.h"
#include "cli/list-tree.h"
#include "cli/spec-opt.h"

#define GAP 2

struct snapshot_args {
	const char *path, *comment, *name, *remove;
	bool list, json, quiet;
};

static void add_table(struct buf *b, const struct kennel_list *l)
{
	size_t width = strlen("SNAPSHOT");

	for (size_t i = 0; i < kennel_list_count(l); i++)
		width = MAX(width, text_width(fact_text(l, i, "name")));
	text_pad(b, "SNAPSHOT", width + GAP);
	buf_puts(b, "TAKEN             COMMENT\n");
	for (size_t i = 0; i < kennel_list_count(l); i++) {
		_cleanup_buf_ struct buf taken = { 0 };

		snapshot_time(&taken, fact_text(l, i, "taken"));
		text_pad(b, fact_text(l, i, "name"), width + GAP);
		text_pad(b, buf_str(&taken), strlen("2000-01-01 00:00") + GAP);
		buf_safe(b, fact_text(l, i, "comment"));
		buf_puts(b, "\n");
	}
}

static void add_json(struct buf *b, const struct kennel_list *l)
{
	buf_puts(b, "[");
	for (size_t i = 0; i < kennel_list_count(l); i++) {
		buf_puts(b, i ? ",\n {" : "\n {");
		json_member(b, "name", fact_text(l, i, "name"), false);
		json_member(b, "taken", kennel_list_value(l, i, "taken"), true);
		json_member(b, "comment", kennel_list_value(l, i, "comment"), false);
		buf_puts(b, "}");
	}
	buf_puts(b, kennel_list_count(l) ? "\n]\n" : "]\n");
}

static int list(struct cli *cli, const struct snapshot_args *args, const char *store, const char *name,
		struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_list *l = NULL;

	int r = kennel_snapshot_list(store, name, &l, err);
	if (r < 0)
		return r;
	if (args->json)
		add_json(&b, l);
	else if (args->quiet)
		for (size_t i = 0; i < kennel_list_count(l); i++)
			buf_printf(&b, "%s\n", fact_text(l, i, "name"));
	else
		add_table(&b, l);
	kennel_list_free(l);
	return cli_out(cli, &b);
}

static int take(struct cli *cli, const struct snapshot_args *args, const char *store, const char *name,
		struct kennel_error **err)
{
	_cleanup_free_ char *called = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	int r = kennel_snapshot_take(store, name, args->name, args->comment, &called, err);
	if (r < 0 || args->quiet)
		return r;
	buf_printf(&b, "%s\n", called);
	return cli_out(cli, &b);
}

static int snapshot_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct snapshot_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL, *name = in->operands[0];

	int r = spec_opt_store(args->path, &b, &store, &err);
	if (r == 0 && args->list)
		r = list(cli, args, store, name, &err);
	else if (r == 0 && args->remove)
		r = kennel_snapshot_remove(store, name,
					   strcmp(args->remove, "ALL") == 0 ? NULL : args->remove, &err);
	else if (r == 0)
		r = take(cli, args, store, name, &err);
	return r < 0 ? cli_error(cli, err) : r;
}

#define ARG(m) offsetof(struct snapshot_args, m)
static const struct opt snapshot_opts[] = {
	{ 'c', "comment", "TEXT", OPT_STRING, ARG(comment), "what to remember with it", NULL },
	{ 'n', "name", "SNAPSHOT", OPT_STRING, ARG(name),
	  "what to call it, instead of snap0, snap1 and so on", NULL },
	{ 'l', "list", NULL, OPT_FLAG, ARG(list), "show those that there are", NULL },
	{ 0, "remove", "SNAPSHOT", OPT_STRING, ARG(remove), "remove that one; ALL: each of them", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "with --list: an array of objects, for programs", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "do not tell the name; with --list: names only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule snapshot_rules[] = {
	{ "list", OPT_EXCLUDES, "remove" }, { "list", OPT_EXCLUDES, "comment" },
	{ "list", OPT_EXCLUDES, "name" },   { "remove", OPT_EXCLUDES, "comment" },
	{ "remove", OPT_EXCLUDES, "name" }, { "json", OPT_NEEDS, "list" },
	{ "json", OPT_EXCLUDES, "quiet" },  { .name = NULL },
};

const struct cmd cmd_snapshot = {
	.name = "snapshot",
	.summary = "remember what a container is now, to go back to it",
	.usage = "[OPTION]... NAME",
	.opts = snapshot_opts,
	.rules = snapshot_rules,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "name the container; \"kennel list\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct snapshot_args),
	.run = snapshot_run,
};
