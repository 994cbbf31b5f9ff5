/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-run.c - "kennel run": options to a spec, start, follow to the end, the one closing line, the exit
 * code.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/ask.h"
#include "cli/cmd.h"
#include "cli/facts.h"
#include "cli/leave.h"
#include "cli/spec-opt.h"

struct run_args {
	bool tty, no_tty;
	bool ask;
	bool quiet;
	unsigned verbose;
	const char *session;
};

#define ARG(m) offsetof(struct run_args, m)
static const struct opt run_opts[] = {
	SPEC_OPT_HEADING("What stays"),
	{ 'k', "keep", "NAME", OPT_SETTING, 0, "keep the changes, as container NAME; made if it is not there",
	  OPT_WORDS_CONTAINER },
	{ 'P', "path", "DIR", OPT_SETTING, 0, "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 'f', "file", "FILE", OPT_SETTING, 0, "keep the changes in one file; made if it is not there",
	  OPT_WORDS_PATH },
	{ 0, "format", "FORMAT", OPT_SETTING, 0, "of a file that is made: ext4 (default) or btrfs",
	  "ext4 btrfs" },
	{ 0, "force", NULL, OPT_SETTING, 0, "open a file over another base than its own, too", NULL },
	{ 0, "trust", NULL, OPT_SETTING, 0, "accept what a file's configuration asks of this machine", NULL },
	{ 0, "session", "DIR", OPT_STRING, ARG(session),
	  "a kernel of its own with a config and a save file in DIR, made if it is not there",
	  OPT_WORDS_PATH },
	SPEC_OPT_ROWS,
	{ 't', "tty", NULL, OPT_FLAG, ARG(tty), "give it a terminal of its own (default: if you are on one)",
	  NULL },
	{ 'T', "no-tty", NULL, OPT_FLAG, ARG(no_tty), "hand on your own descriptors instead", NULL },
	SPEC_OPT_HEADING("What is told"),
	{ 0, "ask", NULL, OPT_FLAG, ARG(ask), "ask for the main choices on the terminal first", NULL },
	{ 'q', "quiet", NULL, OPT_FLAG, ARG(quiet), "errors only", NULL },
	{ 'v', "verbose", NULL, OPT_COUNT, ARG(verbose), "say what is decided; twice: every step", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule run_rules[] = {
	{ "tty", OPT_EXCLUDES, "no-tty" },   { "quiet", OPT_EXCLUDES, "verbose" },
	{ "path", OPT_NEEDS, "keep" },	     { "file", OPT_EXCLUDES, "keep" },
	{ "format", OPT_NEEDS, "file" },     { "force", OPT_NEEDS, "file" },
	{ "trust", OPT_NEEDS, "file" },	     { "session", OPT_EXCLUDES, "keep" },
	{ "session", OPT_EXCLUDES, "file" }, { .name = NULL },
};

/* A disk, "ubd1rc=FILE", is named from where we are, as --drive is; the config has no such place. */
static int add_session_word(struct strv *words, const char *word, struct kennel_error **err)
{
	const char *equals = strchr(word, '=');
	_cleanup_buf_ struct buf file = { 0 };

	if (!equals || strncmp(word, "ubd", 3) != 0 || !equals[1])
		return strv_add(words, word, err);
	int r = spec_opt_absolute(equals + 1, &file, err);
	if (r < 0)
		return wrap(err, r, "%s", word);
	return strv_addf(words, err, "%.*s%s", (int)(equals + 1 - word), word, buf_str(&file));
}

/* Before the options, which overrule it; its words in front of the command are its own. */
static int add_session(struct kennel_spec *spec, const char *path, const char *const **command,
		       struct kennel_error **err)
{
	_cleanup_buf_ struct buf dir = { 0 };
	_cleanup_strv_ struct strv words = { 0 };
	size_t taken = 0;

	int r = spec_opt_absolute(path, &dir, err);
	for (const char *const *w = *command; *w && r == 0; w++)
		r = add_session_word(&words, *w, err);
	if (r == 0)
		r = kennel_spec_add_session(spec, buf_str(&dir), (const char *const *)words.items, &taken,
					    err);
	*command += taken;
	if (r == 0 && taken && **command && strcmp(**command, "--") == 0)
		++*command; /* "--" in front of them all is the options' own */
	return r;
}

static int fill_spec(struct kennel_spec *spec, const struct run_args *args, const struct opt_input *in,
		     struct kennel_error **err)
{
	const char *const *command = in->operands;
	int r = args->session ? add_session(spec, args->session, &command, err) : 0;

	/* A session may have a command of its own. */
	if (r == 0)
		r = spec_opt_fill(spec, in, args->tty, args->no_tty,
				  args->session && !*command ? NULL : command, err);
	return r == 0 && args->quiet ? kennel_spec_set(spec, "quiet", "yes", err) : r;
}

struct run_log {
	struct cli *cli;
	const struct run_args *args;
	bool raw;               /* the terminal wants its own carriage returns */
};

static void write_log(void *data, enum kennel_log_level level, const char *text)
{
	const struct run_log *log = data;

	if (level == KENNEL_LOG_WARN ? !log->args->quiet : (unsigned)level <= log->args->verbose)
		cli_say(log->cli, text, log->raw ? "\r\n" : "\n");
}

/* What a container has by now, from all of its runs. */
static void say_kept(struct buf *b, const char *name, bool known, uint64_t n)
{
	if (known && n == 0)
		buf_printf(b, "\"%s\" keeps no changed file", name);
	else if (known && n == 1)
		buf_printf(b, "\"%s\" keeps 1 changed file", name);
	else if (known)
		buf_printf(b, "\"%s\" keeps %llu changed files", name, (unsigned long long)n);
	else
		buf_printf(b, "\"%s\" keeps all changes", name);
}

/* What becomes of the changes is asked where there are some and somebody to answer. */
static void say_farewell(struct cli *cli, struct kennel_sandbox *sb, const struct kennel_spec *spec)
{
	const char *name = kennel_sandbox_container(sb);
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t n = 0;

	bool known = kennel_sandbox_count_changes(sb, &n, NULL) == 0;
	if (!name && n && isatty(STDIN_FILENO) && isatty(cli->err_fd)) {
		leave_ask(cli, sb, spec, n);
		return;
	}
	if (name)
		say_kept(&b, name, known, n);
	else if (!known)
		buf_puts(&b, "all changes are gone");   /* true even where they can't be counted */
	else if (n == 0)
		buf_puts(&b, "no file was changed");
	else {
		leave_count(&b, n);
		buf_puts(&b, n == 1 ? " is gone" : " are gone");
	}
	cli_say(cli, buf_str(&b), "\n");
}

static void say_limits(struct cli *cli, const struct kennel_sandbox *sb)
{
	const uint64_t n = kennel_sandbox_count_oom_kills(sb);
	const unsigned hits = kennel_sandbox_limits_hit(sb);
	_cleanup_buf_ struct buf b = { 0 };

	if (n && fact_killed(hits)) {
		buf_printf(&b, "%llu %s killed, for %s", (unsigned long long)n,
			   n == 1 ? "process was" : "processes were", fact_killed(hits));
		cli_say(cli, buf_str(&b), "\n");
	}
	if (hits & KENNEL_HIT_PIDS)
		cli_say(cli, "--pids was reached: no more processes could be made", "\n");
}

static int follow(struct cli *cli, struct kennel_sandbox *sb, const struct kennel_spec *spec,
		  struct run_log *log, int *ret_status, struct kennel_error **err)
{
	bool interactive = kennel_sandbox_is_interactive(sb);

	log->raw = interactive;
	int r = kennel_sandbox_run(sb, ret_status, err);
	log->raw = false;
	if (r == 0 && !log->args->quiet)
		say_limits(cli, sb);
	if (r == 0 && interactive && !log->args->quiet)
		say_farewell(cli, sb, spec);
	return r;
}

static int run_run(struct cli *cli, const void *p, const struct opt_input *given)
{
	const struct run_args *args = p;
	struct opt_input asked = *given, *in = &asked;
	_cleanup_ask_ struct ask ask = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct run_log log = { .cli = cli, .args = p };
	struct kennel_spec *spec = NULL;
	struct kennel_sandbox *sb = NULL;
	int status = CLI_EXIT_FAILED;

	if (args->ask) {
		int agreed = ask_run(given, &ask, &err);

		if (agreed <= 0)
			return agreed < 0 ? cli_error(cli, err) : CLI_EXIT_CANCELLED;
		asked.settings = ask.settings;
		asked.n_settings = ask.n;
	}
	int r = kennel_spec_new(&spec, &err);
	if (r == 0)
		r = fill_spec(spec, p, in, &err);
	if (r == 0) {
		kennel_spec_set_log(spec, write_log, &log);
		r = kennel_sandbox_start(spec, &sb, &err);
	}
	if (r == 0)
		r = follow(cli, sb, spec, &log, &status, &err);
	if (r == 0)
		r = kennel_sandbox_save(sb, &err);
	if (r < 0) {
		(void)cli_error(cli, err);
		status = kennel_exit_code(err);
	}
	kennel_sandbox_leave(sb);       /* we end now: what is left goes with this process */
	kennel_spec_free(spec);         /* after the sandbox, which may still tell its log something */
	return status;
}

const struct cmd cmd_run = {
	.name = "run",
	.summary = "run a command, or a shell, in a throwaway copy of the system",
	.usage = "[OPTION]... [--] [COMMAND [ARG]...]",
	.more = "Exit code: the command's own; 125 kennel failed, 126 the command can't be executed, "
		"127 it was not found, 128+N signal N ended it. See kennel-run(1) for the levels and for "
		"examples.",
	.opts = run_opts,
	.rules = run_rules,
	.flags = OPT_OPERAND_ENDS,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_PROGRAM,
	.args_size = sizeof(struct run_args),
	.run = run_run,
};
