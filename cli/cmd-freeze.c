/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-freeze.c - "kennel freeze" and "kennel thaw": sandboxes stand still, and go on. */
#include <kennel/kennel.h>

#include "cli/cmd.h"

static int for_each(struct cli *cli, const struct opt_input *in,
		    int (*act)(const char *, struct kennel_error **))
{
	int status = 0;

	for (size_t i = 0; i < in->n_operands; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;

		if (act(in->operands[i], &err) < 0)
			status = cli_error(cli, err);
	}
	return status;
}

static int freeze_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	(void)p;
	return for_each(cli, in, kennel_freeze);
}

static int thaw_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	(void)p;
	return for_each(cli, in, kennel_thaw);
}

static const struct opt freeze_opts[] = {
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const char *const freeze_aliases[] = { "pause", NULL };
static const char *const thaw_aliases[] = { "unfreeze", "unpause", NULL };

const struct cmd cmd_freeze = {
	.name = "freeze",
	.aliases = freeze_aliases,
	.summary = "make all processes of sandboxes stand still",
	.usage = "ID|NAME...",
	.opts = freeze_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "which: \"kennel list\" shows those that run",
	.operand_words = OPT_WORDS_SANDBOX,
	.run = freeze_run,
};

const struct cmd cmd_thaw = {
	.name = "thaw",
	.aliases = thaw_aliases,
	.summary = "let frozen sandboxes go on",
	.usage = "ID|NAME...",
	.opts = freeze_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "which: \"kennel list\" shows those that run",
	.operand_words = OPT_WORDS_SANDBOX,
	.run = thaw_run,
};
