/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-rm.c - "kennel rm": containers with all their changes. One that can't go does not keep the
 * others.
 */
#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/spec-opt.h"

struct rm_args {
	const char *path;
	bool force;
};

static int rm_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct rm_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;
	int status = 0;

	if (spec_opt_store(args->path, &b, &store, &err) < 0)
		return cli_error(cli, err);
	for (size_t i = 0; i < in->n_operands; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;

		if (kennel_container_remove(store, in->operands[i], args->force ? KENNEL_REMOVE_END : 0,
					    &why) < 0)
			status = cli_error(cli, why);
	}
	return status;
}

static const struct opt rm_opts[] = {
	{ 'P', "path", "DIR", OPT_STRING, offsetof(struct rm_args, path),
	  "where containers are, instead of your own place", OPT_WORDS_PATH },
	{ 'f', "force", NULL, OPT_FLAG, offsetof(struct rm_args, force), "end one that runs first", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_rm = {
	.name = "rm",
	.summary = "remove containers with all their changes",
	.usage = "[OPTION]... NAME...",
	.opts = rm_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "name the container; \"kennel list\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct rm_args),
	.run = rm_run,
};
