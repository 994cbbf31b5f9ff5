/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/walk.c - see walk.h.
 *
 * What vanishes while we look is left out: the sandbox may be running.
 */
#include "ship/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/walk.h"
#include "ship/links.h"

struct walker {
	const struct ship_walk *w;
	struct ship_sink *sink;
	int wanted; /* of the entry that is looked at */
	bool measure; /* content and attributes are not wanted */
	size_t part;
	size_t rel_from; /* where a path's part below the target begins */
	struct delta_walk walk;
	struct buf path; /* of the entry that is seen */
	struct ship_links links;
	struct strv made; /* directories on the way to a part that have their entry */
	char *names, *value; /* for attributes: the kernel's own limits */
};

static void walker_done(struct walker *k)
{
	delta_walk_done(&k->walk);
	buf_done(&k->path);
	strv_done(&k->made);
	ship_links_done(&k->links);
	free(k->names);
	free(k->value);
}
#define _cleanup_walker_ __attribute__((cleanup(walker_done)))

static bool is_gone(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ESTALE;
}

/* May that be left out which can't be read? Then it is counted. */
static bool is_denied(const struct walker *k)
{
	if (errno != EACCES || !k->w->leave_denied)
		return false;
	if (k->w->progress && !k->measure)
		k->w->progress->left_out++;
	return true;
}

/* "overlay.opaque" in either namespace; "x" is another thing. */
bool ship_is_opaque(int fd)
{
	char v[2];

	return (fgetxattr(fd, SHIP_XATTR_OPAQUE, v, sizeof(v)) == 1 && v[0] == 'y') ||
	       (fgetxattr(fd, "trusted.overlay.opaque", v, sizeof(v)) == 1 && v[0] == 'y');
}

static uint32_t shift_id(const struct ship_walk *w, uint32_t id)
{
	if (!w->shift_count)
		return id;
	return id - w->shift_from < w->shift_count ? id - w->shift_from : 65534; /* nobody's inside */
}

static void shift_stat(const struct ship_walk *w, struct stat *st)
{
	st->st_uid = shift_id(w, st->st_uid);
	st->st_gid = shift_id(w, st->st_gid);
}

int ship_walk_look_at_top(const struct ship_walk *w, struct stat *ret, struct kennel_error **err)
{
	if (fstat(w->parts[0].fd, ret) < 0)
		return fail_errno(err, "look at the top directory");
	shift_stat(w, ret);
	return 0;
}

