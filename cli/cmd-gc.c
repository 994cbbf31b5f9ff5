/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-gc.c - "kennel gc": what killed runs left behind. Says what it did, also when that is nothing. */
#include <kennel/kennel.h>

#include "cli/cmd.h"

struct gc_args {
	bool quiet;
};

static int gc_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct gc_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	size_t n = 0;

	if (kennel_gc(&n, &err) < 0)
		return cli_error(cli, err);
	if (args->quiet)
		return 0;
	if (n == 0)
		buf_puts(&b, "nothing to remove\n");
	else
		buf_printf(&b, "removed %zu leftover%s of killed runs\n", n, n == 1 ? "" : "s");
	return cli_out(cli, &b);
}

static const struct opt gc_opts[] = {
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
