/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/diff.c - see diff.h.
 *
 * Two walks side by side: of the upper, entry by entry, and of the base, which follows it down as far as it
 * has the same directories. Entries come in the order of their names, so where a directory of the upper hides
 * one of the base, the names of the latter are merged in between: those that the upper does not have are
 * gone.
 *
 * With a reader the entries are fetched many at a time, for each visit to it costs two switches.
 */
#include "delta/diff.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/pathname.h"
#include "delta/compare.h"
#include "delta/links.h"
#include "delta/lower.h"
#include "delta/stack.h"
#include "delta/walk.h"

#define BATCH 512

struct level {
	bool hidden; /* what the base has here and the upper does not is gone */
	struct strv gone; /* names of the base, of a hidden level */
	size_t next;
};

struct batch {
	struct walk_entry *entries;
	size_t *at; /* of their paths */
	struct buf paths;
	size_t n, next;
	bool ended;
};

/* All mounts of one delta_diff(). */
struct order {
	struct delta_tree *tree;
	const char *below;
	delta_change_fn visit;
	void *data;
	unsigned *mounts; /* positions, in the order of a tree */
	size_t n, next;
};

/* The walk of one mount. */
struct diff {
	struct order *order;
	const struct delta_tree *tree;
	unsigned mount, index;
	const char *target;
	const char *below; /* rel: only it and what is in it; or NULL */
	struct delta_walk walk;
	struct batch batch;
	struct lower lower;
	struct compare compare;
	struct links links;
	struct level *levels; /* of directories of the upper, from the mount's root */
	size_t n_levels, room;
	struct buf dir; /* path of the last level */
	struct stat root; /* of the upper */
	struct buf path, rel;
};

int delta_path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	unsigned x = *a == '/' ? 1 : (unsigned char)*a ? (unsigned char)*a + 1u : 0;
	unsigned y = *b == '/' ? 1 : (unsigned char)*b ? (unsigned char)*b + 1u : 0;
	return x < y ? -1 : x > y;
}

static int run_mount(struct order *o, unsigned mount, struct kennel_error **err);

/* Mounts that come before path in the order of a tree. */
static int run_mounts_before(struct order *o, const char *path, struct kennel_error **err)
{
	int r = 0;

	while (r == 0 && o->next < o->n) {
		unsigned mount = o->mounts[o->next];

		if (path && delta_path_compare(o->tree->manifest.mounts[mount].target, path) > 0)
			break;
		o->next++;
		r = run_mount(o, mount, err);
	}
	return r;
}

static const char *full_path(struct diff *d, const char *rel)
{
	d->path.len = 0;
	if (d->target[1] || !*rel)
		buf_puts(&d->path, d->target);
	if (*rel) {
		buf_puts(&d->path, "/");
		buf_puts(&d->path, rel);
	}
	return buf_str(&d->path);
}

static bool is_at_or_below(const char *rel, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(rel, dir, len) == 0 && (!rel[len] || rel[len] == '/' || !len);
}

/* Only a directory on the way to what was asked for. */
static bool leads_to_below(const struct diff *d, const char *rel)
{
	return d->below && strcmp(rel, d->below) != 0 && is_at_or_below(d->below, rel);
}

static int emit(struct diff *d, struct delta_change *c, struct kennel_error **err)
{
	if (d->below && !is_at_or_below(c->rel, d->below))
		return 0;
	c->path = full_path(d, c->rel);
	c->mount = d->mount;
	int r = buf_check(&d->path, err);
	if (r == 0)
		r = run_mounts_before(d->order, c->path, err);
	return r < 0 ? r : d->order->visit(d->order->data, c, err);
}

static int emit_deleted(struct diff *d, const char *rel, const struct stat *before, struct kennel_error **err)
{
	struct delta_change c = { .rel = rel, .kind = DELTA_DELETED, .before = *before };

	return emit(d, &c, err);
}

