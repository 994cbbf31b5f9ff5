/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/commit.c - making the chosen changes. See commit.h; judging them is in commit-judge.c. */
#include "delta/commit.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "delta/commit-judge.h"
#include "path/path.h"

void commit_done(struct commit *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->items[i].path);
		free(c->items[i].rel);
		free(c->items[i].link_to);
		free(c->items[i].reason);
	}
	free(c->items);
	free(c->root);
	close_fd(c->root_fd);
	*c = (struct commit){ .root_fd = -EBADF };
}

void commit_choose_none(struct commit *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->items[i].chosen = false;
}

size_t commit_choose(struct commit *c, const char *path)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (path_is_below(c->items[i].path, path)) {
			c->items[i].chosen = true;
			n++;
		}
	return n;
}

static bool makes_directory(const struct commit_entry *e)
{
	return (e->kind == DELTA_ADDED || e->kind == DELTA_RETYPED) && S_ISDIR(e->after.st_mode);
}

void commit_choose_parents(struct commit *c)
{
	/* Backwards, what is chosen chooses the directory in front of it that it is in. */
	const struct commit_entry *last = NULL;

	for (size_t i = c->n; i-- > 0;) {
		struct commit_entry *e = &c->items[i];

		if (last && makes_directory(e) && path_is_below(last->path, e->path))
			e->chosen = true;
		if (e->chosen && (!last || !path_is_below(last->path, e->path)))
			last = e;
	}
}

static int compare_to_entry(const void *path, const void *entry)
{
	return delta_path_compare(path, ((const struct commit_entry *)entry)->path);
}

static struct commit_entry *find_entry(const struct commit *c, const char *path)
{
	return c->n ? bsearch(path, c->items, c->n, sizeof(*c->items), compare_to_entry) : NULL;
}

void commit_choose_one(struct commit *c, size_t i, bool chosen)
{
	_cleanup_free_ char *path = strdup(c->items[i].path);

	c->items[i].chosen = chosen;
	for (char *slash; chosen && path && (slash = strrchr(path, '/')) && slash != path;) {
		*slash = '\0';
		struct commit_entry *dir = find_entry(c, path);
		if (dir && makes_directory(dir))
			dir->chosen = true;
	}
}

/* What a delta has at one place, read. */
struct loaded {
	struct stage_item item;
	int fd;
	char *target;
};

static void loaded_done(struct loaded *l)
{
	attr_done(&l->item.attr);
	close_fd(l->fd);
	free(l->target);
}
#define _cleanup_loaded_ __attribute__((cleanup(loaded_done)))

static int load_xattrs(struct commit *c, const struct commit_entry *e, struct attr_xs *xs,
		       struct kennel_error **err)
{
	_cleanup_xattrs_ struct delta_xattrs x = { 0 };
	int r = delta_tree_xattrs(c->tree, DELTA_AFTER, e->mount, e->rel, &x, err);

	for (size_t i = 0; i < x.n && r == 0; i++)
		r = attr_xs_add(xs, x.items[i].name, x.items[i].value, x.items[i].size, err);
	return r;
}

/* What was shown is what is applied: a sandbox that runs may have changed it since. */
static int check_same(const struct commit_entry *e, int fd, struct kennel_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\" in the sandbox", e->path);
	if (st.st_ino == e->after.st_ino && (st.st_mode & S_IFMT) == (e->after.st_mode & S_IFMT) &&
	    st.st_ctim.tv_sec == e->after.st_ctim.tv_sec && st.st_ctim.tv_nsec == e->after.st_ctim.tv_nsec)
		return 0;
	return hint(err, fail(err, KENNEL_E_BUSY, "\"%s\" was changed in the sandbox meanwhile", e->path),
		    "nothing was applied; look again");
}

static int load(struct commit *c, const struct commit_entry *e, struct loaded *l, struct kennel_error **err)
{
	bool is_file = S_ISREG(e->after.st_mode);
	int r = 0;

	l->item = (struct stage_item){
		.shown = e->path,
		.rdev = e->after.st_rdev,
		.fd = -EBADF,
		.dev = e->after.st_dev,
		.ino = e->after.st_ino,
		.nlink = e->after.st_nlink,
	};
	attr_from_stat(&l->item.attr, &e->after);
	l->fd = delta_tree_pin(c->tree, DELTA_AFTER, e->mount, e->rel, is_file ? O_RDONLY : O_PATH, err);
	if (l->fd < 0)
		return l->fd;
	r = check_same(e, l->fd, err);
	if (r == 0 && S_ISLNK(e->after.st_mode))
		r = delta_tree_readlink(c->tree, DELTA_AFTER, e->mount, e->rel, &l->target, err);
	if (r == 0)
		r = load_xattrs(c, e, &l->item.attr.xs, err);
	l->item.target = l->target;
	l->item.fd = is_file ? l->fd : -EBADF;
	return r;
}

