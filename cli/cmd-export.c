/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/cmd-export.c - "kennel export": the library does all of it; here are its words and a bar. */
#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"

struct export_args {
	const char *store, *output, *what, *format, *as;
	const char *package, *version, *depends, *description, *maintainer;
	bool force, quiet;
};

/* What could not be kept is worth a line, not a failure. */
static void say_left_out(struct cli *cli, uint64_t n, bool quiet)
{
	_cleanup_buf_ struct buf b = { 0 };

	if (!n || quiet)
		return;
	buf_printf(&b, "%llu file%s or attribute%s could not be kept in this format", (unsigned long long)n,
		   n == 1 ? "" : "s", n == 1 ? "" : "s");
	cli_say(cli, buf_str(&b), "\n");
}

static int export_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct export_args *a = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf label = { 0 }, path = { 0 };
	struct progress progress;
	uint64_t left_out = 0;
	const char *store = NULL;

	if (!a->output) {
		(void)hint(&err, fail(&err, KENNEL_E_INVALID, "where to? An output is missing"), "-o OUT");
		return cli_error(cli, err);
	}
	if (spec_opt_store(a->store, &path, &store, &err) < 0)
		return cli_error(cli, err);
	const struct kennel_export_options o = {
		.size = sizeof(o),
		.store = store,
		.what = a->what,
		.format = a->format,
		.as = a->as,
		.package = a->package,
		.version = a->version,
		.depends = a->depends,
		.description = a->description,
		.maintainer = a->maintainer,
		.force = a->force,
		.tick = progress_tick,
		.data = &progress,
	};
	buf_printf(&label, "writing \"%s\"", a->output);
	progress_start(&progress, cli, buf_str(&label), PROGRESS_SHIPPED);
	progress.tty = progress.tty && !a->quiet;
	int r = kennel_export(in->operands[0], a->output, &o, &left_out, &err);
	progress_end(&progress);
	if (r < 0)
		return cli_error(cli, err);
	say_left_out(cli, left_out, a->quiet);
	return 0;
}

#define ARG(m) offsetof(struct export_args, m)
#define FORMATS \
	"directory tar tar.zst tar.xz tar.gz squashfs erofs ext4 btrfs cpio cpio.zst cpio.xz cpio.gz oci oci.tar"
static const struct opt export_opts[] = {
	{ 'o', "output", "OUT", OPT_STRING, ARG(output), "where to; the suffix tells the format",
	  OPT_WORDS_PATH },
	{ 0, "what", "WHAT", OPT_STRING, ARG(what), "delta: the changes; root: all that is seen inside",
	  "delta root" },
	{ 0, "format", "NAME", OPT_STRING, ARG(format), "instead of the suffix; see below", FORMATS },
	{ 0, "as", "KIND", OPT_STRING, ARG(as), "deb, tar-package, bootable-initrd or base-image",
	  "deb tar-package bootable-initrd base-image" },
	{ 'P', "path", "DIR", OPT_STRING, ARG(store), "the store that the container is in", OPT_WORDS_PATH },
	{ 0, "force", NULL, OPT_FLAG, ARG(force), "put it in the place of what is there", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	{ .type = OPT_HEADING, .help = "Of a package" },
	{ 0, "package", "NAME", OPT_STRING, ARG(package), "its name (default: from OUT)", NULL },
	{ 0, "package-version", "VERSION", OPT_STRING, ARG(version),
	  "its version (default: from OUT, else 1.0)", NULL },
	{ 0, "depends", "TEXT", OPT_STRING, ARG(depends), "what it needs, as the package format has it",
	  NULL },
	{ 0, "description", "TEXT", OPT_STRING, ARG(description), "one line about it", NULL },
	{ 0, "maintainer", "TEXT", OPT_STRING, ARG(maintainer), "NAME <ADDRESS>", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule export_rules[] = {
	{ "as", OPT_EXCLUDES, "format" },
	{ "package", OPT_NEEDS, "as" },
	{ "package-version", OPT_NEEDS, "as" },
	{ "depends", OPT_NEEDS, "as" },
	{ "description", OPT_NEEDS, "as" },
	{ "maintainer", OPT_NEEDS, "as" },
	{ .name = NULL },
};

const struct cmd cmd_export = {
	.name = "export",
	.summary = "write a container's changes, or its whole root, into a file",
	.usage = "[OPTION]... -o OUT NAME|ID|FILE",
	.more = "Formats: " FORMATS ".",
	.opts = export_opts,
	.rules = export_rules,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "the name of a container or the id of a running sandbox; \"kennel list\" shows them",
	.operand_words = OPT_WORDS_SANDBOX " " OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct export_args),
	.run = export_run,
};
