/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-import.c - "kennel import": the library does all of it; here are its words and a bar. */
#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"

struct import_args {
	const char *store, *what, *base;
	bool quiet, copy, drop_unknown;
};

/* They are said when the bar is gone. */
static void note_dropped(void *data, const char *what)
{
	struct buf *b = data;

	buf_printf(b, "%s%s", b->len ? ", " : "", what);
}

static int import_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct import_args *a = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf text = { 0 }, path = { 0 }, dropped = { 0 };
	struct progress progress;
	uint64_t left_out = 0;
	const char *store = NULL;

	if (spec_opt_store(a->store, &path, &store, &err) < 0)
		return cli_error(cli, err);
	const struct kennel_import_options o = {
		.size = sizeof(o),
		.store = store,
		.what = a->what,
		.base = a->base,
		.tick = progress_tick,
		.data = &progress,
		.copy = a->copy,
		.drop_unknown = a->drop_unknown,
		.dropped = note_dropped,
		.dropped_data = &dropped,
	};
	buf_printf(&text, "reading \"%s\"", in->operands[0]);
	progress_start(&progress, cli, buf_str(&text), PROGRESS_SHIPPED);
	progress.tty = progress.tty && !a->quiet;
	int r = kennel_import(in->operands[0], in->operands[1], &o, &left_out, &err);
	progress_end(&progress);
	if (r < 0)
		return cli_error(cli, err);
	if (dropped.len && !a->quiet) {
		text.len = 0;
		buf_printf(&text, "left out: %s", buf_str(&dropped));
		cli_say(cli, buf_str(&text), "\n");
	}
	if (left_out && !a->quiet) {
		text.len = 0;
		buf_printf(&text, "%llu file%s or attribute%s were left out", (unsigned long long)left_out,
			   left_out == 1 ? "" : "s", left_out == 1 ? "" : "s");
		cli_say(cli, buf_str(&text), "\n");
	}
	return 0;
}

#define ARG(m) offsetof(struct import_args, m)
static const struct opt import_opts[] = {
	{ 'P', "path", "DIR", OPT_STRING, ARG(store), "the store that it is made in", OPT_WORDS_PATH },
	{ 0, "what", "WHAT", OPT_STRING, ARG(what), "delta or root, where the input does not tell",
	  "delta root" },
	{ 0, "base", "BASE", OPT_STRING, ARG(base),
	  "what the changes lie over, where the input does not tell", OPT_WORDS_PATH },
	{ 0, "copy", NULL, OPT_FLAG, ARG(copy),
	  "of LXC or nspawn: copy the tree; else it is the base where it is", NULL },
	{ 0, "drop-unknown", NULL, OPT_FLAG, ARG(drop_unknown),
	  "of LXC or nspawn: leave out settings that have no counterpart", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_import = {
	.name = "import",
	.summary = "make a container of an archive, an image or another tool's",
	.usage = "[OPTION]... IN NAME",
	.opts = import_opts,
	.min_operands = 2,
	.max_operands = 2,
	.missing = "a file or directory, and a name for the container",
	.operand_words = OPT_WORDS_PATH,
	.args_size = sizeof(struct import_args),
	.run = import_run,
};