/*
 * Is it another name of a file that the host has and that stays as it is? Then it becomes a name of that
 * one. Not across file systems, nor where the kernel would not let this user.
 */
static bool find_mate(struct commit *c, const struct commit_entry *e, struct stat *ret)
{
	if (!e->link_to || !e->after.st_nlink)
		return false;
	if (find_entry(c, e->link_to))
		return false;
	_cleanup_close_ int fd = path_pin_plain(c->root_fd, e->link_to, O_NOFOLLOW, NULL);
	_cleanup_close_ int dir_fd = commit_open_parent(c->root_fd, e->path, NULL);
	struct statx mate, dir;

	if (fd < 0 || dir_fd < 0 || fstat(fd, ret) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &mate) < 0 ||
	    statx(dir_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &dir) < 0)
		return false;
	return mate.stx_mnt_id == dir.stx_mnt_id && ret->st_size == e->after.st_size &&
	       (ret->st_mode & S_IFMT) == (e->after.st_mode & S_IFMT) &&
	       (geteuid() == 0 || ret->st_uid == geteuid());
}

static int put(struct commit *c, struct txn *t, const struct commit_entry *e, struct kennel_error **err)
{
	_cleanup_loaded_ struct loaded l = { .fd = -EBADF };
	const struct stat *old = e->there ? &e->host : NULL;
	struct stat mate;

	if (!S_ISDIR(e->after.st_mode) && find_mate(c, e, &mate))
		return txn_link(t, e->path + 1, e->link_to + 1, &mate, old, err);
	int r = load(c, e, &l, err);
	return r < 0 ? r : txn_put(t, e->path + 1, &l.item, old, err);
}

static int change_directory(struct commit *c, struct txn *t, const struct commit_entry *e,
			    struct kennel_error **err)
{
	_cleanup_attr_ struct attr a = { 0 };

	attr_from_stat(&a, &e->after);
	int r = load_xattrs(c, e, &a.xs, err);
	return r < 0 ? r : txn_meta(t, e->path + 1, &a, err);
}

/* The directory in which something changes gets the times that it has inside. */
static int take_times(struct commit *c, struct txn *t, const struct commit_entry *e,
		      struct kennel_error **err)
{
	const char *slash = strrchr(e->rel, '/');
	_cleanup_free_ char *rel = strndup(e->rel, slash ? (size_t)(slash - e->rel) : 0);
	_cleanup_free_ char *dir = strndup(e->path + 1, (size_t)(strrchr(e->path, '/') - e->path));
	struct stat st;

	if (!rel || !dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (*dir)
		dir[strlen(dir) - 1] = '\0';
	_cleanup_close_ int fd =
		delta_tree_pin(c->tree, DELTA_AFTER, e->mount, rel, O_PATH | O_DIRECTORY, NULL);
	if (fd < 0 || fstat(fd, &st) < 0) /* not in the delta: a name that an opaque directory hides */
		return 0;
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	return txn_times(t, dir, times, err);
}

static int apply_one(struct commit *c, struct txn *t, const struct commit_entry *e, bool staged,
		     struct kennel_error **err)
{
	int r = staged || !*e->rel ? 0 : take_times(c, t, e, err);

	if (r < 0)
		return r;
	if (e->kind == DELTA_DELETED)
		return txn_drop(t, e->path + 1, &e->host, err);
	if (e->kind == DELTA_CHANGED && S_ISDIR(e->after.st_mode))
		return change_directory(c, t, e, err);
	return put(c, t, e, err);
}

int commit_apply(struct commit *c, int state_fd, const char *what, bool force, const struct txn_hooks *hooks,
		 size_t *ret_n, struct kennel_error **err)
{
	const struct commit_entry *made = NULL; /* the outermost directory that is staged */
	struct txn *t;
	size_t n = 0;

	int r = txn_begin(state_fd, c->root_fd, c->root, what, hooks, &t, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n && r == 0; i++) {
		const struct commit_entry *e = &c->items[i];

		if (!e->chosen || e->verdict == COMMIT_LEFT || (e->verdict == COMMIT_CONFLICT && !force))
			continue;
		bool staged = made && path_is_below(e->path, made->path);
		r = apply_one(c, t, e, staged, err);
		if (makes_directory(e) && !staged)
			made = e;
		n++;
	}
	if (r == 0 && n)
		r = txn_commit(t, err);
	txn_free(t);
	if (r == 0)
		*ret_n = n;
	return r;
}
