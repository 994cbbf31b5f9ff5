/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-help.c - "kennel help [COMMAND]": the same text as --help, for those who look for it under this
 * name.
 */
#include "cli/cmd.h"

static int help_run(struct cli *cli, const void *args, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	if (in->n_operands == 0) {
		help_program(&b);
		return cli_out(cli, &b);
	}
	const struct cmd *cmd = cmd_find(in->operands[0], &err);
	if (!cmd)
		return cli_error(cli, err);
	help_command(&b, cmd);
	return cli_out(cli, &b);
}

static const struct opt help_opts[] = {
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_help = {
	.name = "help",
	.summary = "explain a command",
	.usage = "[COMMAND]",
	.opts = help_opts,
	.max_operands = 1,
	.operand_words = OPT_WORDS_HELP,
	.run = help_run,
};
