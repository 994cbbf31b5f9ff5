/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-log.c - "kennel log": what a container's console has shown.
 *
 * What comes out of a container must not move a person's cursor or type into the terminal: there, of control
 * characters only newline and tab come through, and escape sequences are left out. A program gets the bytes.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/plain.h"
#include "cli/spec-opt.h"

struct log_args {
	const char *path, *lines;
	bool follow, raw;
};

struct output {
	struct cli *cli;
	struct plain plain;
	bool raw;
	int status;
};

static int put(void *data, const char *bytes, size_t n)
{
	struct output *o = data;
	_cleanup_buf_ struct buf b = { 0 };

	if (o->raw)
		buf_add(&b, bytes, n);
	else
		plain_add(&o->plain, bytes, n, &b);
	o->status = b.len ? cli_out(o->cli, &b) : 0;
	return o->status;
}

static int log_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct log_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct output out = { .cli = cli, .raw = args->raw || !cli_is_terminal(cli) };
	const char *store = NULL;
	uint32_t lines = 0;
	int r = 0;

	if (args->lines && (parse_u32(args->lines, &lines) < 0 || !lines))
		r = hint(&err,
			 fail(&err, KENNEL_E_INVALID, "lines: \"%s\" is not a number of lines", args->lines),
			 "it is 1 or more; without it all is shown");
	if (r == 0)
		r = spec_opt_store(args->path, &b, &store, &err);
	if (r == 0)
		r = kennel_log(store, in->operands[0], lines, args->follow, put, &out, &err);
	return r < 0 ? cli_error(cli, err) : out.status;
}

#define ARG(m) offsetof(struct log_args, m)
static const struct opt log_opts[] = {
	{ 'f', "follow", NULL, OPT_FLAG, ARG(follow), "go on with what comes, until the container is stopped",
	  NULL },
	{ 'n', "lines", "NUMBER", OPT_STRING, ARG(lines), "only the last lines", NULL },
	{ 'r', "raw", NULL, OPT_FLAG, ARG(raw), "the terminal's own bytes, also on a terminal", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_log = {
	.name = "log",
	.summary = "show what the console of a container has shown",
	.usage = "[OPTION]... NAME|FILE",
	.more = "On a terminal escape sequences are left out. The last two megabytes are kept; "
		"of a container in a file only as long as it runs.",
	.opts = log_opts,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "which container: \"kennel list --kept\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct log_args),
	.run = log_run,
};
