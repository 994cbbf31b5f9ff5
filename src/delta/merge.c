/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/merge.c - see merge.h.
 *
 * One walk over all trees (walk.h), which says what is seen of them, and a second place that goes along with
 * it: where we are in the new tree. Names of one file are recognised by its inode; the first one that comes
 * is made at once, for the others are links to it.
 */
#include "delta/merge.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "delta/layout.h"
#include "delta/links.h"
#include "delta/walk.h"

struct merge {
	const struct manifest *manifest; /* NULL: a tree as it is */
	unsigned mount; /* a position in its mounts */
	bool *may_link; /* by tree */
	struct replica *replica;
	struct delta_walk walk;
	struct dirs out;
	struct replica_dir **levels; /* of the directories from the top to out's */
	size_t n_levels, room;
	struct links links;
};

static void merge_done(struct merge *m)
{
	while (m->n_levels)
		replica_dir_drop(m->replica, m->levels[--m->n_levels]);
	free(m->levels);
	free(m->may_link);
	delta_walk_done(&m->walk);
	dirs_done(&m->out);
	links_done(&m->links);
}
#define _cleanup_merge_ __attribute__((cleanup(merge_done)))

static int add_level(struct merge *m, int from_fd, bool opaque, struct kennel_error **err)
{
	struct replica_dir *d;

	if (m->n_levels == m->room) {
		size_t room = m->room ? m->room * 2 : 32;
		struct replica_dir **levels = reallocarray(m->levels, room, sizeof(*levels));

		if (!levels)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		m->levels = levels;
		m->room = room;
	}
	int r = replica_dir_begin(m->replica, from_fd, opaque && m->manifest ? m->walk.opaque : NULL, &d,
				  err);
	if (r == 0)
		m->levels[m->n_levels++] = d;
	return r;
}

static int leave_level(struct merge *m, struct kennel_error **err)
{
	int r = replica_dir_end(m->replica, m->levels[--m->n_levels], dirs_fd(&m->out), err);

	if (r == 0 && m->n_levels && !dirs_leave(&m->out))
		r = fail(err, KENNEL_E_BUSY, "a directory was moved while it was filled");
	return r;
}

static int make_directory(struct merge *m, const struct walk_entry *e, const char *name,
			  struct kennel_error **err)
{
	if (mkdirat(dirs_fd(&m->out), name, 0700) < 0)
		return fail_errno(err, "make the directory \"%s\"", e->rel);
	int fd = dirs_open(&m->out, name);
	if (fd < 0)
		return fail_errno(err, "open the directory \"%s\"", e->rel);
	int r = dirs_enter(&m->out, name, fd, err);
	return r < 0 ? r : add_level(m, delta_walk_own_fd(&m->walk, e), e->opaque, err);
}

/* Return: 1, 0 it has to be copied, or a negative code. */
static int link_source(struct merge *m, const struct walk_entry *e, const char *name,
		       struct kennel_error **err)
{
	if (!m->may_link[e->tree])
		return 0;
	if (linkat(delta_walk_dir_fd(&m->walk, e), name, dirs_fd(&m->out), name, 0) == 0) {
		int r = replica_count(m->replica, err);

		return r < 0 ? r : 1;
	}
	if (errno == EXDEV)
		m->may_link[e->tree] = false;
	/* another file system; more names than it allows; or one of those that this user may not link */
	if (errno == EXDEV || errno == EMLINK || errno == EPERM || errno == EOPNOTSUPP)
		return 0;
	return fail_errno(err, "make a link to \"%s\"", e->rel);
}

/* To another name of it that is there already. */
static int link_first(struct merge *m, const char *first, const char *name, struct kennel_error **err)
{
	const char *slash = strrchr(first, '/');
	_cleanup_free_ char *dir = strndup(first, slash ? (size_t)(slash - first) : 0);

	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	_cleanup_close_ int dir_fd = dirs_pin(m->out.levels[0].fd, dir, O_PATH | O_DIRECTORY);
	if (dir_fd < 0 || linkat(dir_fd, slash ? slash + 1 : first, dirs_fd(&m->out), name, 0) < 0)
		return fail_errno(err, "make a link to \"%s\"", first);
	return replica_count(m->replica, err);
}

static int make_file(struct merge *m, const struct walk_entry *e, const char *name, struct kennel_error **err)
{
	const struct replica_item item = {
		.from_fd = delta_walk_dir_fd(&m->walk, e),
		.to_fd = dirs_fd(&m->out),
		.tree = e->tree,
		.name = name,
		.st = &e->st,
		.now = e->st.st_nlink > 1,
	};
	const struct link_first *first = NULL;
	int r = link_source(m, e, name, err);

	if (r == 0 && item.now) {
		r = links_see(&m->links, &e->st, e->rel, NULL, &first, err);
		if (r == 0 && first)
			return link_first(m, first->path, name, err);
	}
	return r == 0 ? replica_file(m->replica, m->levels[m->n_levels - 1], &item, err) : MIN(r, 0);
}

static int see_entry(struct merge *m, const struct walk_entry *e, struct kennel_error **err)
{
	const char *name = e->rel + e->name_at;
	int r = 0;

	while (m->n_levels - 1 > e->depth && r == 0)
		r = leave_level(m, err);
	if (r < 0)
		return r;
	if (m->manifest && delta_stack_is_place(m->manifest, m->mount, e->rel)) {
		delta_walk_skip(&m->walk);
		return 0;
	}
	return S_ISDIR(e->st.st_mode) ? make_directory(m, e, name, err) : make_file(m, e, name, err);
}

