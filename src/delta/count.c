/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/count.c - how many changes a delta holds.
 *
 * The tree is the sandbox's work and may be deeper than there are descriptors or stack, so the walk holds one
 * directory at a time: names still to be seen wait on one list, and the way up is "..", believed only if it
 * leads to the directory that we came from. (A descriptor a level ended at 1024 levels, a path ends at
 * PATH_MAX.)
 */
#include "delta/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

static const char go_up[] = ""; /* on the list of names: all below the current directory was seen */

struct place {
	dev_t dev;
	ino_t ino;
};

struct walk {
	int fd; /* the current directory */
	struct strv todo; /* last in, first out */
	struct place *parents; /* of the current directory, outermost first */
	size_t depth, room;
	struct buf path; /* of the current directory below the upper: "" or "a/b" */
	unsigned mount;
	const struct manifest_plants *planted;
	uint64_t count;
};

static void walk_done(struct walk *w)
{
	close_fd(w->fd);
	strv_done(&w->todo);
	free(w->parents);
	buf_done(&w->path);
}
#define _cleanup_walk_ __attribute__((cleanup(walk_done)))

/* The path of an entry of the current directory, at the end of w->path; cut_path() takes it off. */
static const char *extend_path(struct walk *w, const char *name)
{
	if (w->path.len)
		buf_puts(&w->path, "/");
	buf_puts(&w->path, name);
	return buf_str(&w->path);
}

static void cut_path(struct walk *w, size_t len)
{
	w->path.len = len;
	if (w->path.data)
		w->path.data[len] = '\0';
}

static bool is_planted(struct walk *w, const char *name, const struct stat *st)
{
	size_t len = w->path.len;
	const struct manifest_planted *p = manifest_plants_find(w->planted, w->mount, extend_path(w, name));

	cut_path(w, len);
	return p && manifest_planted_is_same(p, st, false);
}

static int see_entry(struct walk *w, int dir_fd, const struct dirent *e, bool has_planted,
		     struct kennel_error **err)
{
	struct stat st;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (e->d_type == DT_DIR)
		return strv_add(&w->todo, e->d_name, err);
	/* A hundred thousand files need no look each: only what may have been planted does. */
	if (e->d_type != DT_UNKNOWN && !has_planted) {
		w->count++;
		return 0;
	}
	if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "look at a file of the delta");
	if (S_ISDIR(st.st_mode))
		return strv_add(&w->todo, e->d_name, err);
	w->count += has_planted && is_planted(w, e->d_name, &st) ? 0 : 1;
	return 0;
}

static int see_directory(struct walk *w, struct kennel_error **err)
{
	int dir_fd = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	bool has_planted = manifest_plants_below(w->planted, w->mount, buf_str(&w->path));

	if (!d) {
		int r = fail_errno(err, "read a directory of the delta");

		close_fd(dir_fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read a directory of the delta") : 0;
		int r = see_entry(w, dir_fd, e, has_planted, err);
		if (r < 0)
			return r;
	}
}

static int remember_parent(struct walk *w, struct kennel_error **err)
{
	struct stat st;

	if (fstat(w->fd, &st) < 0)
		return fail_errno(err, "look at a directory of the delta");
	if (w->depth == w->room) {
		size_t room = w->room ? w->room * 2 : 32;
		struct place *parents = reallocarray(w->parents, room, sizeof(*parents));

		if (!parents)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		w->parents = parents;
		w->room = room;
	}
	w->parents[w->depth++] = (struct place){ st.st_dev, st.st_ino };
	return 0;
}

static int enter(struct walk *w, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* Gone, or something else by now: the sandbox may be running. */
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
			       0 :
			       fail_errno(err, "open a directory of the delta");
	int r = remember_parent(w, err);
	if (r == 0)
		r = strv_add(&w->todo, go_up, err);
	if (r < 0)
		return r;
	replace_fd(&w->fd, take_fd(&fd));
	extend_path(w, name);
	r = buf_check(&w->path, err);
	return r < 0 ? r : see_directory(w, err);
}

static int leave(struct walk *w, struct kennel_error **err)
{
	const struct place *to = &w->parents[--w->depth];
	_cleanup_close_ int fd = openat(w->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "go back in the delta");
	if (st.st_dev != to->dev || st.st_ino != to->ino)
		return fail(err, KENNEL_E_BUSY, "a directory of the delta was moved while it was counted");
	replace_fd(&w->fd, take_fd(&fd));
	const char *slash = memrchr(w->path.data, '/', w->path.len);
	cut_path(w, slash ? (size_t)(slash - w->path.data) : 0);
	return 0;
}

/* Takes upper_fd. */
static int count_upper(int upper_fd, unsigned mount, const struct manifest_plants *planted, uint64_t *count,
		       struct kennel_error **err)
{
	_cleanup_walk_ struct walk w = { .fd = upper_fd, .mount = mount, .planted = planted };

	int r = see_directory(&w, err);
	while (r == 0 && w.todo.n) {
		_cleanup_free_ char *name = take_ptr(&w.todo.items[--w.todo.n]);

		r = *name ? enter(&w, name, err) : leave(&w, err);
	}
	*count += w.count;
	return r;
}

int delta_count(int delta_fd, unsigned n_mounts, const struct manifest_plants *planted, uint64_t *ret,
		struct kennel_error **err)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < n_mounts; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%u/upper", i);
		int fd = openat(delta_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno != ENOENT)
			return fail_errno(err, "open a directory of the delta");
		if (fd < 0) /* a mount that was left out has no place in it */
			continue;
		int r = count_upper(fd, i, planted, &count, err);
		if (r < 0)
			return r;
	}
	*ret = count;
	return 0;
}
