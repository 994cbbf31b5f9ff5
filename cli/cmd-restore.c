/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-restore.c - "kennel restore": a container becomes what it was. */
#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/spec-opt.h"

struct restore_args {
	const char *path, *as;
};

static int restore_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct restore_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;

	int r = spec_opt_store(args->path, &b, &store, &err);
	if (r == 0)
		r = kennel_snapshot_restore(store, in->operands[0], in->operands[1], args->as, &err);
	return r < 0 ? cli_error(cli, err) : 0;
}

static const struct opt restore_opts[] = {
	{ 0, "as", "NEW", OPT_STRING, offsetof(struct restore_args, as),
	  "a new container of that name; NAME stays what it is", NULL },
	{ 'P', "path", "DIR", OPT_STRING, offsetof(struct restore_args, path),
	  "where containers are, instead of your own place", OPT_WORDS_PATH },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_restore = {
	.name = "restore",
	.summary = "make a container what it was at a snapshot",
	.usage = "[OPTION]... NAME SNAPSHOT",
	.more = "What it has changed since then is gone, unless --as makes a new container of the snapshot.",
	.opts = restore_opts,
	.min_operands = 2,
	.max_operands = 2,
	.missing = "the container, and which of its snapshots; \"kennel snapshot --list NAME\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct restore_args),
	.run = restore_run,
};