/* From the walk, which has begun at top_fd, into to_fd, which it takes. */
static int make_all(struct merge *m, int top_fd, int to_fd, struct kennel_error **err)
{
	struct walk_entry e;

	int r = dirs_begin(&m->out, to_fd, err);
	if (r == 0)
		r = add_level(m, top_fd, false, err);
	while (r == 0 && (r = delta_walk_next(&m->walk, &e, err)) > 0)
		r = see_entry(m, &e, err);
	while (r == 0 && m->n_levels)
		r = leave_level(m, err);
	return r;
}

/* Its place in the new delta. Return: a descriptor, or a negative code. */
static int make_place(const struct merge_options *o, unsigned index, struct kennel_error **err)
{
	_cleanup_close_ int upper_fd = -EBADF, work_fd = -EBADF;
	const struct stat private = { .st_mode = 0700 | S_IFDIR, .st_uid = geteuid(), .st_gid = getegid() };

	int r = delta_add_mount(o->into_fd, index, &private, &upper_fd, &work_fd, err);
	if (r < 0)
		return r;
	int fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open the new delta") : fd;
}

static int merge_trees(const struct merge_options *o, struct merge *m, int *fds, const unsigned *which,
		       unsigned n, struct kennel_error **err)
{
	int top_fd = fds[0]; /* stays open as long as the walk */
	int to_fd = make_place(o, m->manifest->mounts[m->mount].index, err);

	m->may_link = calloc(n, sizeof(*m->may_link));
	for (unsigned i = 0; m->may_link && i < n; i++)
		m->may_link[i] = o->link && !o->sources[which[i]].live;
	if (to_fd < 0 || !m->may_link) {
		for (unsigned i = 0; i < n; i++)
			close_fd(fds[i]);
		return to_fd < 0 ? to_fd : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	m->walk.opaque = m->manifest->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
	int r = delta_walk_begin_stack(&m->walk, fds, n, err);
	if (r < 0)
		close_fd(to_fd);
	return r < 0 ? r : make_all(m, top_fd, to_fd, err);
}

static int merge_mount(const struct merge_options *o, const struct manifest *manifest, unsigned mount,
		       struct replica *replica, struct kennel_error **err)
{
	_cleanup_merge_ struct merge m = { .manifest = manifest, .mount = mount, .replica = replica };
	_cleanup_free_ int *fds = calloc(o->n, sizeof(*fds));
	_cleanup_free_ unsigned *which = calloc(o->n, sizeof(*which));

	if (!fds || !which)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int n = delta_stack_open(o->sources, o->n, manifest, mount, fds, which, err);
	return n <= 0 ? n : merge_trees(o, &m, fds, which, (unsigned)n, err);
}

static int check_xattr(const struct merge_options *o, struct kennel_error **err)
{
	for (size_t i = 1; i < o->n; i++)
		if (o->sources[i].manifest->user_xattr != o->sources[0].manifest->user_xattr)
			return fail(
				err, KENNEL_E_UNSUPPORTED,
				"some of the changes say in user.* what they delete, others in trusted.*");
	return 0;
}

int delta_merge(const struct merge_options *o, struct manifest *ret, struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_replica_ struct replica *replica = NULL;

	int r = check_xattr(o, err);
	if (r == 0)
		r = delta_stack_manifest(o->sources, o->n, &m, err);
	const struct replica_options options = {
		.own_prefix = m.user_xattr ? "user.overlay." : "trusted.overlay.",
		.hooks = o->hooks,
	};
	if (r == 0)
		r = replica_new(&options, &replica, err);
	for (unsigned i = 0; i < m.n_mounts && r == 0; i++)
		r = merge_mount(o, &m, i, replica, err);
	if (r == 0)
		r = replica_finish(replica, err);
	if (r < 0)
		return r;
	bool copied = !o->link;
	for (size_t i = 0; i < o->n; i++)
		copied |= o->sources[i].live;
	if (copied) /* births are of now */
		m.copied_ns = manifest_made_until_now();
	*ret = m;
	m = (struct manifest){ 0 };
	return 0;
}

int delta_copy_tree(int from_fd, int to_fd, const struct replica_hooks *hooks, struct kennel_error **err)
{
	const struct replica_options options = { .hooks = *hooks };
	_cleanup_replica_ struct replica *replica = NULL;
	int top_fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (top_fd < 0)
		return fail_errno(err, "open the tree to be copied");
	int into_fd = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = into_fd < 0 ? fail_errno(err, "open the copy") : replica_new(&options, &replica, err);
	_cleanup_merge_ struct merge m = { .replica = replica, .walk.opaque = "user.overlay.opaque" };
	if (r == 0) {
		m.may_link = calloc(1, sizeof(*m.may_link));
		r = m.may_link ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	if (r < 0) {
		close_fd(top_fd);
		close_fd(into_fd);
		return r;
	}
	r = delta_walk_begin(&m.walk, top_fd, err);
	if (r < 0)
		close_fd(into_fd);
	else
		r = make_all(&m, top_fd, into_fd, err);
	return r < 0 ? r : replica_finish(replica, err);
}
