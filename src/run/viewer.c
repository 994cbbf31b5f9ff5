/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/viewer.c - see viewer.h.
 *
 * The server is a program of its own (it links libfuse), found where it was installed or, in a build tree,
 * beside this program. (Likewise the one for images.) It has the user's own rights and no more, so being
 * found at another place gives nobody anything.
 */
#include "run/viewer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "run/program.h"
#include "run/views.h"
#include "sys/spawn.h"
#include "sys/sys.h"
#include "view/view.h"

enum { FD_FUSE, FD_SOURCE, FD_DEATH, FD_REPORT, FD_SHIFTED, N_FDS };

int viewer_find_program(const char *name, char **ret, struct kennel_error **err)
{
	int r = program_find(name, "view", ret, err);

	if (r == 0)
		return 0;
	return hint(
		err, r,
		geteuid() == 0 ?
			"to keep an image from this machine's kernel takes it: build kennel with libfuse 3" :
			"without root the copy needs it: build kennel with libfuse 3, or run kennel as root");
}

/* A server, and what it is started with. */
struct server {
	const struct view_plan *v;
	const struct strv *hide; /* of a base; or NULL */
	bool squash, wait;
	int fuse_fd, death_fd, report_fd, shifted_fd; /* the last one may be -EBADF */
	uint32_t user;
	struct idmap ids;
};

static int count_fds(const struct server *s)
{
	return s->shifted_fd >= 0 ? N_FDS : FD_SHIFTED;
}

/* Of an image for root's guest. */
static int add_ids(const struct server *s, struct strv *argv, struct kennel_error **err)
{
	int r = s->user ? strv_add(argv, "--user", err) : 0;

	if (r == 0 && s->user)
		r = strv_addf(argv, err, "%u", s->user);
	if (r == 0 && s->shifted_fd >= 0)
		r = strv_add(argv, "--ids", err);
	return r == 0 && s->shifted_fd >= 0 ? strv_addf(argv, err, "%u:%u", s->ids.base, s->ids.count) : r;
}

/*
 * Its descriptors are put behind all of their sources, first and on, so that none takes another one's place.
 */
static int make_words(const struct server *s, const char *path, int first, struct strv *argv,
		      struct kennel_error **err)
{
	const struct view_plan *v = s->v;
	const char *const options[N_FDS] = {
		[FD_FUSE] = "--fuse",	    [FD_SOURCE] = v->format ? "--image" : "--root",
		[FD_DEATH] = "--death",	    [FD_REPORT] = "--report",
		[FD_SHIFTED] = "--shifted",
	};
	int r = strv_add(argv, path, err);

	for (int i = 0; i < count_fds(s) && r == 0; i++) {
		r = strv_add(argv, options[i], err);
		if (r == 0)
			r = strv_addf(argv, err, "%d", first + i);
	}
	for (size_t i = 0; s->hide && !v->format && i < s->hide->n && r == 0; i++) {
		r = strv_add(argv, "--hide", err);
		if (r == 0)
			r = strv_add(argv, s->hide->items[i], err);
	}
	if (r == 0 && (v->format || v->only))
		r = strv_add(argv, v->format ? "--format" : "--only", err);
	if (r == 0 && (v->format || v->only))
		r = strv_add(argv, v->format ? v->format : v->only, err);
	if (r == 0 && v->kind == VIEW_LAYER && !v->format)
		r = strv_add(argv, "--layer", err);
	if (r == 0 && s->squash)
		r = strv_add(argv, "--squash", err);
	if (r == 0)
		r = add_ids(s, argv, err);
	return r == 0 && s->wait ? strv_add(argv, "--wait", err) : r;
}

static int spawn(const struct server *s, pid_t *ret, struct kennel_error **err)
{
	_cleanup_strv_ struct strv argv = { 0 };
	_cleanup_free_ char *path = NULL;
	char *const no_env[] = { NULL };
	const int sources[N_FDS] = {
		[FD_FUSE] = s->fuse_fd,	    [FD_SOURCE] = s->v->fd,	  [FD_DEATH] = s->death_fd,
		[FD_REPORT] = s->report_fd, [FD_SHIFTED] = s->shifted_fd,
	};
	int first = 3;

	int r = viewer_find_program(s->v->format ? VIEW_IMAGE_PROGRAM : VIEW_PROGRAM, &path, err);
	for (int i = 0; i < count_fds(s); i++)
		first = MAX(first, sources[i] + 1);
	if (r == 0)
		r = make_words(s, path, first, &argv, err);
	if (r < 0)
		return r;
	struct sys_spawn how = {
		.path = path,
		.argv = argv.items,
		.envp = no_env,
		.sources = sources,
		.n_sources = (size_t)count_fds(s),
		.first = first,
		.session = true,
		.wait = true,
	};
	*ret = sys_spawn(&how);
	if (*ret >= 0)
		return 0;
	errno = errno == EBADF ? EMFILE : errno; /* the sources are open: a number beyond the limit */
	return fail_errno(err, "run \"%s\"", path);
}

