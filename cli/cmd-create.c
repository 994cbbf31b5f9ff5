/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-create.c - "kennel create": a container that is not started yet. */
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/live.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"
#include "cli/store-opt.h"

struct create_args {
	const char *path, *template;
	struct store_args store;
	bool list_templates, quiet, verbose;
};

/* As one value, which a configuration can hold. */
static int set_command(struct kennel_spec *spec, const char *const *words, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	for (size_t i = 0; words[i]; i++) {
		buf_puts(&b, i ? " " : "");
		strv_quote_word(&b, words[i]);
	}
	int r = buf_check(&b, err);
	return r < 0 ? r : kennel_spec_set(spec, "command", buf_str(&b), err);
}

struct making {
	struct cli *cli;
	struct progress progress;
};

static int step(void *data, const char *text, uint64_t done, uint64_t total)
{
	return progress_step(&((struct making *)data)->progress, text, done, total);
}

static void said(void *data, const char *line)
{
	progress_say(&((struct making *)data)->progress, line);
}

static void say_left_out(struct cli *cli, uint64_t n)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "%llu file%s or attribute%s were left out", (unsigned long long)n, n == 1 ? "" : "s",
		   n == 1 ? "" : "s");
	cli_say(cli, buf_str(&b), "\n");
}

static int create_of_template(struct cli *cli, const struct create_args *args, const struct opt_input *in,
			      const char *store, const struct kennel_spec *spec, struct kennel_error **err)
{
	_cleanup_buf_ struct buf what = { 0 };
	struct making m = { .cli = cli };
	struct kennel_storage_options storage;
	const struct kennel_template_options o = {
		.size = sizeof(o),
		.storage = &storage,
		.store = store,
		.options = live_command(in),
		.step = step,
		.said = said,
		.verbose = args->verbose,
		.data = &m,
	};
	uint64_t left_out = 0;

	store_opt_fill(&args->store, &storage);
	buf_printf(&what, "making \"%s\"", in->operands[0]);
	progress_start(&m.progress, cli, buf_str(&what), PROGRESS_SHIPPED);
	m.progress.tty = m.progress.tty && !args->quiet;
	int r = kennel_template_create(args->template, in->operands[0], spec, &o, &left_out, err);
	progress_end(&m.progress);
	if (r == 0 && left_out && !args->quiet)
		say_left_out(cli, left_out);
	return r;
}

static int create(struct cli *cli, const struct create_args *args, const struct opt_input *in,
		  struct kennel_spec *spec, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_storage_options storage;
	const char *store = NULL;
	int r = 0;

	store_opt_fill(&args->store, &storage);
	for (size_t i = 0; i < in->n_settings && r == 0; i++)
		r = spec_opt_set(spec, &in->settings[i], err);
	if (r == 0)
		r = spec_opt_store(args->path, &b, &store, err);
	if (r == 0 && args->template)
		return create_of_template(cli, args, in, store, spec, err);
	if (r == 0 && *live_command(in))
		r = set_command(spec, live_command(in), err);
	return r < 0 ? r : kennel_container_create_on(store, in->operands[0], spec, &storage, err);
}

/* What the library has, and the words that are no programs. */
static int list_templates(struct cli *cli, struct kennel_error **err)
{
	static const char *const words[][2] = {
		{ "dir:PATH", "a copy of a directory" },
		{ "image:PATH", "a file system image, or an archive" },
		{ "oci:PATH", "an OCI image layout, in a directory or an archive" },
		{ "oci:docker://NAME", "an image out of a registry; needs skopeo" },
	};
	struct kennel_list *list = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	int r = kennel_template_list(&list, err);
	for (size_t i = 0; r == 0 && i < kennel_list_count(list); i++) {
		const char *damage = kennel_list_value(list, i, "damage");

		text_pad(&b, fact_text(list, i, "name"), 18);
		buf_puts(&b, "  ");
		buf_safe(&b, damage ? damage : fact_text(list, i, "summary"));
		buf_puts(&b, "\n");
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		text_pad(&b, words[i][0], 18);
		buf_printf(&b, "  %s\n", words[i][1]);
	}
	kennel_list_free(list);
	return r < 0 ? r : cli_out(cli, &b);
}

static int fail_nameless(struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_INVALID, "\"kennel create\" needs more words: [OPTION]... NAME"),
		    "give the container a name");
}

static int create_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct create_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;
	int r;

	if (args->list_templates || (args->template && strcmp(args->template, "list") == 0)) {
		r = list_templates(cli, &err);
		return r < 0 ? cli_error(cli, err) : r;
	}
	r = in->n_operands ? kennel_spec_new(&spec, &err) : fail_nameless(&err);
	if (r == 0)
		r = create(cli, args, in, spec, &err);
	kennel_spec_free(spec);
	return r < 0 ? cli_error(cli, err) : 0;
}

#define ARG(m) offsetof(struct create_args, m)
static const struct opt create_opts[] = {
	SPEC_OPT_HEADING("Where it is"),
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	STORE_OPT_ROWS(struct create_args, store),
	SPEC_OPT_HEADING("A base of its own"),
	{ 0, "template", "TEMPLATE", OPT_STRING, ARG(template),
	  "make a whole base for it; what follows NAME -- are options of the template",
	  "busybox debootstrap mmdebstrap download dir: image: oci: list" },
	{ 0, "list-templates", NULL, OPT_FLAG, ARG(list_templates), "show the templates that are there",
	  NULL },
	SPEC_OPT_ROWS,
	SPEC_OPT_STORE_ROWS,
	SPEC_OPT_HEADING("What is told"),
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	{ 'v', "verbose", NULL, OPT_FLAG, ARG(verbose), "all that a template says", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule create_rules[] = {
	{ "template", OPT_EXCLUDES, "base" },
	{ "verbose", OPT_NEEDS, "template" },
	{ "quiet", OPT_EXCLUDES, "verbose" },
	{ .name = NULL },
};

const struct cmd cmd_create = {
	.name = "create",
	.summary = "make a container without starting it",
	.usage = "[OPTION]... NAME [--] [COMMAND [ARG]...]",
	.more = "Options and command become its configuration, which \"kennel set\" and \"kennel config\" "
		"change. \"kennel run -k NAME\" starts it here, \"kennel start NAME\" in the background. "
		"With --template the words behind NAME are the template's; kennel-template(7) has them.",
	.opts = create_opts,
	.rules = create_rules,
	.max_operands = CMD_OPERANDS_ANY,
	.args_size = sizeof(struct create_args),
	.run = create_run,
};
