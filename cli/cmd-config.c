/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cmd-config.c - "kennel config": shows the configuration of a container, or has a person edit it.
 *
 * The editor works on a copy. What comes back replaces the file only if it is right and the file is still
 * what the copy was made of; else the person is asked for another try, and nothing that was typed is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/spec-opt.h"

#define TEXT_MAX (1u << 20)

struct config_args {
	const char *path;
	bool edit, file;
};

struct edit {
	struct cli *cli;
	const char *store, *name;
	char *copy; /* path of the copy */
	char *before; /* the text that it was made of */
	bool keep_copy;
};

static void edit_done(struct edit *e)
{
	if (e->copy && !e->keep_copy)
		(void)!unlink(e->copy);
	free(e->copy);
	free(e->before);
}
#define _cleanup_edit_ __attribute__((cleanup(edit_done)))

static int make_copy(struct edit *e, struct kennel_error **err)
{
	const char *dir = getenv("TMPDIR"), *slash = strrchr(e->name, '/');
	size_t len = strlen(e->before);

	if (asprintf(&e->copy, "%s/kennel-%s-XXXXXX.conf", dir && dir[0] == '/' ? dir : "/tmp",
		     slash ? slash + 1 : e->name) < 0) {
		e->copy = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	_cleanup_close_ int fd = mkostemps(e->copy, (int)strlen(".conf"), O_CLOEXEC);
	if (fd < 0) {
		int r = fail_errno(err, "make \"%s\"", e->copy);

		free(take_ptr(&e->copy));
		return r;
	}
	return write(fd, e->before, len) == (ssize_t)len ? 0 : fail_errno(err, "write \"%s\"", e->copy);
}

/* $VISUAL and $EDITOR are commands with arguments, which only a shell can read. */
static int run_editor(const struct edit *e, struct kennel_error **err)
{
	const char *visual = getenv("VISUAL"), *editor = getenv("EDITOR");
	const char *command = visual && *visual ? visual : editor && *editor ? editor : "vi";
	_cleanup_free_ char *script = NULL;
	pid_t pid;
	int status;

	if (asprintf(&script, "%s \"$1\"", command) < 0) {
		script = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	char *const argv[] = { (char *)"sh", (char *)"-c", script, (char *)"sh", e->copy, NULL };
	errno = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
	if (errno)
		return fail_errno(err, "start the editor");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the editor");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "the editor \"%s\" failed: nothing was changed",
				 command),
			    "set EDITOR to one that is installed");
	return 0;
}

static int read_copy(const struct edit *e, struct buf *ret, struct kennel_error **err)
{
	/* By name again: many editors make a new file. */
	_cleanup_close_ int fd = open(e->copy, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "read \"%s\"", e->copy);
	int r = buf_read_fd(ret, fd, TEXT_MAX, err);
	if (r == 0 && memchr(buf_str(ret), '\0', ret->len))
		r = fail(err, KENNEL_E_INVALID, "\"%s\" holds a zero byte, so it is no text", e->copy);
	return r;
}

/* Once more? Without a terminal nobody is there who could say. */
static bool wants_to_edit_again(struct edit *e)
{
	char answer[64];

	if (!isatty(STDIN_FILENO))
		return false;
	cli_say(e->cli, "edit it again? [Y/n] ", "");
	ssize_t n = read(STDIN_FILENO, answer, sizeof(answer));
	return n > 0 && answer[0] != 'n' && answer[0] != 'N';
}

static int edit_once(struct edit *e, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = run_editor(e, err);
	if (r == 0)
		r = read_copy(e, &text, err);
	if (r < 0 || strcmp(buf_str(&text), e->before) == 0)
		return r;
	e->keep_copy = true; /* what was typed is worth something from now on */
	r = kennel_container_write_config(e->store, e->name, e->before, buf_str(&text), err);
	if (r == 0)
		e->keep_copy = false;
	return r;
}

static int edit(struct edit *e, struct kennel_error **err)
{
	int r = kennel_container_read_config(e->store, e->name, &e->before, err);

	if (r == 0)
		r = make_copy(e, err);
	while (r == 0) {
		r = edit_once(e, err);
		if (r != -KENNEL_E_INVALID || !e->keep_copy)
			break;
		(void)cli_error(e->cli, *err);
		if (!wants_to_edit_again(e))
			return error_set((error_clear(err), err), KENNEL_E_INVALID, 0,
					 "nothing was changed; what you wrote is in \"%s\"", e->copy);
		error_clear(err);
		r = 0;
	}
	if (r < 0 && e->keep_copy)
		return hint(err, r, "what you wrote is in \"%s\"", e->copy);
	return r;
}

static int show(struct cli *cli, const struct config_args *args, const char *store, const char *name,
		struct kennel_error **err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct kennel_list *list = NULL;
	int r;

	if (args->file) {
		r = kennel_container_list(store, name, &list, err);
		if (r == 0)
			buf_printf(&b, "%s/config\n", kennel_list_value(list, 0, "path"));
		kennel_list_free(list);
	} else {
		r = kennel_container_read_config(store, name, &text, err);
		if (r == 0)
			buf_puts(&b, text);
	}
	return r < 0 ? r : cli_out(cli, &b);
}

static int config_run(struct cli *cli, const void *p, const struct opt_input *in)
{
	const struct config_args *args = p;
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	_cleanup_edit_ struct edit e = { .cli = cli, .name = in->operands[0] };

	int r = spec_opt_store(args->path, &b, &e.store, &err);
	if (r == 0)
		r = args->edit ? edit(&e, &err) : show(cli, args, e.store, e.name, &err);
	return r < 0 ? cli_error(cli, err) : r;
}

#define ARG(m) offsetof(struct config_args, m)
static const struct opt config_opts[] = {
	{ 'P', "path", "DIR", OPT_STRING, ARG(path), "where containers are, instead of your own place",
	  OPT_WORDS_PATH },
	{ 'e', "edit", NULL, OPT_FLAG, ARG(edit),
	  "edit a copy with $VISUAL or $EDITOR, which then replaces it", NULL },
	{ 0, "file", NULL, OPT_FLAG, ARG(file), "print the name of the file instead", NULL },
	OPT_HELP_ROW,
	{ .type = OPT_END },
};

static const struct opt_rule config_rules[] = {
	{ "edit", OPT_EXCLUDES, "file" },
	{ .name = NULL },
};

const struct cmd cmd_config = {
	.name = "config",
	.summary = "show or edit the configuration of a container",
	.usage = "[OPTION]... NAME",
	.opts = config_opts,
	.rules = config_rules,
	.min_operands = 1,
	.max_operands = 1,
	.missing = "name the container; \"kennel list\" shows them",
	.operand_words = OPT_WORDS_CONTAINER,
	.args_size = sizeof(struct config_args),
	.run = config_run,
};
