/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-rename.c - "kennel rename": another name for a container. */
#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/spec-opt.h"

struct rename_args {
	const char *path;
};

static int rename_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct rename_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;

	int r = spec_opt_store(args->path, &b, &store, &err);
	if (r == 0)
		r = kennel_container_rename(store, in->operands[0], in->operands[1], &err);
	return r < 0 ? cli_error(cli, err) : 0;
}

static const struct opt rename_opts[] = {
	{ 'P', "path", "DIR", OPT_STRING, offsetof(struct rename_args, path),
	  "where containers are, instead of your own place", OPT_WORDS_PATH },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_rename = {
	.name = "rename",
	.summary = "give a container another name",
	.usage = "[OPTION]... NAME NEW-NAME",
	.opts = rename_opts,
	.min_operands = 2,
	.max_operands = 2,
	.missing = "the name that it has, and the one that it gets",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct rename_args),
	.run = rename_run,
};
