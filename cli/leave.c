/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/leave.c - see leave.h.
 *
 * The commands "diff" and "commit" do the looking and the committing, on the id of the sandbox: whoever
 * knows them knows what comes. Whatever fails leads back to the question; only an answer ends it.
 */
#include "cli/leave.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cmd.h"
#include "cli/pager.h"
#include "cli/progress.h"

#define LINE_MAX_BYTES 4096

void leave_count(struct buf *b, uint64_t changes)
{
	buf_printf(b, "%llu changed file%s", (unsigned long long)changes, changes == 1 ? "" : "s");
}

enum leave_verb leave_parse(char *line, const char **ret_name)
{
	static const struct {
		const char *word;
		enum leave_verb verb;
	} verbs[] = { { "discard", LEAVE_DISCARD }, { "keep", LEAVE_KEEP },     { "view", LEAVE_VIEW },
		      { "commit", LEAVE_COMMIT },   { "quit", LEAVE_DISCARD }, { "no", LEAVE_DISCARD } };
	static const char between[] = " \t\r\n";
	char *rest = line + strspn(line, between);
	char *word = strsep(&rest, between);
	const char *name = "";

	if (rest) {
		rest += strspn(rest, between);
		if (strncmp(rest, "as ", 3) == 0)       /* "keep as NAME" is what the question says */
			rest += 3 + strspn(rest + 3, between);
		rest[strcspn(rest, between)] = '\0';
		name = rest;
	}
	*ret_name = name;
	if (!*word)
		return LEAVE_DISCARD;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strncasecmp(verbs[i].word, word, strlen(word)) == 0)
			return *name && verbs[i].verb != LEAVE_KEEP ? LEAVE_UNKNOWN : verbs[i].verb;
	return LEAVE_UNKNOWN;
}

/* A line of the terminal. Return: false at its end. */
static bool read_line(char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n = read(STDIN_FILENO, line + len, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	return len > 0;
}

static bool ask(struct cli *cli, const char *question, char *line, size_t size)
{
	cli_say(cli, question, " ");
	if (read_line(line, size))
		return true;
	(void)!write(cli->err_fd, "\n", 1); /* ^D leaves the cursor behind the question */
	return false;
}

static int run_command(struct cli *cli, const char *name, const char *option, const char *id)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	const struct cmd *cmd = cmd_find(name, &err);
	char *argv[] = { (char *)(option ? option : id), (char *)(option ? id : NULL), NULL };

	return cmd ? cmd_invoke(cli, cmd, argv) : cli_error(cli, err);
}

/* The list, then what the texts say now. */
static void view(struct cli *cli, const char *id)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct pager p;

	buf_puts(&b, "\n");
	pager_begin(&p, cli);
	if (run_command(&p.cli, "diff", NULL, id) == 0 && cli_out(&p.cli, &b) == 0)
		(void)run_command(&p.cli, "diff", "--content", id);
	pager_end(&p);
}

struct leaving {
	struct cli *cli;
	struct kennel_sandbox *sb;
	const struct kennel_spec *spec;
	uint64_t changes;
};

static void say_gone(const struct leaving *l)
{
	_cleanup_buf_ struct buf b = { 0 };

	leave_count(&b, l->changes);
	buf_puts(&b, l->changes == 1 ? " is gone" : " are gone");
	cli_say(l->cli, buf_str(&b), "\n");
}

/* Return: is it kept? */
static bool keep(const struct leaving *l, const char *name)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	char line[LINE_MAX_BYTES];
	struct progress p;

	if (!*name) {
		if (!ask(l->cli, "keep as:", line, sizeof(line)))
			return false;
		name = line + strspn(line, " \t");
		line[strcspn(line, "\r\n")] = '\0';
		if (!*name)
			return false;
	}
	buf_printf(&b, "keeping \"%s\"", name);
	progress_start(&p, l->cli, buf_str(&b), PROGRESS_BYTES);
	int r = kennel_sandbox_keep(l->sb, l->spec, name, progress_tick, &p, &err);
	progress_end(&p);
	if (r < 0) {
		(void)cli_error(l->cli, err);
		return false;
	}
	buf_done(&b);
	buf_printf(&b, "kept: go on with \"kennel run -k %s\"", name);
	cli_say(l->cli, buf_str(&b), "\n");
	return true;
}

/* Return: was that the last word? */
static bool carry_out(const struct leaving *l, char *line)
{
	const char *id = kennel_sandbox_id(l->sb), *name;

	switch (leave_parse(line, &name)) {
	case LEAVE_DISCARD:
		say_gone(l);
		return true;
	case LEAVE_KEEP:
		return keep(l, name);
	case LEAVE_VIEW:
		view(l->cli, id);
		return false;
	case LEAVE_COMMIT:
		/* It has ended, but what it changed is still held by us as of a running one. */
		return run_command(l->cli, "commit", "--running", id) == 0;
	default:
		cli_say(l->cli, "answer d, k, v or c; a bare Enter discards", "\n");
		return false;
	}
}

void leave_ask(struct cli *cli, struct kennel_sandbox *sb, const struct kennel_spec *spec, uint64_t changes)
{
	const struct leaving l = { cli, sb, spec, changes };
	_cleanup_buf_ struct buf question = { 0 };
	char line[LINE_MAX_BYTES];

	leave_count(&question, changes);
	buf_puts(&question, ": [d]iscard, [k]eep as NAME, [v]iew, [c]ommit?");
	do {
		if (!ask(cli, buf_str(&question), line, sizeof(line))) {
			say_gone(&l);
			return;
		}
	} while (!carry_out(&l, line));
}
