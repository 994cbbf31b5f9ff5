/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/commit-choose.c - see commit-choose.h. */
#include "cli/commit-choose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/change.h"
#include "cli/commit-list.h"
#include "cli/dialog.h"

/* The dialog looks for each line from the first one on. */
#define TICKS_MAX 20000

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

int commit_choose_by_editor(struct kennel_commit *commit, struct kennel_error **err)
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

struct ticks {
	struct dialog_form form;
	size_t *index; /* as form.ticks: which change */
};

/* "M /etc/motd (content) - it changed since" */
static char *tick_text(const struct kennel_commit_entry *e, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	change_put_line(&b, &e->change, false);
	if (e->reason) {
		buf_puts(&b, " - ");
		buf_safe(&b, e->reason);
	}
	buf_add(&b, "", 1);
	return buf_check(&b, err) < 0 ? NULL : take_ptr(&b.data);
}

static int add_tick(struct ticks *t, size_t i, const struct kennel_commit_entry *e, bool on,
		    struct kennel_error **err)
{
	char *text = tick_text(e, err);

	if (!text)
		return -KENNEL_E_NOMEM;
	t->index[t->form.n_ticks] = i;
	t->form.ticks[t->form.n_ticks++] = (struct dialog_tick){ .text = text, .on = on };
	return 0;
}

static int fill_ticks(struct ticks *t, const struct kennel_commit *commit, const bool *offered, bool force,
		      struct kennel_error **err)
{
	const size_t n = kennel_commit_count(commit);
	struct kennel_commit_entry e;
	int r = 0;

	*t = (struct ticks){
		.form = {
			.title = "Commit",
			.ok = "Choose",
			.ticks_label = "Changes to make:",
			.ticks = calloc(n + 1, sizeof(*t->form.ticks)),
			.tall = true,
		},
		.index = calloc(n + 1, sizeof(*t->index)),
	};
	if (!t->form.ticks || !t->index)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; r == 0 && kennel_commit_get(commit, i, &e) == 0; i++) {
		bool conflict = e.verdict == KENNEL_COMMIT_CONFLICT;

		if (offered[i] && e.verdict != KENNEL_COMMIT_LEFT)
			r = add_tick(t, i, &e, e.chosen && (force || !conflict), err);
		if (conflict && e.chosen && !force)
			t->form.remark = "What conflicts begins without a tick.";
	}
	if (r == 0 && t->form.n_ticks > TICKS_MAX)
		r = hint(err,
			 fail(err, KENNEL_E_LIMIT, "%zu changes are too many for a checklist",
			      t->form.n_ticks),
			 "choose with paths, or edit the list");
	return r;
}

static void take_ticks(const struct ticks *t, struct kennel_commit *commit)
{
	for (size_t i = 0; i < t->form.n_ticks; i++)
		kennel_commit_choose(commit, t->index[i], 0);
	/* after that, for this chooses directories that are needed */
	for (size_t i = 0; i < t->form.n_ticks; i++)
		if (t->form.ticks[i].on)
			kennel_commit_choose(commit, t->index[i], 1);
}

static void ticks_done(struct ticks *t)
{
	for (size_t i = 0; i < t->form.n_ticks; i++)
		free((char *)t->form.ticks[i].text);
	free(t->form.ticks);
	free(t->index);
	*t = (struct ticks){ 0 };
}

int commit_choose_by_ticks(struct kennel_commit *commit, const bool *offered, bool force,
			   struct kennel_error **err)
{
	struct ticks t;
	int r = fill_ticks(&t, commit, offered, force, err);

	if (r == 0 && t.form.n_ticks)
		r = dialog_run(&t.form, err);
	if (r > 0)
		take_ticks(&t, commit);
	ticks_done(&t);
	return r;
}
