/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-commit.c - "kennel commit": shows what would be done, asks, does it.
 *
 * Everything that is asked for or shown goes to standard error but the list itself, so the list can be kept.
 * Choosing is one function (choose_by_editor), which another front could stand in for.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/cmd.h"
#include "cli/commit-list.h"
#include "cli/progress.h"
#include "cli/spec-opt.h"

#define EXIT_SOME_LEFT 1

struct commit_args {
	bool yes, dry_run, json, force, skip, running, undo;
	unsigned verbose;
	const char *store;
};

struct front {
	struct cli *cli;
	const struct commit_args *args;
	const char *store; /* absolute, or NULL */
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

/* The list in a file, edited by the person. Return: 1 chosen anew, 0 nothing is left, or a negative code. */
static int run_editor(const char *path, struct kennel_error **err)
{
	const char *editor = getenv("VISUAL");
	int status;

	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	pid_t pid = fork();
	if (pid == 0) {
		/* as git does: the variable may have options, and it is the caller's own */
		execl("/bin/sh", "sh", "-c", "eval \"$0 \\\"\\$1\\\"\"", editor, path, (char *)NULL);
		_exit(127);
	}
	if (pid < 0)
		return fail_errno(err, "start \"%s\"", editor);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for \"%s\"", editor);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return hint(err, fail(err, KENNEL_E_IO, "the editor \"%s\" failed", editor),
		    "VISUAL or EDITOR names another one");
}

static int choose_by_editor(struct kennel_commit *commit, struct kennel_error **err)
{
	const char *dir = getenv("TMPDIR");
	_cleanup_buf_ struct buf text = { 0 }, edited = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/kennel-commit-XXXXXX", dir && *dir == '/' ? dir : "/tmp");
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "make \"%s\"", path);
	commit_list_edit(&text, commit);
	int r = buf_check(&text, err);
	if (r == 0 && write(fd, buf_str(&text), text.len) != (ssize_t)text.len)
		r = fail_errno(err, "write \"%s\"", path);
	close_fd(fd);
	if (r == 0)
		r = run_editor(path, err);
	_cleanup_close_ int in_fd = r == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -EBADF;
	(void)!unlink(path);
	if (r == 0)
		r = in_fd < 0 ? fail_errno(err, "read \"%s\"", path) :
				buf_read_fd(&edited, in_fd, 64u << 20, err);
	return r < 0 ? r : commit_list_choose(commit, buf_str(&edited), err);
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

static void show(struct front *f, bool details)
{
	_cleanup_buf_ struct buf b = { 0 };

	commit_list_text(&b, f->commit, f->args->force, details || f->args->verbose > 0, f->cli->out_colour);
	(void)!cli_out(f->cli, &b);
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

		buf_printf(&b, "apply th%s %zu change%s to the system? [y]es [n]o [e]dit [v]iew ",
			   t->fine == 1 ? "is" : "ese", t->fine, t->fine == 1 ? "" : "s");
		(void)!cli_out(&to_err, &b);
		switch (read_answer()) {
		case 'y':
		case 'Y':
			return 1;
		case 'n':
		case 'N':
		case 'q':
			return 0;
		case 'v':
			show(f, true);
			break;
		case 'e': {
			int r = choose_by_editor(f->commit, err);

			if (r < 0)
				return r;
			*t = commit_list_tally(f->commit, f->args->force);
			show(f, false);
			if (!t->fine)
				return 0;
			break;
		}
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
	if (!f->args->json)
		cli_say(f->cli,
			t->left || t->conflicts ? "nothing that can be committed" : "nothing to commit",
			"\n");
	return t->left || t->conflicts ? EXIT_SOME_LEFT : 0;
}

static int go(struct front *f)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct commit_args *args = f->args;
	struct commit_tally t = commit_list_tally(f->commit, args->force);
	bool refused = t.conflicts && !args->force && !args->skip;

	if (args->json && (args->dry_run || refused || !t.fine)) {
		_cleanup_buf_ struct buf b = { 0 };

		commit_list_json(&b, f->commit, args->force, false);
		if (cli_out(f->cli, &b))
			return CLI_EXIT_FAILED;
	} else if (!args->json) {
		show(f, false);
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
	int code = r < 0 ? cli_error(cli, err) : go(&f);
	kennel_commit_free(f.commit);
	return code;
}

#define ARG(m) offsetof(struct commit_args, m)
static const struct opt commit_opts[] = {
	{ 'y', "yes", NULL, OPT_FLAG, ARG(yes), "apply without a question", NULL },
	{ 0, "dry-run", NULL, OPT_FLAG, ARG(dry_run), "only show what would be done", NULL },
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
	.operand_words = OPT_WORDS_SANDBOX,
	.args_size = sizeof(struct commit_args),
	.run = commit_run,
};
