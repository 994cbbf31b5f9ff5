/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/walk.c - see walk.h. Names that are still to be seen wait on one list, so a directory is read once
 * and none stays open for its sake.
 */
#include "delta/walk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define READ_SIZE (32u << 10)

static int push(struct delta_walk *w, const char *name, unsigned char type, unsigned tree,
		struct kennel_error **err)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 256;
		struct walk_name *todo = reallocarray(w->todo, room, sizeof(*todo));

		if (!todo)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		w->todo = todo;
		w->room = room;
	}
	w->todo[w->n++] = (struct walk_name){ .at = w->names.len, .tree = tree, .type = type };
	buf_add(&w->names, name, strlen(name) + 1);
	return buf_check(&w->names, err);
}

/* The list as it is shrinks to n names. */
static void drop_to(struct delta_walk *w, size_t n)
{
	if (n < w->n)
		w->names.len = w->todo[n].at;
	w->n = n;
}

static int compare_names(const void *a, const void *b, void *names)
{
	const struct walk_name *x = a, *y = b;

	/* The last one comes first out. */
	int r = strcmp((const char *)names + y->at, (const char *)names + x->at);
	return r ? r : (y->tree > x->tree) - (y->tree < x->tree);
}

/* Sorted, the names have to stand in the list's order too: they are cut off at the end. */
static int sort_from(struct delta_walk *w, size_t first, struct kennel_error **err)
{
	if (w->n - first < 2)
		return 0;
	size_t start = w->todo[first].at, size = w->names.len - start, at = start;
	_cleanup_free_ char *copy = malloc(size);

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	qsort_r(w->todo + first, w->n - first, sizeof(*w->todo), compare_names, w->names.data);
	memcpy(copy, w->names.data + start, size);
	for (size_t i = first; i < w->n; i++) {
		const char *name = copy + (w->todo[i].at - start);
		size_t len = strlen(name) + 1;

		memcpy(w->names.data + at, name, len);
		w->todo[i].at = at;
		at += len;
	}
	return 0;
}

/* The one name in the current directory that leads to w->below, or NULL where all are wanted. */
static const char *only_name(const struct delta_walk *w, size_t *ret_len)
{
	const char *dir = buf_str(&w->path), *rest = w->below;
	size_t len = strlen(dir);

	if (!rest || (len && strncmp(rest, dir, len) != 0))
		return NULL;
	rest += len;
	if (len && *rest)
		rest++;
	*ret_len = strcspn(rest, "/");
	return *rest ? rest : NULL;
}

static int read_tree(struct delta_walk *w, unsigned tree, struct kennel_error **err)
{
	_Alignas(struct dirent64) char buffer[READ_SIZE];
	size_t only_len = 0;
	const char *only = only_name(w, &only_len);

	for (;;) {
		ssize_t n = getdents64(dirs_fd(&w->trees[tree]), buffer, sizeof(buffer));

		if (n < 0 && errno != ENOENT) /* removed while it was open */
			return fail_errno(err, "read a directory of the delta");
		if (n <= 0)
			return 0;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
			const char *name = e->d_name;

			at += e->d_reclen;
			if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
				continue;
			if (only && (strncmp(name, only, only_len) != 0 || name[only_len]))
				continue;
			int r = push(w, name, e->d_type, tree, err);
			if (r < 0)
				return r;
		}
	}
}

static bool has_current(const struct delta_walk *w, unsigned tree)
{
	return w->trees[tree].n == w->depth + 1;
}

static int read_names(struct delta_walk *w, struct kennel_error **err)
{
	size_t first = w->n;
	int r = 0;

	for (unsigned i = 0; i < w->n_trees && r == 0; i++)
		if (has_current(w, i))
			r = read_tree(w, i, err);
	return r < 0 || (w->plain && w->n_trees == 1) ? r : sort_from(w, first, err);
}

static void close_next(struct delta_walk *w)
{
	for (unsigned i = 0; w->next && i < w->n_trees; i++)
		replace_fd(&w->next_fds[i], -EBADF);
	w->next = false;
}

