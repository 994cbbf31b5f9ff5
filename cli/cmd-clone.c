/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-clone.c - "kennel clone": a container out of another one. */
#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"

struct clone_args {
	const char *path, *to_path;
	bool snapshot, quiet;
};

static int clone_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct clone_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf from = { 0 }, to = { 0 }, what = { 0 };
	struct progress progress;
	struct kennel_clone_options o = {
		.size = sizeof(o),
		.flags = args->snapshot ? KENNEL_CLONE_SNAPSHOT : 0,
		.tick = progress_tick,
		.data = &progress,
	};

	if (spec_opt_store(args->path, &from, &o.store, &err) < 0 ||
	    spec_opt_store(args->to_path, &to, &o.to_store, &err) < 0)
		return cli_error(cli, err);
	buf_printf(&what, "cloning \"%s\"", in->operands[0]);
	progress_start(&progress, cli, buf_str(&what), PROGRESS_BYTES);
	progress.tty = progress.tty && !args->quiet;
	int r = kennel_clone(in->operands[0], in->operands[1], &o, &err);
	progress_end(&progress);
	return r < 0 ? cli_error(cli, err) : 0;
}

#define ARG(m) offsetof(struct clone_args, m)
static const struct opt clone_opts[] = {
	{ 's', "snapshot", NULL, OPT_FLAG, ARG(snapshot),
	  "share with the origin and copy nothing; both go on by themselves", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 0, "to-path", "DIR", OPT_STRING, ARG(to_path),
	  "where the clone is to be, instead of beside its origin", OPT_WORDS_PATH },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const char *const clone_aliases[] = { "copy", NULL };

const struct cmd cmd_clone = {
	.name = "clone",
	.aliases = clone_aliases,
	.summary = "make a container that is what another one is now",
	.usage = "[OPTION]... ORIGIN NEW",
	.opts = clone_opts,
	.min_operands = 2,
	.max_operands = 2,
	.missing = "the container that is there, and the name of the new one",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct clone_args),
	.run = clone_run,
};
