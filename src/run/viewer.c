/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/viewer.c - see viewer.h.
 *
 * The server is a program of its own (it links libfuse), found where it was installed or, in a build tree,
 * beside this program. It has the user's own rights and no more, so being found at another place gives nobody
 * anything.
 */
#include "run/viewer.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "sys/sys.h"
#include "view/view.h"

enum { FD_FUSE, FD_ROOT, FD_DEATH, FD_REPORT, N_FDS };

int viewer_find_program(char **ret, struct kennel_error **err)
{
	static const char *const beside[] = { "../src/view/" VIEW_PROGRAM,
					      "../libexec/kennel/" VIEW_PROGRAM };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (access(KENNEL_LIBEXECDIR "/" VIEW_PROGRAM, X_OK) == 0) {
		*ret = strdup(KENNEL_LIBEXECDIR "/" VIEW_PROGRAM);
		return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	self[MAX(n, (ssize_t)0)] = '\0';
	char *slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ARRAY_SIZE(beside); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%.*s/%s", (int)(slash - self), self, beside[i]) < 0) {
			path = NULL;
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		if (access(path, X_OK) == 0) {
			*ret = take_ptr(&path);
			return 0;
		}
	}
	return hint(err, fail(err, KENNEL_E_MISSING, "the program " VIEW_PROGRAM " is not installed"),
		    "without root the copy needs it: build kennel with libfuse 3, or run kennel as root");
}

/*
 * Its descriptors are put behind all of their sources, first and on, so that none takes another one's place.
 */
static int make_words(struct launch *l, const char *path, int first, struct strv *argv,
		      struct kennel_error **err)
{
	const struct strv *hide = &l->sb->plan->view_without;
	static const char *const options[N_FDS] = {
		[FD_FUSE] = "--fuse",
		[FD_ROOT] = "--root",
		[FD_DEATH] = "--death",
		[FD_REPORT] = "--report",
	};
	int r = strv_add(argv, path, err);

	for (int i = 0; i < N_FDS && r == 0; i++) {
		r = strv_add(argv, options[i], err);
		if (r == 0)
			r = strv_addf(argv, err, "%d", first + i);
	}
	for (size_t i = 0; i < hide->n && r == 0; i++) {
		r = strv_add(argv, "--hide", err);
		if (r == 0)
			r = strv_add(argv, hide->items[i], err);
	}
	if (r == 0 && !idmap_user_has_range(&l->sb->user_map))
		r = strv_add(argv, "--squash", err);
	return r;
}

static int spawn(char *const argv[], const int sources[N_FDS], int first, pid_t *ret,
		 struct kennel_error **err)
{
	char *const no_env[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	int r = 0;
	for (int i = 0; i < N_FDS && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(&actions, sources[i], first + i);
	if (r == 0)
		r = posix_spawn(ret, argv[0], &actions, &attr, argv, no_env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	errno = r == EBADF ? EMFILE : r;                /* the sources are open: a number beyond the limit */
	return r ? fail_errno(err, "run \"%s\"", argv[0]) : 0;
}

int viewer_start(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	_cleanup_strv_ struct strv argv = { 0 };
	_cleanup_free_ char *path = NULL;
	int death[2], report[2];
	pid_t pid;

	int r = viewer_find_program(&path, err);
	if (r < 0)
		return r;
	if (pipe2(death, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int death_fd = death[0];
	sb->view_hold_fd = death[1];
	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	l->view_report_fd = report[0];
	_cleanup_close_ int report_fd = report[1];

	const int sources[N_FDS] = {
		[FD_FUSE] = l->shared->fuse_fd,
		[FD_ROOT] = l->base_fd,
		[FD_DEATH] = death_fd,
		[FD_REPORT] = report_fd,
	};
	int first = 3;
	for (int i = 0; i < N_FDS; i++)
		first = MAX(first, sources[i] + 1);
	r = make_words(l, path, first, &argv, err);
	if (r == 0)
		r = spawn(argv.items, sources, first, &pid, err);
	if (r < 0)
		return r;
	sb->view_pidfd = sys_pidfd_open(pid, 0);
	if (sb->view_pidfd < 0)
		return fail_errno(err, "hold the view server");
	sb->work.view_pidfd = sb->view_pidfd;
	return 0;
}

int viewer_explain(struct launch *l, int r, struct kennel_error **err)
{
	struct pollfd fd = { .fd = l->view_report_fd, .events = POLLIN };
	struct view_report report;

	if (l->view_report_fd < 0 || poll(&fd, 1, 0) <= 0 ||
	    read(l->view_report_fd, &report, sizeof(report)) != sizeof(report) || report.step == VIEW_READY)
		return r;
	errno = report.errnum;
	return fail_errno(err, VIEW_PROGRAM ": %s", view_step_text(report.step));
}

void viewer_kill(struct sandbox *sb)
{
	close_fd(sb->view_hold_fd);
	sb->view_hold_fd = -EBADF;
	if (sb->view_pidfd >= 0)
		sys_pidfd_send_signal(sb->view_pidfd, SIGKILL, 0);
	sb->work.view_pidfd = -EBADF;
}

void viewer_end(struct sandbox *sb)
{
	siginfo_t info;

	viewer_kill(sb);
	if (sb->view_pidfd < 0)
		return;
	while (sys_waitid_pidfd(sb->view_pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	close_fd(sb->view_pidfd);
	sb->view_pidfd = -EBADF;
}