int delta_walk_begin_stack(struct delta_walk *w, const int *upper_fds, unsigned n, struct kennel_error **err)
{
	int r = 0;

	w->trees = calloc(n, sizeof(*w->trees));
	w->next_fds = calloc(n, sizeof(*w->next_fds));
	if (!w->trees || !w->next_fds)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++) {
		if (r < 0) {
			close_fd(upper_fds[i]);
			continue;
		}
		w->next_fds[i] = -EBADF;
		r = dirs_begin(&w->trees[w->n_trees++], upper_fds[i], err);
	}
	return r < 0 ? r : read_names(w, err);
}

int delta_walk_begin(struct delta_walk *w, int upper_fd, struct kennel_error **err)
{
	return delta_walk_begin_stack(w, &upper_fd, 1, err);
}

void delta_walk_done(struct delta_walk *w)
{
	close_next(w);
	for (unsigned i = 0; i < w->n_trees; i++)
		dirs_done(&w->trees[i]);
	free(w->trees);
	free(w->next_fds);
	buf_done(&w->path);
	buf_done(&w->names);
	buf_done(&w->rel);
	free(w->todo);
	*w = (struct delta_walk){ 0 };
}

void delta_walk_skip(struct delta_walk *w)
{
	close_next(w);
}

/* Into the directory that was returned last, which w->rel says. */
static int enter_next(struct delta_walk *w, struct kennel_error **err)
{
	const char *slash = strrchr(buf_str(&w->rel), '/');
	const char *name = slash ? slash + 1 : buf_str(&w->rel);

	int r = push(w, "", w->covered, 0, err);
	for (unsigned i = 0; i < w->n_trees && r == 0; i++)
		if (w->next_fds[i] >= 0)
			r = dirs_enter(&w->trees[i], name, take_fd(&w->next_fds[i]), err);
	close_next(w);
	w->covered = w->covered || w->next_covered;
	w->depth++;
	w->path.len = 0;
	buf_add(&w->path, w->rel.data, w->rel.len);
	if (r == 0)
		r = buf_check(&w->path, err);
	return r < 0 ? r : read_names(w, err);
}

/* Return: 0, or 1 where the directory above can't be found again in some tree. */
static int leave(struct delta_walk *w, bool covered)
{
	const char *slash = memrchr(w->path.data, '/', w->path.len);
	int r = 0;

	for (unsigned i = 0; i < w->n_trees; i++)
		if (has_current(w, i) && dirs_leave(&w->trees[i]) == 0)
			r = 1;
	w->depth--;
	w->covered = covered;
	w->path.len = slash ? (size_t)(slash - w->path.data) : 0;
	w->path.data[w->path.len] = '\0';
	return r;
}

/* Up; where the directory above can't be found again, over all that was to be seen in it. */
static void go_up(struct delta_walk *w, bool covered)
{
	while (leave(w, covered)) {
		size_t n = w->n;

		w->lost = true;
		while (n && w->names.data[w->todo[n - 1].at])
			n--;
		if (!n) {
			drop_to(w, 0);
			return;
		}
		covered = w->todo[n - 1].type;
		drop_to(w, n - 1);
	}
}

static bool is_opaque(const struct delta_walk *w, int fd)
{
	char value;

	/* "x" is for layers whose whiteouts are xattrs, and hides nothing. */
	return fgetxattr(fd, w->opaque, &value, 1) == 1 && value == 'y';
}

static int fail_open(const struct delta_walk *w, const char *name, struct kennel_error **err)
{
	return fail_errno(err, "open the directory \"%s%s%s\"", buf_str(&w->path), w->path.len ? "/" : "",
			  name);
}

/*
 * The same directory in the trees below, which are the next names on the list.
 */
