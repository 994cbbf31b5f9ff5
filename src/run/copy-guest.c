/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/copy-guest.c - copying between this machine and a guest that runs.
 *
 * Nobody but the guest's kernel sees its files as they are. So its agent packs and unpacks them
 * (vm/program/errand-files.c), resolving every name inside. What it sends is believed in nothing: it is made
 * into files of a hidden directory, and those are copied as out of any sandbox, or rather named, for the
 * directory goes away afterwards.
 */
#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "copy/child.h"
#include "ext4/pack.h"
#include "ext4/unpack.h"
#include "run/copy.h"
#include "run/errand.h"
#include "run/temp-dir.h"
#include "run/vm-talk.h"
#include "sys/sys.h"

#define ID_NOBODY 65534u

/* --- out --- */

struct stage {
	struct temp_dir dir;
	int tree_fd, links_fd;
};
#define STAGE_NONE \
	{ \
		.dir = TEMP_DIR_NONE, .tree_fd = -EBADF, .links_fd = -EBADF \
	}

static void stage_end(struct stage *s)
{
	close_fd(s->tree_fd);
	close_fd(s->links_fd);
	temp_dir_end(&s->dir);
}

static int open_new_dir(int at_fd, const char *path)
{
	return mkdirat(at_fd, path, 0700) < 0 ?
		       -1 :
		       openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int stage_begin(struct stage *s, const struct copy_side *source, const struct copy_side *target,
		       struct kennel_error **err)
{
	_cleanup_close_ int parent_fd = copy_open_target(target);
	_cleanup_error_ struct kennel_error *why = NULL;
	struct copy_report report = { 0 };
	char name[COPY_TEMP_SIZE];

	if (parent_fd < 0) {
		(void)!copy_fail_word(&report, errno == ENOENT ? COPY_STEP_TARGET_PARENT : COPY_STEP_TARGET,
				      errno == ENOENT ? target->parent : target->path);
		return copy_report_error(&report, err);
	}
	copy_random_name(name);
	if (temp_dir_make(&s->dir, parent_fd, name, -EBADF, &why) < 0) {
		errno = kennel_error_errno(why);
	} else {
		s->tree_fd = open_new_dir(s->dir.dir_fd, "tree");
		s->links_fd = s->tree_fd < 0 ? -1 : open_new_dir(s->dir.dir_fd, "links");
		if (s->links_fd >= 0)
			return 0;
	}
	(void)!copy_fail_word(&report, COPY_STEP_TARGET_WRITE, source->path);
	return copy_report_error(&report, err);
}

struct taking {
	const struct stage *stage;
	int stream_fd;
	pid_t parent;
};

/* In a process of its own, for its umask and its descriptors; it ends with its caller. */
static int take_out(void *data, struct buf *out, struct kennel_error **err)
{
	const struct taking *t = data;
	struct unpack_loss loss = { 0 }; /* attributes that the file system has not: as with cp -a */
	const struct unpack_where where = {
		.dir_fd = t->stage->tree_fd,
		.links_fd = t->stage->links_fd,
		.with_top = true,
		.plain = true,
		.keep_owner = geteuid() != 0,
		.loss = &loss,
	};

	(void)out;
	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != t->parent)
		return fail(err, KENNEL_E_INTERRUPTED, "interrupted");
	umask(0);
	errand_raise_file_limit();
	close_fd(t->stage->dir.wake_fd);
	return vm_talk_unpack(t->stream_fd, &where, err);
}

static int run_out(const struct copy_request *q, const struct vm_guest *g, const struct stage *stage,
		   struct copy_report *report, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	const char *const words[] = { "pack", q->source, NULL };
	struct vm_talk talk;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	int r = vm_talk_begin(g, words, -1, ends[1], &talk, err);
	close_fd(ends[1]);
	if (r == 0) {
		struct taking t = { .stage = stage, .stream_fd = ends[0], .parent = getpid() };
		int taken = errand_run(-EBADF, take_out, &t, NULL, &why);

		close_fd(take_fd(&ends[0]));
		r = vm_talk_end(&talk, report, err);
		if (vm_talk_is_cause(taken, r, report)) { /* why it was not taken */
			error_clear(err);
			if (err)
				*err = take_ptr(&why);
			r = taken;
		}
	}
	close_fd(ends[0]);
	return r;
}