static void put_le32(unsigned char *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static uint32_t get_le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#define CAP_REVISION_2 0x02000000u
#define CAP_REVISION_3 0x03000000u
#define ACL_USER 2
#define ACL_GROUP 8

/*
 * Ids in attributes: a capability that only holds in the namespace of some root becomes one without; named
 * entries of an access control list are shifted. Return: the size, which may have become less.
 */
static size_t shift_xattr(const struct ship_walk *w, const char *name, unsigned char *v, size_t size)
{
	if (!w->shift_count)
		return size;
	if (strcmp(name, "security.capability") == 0 && size == 24 &&
	    (get_le32(v) & 0xff000000u) == CAP_REVISION_3) {
		put_le32(v, (get_le32(v) & 0x00ffffffu) | CAP_REVISION_2);
		return 20;
	}
	if (strncmp(name, "system.posix_acl_", 17) == 0)
		for (size_t i = 4; i + 8 <= size; i += 8)
			if (v[i] == ACL_USER || v[i] == ACL_GROUP)
				put_le32(v + i + 4, shift_id(w, get_le32(v + i + 4)));
	return size;
}

static int take_xattrs(struct walker *k, int fd, struct ship_xattrs *ret, struct kennel_error **err)
{
	ssize_t len = flistxattr(fd, k->names, XATTR_LIST_MAX);

	if (len < 0)
		return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : fail_errno(err, "list the attributes");
	for (const char *name = k->names; name < k->names + len; name += strlen(name) + 1) {
		if (!ship_xattr_travels(name))
			continue;
		ssize_t size = fgetxattr(fd, name, k->value, XATTR_SIZE_MAX);
		if (size < 0 && errno == ENODATA)
			continue;
		if (size < 0)
			return fail_errno(err, "read the attribute \"%s\"", name);
		size_t shifted = shift_xattr(k->w, name, (unsigned char *)k->value, (size_t)size);
		int r = ship_xattrs_add(ret, name, k->value, shifted, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int push(struct walker *k, const struct ship_entry *e, struct kennel_error **err)
{
	if (k->w->progress && k->w->progress->stop)
		return fail(err, KENNEL_E_INTERRUPTED, "stopped; nothing was left behind");
	return k->sink->add(k->sink, e, err);
}

/* A regular file or directory, opened; *e has its path. Return: 0, 1 it is gone, or a code. */
static int push_opened(struct walker *k, int fd, struct ship_entry *e, struct kennel_error **err)
{
	mode_t before = e->st.st_mode & S_IFMT;

	if (fstat(fd, &e->st) < 0)
		return fail_errno(err, "look at \"%s\"", e->path);
	shift_stat(k->w, &e->st);
	if (before && before != (e->st.st_mode & S_IFMT)) /* something else by now */
		return 0;
	if (S_ISDIR(e->st.st_mode) && k->w->deletions && k->wanted != SHIP_TAKE_SHOWING)
		e->opaque = e->opaque || ship_is_opaque(fd);
	if (S_ISREG(e->st.st_mode))
		e->fd = fd;
	int r = k->measure ? 0 : take_xattrs(k, fd, &e->xattrs, err);
	if (r == 0 && !*e->path && k->w->top_xattr)
		r = ship_xattrs_add(&e->xattrs, k->w->top_xattr->name, k->w->top_xattr->value,
				    k->w->top_xattr->size, err);
	if (r == 0)
		r = push(k, e, err);
	else
		r = wrap(err, r, "\"%s\"", e->path);
	ship_xattrs_done(&e->xattrs);
	return r;
}

static int push_symlink(struct walker *k, int dir_fd, const char *name, struct ship_entry *e,
			struct kennel_error **err)
{
	_cleanup_free_ char *text =
		malloc((size_t)e->st.st_size + 2 > 4096 ? (size_t)e->st.st_size + 2 : 4096);

	if (!text)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	ssize_t n = readlinkat(dir_fd, name, text, 4095);
	if (n < 0)
		return is_gone(errno) || errno == EINVAL ? 0 :
							   fail_errno(err, "read the link \"%s\"", e->path);
	text[n] = '\0';
	e->st.st_size = n;
	e->link = text;
	return push(k, e, err);
}

/* A second name of a file that came already? Return: 1 and it was pushed, 0, or a code. */
static int push_hardlink(struct walker *k, struct ship_entry *e, struct kennel_error **err)
{
	const struct ship_link *first;

	if (e->st.st_nlink < 2)
		return 0;
	int r = ship_links_see(&k->links, &e->st, e->path, &first, err);
	if (r <= 0)
		return r;
	e->kind = SHIP_HARDLINK;
	e->link = first->path;
	r = push(k, e, err);
	return r < 0 ? r : 1;
}

static int push_other(struct walker *k, int dir_fd, const char *name, struct ship_entry *e,
		      struct kennel_error **err)
{
	if (k->w->deletions && S_ISCHR(e->st.st_mode) && e->st.st_rdev == makedev(0, 0)) {
		e->kind = SHIP_WHITEOUT;
		return push(k, e, err);
	}
	int r = push_hardlink(k, e, err);
	if (r != 0)
		return MIN(r, 0);
	if (S_ISLNK(e->st.st_mode))
		return push_symlink(k, dir_fd, name, e, err);
	if (!S_ISREG(e->st.st_mode) || k->measure)
		return push(k, e, err);
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return is_gone(errno) || errno == ENXIO || is_denied(k) ?
			       0 :
			       fail_errno(err, "open \"%s\"", e->path);
	return push_opened(k, fd, e, err);
}

/* Is this where another part stands? Then that one is told, and what is below is hidden by it. */
static bool is_target(const struct walker *k, const char *path)
{
	for (size_t i = 1; i < k->w->n_parts; i++)
		if (strcmp(k->w->parts[i].target, path) == 0)
			return true;
	return false;
}

/* Is this on the way to one? */
static bool leads_to_part(const struct walker *k, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 1; i < k->w->n_parts; i++)
		if (strncmp(k->w->parts[i].target, path, len) == 0 && k->w->parts[i].target[len] == '/')
			return true;
	return false;
}

/* A directory on which something is mounted that is made anew everywhere: it says nothing of itself. */
static int push_place(struct walker *k, struct ship_entry *e, struct kennel_error **err)
{
	e->st.st_mode = S_IFDIR | (e->st.st_mode & 01777);
	e->st.st_mode = e->st.st_mode & 01000 ? e->st.st_mode : S_IFDIR | 0755;
	e->st.st_uid = e->st.st_gid = 0;
	return push(k, e, err);
}

static int see_directory(struct walker *k, const struct walk_entry *w, struct ship_entry *e,
			 struct kennel_error **err)
{
	int fd = delta_walk_own_fd(&k->walk, w);
	bool entered = !k->w->enter || k->w->enter(k->w->data, e->path, fd, &e->st);

	e->opaque = k->w->deletions && w->opaque && k->walk.n_trees > 1 && k->wanted != SHIP_TAKE_SHOWING;
	int r = entered ? push_opened(k, fd, e, err) : push_place(k, e, err);
	if (r == 0 && leads_to_part(k, e->path))
		r = strv_add(&k->made, e->path, err);
	if (!entered)
		delta_walk_skip(&k->walk);
	return r;
}

static int see_entry(struct walker *k, const struct walk_entry *w, struct kennel_error **err)
{
	struct ship_entry e = { .fd = -EBADF, .st = w->st };
	int dir_fd = delta_walk_dir_fd(&k->walk, w);
	const char *name = w->rel + w->name_at;

	k->path.len = k->rel_from;
	buf_puts(&k->path, w->rel);
	int r = buf_check(&k->path, err);
	if (r < 0)
		return r;
	e.path = buf_str(&k->path);
	shift_stat(k->w, &e.st);
	k->wanted = k->w->wanted ? k->w->wanted(k->w->data, k->part, w->rel, dir_fd, name, &e.st) : SHIP_TAKE;
	if (is_target(k, e.path) || k->wanted == SHIP_LEAVE) {
		delta_walk_skip(&k->walk);
		return 0;
	}
	return S_ISDIR(e.st.st_mode) ? see_directory(k, w, &e, err) : push_other(k, dir_fd, name, &e, err);
}

/* Entries for what leads to a part and has none yet. */
static int push_parents(struct walker *k, const char *target, struct kennel_error **err)
{
	_cleanup_free_ char *path = strdup(target);

	if (!path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!strv_has(&k->made, path) && !is_target(k, path)) {
			struct ship_entry e = { .path = path, .fd = -EBADF };

			e.st = (struct stat){ .st_mode = S_IFDIR | 0755, .st_nlink = 2 };
			int r = k->w->parent ? k->w->parent(k->w->data, path, &e.st) : 0;
			if (r >= 0)
				r = push(k, &e, err);
			if (r == 0)
				r = strv_add(&k->made, path, err);
			if (r < 0)
				return r;
		}
		*slash = '/';
	}
	return 0;
}

/* The trees of a part, for the walk to keep. */
static int begin_part(struct walker *k, const struct ship_part *part, struct kennel_error **err)
{
	_cleanup_free_ int *fds = calloc(part->n_below + 1, sizeof(*fds));
	unsigned n = 0;

	delta_walk_done(&k->walk);
	k->walk.opaque = part->opaque ? part->opaque : SHIP_XATTR_OPAQUE;
	k->walk.lenient = k->w->leave_denied;
	if (!fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (; n < part->n_below + 1; n++) {
		int from_fd = n ? part->below_fds[n - 1] : part->fd;

		fds[n] = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds[n] < 0)
			break;
	}
	if (n == part->n_below + 1)
		return delta_walk_begin_stack(&k->walk, fds, n, err);
	int r = fail_errno(err, "open the directory \"/%s\"", part->target);
	while (n)
		close_fd(fds[--n]);
	return r;
}

static int walk_part(struct walker *k, struct kennel_error **err)
{
	const struct ship_part *part = &k->w->parts[k->part];
	struct ship_entry e = { .path = part->target, .fd = -EBADF };
	struct walk_entry w;

	k->path.len = 0;
	buf_printf(&k->path, "%s%s", part->target, *part->target ? "/" : "");
	k->rel_from = k->path.len;
	int r = begin_part(k, part, err);
	if (r == 0)
		r = push_parents(k, part->target, err);
	if (r == 0)
		r = push_opened(k, dirs_fd(&k->walk.trees[0]), &e, err);
	if (r == 0 && leads_to_part(k, part->target))
		r = strv_add(&k->made, part->target, err);
	while (r == 0 && (r = delta_walk_next(&k->walk, &w, err)) > 0)
		r = see_entry(k, &w, err);
	if (r == 0 && k->walk.lost)
		r = fail(err, KENNEL_E_BUSY, "a directory was moved while \"/%s\" was read", part->target);
	if (k->w->progress && !k->measure)
		k->w->progress->left_out += k->walk.denied;
	return r;
}

static int walk(const struct ship_walk *w, struct ship_sink *sink, bool measure, struct kennel_error **err)
{
	_cleanup_walker_ struct walker k = { .w = w, .sink = sink, .measure = measure };

	k.names = malloc(XATTR_LIST_MAX);
	k.value = malloc(XATTR_SIZE_MAX);
	if (!k.names || !k.value)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (; k.part < w->n_parts; k.part++) {
		int r = walk_part(&k, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int ship_walk(const struct ship_walk *w, struct ship_sink *sink, struct kennel_error **err)
{
	return walk(w, sink, false, err);
}

int ship_scan(const struct ship_walk *w, struct ship_sink *sink, struct kennel_error **err)
{
	return walk(w, sink, true, err);
}

struct measure_sink {
	struct ship_sink base;
	struct ship_progress *progress;
	struct ship_size size;
};

static int measure_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct measure_sink *m = container_of(sink, struct measure_sink, base);
	uint64_t there = MIN((uint64_t)e->st.st_blocks * 512, (uint64_t)e->st.st_size);

	m->size.entries++;
	if (m->progress && !m->progress->total)
		m->progress->done = m->size.entries;
	if (e->kind != SHIP_NODE)
		return 0;
	if (S_ISREG(e->st.st_mode)) {
		m->size.bytes += there;
		m->size.blocks += (there + 4095) / 4096;
	} else if (S_ISDIR(e->st.st_mode)) {
		m->size.blocks += 1 + (uint64_t)e->st.st_size / 4096;
	}
	return 0;
}

int ship_measure(const struct ship_walk *w, struct ship_size *ret, struct kennel_error **err)
{
	struct measure_sink m = { .base = { .add = measure_add }, .progress = w->progress };
	int r = walk(w, &m.base, true, err);

	if (m.progress && !m.progress->total)
		m.progress->done = 0;
	if (r == 0)
		*ret = m.size;
	return r;
}
