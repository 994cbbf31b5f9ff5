/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-clone.c - "kennel clone": a container out of another one. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/live.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"
#include "cli/store-opt.h"

#define ORIGIN_PART 55 /* of a name, which may have 64 characters */

struct clone_args {
	const char *path, *to_path, *size;
	struct store_args store;
	bool snapshot, whole, fresh, same, quiet, ephemeral, tmpfs, foreground;
};

static unsigned flags_of(const struct clone_args *args)
{
	/* A plain directory that depends on nothing is what "dir" stands for everywhere. */
	const bool whole = args->whole || (args->store.backing && strcmp(args->store.backing, "dir") == 0);

	return (args->snapshot || args->ephemeral ? KENNEL_CLONE_SNAPSHOT : 0) |
	       (args->ephemeral ? KENNEL_CLONE_EPHEMERAL : 0) | (args->tmpfs ? KENNEL_CLONE_TMPFS : 0) |
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

/* A name that hardly anything has. */
static int make_name(const char *origin, struct buf *ret, struct kennel_error **err)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return fail_errno(err, "get random bytes");
	buf_printf(ret, "%.*s-%08x", ORIGIN_PART, origin, v);
	return buf_check(ret, err);
}

/* Runs it; from then on it is its monitor's to remove it. Return: an exit code. */
static int start_ephemeral(struct cli *cli, const struct clone_args *args, const char *store,
			   const char *name, const char *const *command)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_spec *spec = NULL;
	char id[KENNEL_ID_SIZE];
	int status = 0;

	int r = live_start_spec(cli, args->quiet, store, name, command, &spec, &err);
	if (r == 0)
		r = args->foreground ? kennel_start_here(spec, &status, &err) : kennel_start(spec, id, &err);
	kennel_spec_free(spec);
	if (r < 0) {
		(void)!kennel_container_remove(store, name, 0, NULL);
		(void)cli_error(cli, err);
		return kennel_exit_code(err);
	}
	if (args->foreground || args->quiet)
		return status;
	buf_printf(&b, "%s\n", name);
	return cli_out(cli, &b);
}

static int check_operands(const struct clone_args *args, const struct opt_input *in,
			  struct kennel_error **err)
{
	if (!args->ephemeral && in->n_operands < 2)
		return hint(err, fail(err, KENNEL_E_INVALID, "a name for the new container is missing"),
			    "kennel clone %s NEW", in->operands[0]);
	if (!args->ephemeral && in->n_operands > 2)
		return hint(err, fail(err, KENNEL_E_INVALID, "unexpected argument \"%s\"", in->operands[2]),
			    "a command is run with --ephemeral alone");
	return 0;
}

static int clone_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct clone_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf made = { 0 };
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

	const char *new_name = in->n_operands > 1 ? in->operands[1] : NULL;

	if (check_operands(args, in, &err) < 0 || (!new_name && make_name(in->operands[0], &made, &err) < 0))
		return cli_error(cli, err);
	if (!new_name)
		new_name = buf_str(&made);
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
	int r = kennel_clone(in->operands[0], new_name, &o, &err);
	progress_end(&progress);
	if (r == 0 && !args->quiet)
		say_left(cli, left_out, no_keys);
	if (r < 0)
		return cli_error(cli, err);
	return args->ephemeral ? start_ephemeral(cli, args, o.to_store ? o.to_store : o.store, new_name,
						 in->operands + MIN(in->n_operands, (size_t)2)) :
				 0;
}

#define ARG(m) offsetof(struct clone_args, m)
static const struct opt clone_opts[] = {
	{ 's', "snapshot", NULL, OPT_FLAG, ARG(snapshot),
	  "share with the origin and copy nothing; both go on by themselves", NULL },
	{ 0, "whole", NULL, OPT_FLAG, ARG(whole),
	  "all that is seen inside becomes a base of its own, as with --backing dir", NULL },
	{ 'e', "ephemeral", NULL, OPT_FLAG, ARG(ephemeral),
	  "start it at once, and remove it when it ends; shares with the origin if it can", NULL },
	{ 0, "tmpfs", NULL, OPT_FLAG, ARG(tmpfs), "with --ephemeral: what it changes is in memory", NULL },
	{ 'F', "foreground", NULL, OPT_FLAG, ARG(foreground),
	  "with --ephemeral: stay with its console; ends it when this ends", NULL },
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
	{ "ephemeral", OPT_EXCLUDES, "whole" },
	{ "tmpfs", OPT_NEEDS, "ephemeral" },
	{ "tmpfs", OPT_EXCLUDES, "backing" },
	{ "foreground", OPT_NEEDS, "ephemeral" },
	{ "fresh-identity", OPT_EXCLUDES, "same-identity" },
	{ .name = NULL },
};

static const char *const clone_aliases[] = { "copy", NULL };

const struct cmd cmd_clone = {
	.name = "clone",
	.aliases = clone_aliases,
	.summary = "make a container that is what another one is now",
	.usage = "[OPTION]... ORIGIN NEW [--] [COMMAND [ARG]...]",
	.more = "COMMAND is run with --ephemeral, which makes up a name where NEW is left out, too, and "
		"prints it.",
	.opts = clone_opts,
	.rules = clone_rules,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "the container that is there, and the name of the new one",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct clone_args),
	.run = clone_run,
};
