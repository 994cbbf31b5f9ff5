/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/apply.c - see apply.h.
 *
 * A directory that both have, and that hides nothing in the newer ones, is gone into; all else is exchanged
 * with what has its name in the delta, whole. What was there before is then among the newer ones, to be
 * removed with them. A deletion in a directory that hides all below would delete nothing and be seen by
 * readdir(3): there the name itself goes.
 *
 * The newer ones know one mount. What they have below the targets of others is put in places of its own first
 * (arrange.h), so that both have the same ones.
 */
#include "delta/apply.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "delta/arrange.h"
#include "delta/attr.h"
#include "delta/layout.h"
#include "delta/walk.h"
#include "sys/sys.h"

#define OPAQUE "user.overlay.opaque"

struct level {
	struct attr attr; /* of the newer directory */
	bool covered; /* nothing shows through from below the delta */
};

struct apply {
	struct delta_walk walk; /* of the newer ones */
	struct dirs out; /* where that is in the delta */
	struct level *levels;
	size_t n, room;
	uint64_t count;
};

static void apply_done(struct apply *a)
{
	while (a->n)
		attr_done(&a->levels[--a->n].attr);
	free(a->levels);
	delta_walk_done(&a->walk);
	dirs_done(&a->out);
}
#define _cleanup_apply_ __attribute__((cleanup(apply_done)))

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static bool is_opaque(int fd)
{
	char value;

	return fgetxattr(fd, OPAQUE, &value, 1) == 1 && value == 'y';
}

static int add_level(struct apply *a, int from_fd, bool covered, struct kennel_error **err)
{
	if (a->n == a->room) {
		size_t room = a->room ? a->room * 2 : 32;
		struct level *levels = reallocarray(a->levels, room, sizeof(*levels));

		if (!levels)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		a->levels = levels;
		a->room = room;
	}
	a->levels[a->n] = (struct level){ .covered = covered };
	int r = attr_read(from_fd, "a directory of the newer changes", &a->levels[a->n].attr, err);
	if (r == 0)
		a->n++;
	return r;
}

static int leave_level(struct apply *a, struct kennel_error **err)
{
	struct level *l = &a->levels[--a->n];
	/* The root of a mount may have some that its newer one was not given. */
	int r = attr_apply(dirs_fd(&a->out), "a directory of the delta", &l->attr, a->n > 0, err);

	attr_done(&l->attr);
	if (r == 0 && a->n && !dirs_leave(&a->out))
		r = fail(err, KENNEL_E_BUSY, "a directory of the delta was moved meanwhile");
	return r;
}

