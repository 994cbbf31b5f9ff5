/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-clone.c - "kennel clone": a container out of another one. */
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"
#include "cli/store-opt.h"

struct clone_args {
	const char *path, *to_path, *size;
	struct store_args store;
	bool snapshot, whole, fresh, same, quiet;
};

static unsigned flags_of(const struct clone_args *args)
{
	/* A plain directory that depends on nothing is what "dir" stands for everywhere. */
	const bool whole = args->whole || (args->store.backing && strcmp(args->store.backing, "dir") == 0);

	return (args->snapshot ? KENNEL_CLONE_SNAPSHOT : 0) |
	       (whole && !args->snapshot ? KENNEL_CLONE_WHOLE : 0) |
	       (args->fresh ? KENNEL_CLONE_FRESH_IDENTITY : 0) |
	       (args->same ? KENNEL_CLONE_SAME_IDENTITY : 0);
}

static void say_left(struct cli *cli, uint64_t left_out, int no_keys)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (left_out)
		buf_printf(&b, "%llu file%s or attribute%s could not be read or made, and %s left out",
			   (unsigned long long)left_out, left_out == 1 ? "" : "s", left_out == 1 ? "" : "s",
			   left_out == 1 ? "was" : "were");
	if (left_out)
		cli_say(cli, buf_str(&b), "\n");
	if (no_keys)
		cli_say(cli, "its ssh host keys are gone; there is no ssh-keygen to make new ones", "\n");
}

static int clone_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct clone_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf from = { 0 }, to = { 0 }, what = { 0 };
	struct progress progress;
	struct kennel_storage_options storage;
	uint64_t left_out = 0;
	int no_keys = 0;
	struct kennel_clone_options o = {
		.size = sizeof(o),
		.storage = &storage,
		.flags = flags_of(args),
		.tick = progress_tick,
		.data = &progress,
		.ret_left_out = &left_out,
		.ret_no_keys = &no_keys,
	};

	store_opt_fill(&args->store, &storage);
	if (args->size && parse_size(args->size, &storage.size_bytes) < 0) {
		(void)hint(&err, fail(&err, KENNEL_E_INVALID, "\"%s\" is no size", args->size),
			   "a number of bytes, with K, M, G or T behind it for more");
		return cli_error(cli, err);
	}

	if (spec_opt_store(args->path, &from, &o.store, &err) < 0 ||
	    spec_opt_store(args->to_path, &to, &o.to_store, &err) < 0)
		return cli_error(cli, err);
	buf_printf(&what, "cloning \"%s\"", in->operands[0]);
	progress_start(&progress, cli, buf_str(&what), PROGRESS_BYTES);
	progress.tty = progress.tty && !args->quiet;
	int r = kennel_clone(in->operands[0], in->operands[1], &o, &err);
	progress_end(&progress);
	if (r == 0 && !args->quiet)
		say_left(cli, left_out, no_keys);
	return r < 0 ? cli_error(cli, err) : 0;
}

#define ARG(m) offsetof(struct clone_args, m)
static const struct opt clone_opts[] = {
	{ 's', "snapshot", NULL, OPT_FLAG, ARG(snapshot),
	  "share with the origin and copy nothing; both go on by themselves", NULL },
	{ 0, "whole", NULL, OPT_FLAG, ARG(whole),
	  "all that is seen inside becomes a base of its own, as with --backing dir", NULL },
	STORE_OPT_ROWS(struct clone_args, store),
	{ 0, "size", "SIZE", OPT_STRING, ARG(size), "of its volume", NULL },
	{ 0, "fresh-identity", NULL, OPT_FLAG, ARG(fresh),
	  "new machine-id, host keys and hardware addresses; the default for whole systems", NULL },
	{ 0, "same-identity", NULL, OPT_FLAG, ARG(same), "keep those of the origin", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 0, "to-path", "DIR", OPT_STRING, ARG(to_path),
	  "where the clone is to be, instead of beside its origin", OPT_WORDS_PATH },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule clone_rules[] = {
	{ "snapshot", OPT_EXCLUDES, "whole" },
	{ "fresh-identity", OPT_EXCLUDES, "same-identity" },
	{ .name = NULL },
};

static const char *const clone_aliases[] = { "copy", NULL };

const struct cmd cmd_clone = {
	.name = "clone",
	.aliases = clone_aliases,
	.summary = "make a container that is what another one is now",
	.usage = "[OPTION]... ORIGIN NEW",
	.opts = clone_opts,
	.rules = clone_rules,
	.min_operands = 2,
	.max_operands = 2,
	.missing = "the container that is there, and the name of the new one",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct clone_args),
	.run = clone_run,
};
