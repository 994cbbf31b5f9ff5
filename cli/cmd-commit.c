/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-commit.c - "kennel commit": shows what would be done, asks, does it.
 *
 * Everything that is asked for or shown goes to standard error but the list itself, so the list can be kept.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/cmd.h"
#include "cli/commit-choose.h"
#include "cli/commit-list.h"
#include "cli/diff.h"
#include "cli/pager.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"

#define EXIT_SOME_LEFT 1
#define VIEW_PIECE (64u << 10)

struct commit_args {
	bool yes, dry_run, json, force, skip, running, undo, select;
	unsigned verbose;
	const char *store;
};

struct front {
	struct cli *cli;
	const struct commit_args *args;
	const char *store; /* absolute, or NULL */
	bool *offered; /* of each change: was it asked for? What a person takes away can be had back. */
	struct kennel_commit *commit;
	struct progress progress;
	bool in_progress;
};

static void say(void *data, const char *text)
{
	cli_say(((struct front *)data)->cli, text, "\n");
}

static int tick(void *data, uint64_t done, uint64_t total)
{
	struct front *f = data;

	return f->in_progress ? progress_tick(&f->progress, done, total) : 0;
}

static struct kennel_commit_options options_of(struct front *f)
{
	return (struct kennel_commit_options){
		.size = sizeof(struct kennel_commit_options),
		.flags = (f->args->force ? KENNEL_COMMIT_FORCE : 0u) |
			 (f->args->running ? KENNEL_COMMIT_RUNNING : 0u),
		.say = say,
		.progress = tick,
		.data = f,
		.store = f->store,
	};
}

/* A signal that came meanwhile ends us now as it would have; what it stopped is told first. */
static int end_progress(struct front *f, int r, const struct kennel_error *err)
{
	int code = r < 0 ? cli_error(f->cli, err) : 0;

	f->in_progress = false;
	progress_end(&f->progress);
	return code;
}

static int undo(struct front *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct kennel_commit_options o = options_of(f);
	_cleanup_free_ char *text = NULL;

	progress_start(&f->progress, f->cli, "undoing the commit", PROGRESS_FILES);
	f->in_progress = true;
	int r = kennel_commit_undo(&o, &text, &err);
	int code = end_progress(f, r, err);
	if (r == 0)
		(void)hint(&err, fail(&err, KENNEL_E_NOTFOUND, "there is no commit to undo"),
			   "only the last one can be undone, and only once");
	if (r > 0)
		cli_say(f->cli, text, "\n");
	return r == 0 ? cli_error(f->cli, err) : code;
}

static int apply(struct front *f, const struct commit_tally *t)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct kennel_commit_options o = options_of(f);
	_cleanup_buf_ struct buf b = { 0 };
	size_t n = 0;

	progress_start(&f->progress, f->cli, "applying the changes", PROGRESS_FILES);
	f->in_progress = true;
	int r = kennel_commit_apply(f->commit, &o, &n, &err);
	int code = end_progress(f, r, err);
	if (r < 0)
		return code;
	if (f->args->json) {
		commit_list_json(&b, f->commit, f->args->force, true);
		code = cli_out(f->cli, &b);
	} else {
		char text[128];

		snprintf(text, sizeof(text), "%zu change%s applied; \"kennel commit --undo\" takes %s back",
			 n, n == 1 ? "" : "s", n == 1 ? "it" : "them");
		cli_say(f->cli, text, "\n");
	}
	return code ? code : t->left || (t->conflicts && !f->args->force) ? EXIT_SOME_LEFT : 0;
}

static void show(struct front *f)
{
	_cleanup_buf_ struct buf b = { 0 };

	commit_list_text(&b, f->commit, f->args->force, f->args->verbose > 0, f->cli->out_colour);
	(void)!cli_out(f->cli, &b);
}

/* All there is to know: the list, what is left and why, the texts. */
static void view(struct front *f)
{
	struct diff_out o = { .delta = kennel_commit_delta(f->commit) };
	struct kennel_commit_entry e;
	struct pager p;

	pager_begin(&p, f->cli);
	o.cli = &p.cli;
	o.terminal = cli_is_terminal(&p.cli);
	commit_list_text(&o.b, f->commit, f->args->force, true, p.cli.out_colour);
	buf_puts(&o.b, "\n");
	for (size_t i = 0; !o.failed && kennel_commit_get(f->commit, i, &e) == 0; i++) {
		if (!e.chosen || e.verdict == KENNEL_COMMIT_LEFT)
			continue;
		if (diff_content(&o, &e.change) < 0)
			break;
		(void)!diff_flush(&o, VIEW_PIECE);
	}
	(void)!diff_flush(&o, 1);
	pager_end(&p);
	if (o.err)
		(void)cli_error(f->cli, o.err);
	error_clear(&o.err);
	buf_done(&o.b);
}

