/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/help.c - "--help" out of the tables: options in one column, what they do in another, 80 columns at
 * most, so that it reads the same in any terminal and in a bug report.
 */
#include <ctype.h>
#include <string.h>

#include "cli/cmd.h"

#define LINE_WIDTH 80
#define HELP_COLUMN 30
#define NAME_COLUMN 14

static void add_spaces(struct buf *b, size_t n)
{
	for (; n > 0; n--)
		buf_puts(b, " ");
}

/* Puts text into lines of at most LINE_WIDTH; the first begins at column at, the others at column indent. */
static void add_wrapped(struct buf *b, const char *text, size_t at, size_t indent)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at + n > LINE_WIDTH && at > indent) {
			buf_puts(b, "\n");
			add_spaces(b, indent);
			at = indent;
		}
		buf_add(b, text, n);
		at += n;
		text += n;
		if (*text) {
			text++;
			if (at + 1 + strcspn(text, " ") <= LINE_WIDTH) {
				buf_puts(b, " ");
				at++;
			} else {
				at = LINE_WIDTH;
			}
		}
	}
	buf_puts(b, "\n");
}

static void add_option(struct buf *b, const struct opt *o)
{
	size_t start = b->len;

	if (o->letter)
		buf_printf(b, "  -%c, --%s", o->letter, o->name);
	else
		buf_printf(b, "      --%s", o->name);
	if (o->arg)
		buf_printf(b, " %s", o->arg);
	size_t at = b->len - start;
	if (at + 2 > HELP_COLUMN) {
		buf_puts(b, "\n");
		at = 0;
	}
	add_spaces(b, HELP_COLUMN - at);
	add_wrapped(b, o->help, HELP_COLUMN, HELP_COLUMN);
}

static void add_options(struct buf *b, const struct opt *o)
{
	if (o->type != OPT_HEADING)
		buf_puts(b, "\nOptions:\n");
	for (; o->type != OPT_END; o++) {
		if (o->type == OPT_HEADING)
			buf_printf(b, "\n%s:\n", o->help);
		else
			add_option(b, o);
	}
}

static void add_sentence(struct buf *b, const char *summary)
{
	buf_printf(b, "%c%s.\n", toupper((unsigned char)summary[0]), summary + 1);
}

void help_command(struct buf *b, const struct cmd *cmd)
{
	buf_printf(b, "Usage: kennel %s %s\n", cmd->name, cmd->usage);
	for (const char *const *alias = cmd->aliases; alias && *alias; alias++)
		buf_printf(b, "%s%s%s", alias == cmd->aliases ? "Also called: " : ", ", *alias,
			   alias[1] ? "" : "\n");
	add_sentence(b, cmd->summary);
	add_options(b, cmd->opts);
	if (cmd->more) {
		buf_puts(b, "\n");
		add_wrapped(b, cmd->more, 0, 0);
	}
}

void help_program(struct buf *b)
{
	const struct cmd *cmd;

	buf_printf(b, "Usage: kennel %s\n", cmd_kennel.usage);
	add_sentence(b, cmd_kennel.summary);
	buf_puts(b, "\nCommands:\n");
	for (size_t i = 0; (cmd = cmd_at(i)); i++) {
		size_t start = b->len;

		buf_printf(b, "  %s", cmd->name);
		add_spaces(b, NAME_COLUMN - MIN(b->len - start, (size_t)NAME_COLUMN));
		buf_printf(b, "%s\n", cmd->summary);
	}
	add_options(b, cmd_kennel.opts);
	buf_puts(b, "\n");
	add_wrapped(b, cmd_kennel.more, 0, 0);
}