static int hold(struct sandbox *sb, pid_t pid, struct kennel_error **err)
{
	int pidfd = sys_pidfd_open(pid, 0);

	if (pidfd < 0)
		return fail_errno(err, "hold the view server");
	sb->view_pidfds[sb->n_views++] = pidfd;
	sb->work.n_views = sb->n_views;
	return 0;
}

static int start_one(struct launch *l, unsigned index, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	struct view_plan *v = &l->views[index];
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	v->report_fd = report[0];
	_cleanup_close_ int report_fd = report[1];
	const struct server s = {
		.v = v,
		.hide = v->kind == VIEW_BASE ? &sb->plan->view_without : NULL,
		.squash = !idmap_user_has_range(&sb->user_map),
		.wait = !v->format,
		.fuse_fd = l->shared->fuse_fds[index],
		.death_fd = l->view_death_fd,
		.report_fd = report_fd,
		.shifted_fd = -EBADF,
	};
	int r = spawn(&s, &pid, err);
	return r < 0 ? r : hold(sb, pid, err);
}

/* For at most n of them. */
static int begin(struct launch *l, size_t n, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	int death[2];

	sb->view_pidfds = calloc(n, sizeof(*sb->view_pidfds));
	if (!sb->view_pidfds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	sb->work.view_pidfds = sb->view_pidfds;
	if (pipe2(death, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	l->view_death_fd = death[0];
	sb->view_hold_fd = death[1];
	return 0;
}

int viewer_start(struct launch *l, struct kennel_error **err)
{
	int r = begin(l, l->n_views, err);

	for (unsigned i = 0; i < l->n_views && r == 0; i++)
		if (!l->views[i].format && !l->views[i].own)
			r = start_one(l, i, err);
	return r;
}

int viewer_go(struct launch *l, struct kennel_error **err)
{
	int r = 0;

	/*
	 * A byte for each that waits. Our copy of their end is still open, so one that has died can't make
	 * this a SIGPIPE.
	 */
	for (unsigned i = 0; i < l->n_views && r == 0; i++)
		if (l->views[i].format)
			r = start_one(l, i, err);
		else if (!l->views[i].own && write(l->sb->view_hold_fd, "g", 1) != 1)
			r = fail_errno(err, "tell " VIEW_PROGRAM " to go on");
	replace_fd(&l->view_death_fd, -EBADF);
	return r;
}

/* Root's: what this machine's kernel reads is somebody's who trusts it. */
static int explain_to_root(const struct view_plan *v, int errnum, struct kennel_error **err)
{
	const char *lib = strcmp(v->format, "squashfs") == 0 ? "libsquashfs1" : "libext2fs2";

	switch (errnum) {
	case EUCLEAN:
		return hint(err,
			    fail(err, KENNEL_E_CORRUPT, "the %s image \"%s\" is damaged", v->format, v->name),
			    "make it anew");
	case ENOPKG:
		return hint(err,
			    fail(err, KENNEL_E_MISSING,
				 "to read the %s image \"%s\" without this machine's kernel takes a library",
				 v->format, v->name),
			    "install the package %s", lib);
	case EOPNOTSUPP:
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "the %s image \"%s\" can be read by this machine's kernel alone", v->format,
				 v->name),
			    "make it as squashfs, or erofs without compression; if you trust it, mount it "
			    "and give the directory");
	}
	errno = errnum;
	return fail_errno(err, "open the %s image \"%s\"", v->format, v->name);
}

static int explain_image(const struct view_plan *v, int errnum, struct kennel_error **err)
{
	const char *lib = strcmp(v->format, "squashfs") == 0 ? "libsquashfs1" : "libext2fs2";

	if (geteuid() == 0)
		return explain_to_root(v, errnum, err);
	switch (errnum) {
	case EUCLEAN:
		return hint(err,
			    fail(err, KENNEL_E_CORRUPT, "the %s image \"%s\" is damaged", v->format, v->name),
			    "make it anew, or run kennel as root: the kernel's own reader may say more");
	case ENOPKG:
		return hint(err,
			    fail(err, KENNEL_E_MISSING,
				 "to read the %s image \"%s\" without root takes a library", v->format,
				 v->name),
			    "install the package %s, or run kennel as root", lib);
	case EOPNOTSUPP:
		return hint(
			err,
			fail(err, KENNEL_E_UNSUPPORTED, "the %s image \"%s\" can't be read without root",
			     v->format, v->name),
			"%s",
			strcmp(v->format, "erofs") == 0 ?
				"make it without compression, or as squashfs, or run kennel as root" :
				"make it as squashfs or ext4 with the usual options, or run kennel as root");
	}
	errno = errnum;
	return hint_default(err, fail_errno(err, "open the %s image \"%s\"", v->format, v->name),
			    "run kennel as root: the kernel's own reader may say more");
}

static int explain(const struct view_plan *v, const struct view_report *report, struct kennel_error **err)
{
	if (v->format && report->step == VIEW_STEP_IMAGE)
		return explain_image(v, report->errnum, err);
	errno = report->errnum;
	return fail_errno(err, "show \"%s\": %s", v->name, view_step_text(report->step));
}

static int hear(const struct view_plan *v, int report_fd, struct kennel_error **err)
{
	struct view_report report;

	if (read(report_fd, &report, sizeof(report)) != sizeof(report))
		return hint(err,
			    fail(err, KENNEL_E_CORRUPT, "the reader of \"%s\" ended before its time",
				 v->name),
			    "it may be damaged: make it anew%s", geteuid() ? ", or run kennel as root" : "");
	return report.step == VIEW_READY ? 0 : explain(v, &report, err);
}

/* sb: whose it is, or NULL. */
static int start_served(const struct viewer_alone *a, struct sandbox *sb, struct kennel_error **err)
{
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = report[0];
	_cleanup_close_ int report_fd = report[1];
	const struct server s = {
		.v = a->v,
		.squash = a->squash,
		.fuse_fd = a->fuse_fd,
		.death_fd = a->death_fd,
		.report_fd = report_fd,
		.shifted_fd = a->shifted_fd,
		.user = a->user,
		.ids = a->ids,
	};
	int r = spawn(&s, &pid, err);
	replace_fd(&report_fd, -EBADF);
	if (r == 0 && sb)
		r = hold(sb, pid, err);
	return r < 0 ? r : hear(a->v, read_fd, err);
}

int viewer_start_alone(const struct viewer_alone *a, struct kennel_error **err)
{
	return start_served(a, NULL, err);
}

int viewer_start_image(struct launch *l, const struct viewer_alone *a, struct kennel_error **err)
{
	struct viewer_alone own = *a;

	int r = l->sb->view_pidfds ? 0 : begin(l, l->spec->layers.n + 1, err);
	own.death_fd = l->view_death_fd;
	return r < 0 ? r : start_served(&own, l->sb, err);
}

int viewer_check(struct launch *l, struct kennel_error **err)
{
	for (unsigned i = 0; i < l->n_views; i++) {
		const struct view_plan *v = &l->views[i];
		struct view_report report;

		if (!v->format)
			continue;
		if (read(v->report_fd, &report, sizeof(report)) != sizeof(report))
			return hint(err,
				    fail(err, KENNEL_E_CORRUPT,
					 "the reader of the %s image \"%s\" ended before its time", v->format,
					 v->name),
				    "the image may be damaged: make it anew, or run kennel as root");
		if (report.step != VIEW_READY)
			return explain(v, &report, err);
	}
	return 0;
}

int viewer_explain(struct launch *l, int r, struct kennel_error **err)
{
	for (unsigned i = 0; i < l->n_views; i++) {
		struct pollfd fd = { .fd = l->views[i].report_fd, .events = POLLIN };
		struct view_report report;

		if (fd.fd >= 0 && poll(&fd, 1, 0) > 0 &&
		    read(fd.fd, &report, sizeof(report)) == sizeof(report) && report.step != VIEW_READY)
			return explain(&l->views[i], &report, err);
	}
	return r;
}

void viewer_kill(struct sandbox *sb)
{
	close_fd(sb->view_hold_fd);
	sb->view_hold_fd = -EBADF;
	for (unsigned i = 0; i < sb->n_views; i++)
		sys_pidfd_send_signal(sb->view_pidfds[i], SIGKILL, 0);
	sb->work.n_views = 0;
}

void viewer_end(struct sandbox *sb)
{
	siginfo_t info;

	viewer_kill(sb);
	for (unsigned i = 0; i < sb->n_views; i++) {
		while (sys_waitid_pidfd(sb->view_pidfds[i], &info, WEXITED) < 0 && errno == EINTR)
			;
		close_fd(sb->view_pidfds[i]);
	}
	free(sb->view_pidfds);
	sb->view_pidfds = NULL;
	sb->n_views = 0;
}
