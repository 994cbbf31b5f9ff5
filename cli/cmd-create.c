/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-create.c - "kennel create": a container that is not started yet. */
#include <kennel/kennel.h>

#include "base/strv.h"
#include "cli/cmd.h"
#include "cli/live.h"
#include "cli/spec-opt.h"

struct create_args {
	const char *path;
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

static int create(const struct create_args *args, const struct opt_input *in, struct kennel_spec *spec,
		  struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	const char *store = NULL;
	int r = 0;

	for (size_t i = 0; i < in->n_settings && r == 0; i++)
		r = spec_opt_set(spec, &in->settings[i], err);
	if (r == 0 && *live_command(in))
		r = set_command(spec, live_command(in), err);
	if (r == 0)
		r = spec_opt_store(args->path, &b, &store, err);
	return r < 0 ? r : kennel_container_create(store, in->operands[0], spec, err);
}

static int create_run(struct cli *cli, const void *args, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct kennel_spec *spec = NULL;

	int r = kennel_spec_new(&spec, &err);
	if (r == 0)
		r = create(args, in, spec, &err);
	kennel_spec_free(spec);
	return r < 0 ? cli_error(cli, err) : 0;
}

static const struct opt create_opts[] = {
	SPEC_OPT_HEADING("Where it is"),
	{ 'P', "path", "DIR", OPT_STRING, offsetof(struct create_args, path),
	  "where containers are, instead of your own place", OPT_WORDS_PATH },
	SPEC_OPT_ROWS,
	SPEC_OPT_STORE_ROWS,
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

const struct cmd cmd_create = {
	.name = "create",
	.summary = "make a container without starting it",
	.usage = "[OPTION]... NAME [--] [COMMAND [ARG]...]",
	.more = "Options and command become its configuration, which \"kennel set\" and \"kennel config\" "
		"change. \"kennel run -k NAME\" starts it here, \"kennel start NAME\" in the background.",
	.opts = create_opts,
	.min_operands = 1,
	.max_operands = CMD_OPERANDS_ANY,
	.missing = "give the container a name",
	.args_size = sizeof(struct create_args),
	.run = create_run,
};
