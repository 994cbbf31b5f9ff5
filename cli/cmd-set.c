/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-set.c - "kennel set": single settings of a container, with the options of "run". What is to be
 * unset goes first, wherever it stands, so that "--unset share --share /x" says what it looks like.
 */
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/spec-opt.h"

struct set_args {
	const char *path;
};

static bool is_throwaway(const char *id)
{
	struct kennel_list *list = NULL;
	int r = kennel_list_read(id, &list, NULL);
	bool is = r == 0 && !kennel_list_value(list, 0, "name");

	kennel_list_free(list);
	return is;
}

static int set(const struct set_args *args, const struct opt_input *in, struct kennel_spec *spec,
	       struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_free_ const char **unset = calloc(in->n_settings + 1, sizeof(*unset));
	const char *store = NULL;
	size_t n = 0;
	int r = unset ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");

	if (r == 0 && !in->n_settings)
		r = hint(err, fail(err, KENNEL_E_INVALID, "nothing to set"),
			 "name options of \"kennel run\", or --unset KEY; see \"kennel config %s\"",
			 in->operands[0]);
	for (size_t i = 0; i < in->n_settings && r == 0; i++) {
		if (strcmp(in->settings[i].name, "unset") == 0)
			unset[n++] = in->settings[i].value;
		else
			r = spec_opt_set(spec, &in->settings[i], err);
	}
	if (r == 0)
		r = spec_opt_store(args->path, &b, &store, err);
	if (r < 0)
		return r;
	return !store && is_throwaway(in->operands[0]) ?
		       kennel_limits_set(in->operands[0], unset, spec, err) :
		       kennel_container_set(store, in->operands[0], unset, spec, err);
}

static int set_run(struct cli *cli, const void *args, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;

	int r = kennel_spec_new(&spec, &err);
	if (r == 0)
		kennel_spec_set_log(spec, spec_opt_warn, cli);
	if (r == 0)
		r = set(args, in, spec, &err);
	kennel_spec_free(spec);
	return r < 0 ? cli_error(cli, err) : 0;
}

static const struct opt set_opts[] = {
	SPEC_OPT_HEADING("Where it is, and what goes"),
	{ 'P', "path", "DIR", OPT_STRING, offsetof(struct set_args, path),
	  "where containers are, instead of your own place", OPT_WORDS_PATH },
	{ 0, "unset", "KEY[=VALUE]", OPT_SETTING, 0,
	  "drop a setting, or one value of a list; may be repeated", NULL },
	SPEC_OPT_ROWS,
	SPEC_OPT_STORE_ROWS,
	{ 'c', "command", "COMMAND", OPT_SETTING, 0, "what it runs, in one word, quoted as for a shell",
	  NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_set = {
	.name = "set",
	.summary = "change the configuration of a container, or limits of what runs",
	.usage = "[OPTION]... NAME|ID",
	.more = "Options that may be repeated add to what is there, others take its place. Limits "
		"change at once where it runs, all else at its next start. Of a throwaway, named by its "
		"ID, limits change alone.",
	.opts = set_opts,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "name the container; \"kennel list\" shows them",
	.operand_words = OPT_WORDS_CONTAINER " " OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct set_args),
	.run = set_run,
};
