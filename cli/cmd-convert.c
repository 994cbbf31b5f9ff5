/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-convert.c - "kennel convert": the owners of a tree, from one range of ids to another. */
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"

struct convert_args {
	const char *store, *shift, *from, *count, *jobs;
	bool dry_run, json, quiet;
};

static int read_number(const char *name, const char *word, uint32_t *ret, struct kennel_error **err)
{
	if (parse_u32(word, ret) == 0)
		return 0;
	return hint(err, fail(err, KENNEL_E_INVALID, "--%s \"%s\" is no number", name, word),
		    "an id, such as 100000");
}

static int read_jobs(const char *word, unsigned *ret, struct kennel_error **err)
{
	uint32_t jobs;

	if (parse_u32(word, &jobs) < 0 || !jobs || jobs > 16)
		return fail(err, KENNEL_E_INVALID, "--jobs \"%s\" is no number from 1 to 16", word);
	*ret = jobs;
	return 0;
}

static int read_words(const struct convert_args *a, struct kennel_convert_options *o,
		      struct kennel_error **err)
{
	uint32_t from = 0;
	int r = 0;

	if (!a->shift)
		return hint(err, fail(err, KENNEL_E_INVALID, "convert to what?"),
			    "--shift BASE, or --shift none for the ids as they are seen inside");
	if (strcmp(a->shift, "none") != 0)
		r = read_number("shift", a->shift, &o->to, err);
	o->from = -1;
	if (r == 0 && a->from)
		r = strcmp(a->from, "none") == 0 ? 0 : read_number("from", a->from, &from, err);
	if (a->from)
		o->from = from;
	if (r == 0 && a->count)
		r = read_number("count", a->count, &o->count, err);
	if (r == 0 && a->count && !o->count)
		r = fail(err, KENNEL_E_INVALID, "--count 0 is a range of no ids");
	if (r == 0 && a->jobs)
		r = read_jobs(a->jobs, &o->workers, err);
	o->dry_run = a->dry_run;
	return r;
}

static int tell(struct cli *cli, const struct convert_args *a, const struct kennel_converted *c)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (a->json) {
		buf_printf(&b,
			   "{\"from\": %u, \"to\": %u, \"count\": %u, \"entries\": %llu, \"changed\": %llu, "
			   "\"resumed\": %s, \"dry_run\": %s}\n",
			   c->from, c->to, c->count, (unsigned long long)c->entries,
			   (unsigned long long)c->changed, c->resumed ? "true" : "false",
			   a->dry_run ? "true" : "false");
		return cli_out(cli, &b);
	}
	if (a->quiet)
		return 0;
	if (c->from == c->to)
		buf_printf(&b, "the ids begin at %u already", c->to);
	else
		buf_printf(&b, "%llu of %llu entries %s from %u-%u to %u-%u%s",
			   (unsigned long long)c->changed, (unsigned long long)c->entries,
			   a->dry_run ? "would move" : "moved", c->from, c->from + c->count - 1, c->to,
			   c->to + c->count - 1, c->resumed ? "; an earlier conversion is ended" : "");
	cli_say(cli, buf_str(&b), "\n");
	return 0;
}

static int convert_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct convert_args *a = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf text = { 0 }, path = { 0 };
	struct progress progress;
	struct kennel_converted converted = { 0 };
	struct kennel_convert_options o = { .size = sizeof(o), .tick = progress_tick, .data = &progress };

	int r = spec_opt_store(a->store, &path, &o.store, &err);
	if (r == 0)
		r = read_words(a, &o, &err);
	if (r < 0)
		return cli_error(cli, err);
	buf_printf(&text, "converting \"%s\"", in->operands[0]);
	progress_start(&progress, cli, buf_str(&text), PROGRESS_FILES);
	progress.tty = progress.tty && !a->quiet;
	r = kennel_convert(in->operands[0], &o, &converted, &err);
	progress_end(&progress);
	if (r < 0)
		return cli_error(cli, err);
	return tell(cli, a, &converted);
}

#define ARG(m) offsetof(struct convert_args, m)
static const struct opt convert_opts[] = {
	{ 's', "shift", "BASE|none", OPT_STRING, ARG(shift),
	  "the first id of the new range; none: the ids as they are seen inside", "none" },
	{ 0, "from", "BASE|none", OPT_STRING, ARG(from),
	  "the first id of the old range (default: the owner of the top directory)", "none" },
	{ 0, "count", "N", OPT_STRING, ARG(count), "how many ids (default: 65536)", NULL },
	{ 'j', "jobs", "N", OPT_STRING, ARG(jobs),
	  "work in N threads (default: one for each processor, 4 at most)", NULL },
	{ 'n', "dry-run", NULL, OPT_FLAG, ARG(dry_run), "look only: say what would be done", NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(store), "the store that the container is in", OPT_WORDS_PATH },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "what was done, for programs", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_convert = {
	.name = "convert",
	.summary = "move the owners of a tree from one range of ids to another",
	.usage = "[OPTION]... NAME|DIRECTORY",
	.more = "A directory has a slash in it, as in ./rootfs. "
		"Stopped in the middle, the same command goes on.",
	.opts = convert_opts,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "a container, or a directory with a slash in it",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct convert_args),
	.run = convert_run,
};
