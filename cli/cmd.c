/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd.c - see cmd.h. "kennel" is a command like the others: its operands are the command's name and
 * words, so one parser serves "kennel --version" and "kennel run --net none".
 */
#include "cli/cmd.h"

#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/suggest.h"

/* clang-format off */
static const struct cmd *const cmds[] = {
	&cmd_run, &cmd_create, &cmd_start, &cmd_stop, &cmd_restart, &cmd_enter, &cmd_exec, &cmd_console,
	&cmd_wait, &cmd_freeze, &cmd_thaw, &cmd_list, &cmd_info, &cmd_log, &cmd_monitor, &cmd_top, &cmd_set,
	&cmd_config, &cmd_cp, &cmd_diff, &cmd_commit, &cmd_export, &cmd_import, &cmd_clone,
	&cmd_snapshot, &cmd_restore, &cmd_rename, &cmd_rm,
	&cmd_convert, &cmd_cg, &cmd_ns, &cmd_check, &cmd_gc, &cmd_completion, &cmd_help,
	NULL,
};
/* clang-format on */

const struct cmd *cmd_at(size_t i)
{
	return cmds[i];
}

static bool cmd_is_called(const struct cmd *cmd, const char *name, struct suggestion *near)
{
	if (strcmp(cmd->name, name) == 0)
		return true;
	for (const char *const *alias = cmd->aliases; alias && *alias; alias++)
		if (strcmp(*alias, name) == 0)
			return true;
	suggest_offer(near, name, cmd->name);
	return false;
}

const struct cmd *cmd_find(const char *name, struct kennel_error **err)
{
	struct suggestion near = { 0 };
	int r;

	for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
		if (cmd_is_called(*cmd, name, &near))
			return *cmd;
	if (near.best)
		r = fail(err, KENNEL_E_INVALID, "unknown command \"%s\"; did you mean \"%s\"?", name,
			 near.best);
	else
		r = fail(err, KENNEL_E_INVALID, "unknown command \"%s\"", name);
	(void)hint(err, r,
		   "try \"kennel --help\"; to run a program in a copy of the system: kennel run -- %s", name);
	return NULL;
}

static int check_operands(const struct cmd *cmd, const struct opt_input *in, struct kennel_error **err)
{
	if (in->n_operands > cmd->max_operands)
		return fail(err, KENNEL_E_INVALID, "too many words: \"%s\"", in->operands[cmd->max_operands]);
	if (in->n_operands >= cmd->min_operands)
		return 0;
	int r = fail(err, KENNEL_E_INVALID, "\"kennel %s\" needs %s: %s", cmd->name,
		     in->n_operands ? "one word more" : "more words", cmd->usage);
	return cmd->missing ? hint(err, r, "%s", cmd->missing) : r;
}

static int print_help(struct cli *cli, const struct cmd *cmd)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (cmd == &cmd_kennel)
		help_program(&b);
	else
		help_command(&b, cmd);
	return cli_out(cli, &b);
}

int cmd_invoke(struct cli *cli, const struct cmd *cmd, char *const *argv)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_opt_input_ struct opt_input in = { 0 };
	_cleanup_free_ void *args = calloc(1, cmd->args_size ? cmd->args_size : 1);
	int r;

	if (!args)
		r = fail(&err, KENNEL_E_NOMEM, "out of memory");
	else
		r = opt_parse(cmd->opts, cmd->rules, cmd->flags, argv, args, &in, &err);
	if (r == 0 && in.help)
		return print_help(cli, cmd);
	if (r == 0)
		r = check_operands(cmd, &in, &err);
	if (r == 0)
		return cmd->run(cli, args, &in);
	if (!kennel_error_hint(err))
		(void)hint(&err, r, cmd == &cmd_kennel ? "try \"%s --help\"" : "try \"kennel %s --help\"",
			   cmd->name);
	return cli_error(cli, err);
}

struct kennel_args {
	bool version;
};

static int kennel_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct kennel_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	if (args->version) {
		buf_printf(&b, "kennel %s\n", kennel_version());
		return cli_out(cli, &b);
	}
	if (in->n_operands == 0) {
		struct cli asked_nothing = { .out_fd = cli->err_fd, .err_fd = cli->err_fd };

		help_program(&b);
		(void)!cli_out(&asked_nothing, &b); /* fails either way */
		return CLI_EXIT_FAILED;
	}
	const struct cmd *cmd = cmd_find(in->operands[0], &err);
	if (!cmd)
		return cli_error(cli, err);
	return cmd_invoke(cli, cmd, (char *const *)in->operands + 1);
}

static const struct opt kennel_opts[] = {
	{ 0, "version", NULL, OPT_FLAG, offsetof(struct kennel_args, version), "show the version", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_kennel = {
	.name = "kennel",
	.summary = "run anything in a copy of your own system",
	.usage = "COMMAND [ARG]...",
	.more = "\"kennel run\" alone gives a shell in a copy of this system. \"kennel help COMMAND\" "
		"says more of a command; kennel(1) explains the words.",
	.opts = kennel_opts,
	.flags = OPT_OPERAND_ENDS,
	.max_operands = CMD_OPERANDS_ANY,
	.args_size = sizeof(struct kennel_args),
	.run = kennel_run,
};

int cli_main(struct cli *cli, char *const *argv)
{
	return cmd_invoke(cli, &cmd_kennel, argv[0] ? argv + 1 : argv);
}
