/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/lower.c - see lower.h. */
#include "delta/lower.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

/* What the functions of lower.h do, each as root of the inside where the base belongs to that. */
struct lower_job {
	struct lower *l;
	const char *name;
	bool hidden;
	int flags;
	struct stat *st;
	struct strv *names;
	size_t tree;
};

/* As who that looks at all trees; see call_for(). */
static int call(const struct lower *l, delta_reader_fn fn, struct lower_job *j, struct kennel_error **err)
{
	j->l = (struct lower *)l;
	return delta_reader_call(l->tree->base_inside ? l->tree->reader : NULL, fn, j, err);
}

/* As who looks at this tree: frozen layers in front of the base are the inside's in any case. */
static int call_for(const struct lower *l, size_t tree, delta_reader_fn fn, struct lower_job *j,
		    struct kennel_error **err)
{
	bool switches = tree < l->n_layers && !l->tree->base_inside;

	j->l = (struct lower *)l;
	j->tree = tree;
	return switches ? delta_reader_call(l->tree->reader, fn, j, err) : fn(j, err);
}

static int begin(void *data, struct kennel_error **err)
{
	struct lower *l = ((struct lower_job *)data)->l;
	const struct delta_tree *t = l->tree;
	const struct delta_lower *from = &t->lowers[l->mount];

	l->trees = calloc(from->n + 1, sizeof(*l->trees));
	if (!l->trees)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->n_layers = from->n_layers;
	for (size_t i = 0; i < from->n; i++) {
		/* those of layers were opened by who may */
		int fd = i < from->n_layers ? fcntl(from->fds[i], F_DUPFD_CLOEXEC, 3) :
					      openat(from->fds[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return fail_errno(err, "open \"%s\" of the base",
					  t->manifest.mounts[l->mount].target);
		int r = dirs_begin(&l->trees[l->n++], fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int lower_begin(struct lower *l, const struct delta_tree *t, unsigned mount, struct kennel_error **err)
{
	*l = (struct lower){ .tree = t, .mount = mount };
	return call(l, begin, &(struct lower_job){ 0 }, err);
}

void lower_done(struct lower *l)
{
	for (size_t i = 0; i < l->n; i++)
		dirs_done(&l->trees[i]);
	free(l->trees);
	*l = (struct lower){ 0 };
}

static bool has_current(const struct lower *l, size_t tree)
{
	return l->trees[tree].n == l->depth + 1;
}

bool lower_is_there(const struct lower *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (has_current(l, i))
			return true;
	return false;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* A directory that a view of the base, which is the last tree, shows empty, whatever there is. */
static bool is_absent(const struct lower *l, size_t tree, const char *name)
{
	const struct manifest *m = &l->tree->manifest;

	if (!m->view || tree != l->n - 1)
		return false;
	const struct buf *dir = &l->trees[tree].path;
	for (size_t i = 0; i < m->absent.n; i++) {
		const char *rest = m->absent.items[i] + 1;

		if (dir->len && (strncmp(rest, dir->data, dir->len) != 0 || rest[dir->len] != '/'))
			continue;
		if (strcmp(rest + dir->len + (dir->len > 0), name) == 0)
			return true;
	}
	return false;
}

static void show_owner(const struct delta_tree *t, struct stat *st)
{
	const uint32_t nobody = 65534;

	if (t->manifest.squash)
		st->st_uid = st->st_gid = 0;
	if (t->id_count && st->st_uid >= t->id_count && st->st_uid != t->own_uid)
		st->st_uid = nobody;
	if (t->id_count && st->st_gid >= t->id_count && st->st_gid != t->own_gid)
		st->st_gid = nobody;
}

static int look_in_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;
	const struct lower *l = j->l;
	const char *name = j->name;
	size_t tree = j->tree;
	struct stat *ret = j->st;

	if (is_absent(l, tree, name)) {
		*ret = (struct stat){ .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
		return 1;
	}
	if (fstatat(dirs_fd(&l->trees[tree]), name, ret, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	if (errno == EBADF)
		return fail(err, KENNEL_E_BUSY, "a directory of the base was moved while it was looked at");
	return errno == ENOENT || errno == EACCES ? 0 : fail_errno(err, "look at \"%s\" of the base", name);
}

/* In one tree. Return: 1, 0 nothing, or a negative code. */
static int look_in(const struct lower *l, size_t tree, const char *name, struct stat *ret,
		   struct kennel_error **err)
{
	return call_for(l, tree, look_in_job, &(struct lower_job){ .name = name, .st = ret }, err);
}

static int look(const struct lower *l, const char *name, struct stat *ret, struct kennel_error **err)
{
	for (size_t i = 0; i < l->n; i++) {
		int r = has_current(l, i) ? look_in(l, i, name, ret, err) : 0;

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (i >= l->n_layers)
			show_owner(l->tree, ret);
		return !is_whiteout(ret);
	}
	return 0;
}

static int look_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;

	return look(j->l, j->name, j->st, err);
}

int lower_look(const struct lower *l, const char *name, struct stat *ret, struct kennel_error **err)
{
	return call(l, look_job, &(struct lower_job){ .name = name, .st = ret }, err);
}

static int look_root_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;
	const struct lower *l = j->l;
	const size_t tree = l->n_layers ? 0 : l->n - 1;

	int r = look_in(l, tree, ".", j->st, err);
	if (r > 0 && !l->n_layers)
		show_owner(l->tree, j->st);
	return r;
}

int lower_look_root(const struct lower *l, struct stat *ret, struct kennel_error **err)
{
	return call(l, look_root_job, &(struct lower_job){ .st = ret }, err);
}

static int open_in_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;

	return openat(dirs_fd(&j->l->trees[j->tree]), j->name, j->flags);
}

static int open_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;
	const struct lower *l = j->l;
	const char *name = j->name;
	int flags = j->flags;

	for (size_t i = 0; i < l->n; i++) {
		struct lower_job one = { .name = name,
					 .flags = flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
		int fd = has_current(l, i) ? call_for(l, i, open_in_job, &one, err) : -1;

		if (fd >= 0 || (has_current(l, i) && errno != ENOENT))
			return fd;
	}
	errno = ENOENT;
	return -1;
}

int lower_open(const struct lower *l, const char *name, int flags)
{
	return call(l, open_job, &(struct lower_job){ .name = name, .flags = flags }, NULL);
}

static int any_xattrs_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;

	return delta_tree_xattrs_any(j->l->tree, dirs_fd(&j->l->trees[0]), j->name);
}

bool lower_any_xattrs(const struct lower *l, const char *name)
{
	return l->n != 1 || !has_current(l, 0) ||
	       call(l, any_xattrs_job, &(struct lower_job){ .name = name }, NULL) != 0;
}

static bool is_opaque(const struct lower *l, int fd)
{
	char value;

	return fgetxattr(fd, l->tree->manifest.user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque",
			 &value, 1) == 1 &&
	       value == 'y';
}

static int enter_in_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;

	return dirs_open(&j->l->trees[j->tree], j->name);
}

/*
 * Into every tree that has it, down to one where it is something else, or says that it hides what is below.
 */
static int enter_trees(struct lower *l, const char *name, struct kennel_error **err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct stat st;

		if (!has_current(l, i) || is_absent(l, i, name))
			continue;
		int r = look_in(l, i, name, &st, err);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		if (!S_ISDIR(st.st_mode))
			return 0;
		struct lower_job one = { .name = name };
		int fd = call_for(l, i, enter_in_job, &one, err);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES))
			continue;
		if (fd < 0)
			return fail_errno(err, "open \"%s\" of the base", name);
		bool last = l->n > 1 && is_opaque(l, fd);
		r = dirs_enter(&l->trees[i], name, fd, err);
		if (r < 0 || last)
			return r;
	}
	return 0;
}