/* Everything in a directory of the base, whose parent lower is at; below the name of its last part. */
static int emit_tree(struct diff *d, const char *rel, const char *name, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };

	int r = lower_enter(&d->lower, name, false, err);
	if (r < 0)
		return r;
	r = lower_list(&d->lower, &names, err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		_cleanup_free_ char *child = NULL;
		struct stat st;

		if (asprintf(&child, "%s/%s", rel, names.items[i]) < 0) {
			child = NULL;
			r = fail(err, KENNEL_E_NOMEM, "out of memory");
			break;
		}
		r = lower_look(&d->lower, names.items[i], &st, err);
		if (r <= 0)
			continue;
		r = emit_deleted(d, child, &st, err);
		if (r == 0 && S_ISDIR(st.st_mode))
			r = emit_tree(d, child, names.items[i], err);
	}
	lower_leave(&d->lower);
	return r;
}

/* The directories that lead to what was asked for are gone, and it with them. */
static int emit_below_gone(struct diff *d, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_close_ int fd = delta_tree_pin(d->tree, DELTA_BEFORE, d->mount, d->below, O_PATH, &why);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	return emit_deleted(d, d->below, &st, err);
}

/* What the base has at rel, under name in the current directory, is not there any more. */
static int see_gone(struct diff *d, const char *rel, const char *name, const struct stat *before,
		    struct kennel_error **err)
{
	if (leads_to_below(d, rel))
		return emit_below_gone(d, err);
	if (d->below && !is_at_or_below(rel, d->below))
		return 0;
	int r = emit_deleted(d, rel, before, err);
	if (r == 0 && d->tree->all && S_ISDIR(before->st_mode))
		r = emit_tree(d, rel, name, err);
	return r;
}

/* Names of the base that come before name (NULL: all that are left) in the last level, if that is hidden. */
static int emit_gone_before(struct diff *d, const char *name, struct kennel_error **err)
{
	struct level *l = &d->levels[d->n_levels - 1];
	int r = 0;

	while (r == 0 && l->next < l->gone.n) {
		const char *gone = l->gone.items[l->next];
		int c = name ? strcmp(gone, name) : -1;
		struct stat st;

		if (c > 0)
			break;
		l->next++;
		if (c == 0)
			continue;
		r = lower_look(&d->lower, gone, &st, err);
		if (r <= 0)
			continue;
		d->rel.len = 0;
		buf_add(&d->rel, d->dir.data, d->dir.len);
		if (d->dir.len)
			buf_puts(&d->rel, "/");
		buf_puts(&d->rel, gone);
		r = buf_check(&d->rel, err);
		if (r == 0)
			r = see_gone(d, buf_str(&d->rel), gone, &st, err);
	}
	return r;
}

static int add_level(struct diff *d, const char *name, bool hidden, struct kennel_error **err)
{
	if (d->n_levels == d->room) {
		size_t room = d->room ? d->room * 2 : 32;
		struct level *levels = reallocarray(d->levels, room, sizeof(*levels));

		if (!levels)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		d->levels = levels;
		d->room = room;
	}
	struct level *l = &d->levels[d->n_levels++];
	*l = (struct level){ .hidden = hidden };
	if (d->dir.len)
		buf_puts(&d->dir, "/");
	buf_puts(&d->dir, name);
	int r = buf_check(&d->dir, err);
	return r == 0 && hidden ? lower_list(&d->lower, &l->gone, err) : r;
}

static int close_level(struct diff *d, struct kennel_error **err)
{
	int r = emit_gone_before(d, NULL, err);

	strv_done(&d->levels[--d->n_levels].gone);
	if (!d->n_levels)
		return r;
	lower_leave(&d->lower);
	const char *slash = memrchr(d->dir.data, '/', d->dir.len);
	d->dir.len = slash ? (size_t)(slash - d->dir.data) : 0;
	d->dir.data[d->dir.len] = '\0';
	return r;
}

