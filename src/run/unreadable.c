/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/unreadable.c - see unreadable.h; src/view/ has the walk and its cache. */
#include "run/unreadable.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "path/path.h"
#include "run/views.h"
#include "view/view.h"

#define ID_NOBODY 65534u
#define PASSWD_MAX (4u << 20)

/* One line for each of the first fields in a passwd or group file. */
static int locked_lines(int root_fd, const char *source, const char *rest, struct buf *out,
			struct kennel_error **err)
{
	_cleanup_close_ int fd = path_open(root_fd, source, O_RDONLY, NULL);
	_cleanup_buf_ struct buf in = { 0 };

	if (fd < 0)
		return 0;
	int r = buf_read_fd(&in, fd, PASSWD_MAX, err);
	if (r < 0)
		return r;
	for (const char *line = buf_str(&in); *line;) {
		size_t name = strcspn(line, ":\n");

		if (name && line[name] == ':') {
			buf_add(out, line, name);
			buf_puts(out, rest);
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return buf_check(out, err);
}

static const struct {
	const char *rel, *source, *rest;
} made_up[] = {
	{ "etc/shadow", "etc/passwd", ":*:19000:0:99999:7:::\n" },
	{ "etc/gshadow", "etc/group", ":*::\n" },
};

static int make_shadows(struct launch *l, struct kennel_error **err)
{
	int r = 0;

	l->shadows = calloc(ARRAY_SIZE(made_up), sizeof(*l->shadows));
	if (!l->shadows)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_SIZE(made_up) && r == 0; i++)
		r = locked_lines(l->base_fd, made_up[i].source, made_up[i].rest, &l->shadows[i], err);
	return r;
}

static int compare_known(const void *a, const void *b)
{
	return strcmp(((const struct delta_known *)a)->rel, ((const struct delta_known *)b)->rel);
}

/* As it is seen inside: what is given to an id that does not exist there can't be made like it. */
static void show_owner(const struct idmap_user *m, struct stat *st)
{
	if (!idmap_user_has_range(m)) {
		st->st_uid = st->st_gid = 0;
		return;
	}
	if (st->st_uid >= m->uids.count && st->st_uid != m->uid)
		st->st_uid = ID_NOBODY;
	if (st->st_gid >= m->gids.count && st->st_gid != m->gid)
		st->st_gid = ID_NOBODY;
}

/* Remembers rel, which is len bytes long. Return: 1, 0 it is not there (any more), or a negative code. */
static int know(struct launch *l, size_t *room, const char *rel, size_t len, struct kennel_error **err)
{
	if (l->n_known == *room) {
		*room = *room ? *room * 2 : 128;
		struct delta_known *k = reallocarray(l->known, *room, sizeof(*k));

		if (!k)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		l->known = k;
	}
	struct delta_known *k = &l->known[l->n_known];
	k->rel = strndup(rel, len);
	if (!k->rel)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (fstatat(l->base_fd, k->rel, &k->st, AT_SYMLINK_NOFOLLOW) < 0) {
		free(k->rel);
		return 0;
	}
	show_owner(&l->sb->user_map, &k->st);
	l->n_known++;
	return 1;
}

/*
 * Looks at all of them and their parents now, from outside: inside each look would go through the view
 * server, which is just starting. The list is sorted, so a parent that the entry before has too is known.
 */
static int know_all(struct launch *l, struct kennel_error **err)
{
	size_t room = 0;

	if (fstat(l->base_fd, &l->base_stat) < 0)
		return fail_errno(err, "look at the base");
	if (!idmap_user_has_range(&l->sb->user_map))
		l->base_stat.st_uid = l->base_stat.st_gid = 0;
	/* where our own files go; a second time among the parents does no harm */
	int etc = know(l, &room, "etc", 3, err);
	if (etc < 0)
		return etc;
	for (size_t i = 0; i < l->unreadable->n; i++) {
		const char *rel = l->unreadable->items[i].path + 1,
			   *before = i ? l->unreadable->items[i - 1].path + 1 : "";

		for (size_t len = strcspn(rel, "/");; len += 1 + strcspn(rel + len + 1, "/")) {
			bool parent = rel[len] == '/';
			int r = parent && strncmp(rel, before, len + 1) == 0 ? 1 :
									       know(l, &room, rel, len, err);

			if (r < 0)
				return r;
			if (r == 0 || !parent)
				break;
		}
	}
	qsort(l->known, l->n_known, sizeof(*l->known), compare_known);
	return 0;
}

/* Out of the cache, of which what is stale is made anew, or by one walk. */
static int get(const struct unreadable_query *q, struct unreadable *ret, struct kennel_error **err)
{
	int r = unreadable_get(q, ret, err);

	if (r < 0 || !ret->stale)
		return r;
	unreadable_done(ret);
	*ret = (struct unreadable){ 0 };
	r = unreadable_refresh(q, err);
	return r < 0 ? r : unreadable_get(q, ret, err);
}

static void name_cache(int fd, char *ret, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		snprintf(ret, size, "%llx-%llx", (unsigned long long)st.st_dev,
			 (unsigned long long)st.st_ino);
}

static int find_in_layers(struct launch *l, int cache_fd, struct kennel_error **err)
{
	l->layers_unreadable = calloc(l->n_views, sizeof(*l->layers_unreadable));
	if (!l->layers_unreadable)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (unsigned i = 0; i < l->n_views; i++) {
		char key[64] = "layer";
		const struct unreadable_query q = { .root_fd = l->views[i].fd,
						    .cache_fd = cache_fd,
						    .key = key };

		/* an image's reader reads all of it */
		if (l->views[i].kind != VIEW_LAYER || l->views[i].format)
			continue;
		name_cache(q.root_fd, key, sizeof(key));
		int r = get(&q, &l->layers_unreadable[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

int unreadable_find(struct launch *l, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	char key[64] = "system";

	if (l->sb->deep) /* root reads all that it has */
		return l->base_fd >= 0 && fstat(l->base_fd, &l->base_stat) < 0 ?
			       fail_errno(err, "look at the base") :
			       0;
	_cleanup_close_ int cache_fd = path_open_cache();

	if (l->spec->base_path)
		name_cache(l->base_fd, key, sizeof(key));
	l->unreadable = calloc(1, sizeof(*l->unreadable));
	if (!l->unreadable)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = find_in_layers(l, cache_fd, err);
	if (r == 0 && l->base_fd >= 0) { /* of an image all is read */
		const struct unreadable_query q = {
			.root_fd = l->base_fd,
			.cache_fd = cache_fd,
			.key = key,
			.skip = (const char *const *)p->view_without.items,
			.is_system = l->spec->base_path == NULL,
		};

		r = get(&q, l->unreadable, err);
		if (r == 0)
			r = know_all(l, err);
		if (r == 0)
			r = make_shadows(l, err);
	}
	return r < 0 ? wrap(err, r, "find what this user can't read") : 0;
}

void unreadable_end(struct launch *l)
{
	if (l->unreadable)
		unreadable_done(l->unreadable);
	free(l->unreadable);
	for (unsigned i = 0; l->layers_unreadable && i < l->n_views; i++)
		unreadable_done(&l->layers_unreadable[i]);
	free(l->layers_unreadable);
	for (size_t i = 0; i < l->n_known; i++)
		free(l->known[i].rel);
	free(l->known);
	for (size_t i = 0; l->shadows && i < ARRAY_SIZE(made_up); i++)
		buf_done(&l->shadows[i]);
	free(l->shadows);
}

/* Made-up content of a place of the base. */
static const struct buf *content_for(const struct launch *l, const char *rel)
{
	for (size_t i = 0; i < ARRAY_SIZE(made_up); i++)
		if (strcmp(rel, made_up[i].rel) == 0)
			return &l->shadows[i];
	return NULL;
}

/* known: what there is to know of the base; NULL for a layer, which is asked through its view. */
static int plant_in(struct launch *l, unsigned lower, const struct unreadable *u,
		    const struct delta_known *known, struct kennel_error **err)
{
	for (size_t i = 0; i < u->n; i++) {
		const struct delta_spot spot = {
			.upper_fd = l->shared->upper_fds[0],
			.lower_fd = l->shared->lower_fds[lower],
			.over_fds = l->shared->lower_fds,
			.n_over = l->child_overlays[0].n_frozen,
			.rel = u->items[i].path + 1,
			.user_xattr = true,
			.planted = &l->sb->planted,
			.before = launch_before(l),
			.known = known,
			.n_known = known ? l->n_known : 0,
		};
		_cleanup_error_ struct kennel_error *inner = NULL;

		if (views_cover(l, lower, spot.rel))
			continue; /* what a layer above has there is what is to be seen */
		const struct buf *text = known ? content_for(l, spot.rel) : NULL;
		int r = delta_plant_instead(&spot, text ? buf_str(text) : NULL, text ? text->len : 0, &inner);

		/* One that can't be had stays as it is, unreadable; a full delta is another matter. */
		if (r == -KENNEL_E_NOSPACE || r == -KENNEL_E_NOMEM) {
			if (err)
				*err = inner;
			inner = NULL;
			return r;
		}
	}
	return 0;
}

int unreadable_plant(struct launch *l, struct kennel_error **err)
{
	const unsigned base = l->child_overlays[0].n_lowers - 1, frozen = l->child_overlays[0].n_frozen;
	int r = 0;

	/* the uppermost first: a directory in the delta is like that of who shows it */
	for (unsigned i = frozen; i < base && l->layers_unreadable && r == 0; i++)
		r = plant_in(l, i, &l->layers_unreadable[i - frozen], NULL, err);
	return r == 0 && l->n_known ? plant_in(l, base, l->unreadable, l->known, err) : r;
}
