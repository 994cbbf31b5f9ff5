/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-console.c - "kennel console": the terminal of a container in the background. */
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/parse.h"
#include "cli/cmd.h"

#define ESCAPE_DEFAULT 0x1d /* ^], as of telnet and virsh */

struct console_args {
	const char *escape, *tty;
	bool no_backlog, quiet;
};

/* "^]", "^a", "none", or the key itself. */
static int parse_key(const char *text, int *ret, struct kennel_error **err)
{
	if (strcmp(text, "none") == 0)
		*ret = -1;
	else if (text[0] == '^' && text[1] >= '?' && text[1] <= '~' && !text[2])
		*ret = text[1] == '?' ? 0x7f : text[1] & 0x1f;
	else if (text[0] > ' ' && text[0] <= '~' && !text[1])
		*ret = text[0];
	else
		return hint(err, fail(err, KENNEL_E_INVALID, "escape: \"%s\" is not a key", text),
			    "it is ^ with a letter or a bracket, a single character, or none");
	return 0;
}

/* 0: the console itself. */
static int parse_tty(const char *text, unsigned *ret, struct kennel_error **err)
{
	uint64_t n = 0;

	if (text && (parse_u64(text, &n) < 0 || !n || n > UINT32_MAX))
		return hint(err, fail(err, KENNEL_E_INVALID, "tty: \"%s\" is no number of a terminal", text),
			    "they are counted from 1; without --tty it is the console");
	*ret = (unsigned)n;
	return 0;
}

static void say_connected(struct cli *cli, const char *name, unsigned tty, int key)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "connected to \"%s\"", name);
	if (tty)
		buf_printf(&b, ", terminal %u", tty);
	if (key == 0x7f)
		buf_puts(&b, "; ^? leaves it");
	else if (key >= 0)
		buf_printf(&b, "; %s%c leaves it", key < ' ' ? "^" : "", key < ' ' ? key + '@' : key);
	cli_say(cli, buf_str(&b), "\n");
}

static int console_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct console_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	int key = ESCAPE_DEFAULT, status = 0;
	unsigned tty = 0;

	if ((args->escape && parse_key(args->escape, &key, &err) < 0) || parse_tty(args->tty, &tty, &err) < 0)
		return cli_error(cli, err);
	bool person = isatty(STDIN_FILENO) && isatty(cli->err_fd) && !args->quiet;
	if (person)
		say_connected(cli, in->operands[0], tty, key);
	int r = kennel_console_tty(in->operands[0], tty, key, args->no_backlog ? 0 : KENNEL_CONSOLE_BACKLOG,
				   &status, &err);
	if (person && r >= 0)
		cli_say(cli, r > 0 ? "it has ended" : "left; it goes on", "\n");
	return r < 0 ? cli_error(cli, err) : r > 0 ? status : 0;
}

#define ARG(m) offsetof(struct console_args, m)
static const struct opt console_opts[] = {
	{ 'e', "escape", "KEY", OPT_STRING, ARG(escape),
	  "the key that leaves, such as ^a, or none (default: ^])", NULL },
	{ 't', "tty", "N", OPT_STRING, ARG(tty), "a further terminal, see --ttys, instead of the console",
	  NULL },
	{ 0, "no-backlog", NULL, OPT_FLAG, ARG(no_backlog), "don't begin with what it has shown lately",
	  NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_console = {
	.name = "console",
	.summary = "attach to the terminal of a container in the background",
	.usage = "[OPTION]... NAME|ID",
	.more = "Exit code: the container's own where it ends meanwhile, 0 where you leave it; "
		"125 kennel failed.",
	.opts = console_opts,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "which container: \"kennel list\" shows those that run",
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct console_args),
	.run = console_run,
};