/* The entry takes the place of what has its name. */
static int put(struct apply *a, const struct walk_entry *e, bool replaces, struct kennel_error **err)
{
	const char *name = e->rel + e->name_at;
	int from_fd = delta_walk_dir_fd(&a->walk, e), to_fd = dirs_fd(&a->out);

	a->count++;
	if (sys_renameat2(from_fd, name, to_fd, name, replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0)
		return fail_errno(err, "put \"%s\" into the delta", e->rel);
	return 0;
}

static int delete (struct apply *a, const struct walk_entry *e, bool is_there, struct kennel_error **err)
{
	const char *name = e->rel + e->name_at;

	if (!a->levels[a->n - 1].covered)
		return put(a, e, is_there, err);
	if (!is_there)
		return 0;
	int r = put(a, e, true, err);
	if (r == 0 && unlinkat(dirs_fd(&a->out), name, 0) < 0)
		r = fail_errno(err, "delete \"%s\" in the delta", e->rel);
	return r;
}

static int enter(struct apply *a, const struct walk_entry *e, struct kennel_error **err)
{
	const char *name = e->rel + e->name_at;
	int fd = dirs_open(&a->out, name);

	if (fd < 0)
		return fail_errno(err, "open \"%s\" in the delta", e->rel);
	bool covered = a->levels[a->n - 1].covered || is_opaque(fd);
	int r = dirs_enter(&a->out, name, fd, err);
	return r < 0 ? r : add_level(a, delta_walk_own_fd(&a->walk, e), covered, err);
}

static int put_directory(struct apply *a, const struct walk_entry *e, const struct stat *old,
			 struct kennel_error **err)
{
	if (old && S_ISDIR(old->st_mode) && !e->opaque)
		return enter(a, e, err);
	/* What a deletion or a file has hidden stays hidden. */
	if (old && !S_ISDIR(old->st_mode) && !e->opaque && !a->levels[a->n - 1].covered &&
	    fsetxattr(delta_walk_own_fd(&a->walk, e), OPAQUE, "y", 1, 0) < 0)
		return fail_errno(err, "make \"%s\" hide what is below", e->rel);
	delta_walk_skip(&a->walk);
	return put(a, e, old, err);
}

static int see(struct apply *a, const struct walk_entry *e, struct kennel_error **err)
{
	struct stat old;
	int r = 0;

	while (a->n - 1 > e->depth && r == 0)
		r = leave_level(a, err);
	if (r < 0)
		return r;
	bool is_there = fstatat(dirs_fd(&a->out), e->rel + e->name_at, &old, AT_SYMLINK_NOFOLLOW) == 0;
	if (!is_there && errno != ENOENT)
		return fail_errno(err, "look at \"%s\" in the delta", e->rel);
	if (S_ISDIR(e->st.st_mode))
		return put_directory(a, e, is_there ? &old : NULL, err);
	return is_whiteout(&e->st) ? delete (a, e, is_there, err) : put(a, e, is_there, err);
}

/* Takes both. */
static int apply_trees(int from_fd, int to_fd, uint64_t *count, struct kennel_error **err)
{
	_cleanup_apply_ struct apply a = { .walk.opaque = OPAQUE };
	_cleanup_close_ int top_fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct walk_entry e;

	int r = top_fd < 0 ? fail_errno(err, "open the newer changes") : 0;
	if (r < 0) {
		close_fd(from_fd);
		close_fd(to_fd);
		return r;
	}
	r = delta_walk_begin(&a.walk, from_fd, err);
	if (r < 0)
		close_fd(to_fd);
	else
		r = dirs_begin(&a.out, to_fd, err);
	if (r == 0)
		r = add_level(&a, top_fd, false, err);
	while (r == 0 && (r = delta_walk_next(&a.walk, &e, err)) > 0)
		r = see(&a, &e, err);
	while (r == 0 && a.n)
		r = leave_level(&a, err);
	*count += a.count;
	return r;
}

struct hiding {
	int upper_fd; /* of the newer ones */
};

/* What is below at this name shows through no more. */
static int hide(void *arg, const char *name, struct kennel_error **err)
{
	const struct hiding *h = arg;

	if (mknodat(h->upper_fd, name, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST)
		return fail_errno(err, "delete \"%s\"", name);
	_cleanup_close_ int fd = openat(h->upper_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0 : fail_errno(err, "open \"%s\"", name);
	return fsetxattr(fd, OPAQUE, "y", 1, 0) < 0 ?
		       fail_errno(err, "make \"%s\" hide what is below", name) :
		       0;
}

/* What the delta has there itself goes as well, whatever it is. */
static int hide_own(const struct delta_apply *a, unsigned index, struct hiding *h, struct kennel_error **err)
{
	int fd = delta_open_place(a->delta_fd, index, "upper", O_RDONLY);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	for (const struct dirent *e; d && r == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = hide(h, e->d_name, err);
	return r;
}

/* The root of a mount can't hide what it lies over, so everything there is hidden by name. */
static int replace_mount(const struct delta_apply *a, size_t i, struct kennel_error **err)
{
	const unsigned index = a->manifest->mounts[i].index;
	_cleanup_close_ int upper_fd = delta_open_place(a->from_fd, index, "upper", O_RDONLY);
	struct hiding h = { upper_fd };

	if (upper_fd < 0)
		return fail_errno(err, "open the newer changes of \"%s\"", a->manifest->mounts[i].target);
	int r = hide_own(a, index, &h, err);
	if (r == 0 && a->below)
		r = a->below(a->data, i, hide, &h, err);
	if (r == 0 && fremovexattr(upper_fd, OPAQUE) < 0 && errno != ENODATA)
		r = fail_errno(err, "look at the newer changes");
	return r;
}

/* A deletion or a file in the place of a mount: an empty mount is what comes nearest. Return: 1, 0, code. */
static int take_deletion(const struct delta_apply *a, const struct delta_join *j, struct kennel_error **err)
{
	_cleanup_close_ int parent_fd = delta_open_place(a->from_fd, j->parent, "upper", O_PATH);
	_cleanup_close_ int upper_fd = -EBADF, work_fd = -EBADF;
	_cleanup_free_ char *dir = strdup(j->rel);
	const struct stat usual = { .st_mode = S_IFDIR | 0755 };
	struct stat st;

	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	char *slash = strrchr(dir, '/');
	*(slash ? slash : dir) = '\0';
	_cleanup_close_ int dir_fd = parent_fd < 0 ? -EBADF : dirs_pin(parent_fd, dir, O_PATH | O_DIRECTORY);
	const char *name = slash ? slash + 1 : j->rel;
	if (dir_fd < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return 0;
	if (unlinkat(dir_fd, name, 0) < 0)
		return fail_errno(err, "look at \"%s\" of the newer changes", j->rel);
	int r = delta_add_mount(a->from_fd, j->mount, &usual, &upper_fd, &work_fd, err);
	return r < 0 ? r : 1;
}

static int arrange_mount(const struct delta_apply *a, size_t i, struct kennel_error **err)
{
	const struct manifest_mount *m = &a->manifest->mounts[i],
				    *parent = delta_parent_of(a->manifest, m->target);
	const struct delta_join j = {
		.delta_fd = a->from_fd,
		.mount = m->index,
		.parent = parent->index,
		.rel = m->target + (parent->index ? strlen(parent->target) + 1 : 1),
		.parent_lower_fd = -EBADF,
	};

	int r = take_deletion(a, &j, err);
	if (r > 0)
		return replace_mount(a, i, err);
	if (r == 0)
		r = delta_part(&j, err);
	if (r <= 0)
		return r;
	_cleanup_close_ int fd = delta_open_place(a->from_fd, m->index, "upper", O_RDONLY);
	return fd >= 0 && is_opaque(fd) ? replace_mount(a, i, err) : 0;
}

/* Those that others lie in first: a target is never longer than what lies in it. */
static int arrange(const struct delta_apply *a, struct kennel_error **err)
{
	const struct manifest *m = a->manifest;
	size_t longest = 0;
	int r = 0;

	for (size_t i = 1; i < m->n_mounts; i++)
		longest = MAX(longest, strlen(m->mounts[i].target));
	for (size_t len = 1; len <= longest && r >= 0; len++)
		for (size_t i = 1; i < m->n_mounts && r >= 0; i++)
			if (strlen(m->mounts[i].target) == len)
				r = arrange_mount(a, i, err);
	return MIN(r, 0);
}

static int apply_mount(const struct delta_apply *a, unsigned index, uint64_t *count,
		       struct kennel_error **err)
{
	_cleanup_close_ int from_fd = delta_open_place(a->from_fd, index, "upper", O_RDONLY),
			    work_fd = -EBADF;
	_cleanup_close_ int to_fd = delta_open_place(a->delta_fd, index, "upper", O_RDONLY);
	struct stat st;

	if (from_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the newer changes");
	if (to_fd < 0 && errno != ENOENT)
		return fail_errno(err, "open the delta");
	if (to_fd < 0) {
		_cleanup_close_ int upper_fd = -EBADF;

		int r = fstat(from_fd, &st) < 0 ?
				fail_errno(err, "look at the newer changes") :
				delta_add_mount(a->delta_fd, index, &st, &upper_fd, &work_fd, err);
		if (r < 0)
			return r;
		to_fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (to_fd < 0)
			return fail_errno(err, "open the delta");
	}
	return apply_trees(take_fd(&from_fd), take_fd(&to_fd), count, err);
}

int delta_apply_see(int dir_fd, int (*tell)(void *arg, const char *name, struct kennel_error **err),
		    void *arg, struct kennel_error **err)
{
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	int r = 0;

	for (const struct dirent *e; d && r == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = tell(arg, e->d_name, err);
	return r;
}

int delta_apply(const struct delta_apply *a, uint64_t *ret, struct kennel_error **err)
{
	const struct manifest *m = a->manifest;
	const bool several = !m->view && m->n_mounts > 1;
	uint64_t count = 0;

	int r = several ? arrange(a, err) : 0;
	for (size_t i = 0; i < (several ? m->n_mounts : 1) && r == 0; i++)
		r = apply_mount(a, several ? m->mounts[i].index : 0, &count, err);
	if (r == 0 && ret)
		*ret = count;
	return r;
}
