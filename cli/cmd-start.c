/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-start.c - "kennel start" and "kennel restart": a container in the background, or followed from
 * here.
 */
#include <stdlib.h>

#include <kennel/kennel.h>

#include "cli/auto.h"
#include "cli/cmd.h"
#include "cli/live.h"
#include "cli/spec-opt.h"

struct start_args {
	const char *path;
	bool foreground, quiet, all, dry_run, json;
	struct live_wish stop; /* of restart */
};

static int start_spec(struct cli *cli, const struct start_args *args, const char *name,
		      const char *const *command, struct kennel_spec **ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;

	int r = spec_opt_store(args->path, &b, &store, err);
	return r < 0 ? r : live_start_spec(cli, args->quiet, store, name, command, ret, err);
}

static int start_one(struct cli *cli, const struct start_args *args, const char *name,
		     const char *const *command)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;
	char id[KENNEL_ID_SIZE];
	int status = 0;

	int r = start_spec(cli, args, name, command, &spec, &err);
	if (r == 0)
		r = args->foreground ? kennel_start_here(spec, &status, &err) : kennel_start(spec, id, &err);
	kennel_spec_free(spec);
	if (r < 0) {
		(void)cli_error(cli, err);
		return kennel_exit_code(err);
	}
	if (args->foreground)
		return status;
	_cleanup_buf_ struct buf b = { 0 };
	buf_printf(&b, "%s\n", id);
	return args->quiet ? 0 : cli_out(cli, &b);
}

static int start_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct start_args *args = p;
	const struct auto_wish wish = {
		.path = args->path, .dry_run = args->dry_run, .json = args->json, .quiet = args->quiet
	};
	_cleanup_error_ struct kennel_error *err = NULL;

	if (args->all && !in->n_operands)
		return auto_start(cli, &wish, in);
	if (!args->all && in->n_operands)
		return start_one(cli, args, in->operands[0], live_command(in));
	(void)!hint(&err, fail(&err, KENNEL_E_INVALID, "name either a container or --auto"),
		    "\"kennel list --kept\" shows containers, \"kennel create\" makes one");
	return cli_error(cli, err);
}

static int restart_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct start_args *args = p;
	int status = 0;

	for (size_t i = 0; i < in->n_operands; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		enum kennel_state state;

		int r = live_find(args->path, in->operands[i], &state, &err);
		if (r == 0 && state != KENNEL_STATE_STOPPED)
			r = live_stop(cli, in->operands[i], &args->stop, args->quiet, &err);
		if (r < 0)
			(void)cli_error(cli, err);
		if (r < 0 || start_one(cli, args, in->operands[i], NULL) != 0)
			status = CLI_EXIT_FAILED;
	}
	return status;
}

#define ARG(m) offsetof(struct start_args, m)
#define ROW_PATH \
	{ \
		'P', "path", "DIR", OPT_STRING, ARG(path), \
			"where containers are, instead of your own place", OPT_WORDS_PATH \
	}
static const struct opt start_opts[] = {
	ROW_PATH,
	{ 'F', "foreground", NULL, OPT_FLAG, ARG(foreground),
	  "stay with its console; ends it when this ends, and has its exit code", NULL },
	{ 0, "auto", NULL, OPT_FLAG, ARG(all), "all that have autostart in their configuration, in order",
	  NULL },
	{ 'g', "group", "NAME", OPT_SETTING, 0, "of these only those in this group; may be repeated", NULL },
	{ 0, "dry-run", NULL, OPT_FLAG, ARG(dry_run), "with --auto: only show which, and in which order",
	  NULL },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "with --dry-run: an array of objects, for programs", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule start_rules[] = {
	{ "auto", OPT_EXCLUDES, "foreground" },
	{ "group", OPT_NEEDS, "auto" },
	{ "dry-run", OPT_NEEDS, "auto" },
	{ "json", OPT_NEEDS, "dry-run" },
	{ .name = NULL },
};

const struct cmd cmd_start = {
	.name = "start",
	.summary = "start a container in the background",
	.usage = "[OPTION]... NAME | FILE [--] [COMMAND [ARG]...]",
	.more = "Prints the id. FILE, with a slash in it, is a container in one file. Without a command, "
		"here or in its configuration, it runs nothing but what enters it. \"kennel console\" "
		"attaches to its terminal, \"kennel log\" shows what that has shown.",
	.opts = start_opts,
	.rules = start_rules,
	.flags = OPT_OPERAND_ENDS,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct start_args),
	.run = start_run,
};

static const struct opt restart_opts[] = {
	ROW_PATH,
	{ 't', "timeout", "TIME", OPT_STRING, ARG(stop.timeout),
	  "how long it has to end: seconds, or 500ms, 2m (default: 10)", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_restart = {
	.name = "restart",
	.summary = "stop containers if they run, and start them in the background",
	.usage = "[OPTION]... NAME...",
	.more = "Prints the new ids.",
	.opts = restart_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "which container: \"kennel list --kept\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct start_args),
	.run = restart_run,
};
