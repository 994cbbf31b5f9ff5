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
#include <sys/xattr.h>

#include "base/cleanup.h"

#define READ_SIZE (32u << 10)

static int push(struct delta_walk *w, const char *name, unsigned char type, struct kennel_error **err)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 256;
		struct walk_name *todo = reallocarray(w->todo, room, sizeof(*todo));

		if (!todo)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		w->todo = todo;
		w->room = room;
	}
	w->todo[w->n++] = (struct walk_name){ w->names.len, type };
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
	return strcmp((const char *)names + y->at, (const char *)names + x->at);
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
	const char *dir = buf_str(&w->dirs.path), *rest = w->below;
	size_t len = strlen(dir);

	if (!rest || (len && strncmp(rest, dir, len) != 0))
		return NULL;
	rest += len;
	if (len && *rest)
		rest++;
	*ret_len = strcspn(rest, "/");
	return *rest ? rest : NULL;
}

static int read_names(struct delta_walk *w, struct kennel_error **err)
{
	_Alignas(struct dirent64) char buffer[READ_SIZE];
	size_t first = w->n, only_len = 0;
	const char *only = only_name(w, &only_len);

	for (;;) {
		ssize_t n = getdents64(dirs_fd(&w->dirs), buffer, sizeof(buffer));

		if (n < 0 && errno != ENOENT) /* removed while it was open */
			return fail_errno(err, "read a directory of the delta");
		if (n <= 0)
			return w->plain ? 0 : sort_from(w, first, err);
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const struct dirent64 *)(buffer + at);
			const char *name = e->d_name;

			at += e->d_reclen;
			if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
				continue;
			if (only && (strncmp(name, only, only_len) != 0 || name[only_len]))
				continue;
			int r = push(w, name, e->d_type, err);
			if (r < 0)
				return r;
		}
	}
}

int delta_walk_begin(struct delta_walk *w, int upper_fd, struct kennel_error **err)
{
	w->next_fd = -EBADF;
	int r = dirs_begin(&w->dirs, upper_fd, err);

	return r < 0 ? r : read_names(w, err);
}

void delta_walk_done(struct delta_walk *w)
{
	if (w->next_fd > 0)
		close_fd(w->next_fd);
	dirs_done(&w->dirs);
	buf_done(&w->names);
	buf_done(&w->rel);
	free(w->todo);
	*w = (struct delta_walk){ .next_fd = -EBADF };
}

void delta_walk_skip(struct delta_walk *w)
{
	replace_fd(&w->next_fd, -EBADF);
}

static int enter_next(struct delta_walk *w, struct kennel_error **err)
{
	int fd = take_fd(&w->next_fd);
	const char *name = strrchr(buf_str(&w->rel), '/');

	int r = push(w, "", 0, err);
	if (r < 0) {
		close_fd(fd);
		return r;
	}
	r = dirs_enter(&w->dirs, name ? name + 1 : buf_str(&w->rel), fd, err);
	return r < 0 ? r : read_names(w, err);
}

/* Up; where the directory above can't be found again, over all that was to be seen in it. */
static void go_up(struct delta_walk *w)
{
	while (dirs_leave(&w->dirs) == 0) {
		size_t n = w->n;

		while (n && w->names.data[w->todo[n - 1].at])
			n--;
		if (!n) {
			drop_to(w, 0);
			return;
		}
		drop_to(w, n - 1);
	}
}

static bool is_opaque(const struct delta_walk *w, int fd)
{
	char value;

	/* "x" is for layers whose whiteouts are xattrs, and hides nothing. */
	return fgetxattr(fd, w->opaque, &value, 1) == 1 && value == 'y';
}

/* Return: 1, 0 it is not there any more, or a negative code. */
static int look(struct delta_walk *w, const char *name, struct walk_entry *e, struct kennel_error **err)
{
	int dir_fd = dirs_fd(&w->dirs);

	if (e->type != DT_DIR && w->plain && e->type != DT_UNKNOWN)
		return 1;
	if (e->type != DT_DIR && fstatat(dir_fd, name, &e->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "look at a file of the delta");
	if (e->type != DT_DIR && !S_ISDIR(e->st.st_mode))
		return 1;
	_cleanup_close_ int fd = dirs_open(&w->dirs, name);
	/* Gone, or something else by now: the sandbox may be running. */
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
		e->type = DT_UNKNOWN;
		if (fstatat(dir_fd, name, &e->st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(e->st.st_mode))
			return 1;
		errno = ENOENT;
	}
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open a directory of the delta");
	e->type = DT_DIR;
	if (!w->plain && fstat(fd, &e->st) < 0)
		return fail_errno(err, "look at a directory of the delta");
	e->opaque = !w->plain && is_opaque(w, fd);
	w->next_fd = take_fd(&fd);
	return 1;
}

int delta_walk_next(struct delta_walk *w, struct walk_entry *ret, struct kennel_error **err)
{
	if (w->next_fd >= 0) {
		int r = enter_next(w, err);

		if (r < 0)
			return r;
	}
	while (w->n) {
		const struct walk_name *top = &w->todo[w->n - 1];
		const char *name = w->names.data + top->at;

		*ret = (struct walk_entry){ .type = top->type, .depth = w->dirs.n - 1 };
		drop_to(w, w->n - 1); /* the name itself stays until the next one is written */
		if (!*name) {
			go_up(w);
			continue;
		}
		int r = look(w, name, ret, err);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		w->rel.len = 0;
		buf_add(&w->rel, w->dirs.path.data, w->dirs.path.len);
		if (w->rel.len)
			buf_puts(&w->rel, "/");
		ret->name_at = w->rel.len;
		buf_puts(&w->rel, name);
		ret->rel = buf_str(&w->rel);
		ret->rel_len = w->rel.len;
		return buf_check(&w->rel, err) < 0 ? -KENNEL_E_NOMEM : 1;
	}
	return 0;
}
