/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd.h - one struct per command; the list of them makes the dispatcher, "help" and the completions.
 *
 * cli/cmd-NAME.c exports one const struct cmd and nothing else.
 */
#ifndef KENNEL_CLI_CMD_H
#define KENNEL_CLI_CMD_H

#include "cli/cli.h"
#include "cli/opt.h"

struct cmd {
	const char *name;
	const char *const *aliases; /* NULL-terminated, or NULL */
	const char *summary; /* one line, as in the list of commands; no full stop */
	const char *usage; /* what follows the name */
	const char *more; /* end of its help, with full stops, or NULL */
	const struct opt *opts;
	const struct opt_rule *rules; /* or NULL */
	unsigned flags; /* enum opt_flags */
	size_t min_operands, max_operands;
	const char *missing; /* hint where operands are missing, or NULL */
	const char *operand_words; /* for completion, as in struct opt */
	size_t args_size; /* of the struct that opts fill; it starts as zeros */
	int (*run)(struct cli *cli, const void *args, const struct opt_input *in); /* exit code */
};

#define CMD_OPERANDS_ANY ((size_t)-1)

/* "kennel" itself: its options stand in front of the command. */
extern const struct cmd cmd_kennel;

extern const struct cmd cmd_run, cmd_create, cmd_start, cmd_stop, cmd_restart, cmd_enter, cmd_exec,
	cmd_console, cmd_wait, cmd_freeze, cmd_thaw, cmd_list, cmd_info, cmd_log, cmd_monitor, cmd_top,
	cmd_set, cmd_config, cmd_cp, cmd_diff, cmd_commit, cmd_export, cmd_import, cmd_clone, cmd_snapshot,
	cmd_restore, cmd_rename, cmd_rm, cmd_cg, cmd_convert, cmd_ns, cmd_check, cmd_gc, cmd_completion,
	cmd_help;

/* All commands in the order of "help", then NULL. */
const struct cmd *cmd_at(size_t i);
/* By name or alias. Return: command, or NULL with *err set. */
const struct cmd *cmd_find(const char *name, struct kennel_error **err) MUST_CHECK;
/* Parses argv (without the command's name) and runs it. Return: exit code. */
int cmd_invoke(struct cli *cli, const struct cmd *cmd, char *const *argv);

/* What --help prints. */
void help_command(struct buf *b, const struct cmd *cmd);
void help_program(struct buf *b);

#endif