struct seen { /* one entry, and what the base has there */
	const struct walk_entry *e;
	const char *name;
	const struct manifest_planted *planted;
	bool same_planted;
	bool found;
	struct stat before;
};

static int enter_directory(struct diff *d, const struct seen *s, struct kennel_error **err)
{
	const struct level *parent = &d->levels[d->n_levels - 1];
	bool is_dir = s->found && S_ISDIR(s->before.st_mode);
	/* Of a planted one that hides, the sandbox never saw what is below. */
	bool unseen = s->planted && s->planted->kind == MANIFEST_OPAQUE;
	bool hidden = is_dir && (parent->hidden || s->e->opaque) && !unseen;

	int r = lower_enter(&d->lower, s->name, !is_dir || unseen, err);
	return r < 0 ? r : add_level(d, s->name, hidden, err);
}

static int see_links(struct diff *d, const struct seen *s, struct delta_change *c, struct kennel_error **err)
{
	const struct stat *st = &s->e->st, *base = s->found ? &s->before : NULL;
	const struct link_first *first;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	int r = links_see(&d->links, st, full_path(d, s->e->rel), base, &first, err);
	if (r < 0 || !first)
		return r;
	c->link_to = first->path;
	if (!base || !first->in_base || first->base_dev != base->st_dev || first->base_ino != base->st_ino)
		c->bits |= DELTA_HARDLINK;
	return 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

static int see_retyped(struct diff *d, const struct seen *s, struct delta_change *c,
		       struct kennel_error **err)
{
	c->kind = DELTA_RETYPED;
	c->before = s->before;
	int r = emit(d, c, err);
	if (r == 0 && d->tree->all && S_ISDIR(s->before.st_mode))
		r = emit_tree(d, s->e->rel, s->name, err);
	return r;
}

static int see_changed(struct diff *d, const struct seen *s, struct delta_change *c,
		       struct kennel_error **err)
{
	const struct walk_entry *e = s->e;
	const struct compare_pair pair = {
		.rel = e->rel,
		.name = *s->name ? s->name : ".",
		/* With a reader the walk is ahead of us. */
		.dir_fd = d->tree->reader ? -EBADF : delta_walk_dir_fd(&d->walk, e),
		.before = &s->before,
		.after = &e->st,
		.lax = S_ISDIR(e->st.st_mode) &&
		       (!e->rel_len || manifest_plants_below(&d->tree->manifest.planted, d->index, e->rel)),
	};
	unsigned bits = 0;

	int r = compare_files(&d->compare, &pair, &bits, err);
	c->kind = DELTA_CHANGED;
	c->bits |= bits;
	c->before = s->before;
	if (r < 0 || !c->bits)
		return r;
	if (e->opaque)
		c->bits |= DELTA_OPAQUE;
	return emit(d, c, err);
}

/* An entry that is neither a deletion nor what kennel put in. */
static int see_file(struct diff *d, const struct seen *s, struct kennel_error **err)
{
	const struct walk_entry *e = s->e;
	struct delta_change c = { .rel = e->rel, .kind = DELTA_ADDED, .after = e->st };

	int r = see_links(d, s, &c, err);
	if (r < 0 || leads_to_below(d, e->rel))
		return r < 0 || S_ISDIR(e->st.st_mode) || !s->found ? r : emit_below_gone(d, err);
	if (!s->found)
		return emit(d, &c, err);
	if ((s->before.st_mode ^ e->st.st_mode) & S_IFMT)
		return see_retyped(d, s, &c, err);
	return see_changed(d, s, &c, err);
}

static int look_at_base(struct diff *d, struct seen *s, struct kennel_error **err)
{
	const struct manifest_plants *planted = &d->tree->manifest.planted;
	int r = 0;

	s->planted = planted->n ? manifest_plants_find(planted, d->index, s->e->rel) : NULL;
	s->same_planted = s->planted && manifest_planted_is_same(s->planted, &s->e->st, s->e->opaque);
	/* What was left out of the copy, the sandbox never saw. */
	if (lower_is_there(&d->lower) && !(s->planted && s->planted->kind == MANIFEST_WHITEOUT))
		r = lower_look(&d->lower, s->name, &s->before, err);
	s->found = r > 0;
	return MIN(r, 0);
}

static int see_entry(struct diff *d, const struct walk_entry *e, struct kennel_error **err)
{
	struct seen s = { .e = e, .name = e->rel + e->name_at };

	int r = emit_gone_before(d, s.name, err);
	if (r == 0)
		r = look_at_base(d, &s, err);
	if (r != 0)
		return r;
	bool is_dir = S_ISDIR(e->st.st_mode);
	/* A directory that hides is still compared with what it hides, as is a place that the base has. */
	bool ours = s.same_planted && !(s.found && is_dir);
	if (is_whiteout(&e->st))
		return s.found && !ours ? see_gone(d, e->rel, s.name, &s.before, err) : 0;
	if (!ours)
		r = see_file(d, &s, err);
	return r == 0 && is_dir ? enter_directory(d, &s, err) : r;
}

static int fetch(void *data, struct kennel_error **err)
{
	struct diff *d = data;
	struct batch *b = &d->batch;
	int r = 1;

	b->n = b->next = b->paths.len = 0;
	while (b->n < (d->tree->reader ? BATCH : 1)) {
		struct walk_entry *e = &b->entries[b->n];

		r = delta_walk_next(&d->walk, e, err);
		if (r <= 0)
			break;
		if (d->tree->layers.n && delta_stack_is_place(&d->tree->manifest, d->mount, e->rel)) {
			delta_walk_skip(&d->walk);
			continue;
		}
		b->at[b->n++] = b->paths.len;
		buf_add(&b->paths, e->rel, e->rel_len + 1);
	}
	b->ended = r == 0;
	return r < 0 ? r : buf_check(&b->paths, err);
}

/* Return: 1, 0 at the end, or a negative code. */
static int next_entry(struct diff *d, struct walk_entry **ret, struct kennel_error **err)
{
	struct batch *b = &d->batch;

	if (b->next == b->n) {
		int r = b->ended ? 0 : delta_reader_call(d->tree->reader, fetch, d, err);

		if (r < 0)
			return r;
		if (!b->n || b->next == b->n)
			return 0;
	}
	*ret = &b->entries[b->next];
	(*ret)->rel = b->paths.data + b->at[b->next++];
	delta_tree_show_owner(d->tree, &(*ret)->st);
	return 1;
}

static int open_upper(void *data, struct kennel_error **err)
{
	struct diff *d = data;
	_cleanup_free_ int *fds = NULL;
	int n = delta_tree_open_uppers(d->tree, d->mount, &fds, err);

	if (n <= 0)
		return n;
	if (fstat(fds[0], &d->root) < 0) {
		for (int i = 0; i < n; i++)
			close_fd(fds[i]);
		return fail_errno(err, "look at the changes of \"%s\"", d->target);
	}
	int r = delta_walk_begin_stack(&d->walk, fds, (unsigned)n, err);
	return r < 0 ? r : 1;
}

/* The mount's root itself: owner and mode. */
static int see_root(struct diff *d, struct kennel_error **err)
{
	struct walk_entry e = { .rel = "", .type = DT_DIR, .st = d->root };
	struct seen s = { .e = &e, .name = "", .found = true };

	if (d->below || !lower_is_there(&d->lower))
		return 0;
	delta_tree_show_owner(d->tree, &e.st);
	int r = lower_look_root(&d->lower, &s.before, err);
	return r < 0 ? r : see_file(d, &s, err);
}

static int see_all(struct diff *d, struct kennel_error **err)
{
	struct walk_entry *e;
	int r = add_level(d, "", false, err);

	while (r == 0) {
		r = next_entry(d, &e, err);
		if (r <= 0)
			break;
		if (!d->lower.n)
			return fail(err, KENNEL_E_NOTFOUND, "\"%s\" was changed, but it is not mounted now",
				    d->target);
		r = 0;
		while (r == 0 && d->n_levels - 1 > e->depth)
			r = close_level(d, err);
		if (r == 0)
			r = see_entry(d, e, err);
	}
	while (r == 0 && d->n_levels)
		r = close_level(d, err);
	return r;
}

static int begin(struct diff *d, struct kennel_error **err)
{
	size_t batch = d->tree->reader ? BATCH : 1;

	d->batch.entries = calloc(batch, sizeof(*d->batch.entries));
	d->batch.at = calloc(batch, sizeof(*d->batch.at));
	if (!d->batch.entries || !d->batch.at)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = lower_begin(&d->lower, d->tree, d->mount, err);
	return r < 0 ? r : compare_begin(&d->compare, d->tree, d->mount, &d->lower, err);
}

static void end(struct diff *d)
{
	delta_walk_done(&d->walk);
	free(d->batch.entries);
	free(d->batch.at);
	buf_done(&d->batch.paths);
	lower_done(&d->lower);
	compare_done(&d->compare);
	links_done(&d->links);
	for (size_t i = 0; i < d->n_levels; i++)
		strv_done(&d->levels[i].gone);
	free(d->levels);
	buf_done(&d->dir);
	buf_done(&d->path);
	buf_done(&d->rel);
}

/* What of a mount was asked for. Return: 1 and *ret (NULL: all of it), 0 nothing. */
static int part_of_mount(const struct order *o, unsigned mount, const char **ret)
{
	const struct manifest *m = &o->tree->manifest;
	const char *target = m->mounts[mount].target;

	*ret = NULL;
	if (!o->below || path_is_below(target, o->below))
		return 1;
	if (!path_is_below(o->below, target))
		return 0;
	/* It may lie in a mount further down. */
	for (size_t i = 0; i < m->n_mounts; i++)
		if (strlen(m->mounts[i].target) > strlen(target) &&
		    path_is_below(o->below, m->mounts[i].target))
			return 0;
	*ret = o->below + strlen(target) + (target[1] != '\0');
	return 1;
}

static int run_mount(struct order *o, unsigned mount, struct kennel_error **err)
{
	const struct manifest *m = &o->tree->manifest;
	struct diff d = {
		.order = o,
		.tree = o->tree,
		.mount = mount,
		.index = m->mounts[mount].index,
		.target = m->mounts[mount].target,
	};

	if (!part_of_mount(o, mount, &d.below))
		return 0;
	d.walk.below = d.below;
	d.walk.opaque = m->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
	int r = delta_reader_call(o->tree->reader, open_upper, &d, err);
	if (r > 0) {
		r = begin(&d, err);
		if (r == 0)
			r = see_root(&d, err);
		if (r == 0)
			r = see_all(&d, err);
	}
	end(&d);
	return r;
}

static int compare_targets(const void *a, const void *b, void *data)
{
	const struct manifest_mount *mounts = data;

	return delta_path_compare(mounts[*(const unsigned *)a].target, mounts[*(const unsigned *)b].target);
}

int delta_diff(struct delta_tree *t, const char *below, delta_change_fn visit, void *data,
	       struct kennel_error **err)
{
	size_t n = t->manifest.n_mounts;
	_cleanup_free_ unsigned *mounts = calloc(n, sizeof(*mounts));
	struct order o = {
		.tree = t,
		.below = below && strcmp(below, "/") != 0 ? below : NULL,
		.visit = visit,
		.data = data,
		.mounts = mounts,
		.n = n,
	};

	if (!mounts)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (unsigned i = 0; i < n; i++)
		mounts[i] = i;
	qsort_r(mounts, n, sizeof(*mounts), compare_targets, t->manifest.mounts);
	return run_mounts_before(&o, NULL, err);
}
