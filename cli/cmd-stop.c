/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-stop.c - "kennel stop": ends sandboxes. One that can't be stopped does not keep the others. */
#include <stdlib.h>

#include <kennel/kennel.h>

#include "cli/auto.h"
#include "cli/cmd.h"
#include "cli/live.h"

struct stop_args {
	const char *path;
	struct live_wish wish;
	bool all, autos, quiet;
};

static int stop_one(struct cli *cli, const char *id, const struct stop_args *args)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	return live_stop(cli, id, &args->wish, args->quiet, &err) < 0 ? cli_error(cli, err) : 0;
}

static int stop_all(struct cli *cli, const struct stop_args *args)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_list *list = NULL;
	int status = 0;

	if (kennel_list_read(NULL, &list, &err) < 0)
		return cli_error(cli, err);
	for (size_t i = 0; i < kennel_list_count(list); i++)
		if (stop_one(cli, kennel_list_value(list, i, "id"), args) != 0)
			status = CLI_EXIT_FAILED;
	kennel_list_free(list);
	return status;
}

static int stop_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct stop_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	int status = 0;

	int r = live_check(&args->wish, &err);
	if (r == 0 && (args->all || args->autos) == (in->n_operands > 0))
		r = hint(&err, fail(&err, KENNEL_E_INVALID, "name either sandboxes, or --all or --auto"),
			 "\"kennel list\" shows those that are running");
	if (r < 0)
		return cli_error(cli, err);
	const struct auto_wish autos = { .path = args->path, .quiet = args->quiet, .stop = args->wish };
	if (args->autos)
		return auto_stop(cli, &autos, in);
	if (args->all)
		return stop_all(cli, args);
	for (size_t i = 0; i < in->n_operands; i++)
		if (stop_one(cli, in->operands[i], args) != 0)
			status = CLI_EXIT_FAILED;
	return status;
}

#define ARG(m) offsetof(struct stop_args, m)
static const struct opt stop_opts[] = {
	{ 't', "timeout", "TIME", OPT_STRING, ARG(wish.timeout),
	  "how long it has: seconds, or 500ms, 2m (default: 10)", NULL },
	{ 's', "signal", "SIGNAL", OPT_STRING, ARG(wish.signal),
	  "what asks it to end (default: TERM, or what its init takes for it)",
	  "TERM INT HUP QUIT PWR USR1 USR2 KILL" },
	{ 'k', "kill", NULL, OPT_FLAG, ARG(wish.kill), "don't ask, kill", NULL },
	{ 'a', "all", NULL, OPT_FLAG, ARG(all), "all sandboxes of yours", NULL },
	{ 0, "auto", NULL, OPT_FLAG, ARG(autos),
	  "all containers that have autostart in their configuration, in the reverse order of their start",
	  NULL },
	{ 'g', "group", "NAME", OPT_SETTING, 0, "of these only those in this group; may be repeated", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where those are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule stop_rules[] = {
	{ "kill", OPT_EXCLUDES, "timeout" }, { "kill", OPT_EXCLUDES, "signal" },
	{ "auto", OPT_EXCLUDES, "all" },     { "group", OPT_NEEDS, "auto" },
	{ "path", OPT_NEEDS, "auto" },	     { .name = NULL },
};

const struct cmd cmd_stop = {
	.name = "stop",
	.summary = "end sandboxes that run",
	.usage = "[OPTION]... ID|NAME...",
	.more = "What does not end in time is killed.",
	.opts = stop_opts,
	.rules = stop_rules,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct stop_args),
	.run = stop_run,
};
