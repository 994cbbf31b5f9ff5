/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-gc.c - "kennel gc": what killed runs left behind. Says what it did, also when that is nothing. */
#include <kennel/kennel.h>

#include "cli/cmd.h"
#include "cli/spec-opt.h"

struct gc_args {
	const char *path;
	bool quiet, check;
};

static void say(void *data, const char *text)
{
	cli_say(data, text, "\n");
}

/* Problems are told and make the status 1: nothing of them can be mended here. */
static int check(struct cli *cli, const char *store, bool quiet, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_list *l = NULL;

	int r = kennel_container_check(store, &l, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < kennel_list_count(l); i++)
		buf_printf(&b, "%s: %s\n", kennel_list_value(l, i, "name"),
			   kennel_list_value(l, i, "problem"));
	if (!kennel_list_count(l) && !quiet)
		buf_puts(&b, "all is there that containers stand on\n");
	bool bad = kennel_list_count(l) > 0;
	kennel_list_free(l);
	r = cli_out(cli, &b);
	return r ? r : bad;
}

static int gc_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct gc_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 }, path = { 0 };
	const char *store = NULL;
	size_t n = 0, half_made = 0;

	int r = spec_opt_store(args->path, &path, &store, &err);
	const struct kennel_commit_options o = { .size = sizeof(o), .say = say, .data = cli };
	int commits = r < 0 ? 0 : kennel_commit_recover(&o, &err);
	if (r == 0)
		r = MIN(commits, 0);
	if (r == 0)
		r = kennel_gc(&n, &err);
	if (r == 0)
		r = kennel_container_gc(store, &half_made, &err);
	n += half_made + (size_t)MAX(commits, 0);
	if (r < 0)
		return cli_error(cli, err);
	if (args->check) {
		r = check(cli, store, args->quiet, &err);
		return r < 0 ? cli_error(cli, err) : r;
	}
	if (args->quiet)
		return 0;
	if (n == 0)
		buf_puts(&b, "nothing to remove\n");
	else
		buf_printf(&b, "removed %zu leftover%s of killed runs\n", n, n == 1 ? "" : "s");
	return cli_out(cli, &b);
}

static const struct opt gc_opts[] = {
	{ 'P', "path", "DIR", OPT_STRING, offsetof(struct gc_args, path),
	  "where containers are, instead of your own place", OPT_WORDS_PATH },
	{ 0, "check", NULL, OPT_FLAG, offsetof(struct gc_args, check),
	  "and look whether all is there that containers and snapshots stand on", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, offsetof(struct gc_args, quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_gc = {
	.name = "gc",
	.summary = "remove what killed runs left behind",
	.usage = "[OPTION]...",
	.opts = gc_opts,
	.args_size = sizeof(struct gc_args),
	.run = gc_run,
};
