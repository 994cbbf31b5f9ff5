/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-rm.c - "kennel rm": containers with all their changes. One that can't go does not keep the
 * others.
 */
#include <stdlib.h>

#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/spec-opt.h"

struct rm_args {
	const char *path;
	bool force, snapshots, promote;
};

struct removing {
	struct cli *cli;
	const char *store;
	unsigned flags;
	const char *const *names;
	size_t n;
	bool *gone;
};

/* One round. Return: how many went; with say, the others are told why not. */
static size_t remove_round(const struct removing *rm, bool say, int *ret_status)
{
	size_t went = 0;

	for (size_t i = 0; i < rm->n; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;

		if (rm->gone[i])
			continue;
		rm->gone[i] = kennel_container_remove(rm->store, rm->names[i], rm->flags, &why) == 0;
		went += rm->gone[i];
		if (!rm->gone[i] && (say || kennel_error_code(why) != KENNEL_E_BUSY)) {
			*ret_status = cli_error(rm->cli, why);
			rm->gone[i] = true; /* told, and not tried again */
		}
	}
	return went;
}

static int rm_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct rm_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct removing rm = {
		.cli = cli,
		.flags = (args->force ? KENNEL_REMOVE_END : 0) |
			 (args->snapshots ? KENNEL_REMOVE_SNAPSHOTS : 0) |
			 (args->promote ? KENNEL_REMOVE_PROMOTE : 0),
		.names = (const char *const *)in->operands,
		.n = in->n_operands,
	};
	int status = 0;

	if (spec_opt_store(args->path, &b, &rm.store, &err) < 0)
		return cli_error(cli, err);
	rm.gone = calloc(rm.n + 1, sizeof(*rm.gone));
	if (!rm.gone)
		return cli_error(cli, NULL);
	/* An origin can go once its clones have gone, in whatever order they were named. */
	while (remove_round(&rm, false, &status))
		;
	remove_round(&rm, true, &status);
	free(rm.gone);
	return status;
}

#define ARG(m) offsetof(struct rm_args, m)
static const struct opt rm_opts[] = {
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 'f', "force", NULL, OPT_FLAG, ARG(force), "end one that runs first", NULL },
	{ 's', "snapshots", NULL, OPT_FLAG, ARG(snapshots), "and its snapshots", NULL },
	{ 0, "promote", NULL, OPT_FLAG, ARG(promote), "also one with clones, which go on by themselves",
	  NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_rm = {
	.name = "rm",
	.summary = "remove containers with all their changes",
	.usage = "[OPTION]... NAME...",
	.opts = rm_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "name the container; \"kennel list\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct rm_args),
	.run = rm_run,
};