static int enter_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;

	return enter_trees(j->l, j->name, err);
}

int lower_enter(struct lower *l, const char *name, bool hidden, struct kennel_error **err)
{
	int r = hidden ? 0 : call(l, enter_job, &(struct lower_job){ .name = name }, err);

	l->depth++;
	return r;
}

static int leave_in_job(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;

	return dirs_leave(&j->l->trees[j->tree]); /* not found again: lower_look() says so */
}

static int leave_job(void *data, struct kennel_error **err)
{
	struct lower *l = ((struct lower_job *)data)->l;

	for (size_t i = 0; i < l->n; i++)
		if (has_current(l, i))
			(void)!call_for(l, i, leave_in_job, &(struct lower_job){ 0 }, NULL);
	return 0;
}

void lower_leave(struct lower *l)
{
	(void)!call(l, leave_job, &(struct lower_job){ 0 }, NULL);
	l->depth--;
}

static int list_tree(void *data, struct kennel_error **err)
{
	const struct lower_job *j = data;
	struct strv *ret = j->names;
	int fd = openat(dirs_fd(&j->l->trees[j->tree]), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		int r = fail_errno(err, "read a directory of the base");

		close_fd(fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read a directory of the base") : 0;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int r = strv_add(ret, e->d_name, err);
		if (r < 0)
			return r;
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One after the other the same: dropped, and so is what an upper tree of the base has deleted. */
static int keep_merged(const struct lower *l, struct strv *v, struct kennel_error **err)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++) {
		char *name = v->items[i];
		bool twice = kept && strcmp(v->items[kept - 1], name) == 0;
		struct stat st;
		int r = twice ? 0 : look(l, name, &st, err);

		v->items[i] = NULL;
		if (r > 0)
			v->items[kept++] = name;
		else
			free(name);
		if (r < 0)
			return r;
	}
	v->n = kept;
	return 0;
}

static int list_job(void *data, struct kennel_error **err)
{
	const struct lower *l = ((struct lower_job *)data)->l;
	struct strv *ret = ((struct lower_job *)data)->names;
	_cleanup_strv_ struct strv v = { 0 };
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++)
		if (has_current(l, i))
			r = call_for(l, i, list_tree, &(struct lower_job){ .names = &v }, err);
	if (r == 0 && v.n) {
		qsort(v.items, v.n, sizeof(*v.items), compare_names);
		r = keep_merged(l, &v, err);
	}
	for (size_t i = 0; i < v.n && r == 0; i++)
		r = strv_take(ret, take_ptr(&v.items[i]), err);
	return r;
}

int lower_list(const struct lower *l, struct strv *ret, struct kennel_error **err)
{
	return call(l, list_job, &(struct lower_job){ .names = ret }, err);
}
