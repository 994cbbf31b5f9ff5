/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-enter.c - "kennel enter" and "kennel exec": one more shell, or command, in a sandbox that runs.
 * The two differ in what they do without a command: enter starts a login shell, exec refuses.
 */
#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/live.h"
#include "cli/spec-opt.h"

struct enter_args {
	bool tty, no_tty;
};

#define ARG(m) offsetof(struct enter_args, m)
static const struct opt enter_opts[] = {
	{ 'u', "user", "USER[:GROUP]", OPT_SETTING, 0, "as this user of the inside (default: root)", NULL },
	{ 'w', "workdir", "PATH", OPT_SETTING, 0,
	  "in this directory of the inside (default: the user's home)", NULL },
	{ 'e', "env", "NAME[=VALUE]", OPT_SETTING, 0, "set a variable, or hand on your own; may be repeated",
	  NULL },
	{ 0, "no-new-privs", NULL, OPT_SETTING, 0, "setuid programs and file capabilities give nothing",
	  NULL },
	{ 't', "tty", NULL, OPT_FLAG, ARG(tty), "give it a terminal of its own (default: if you are on one)",
	  NULL },
	{ 'T', "no-tty", NULL, OPT_FLAG, ARG(no_tty), "hand on your own descriptors instead", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule enter_rules[] = {
	{ "tty", OPT_EXCLUDES, "no-tty" },
	{ .name = NULL },
};

static int refuse_nothing(struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_INVALID, "there is no command"),
		    "\"kennel enter\" gives a shell");
}

static int enter(struct cli *cli, const void *p, const struct opt_input *in, bool must_run)
{
	const struct enter_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;
	int status = CLI_EXIT_FAILED;

	int r = must_run && !*live_command(in) ? refuse_nothing(&err) : kennel_spec_new(&spec, &err);
	if (r == 0)
		r = spec_opt_fill(spec, in, args->tty, args->no_tty, live_command(in), &err);
	if (r == 0)
		r = kennel_enter_last(in->operands[0], spec, &status, &err);
	if (r < 0) {
		(void)cli_error(cli, err);
		status = kennel_exit_code(err);
	}
	kennel_spec_free(spec);
	return status;
}

static int enter_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	return enter(cli, p, in, false);
}

static int exec_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	return enter(cli, p, in, true);
}

#define ENTER_EXIT_CODES \
	"Exit code: the command's own; 125 kennel failed, 126 the command can't be executed, " \
	"127 it was not found, 128+N signal N ended it."

const struct cmd cmd_enter = {
	.name = "enter",
	.summary = "a shell, or a command, in a sandbox that runs",
	.usage = "[OPTION]... ID|NAME [--] [COMMAND [ARG]...]",
	.more = ENTER_EXIT_CODES,
	.opts = enter_opts,
	.rules = enter_rules,
	.flags = OPT_OPERAND_ENDS,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "which sandbox: \"kennel list\" shows those that are running",
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct enter_args),
	.run = enter_run,
};

const struct cmd cmd_exec = {
	.name = "exec",
	.summary = "run a command in a sandbox that runs",
	.usage = "[OPTION]... ID|NAME [--] COMMAND [ARG]...",
	.more = ENTER_EXIT_CODES,
	.opts = enter_opts,
	.rules = enter_rules,
	.flags = OPT_OPERAND_ENDS,
	.min_operands = 2,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "which sandbox, and what to run there; \"kennel enter\" gives a shell",
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct enter_args),
	.run = exec_run,
};