static int copy_out(const struct copy_request *q, const struct vm_guest *g, struct kennel_error **err)
{
	struct copy_side source = { .inside = true, .path = q->source },
			 target = { .root_fd = AT_FDCWD, .path = q->target };
	_cleanup_copy_split_ struct copy_split source_split = { 0 }, target_split = { 0 };
	struct stage stage = STAGE_NONE;
	struct copy_report report = { 0 };

	if (copy_split_side(&source, &source_split) < 0 || copy_split_side(&target, &target_split) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = stage_begin(&stage, &source, &target, err);
	if (r == 0)
		r = run_out(q, g, &stage, &report, err);
	if (r == 0) {
		struct copy_request staged = *q;

		staged.root_fd = stage.tree_fd;
		staged.source = *source.name ? source.name : "/";
		staged.label = q->source;
		staged.links = true;
		staged.mapped = false; /* the guest tells ids as they are inside */
		r = copy_run(&staged, err);
	}
	if (r == 0)
		r = copy_report_error(&report, err);
	stage_end(&stage);
	return r;
}

/* --- in --- */

struct giving {
	const struct copy_request *q;
	const struct copy_side *source;
	int out_fd;
	pid_t parent;
};

/* With the rights that a copy into any sandbox has (copy/child.h). */
static int give_in(void *data, struct buf *out, struct kennel_error **err)
{
	const struct giving *g = data;
	struct pack p = {
		.out_fd = g->out_fd,
		.plain = true,
		.id_count = g->q->joins	 ? ID_NOBODY :
			    g->q->mapped ? g->q->map.count :
					   0,
	};
	struct copy_report report = { 0 };
	struct stat st;

	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != g->parent)
		return fail(err, KENNEL_E_INTERRUPTED, "interrupted");
	(void)!signal(SIGPIPE, SIG_IGN);
	errand_raise_file_limit();
	if (g->q->joins && sys_setns(g->q->pidfd, CLONE_NEWUSER) < 0)
		return fail_errno(err, "join the sandbox's user namespace");
	_cleanup_close_ int fd = copy_open_source(g->source, &report, &st);
	if (fd >= 0) {
		(void)!(*g->source->name ? pack_entry(&p, fd, g->source->name) : pack_top(&p, fd));
		(void)!pack_end(&p);
		copy_report_pack(&report, &p, g->source->path);
	}
	buf_add(out, &report, sizeof(report));
	return buf_check(out, err);
}

static int copy_in(const struct copy_request *q, const struct vm_guest *g, struct kennel_error **err)
{
	struct copy_side source = { .root_fd = AT_FDCWD, .path = q->source };
	_cleanup_copy_split_ struct copy_split split = { 0 };
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_buf_ struct buf out = { 0 };
	struct copy_report given = { 0 }, report = { 0 };
	const char *const words[] = { "unpack", q->source, q->target, NULL };
	struct vm_talk talk;
	int ends[2];

	if (copy_split_side(&source, &split) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	int r = vm_talk_begin(g, words, ends[0], -1, &talk, err);
	close_fd(ends[0]);
	if (r < 0) {
		close_fd(ends[1]);
		return r;
	}
	struct giving data = { .q = q, .source = &source, .out_fd = ends[1], .parent = getpid() };
	r = errand_run(-EBADF, give_in, &data, &out, err);
	close_fd(ends[1]);
	if (r == 0 && out.len == sizeof(given))
		memcpy(&given, out.data, sizeof(given));
	int taken = vm_talk_end(&talk, &report, &why);
	if (r < 0)
		return r;
	/* where it was not taken, the guest knows why */
	if (given.step != COPY_DONE && (given.step != COPY_STEP_PIPE || taken == 0))
		return copy_report_error(&given, err);
	if (taken == 0)
		return copy_report_error(&given, err);
	if (err)
		*err = take_ptr(&why);
	return taken;
}

int copy_run_guest(const struct copy_request *q, const struct vm_guest *g, struct kennel_error **err)
{
	return q->out ? copy_out(q, g, err) : copy_in(q, g, err);
}