static int open_below(struct delta_walk *w, const char *name, struct walk_entry *e,
		      const struct walk_name *list, size_t n, struct kennel_error **err)
{
	for (size_t i = n; i > 0 && !e->opaque; i--) {
		unsigned tree = list[i - 1].tree;
		int fd = dirs_open(&w->trees[tree], name);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 && errno != ENOTDIR && errno != ELOOP)
			return fail_open(w, name, err);
		w->next_fds[tree] = fd;
		/* a deletion or a file there hides as well */
		e->opaque = fd < 0 || is_opaque(w, fd);
	}
	return 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Is it one that deletes nothing? Of one tree all are told as they are. */
static bool is_void(const struct delta_walk *w, const struct walk_entry *e)
{
	return w->n_trees > 1 && w->covered && is_whiteout(&e->st);
}

/*
 * Looks at it in the uppermost tree that has it. Return: 1, 2 it is a directory, opened; 0 it is not there
 * any more, or a negative code.
 */
static int look(struct delta_walk *w, const char *name, struct walk_entry *e, struct kennel_error **err)
{
	struct dirs *tree = &w->trees[e->tree];
	int dir_fd = dirs_fd(tree);

	if (e->type != DT_DIR && w->plain && e->type != DT_UNKNOWN)
		return 1;
	if (e->type != DT_DIR && fstatat(dir_fd, name, &e->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "look at a file of the delta");
	if (e->type != DT_DIR && !S_ISDIR(e->st.st_mode))
		return !is_void(w, e);
	_cleanup_close_ int fd = dirs_open(tree, name);
	/* Gone, or something else by now: the sandbox may be running. */
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		e->type = DT_UNKNOWN;
		if (fstatat(dir_fd, name, &e->st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(e->st.st_mode))
			return 1;
		errno = ENOENT;
	}
	if (fd < 0 && errno == EACCES && w->lenient) {
		w->denied++;
		return 0;
	}
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_open(w, name, err);
	e->type = DT_DIR;
	if (!w->plain && fstat(fd, &e->st) < 0)
		return fail_errno(err, "look at a directory of the delta");
	e->opaque = (!w->plain || w->n_trees > 1) && is_opaque(w, fd);
	w->next_fds[e->tree] = take_fd(&fd);
	w->next = true;
	return 2;
}

/* The name that comes next, in all trees that have it. Return: 1, 0 it is not there any more, or a code. */
static int take_name(struct delta_walk *w, struct walk_entry *ret, struct kennel_error **err)
{
	const struct walk_name top = w->todo[w->n - 1];
	const char *name = w->names.data + top.at;
	size_t first = w->n - 1;

	*ret = (struct walk_entry){ .type = top.type, .tree = top.tree, .depth = w->depth };
	while (first && *name && strcmp(w->names.data + w->todo[first - 1].at, name) == 0)
		first--;
	size_t below = w->n - 1 - first;
	drop_to(w, first); /* the names themselves stay until the next one is written */
	int r = look(w, name, ret, err);
	if (r > 1)
		r = open_below(w, name, ret, w->todo + first, below, err);
	else if (r == 0)
		return 0;
	w->next_covered = ret->opaque;
	if (r < 0)
		return r;
	w->rel.len = 0;
	buf_add(&w->rel, w->path.data, w->path.len);
	if (w->rel.len)
		buf_puts(&w->rel, "/");
	ret->name_at = w->rel.len;
	buf_puts(&w->rel, name);
	ret->rel = buf_str(&w->rel);
	ret->rel_len = w->rel.len;
	r = buf_check(&w->rel, err);
	return r < 0 ? r : 1;
}

int delta_walk_next(struct delta_walk *w, struct walk_entry *ret, struct kennel_error **err)
{
	int r = w->next ? enter_next(w, err) : 0;

	while (r == 0 && w->n) {
		const struct walk_name *top = &w->todo[w->n - 1];

		if (!w->names.data[top->at]) {
			bool covered = top->type;

			drop_to(w, w->n - 1);
			go_up(w, covered);
			continue;
		}
		r = take_name(w, ret, err);
	}
	return r;
}