/* Return: 1 chosen, 0 as before, or a negative code. */
static int choose(struct front *f, char how, struct commit_tally *t, struct kennel_error **err)
{
	int r = how == 's' ? commit_choose_by_ticks(f->commit, f->offered, f->args->force, err) :
			     commit_choose_by_editor(f->commit, err);

	*t = commit_list_tally(f->commit, f->args->force);
	if (r < 0 || (r == 0 && how == 's'))
		return r;
	show(f);
	return 1;
}

static int read_answer(void)
{
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line));

	return n <= 0 ? 'n' : line[0] == '\n' ? 0 : line[0];
}

/* Return: 1 yes, 0 no, or a negative code. */
static int ask(struct front *f, struct commit_tally *t, struct kennel_error **err)
{
	for (;;) {
		_cleanup_buf_ struct buf b = { 0 };
		struct cli to_err = { .out_fd = f->cli->err_fd, .err_fd = f->cli->err_fd };

		buf_printf(&b, "apply th%s %zu change%s to the system? [y]es [n]o [e]dit [s]elect [v]iew ",
			   t->fine == 1 ? "is" : "ese", t->fine, t->fine == 1 ? "" : "s");
		(void)!cli_out(&to_err, &b);
		const char answer = (char)tolower(read_answer());
		switch (answer) {
		case 'y':
			return 1;
		case 'n':
		case 'q':
			return 0;
		case 'v':
			view(f);
			break;
		case 'e':
		case 's':
			/* What goes wrong leads back to the question. */
			if (choose(f, answer, t, err) < 0) {
				(void)cli_error(f->cli, *err);
				error_clear(err);
			}
			if (!t->fine)
				return 0;
			break;
		default:
			break;
		}
	}
}

static int refuse_conflicts(struct front *f, const struct commit_tally *t)
{
	_cleanup_error_ struct kennel_error *err = NULL;

	(void)hint(&err,
		   fail(&err, KENNEL_E_BUSY,
			"%zu place%s changed on this machine since the sandbox saw %s; nothing was applied",
			t->conflicts, t->conflicts == 1 ? " was" : "s were",
			t->conflicts == 1 ? "it" : "them"),
		   "--skip-conflicts applies the rest, --force all of it");
	return cli_error(f->cli, err);
}

static int nothing_to_do(struct front *f, const struct commit_tally *t)
{
	const char *text = t->left && geteuid() != 0 ?
				   "nothing that can be committed: it takes files of your own, "
				   "made inside with --user and your name" :
			   t->left || t->conflicts ? "nothing that can be committed" :
						     "nothing to commit";

	if (!f->args->json)
		cli_say(f->cli, text, "\n");
	return t->left || t->conflicts ? EXIT_SOME_LEFT : 0;
}

static int go(struct front *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct commit_args *args = f->args;
	int ticked = args->select ? commit_choose_by_ticks(f->commit, f->offered, args->force, &err) : 1;
	struct commit_tally t = commit_list_tally(f->commit, args->force);
	bool refused = t.conflicts && !args->force && !args->skip;

	if (ticked < 0)
		return cli_error(f->cli, err);
	if (ticked == 0 && t.fine + t.conflicts) {
		cli_say(f->cli, "nothing was applied", "\n");
		return EXIT_SOME_LEFT;
	}

	if (args->json && (args->dry_run || refused || !t.fine)) {
		_cleanup_buf_ struct buf b = { 0 };

		commit_list_json(&b, f->commit, args->force, false);
		if (cli_out(f->cli, &b))
			return CLI_EXIT_FAILED;
	} else if (!args->json) {
		show(f);
	}
	if (refused)
		return refuse_conflicts(f, &t);
	if (!t.fine)
		return nothing_to_do(f, &t);
	if (args->dry_run)
		return t.left || (t.conflicts && !args->force) ? EXIT_SOME_LEFT : 0;
	if (!args->yes) {
		if (!isatty(STDIN_FILENO) || !isatty(f->cli->err_fd)) {
			(void)hint(&err,
				   fail(&err, KENNEL_E_INVALID,
					"nobody can be asked: this is not a terminal"),
				   "--yes applies the changes without a question, --dry-run only shows them");
			return cli_error(f->cli, err);
		}
		int r = ask(f, &t, &err);
		if (r < 0)
			return cli_error(f->cli, err);
		if (r == 0) {
			cli_say(f->cli, "nothing was applied", "\n");
			return EXIT_SOME_LEFT;
		}
	}
	return apply(f, &t);
}

