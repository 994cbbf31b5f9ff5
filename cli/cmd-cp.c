/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-cp.c - "kennel cp": the library does all of it; a word is ID:PATH or NAME:PATH for the inside. */
#include <kennel/kennel.h>

#include "cli/cmd.h"

static int cp_run(struct cli *cli, const void *args, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	return kennel_copy(in->operands[0], in->operands[1], &err) < 0 ? cli_error(cli, err) : 0;
}

static const struct opt cp_opts[] = {
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_cp = {
	.name = "cp",
	.summary = "copy a file or a tree into or out of a running sandbox",
	.usage = "SOURCE TARGET",
	.more = "One of the two is ID:PATH or, of a container that runs, NAME:PATH: a path inside; the other "
		"is a path of this machine. Write ./a:b for a file of this machine that is called a:b.",
	.opts = cp_opts,
	.min_operands = 2,
	.max_operands = 2,
	.missing = "one of them is ID:PATH; \"kennel list\" shows the ids",
	.operand_words = OPT_WORDS_PATH,
	.run = cp_run,
};