static int note_offered(struct front *f, struct kennel_error **err)
{
	struct kennel_commit_entry e;

	f->offered = calloc(kennel_commit_count(f->commit) + 1, sizeof(*f->offered));
	if (!f->offered)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; kennel_commit_get(f->commit, i, &e) == 0; i++)
		f->offered[i] = e.chosen;
	return 0;
}

static int commit_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct front f = { .cli = cli, .args = p };
	int r = spec_opt_store(f.args->store, &b, &f.store, &err);
	const struct kennel_commit_options o = options_of(&f);

	if (r < 0)
		return cli_error(cli, err);
	if (f.args->undo && in->n_operands == 0)
		return undo(&f);
	if (f.args->undo)
		r = hint(&err, fail(&err, KENNEL_E_INVALID, "--undo takes no name"),
			 "it undoes the last commit");
	else if (in->n_operands == 0)
		r = hint(&err,
			 fail(&err, KENNEL_E_INVALID, "\"kennel commit\" needs the name of what to commit"),
			 "\"kennel list\" shows what there is");
	if (r == 0)
		r = kennel_commit_open(in->operands[0], &o, &f.commit, &err);
	for (size_t i = 1; i < in->n_operands && r >= 0; i++)
		r = kennel_commit_choose_path(f.commit, in->operands[i], &err);
	if (r >= 0)
		r = note_offered(&f, &err);
	int code = r < 0 ? cli_error(cli, err) : go(&f);
	free(f.offered);
	kennel_commit_free(f.commit);
	return code;
}

#define ARG(m) offsetof(struct commit_args, m)
static const struct opt commit_opts[] = {
	{ 'y', "yes", NULL, OPT_FLAG, ARG(yes), "apply without a question", NULL },
	{ 0, "dry-run", NULL, OPT_FLAG, ARG(dry_run), "only show what would be done", NULL },
	{ 's', "select", NULL, OPT_FLAG, ARG(select), "choose in a checklist what is made", NULL },
	{ 0, "undo", NULL, OPT_FLAG, ARG(undo), "bring back what was before the last commit", NULL },
	{ 0, "skip-conflicts", NULL, OPT_FLAG, ARG(skip), "leave out what changed on this machine since",
	  NULL },
	{ 0, "force", NULL, OPT_FLAG, ARG(force), "apply, or undo, that as well", NULL },
	{ 0, "running", NULL, OPT_FLAG, ARG(running), "of a sandbox that runs: each file as it is now",
	  NULL },
	{ 'P', "path", "DIR", OPT_STRING, ARG(store), "the store that the container is in", OPT_WORDS_PATH },
	{ 'v', "verbose", NULL, OPT_COUNT, ARG(verbose), "list what is left, and why", NULL },
	{ 0, "json", NULL, OPT_FLAG, ARG(json), "a report for programs", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule commit_rules[] = {
	{ "undo", OPT_EXCLUDES, "dry-run" },
	{ "undo", OPT_EXCLUDES, "skip-conflicts" },
	{ "undo", OPT_EXCLUDES, "json" },
	{ "undo", OPT_EXCLUDES, "path" },
	{ "undo", OPT_EXCLUDES, "select" },
	{ "force", OPT_EXCLUDES, "skip-conflicts" },
	{ .name = NULL },
};

const struct cmd cmd_commit = {
	.name = "commit",
	.summary = "make the changes of a sandbox to this machine",
	.usage = "[OPTION]... NAME|ID|FILE [PATH]...",
	.more = "Lines are A for added, M for changed (and what of it), D for deleted, T for something of "
		"another type. PATHs are those inside, and choose. All changes are made or none is. Exit code 0: all of them were; 1: some were left; "
		"125: none was.",
	.opts = commit_opts,
	.rules = commit_rules,
	.max_operands = CMD_OPERANDS_ANY,
	.operand_words = OPT_WORDS_SANDBOX " " OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct commit_args),
	.run = commit_run,
};
