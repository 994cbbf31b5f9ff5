/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/node.c - the table of places that the kernel knows of. See internal.h for what a node is.
 *
 * Numbers are indexes and not addresses, so that one that we never gave out is found out. A node lives as
 * long as the kernel refers to it or to something below it; a number that is used again gets another
 * generation.
 */
#include "view/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FIRST_ROOM 1024
#define FIRST_BUCKETS 4096

static uint32_t name_hash(const struct node *parent, const char *name)
{
	uint32_t h = parent->id * 2654435761u;

	while (*name)
		h = (h ^ (unsigned char)*name++) * 16777619u;
	return h ^ h >> 15;
}

static struct node *node_new(const char *name, const struct stat *st)
{
	size_t len = strlen(name) + 1;
	struct node *n = calloc(1, sizeof(*n) + len);

	if (!n)
		return NULL;
	n->open_fd = n->wd = n->pin = -1;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	n->type = st->st_mode & S_IFMT;
	memcpy(n->name, name, len);
	return n;
}

int node_table_init(struct view *v, const struct stat *root)
{
	struct node_table *t = &v->table;

	t->by_id = calloc(FIRST_ROOM, sizeof(struct node *));
	t->free_ids = calloc(FIRST_ROOM, sizeof(uint32_t));
	t->by_name = calloc(FIRST_BUCKETS, sizeof(struct node *));
	struct node *n = node_new("", root);
	if (!t->by_id || !t->free_ids || !t->by_name || !n)
		return -ENOMEM;
	t->room = FIRST_ROOM;
	t->name_mask = FIRST_BUCKETS - 1;
	n->id = FUSE_ROOT_ID;
	n->nlookup = 1;
	n->flags = v->n_hide ? NODE_ABOVE_HIDDEN : 0;
	t->by_id[FUSE_ROOT_ID] = n;
	t->n_ids = FUSE_ROOT_ID + 1;
	return 0;
}

struct node *node_get(struct view *v, uint64_t id)
{
	pthread_mutex_lock(&v->lock);
	struct node *n = id < v->table.n_ids ? v->table.by_id[id] : NULL;
	pthread_mutex_unlock(&v->lock);
	return n;
}

static bool take_id(struct node_table *t, uint32_t *ret)
{
	if (t->n_free) {
		*ret = t->free_ids[--t->n_free];
		return true;
	}
	if (t->n_ids == t->room) {
		if (t->room > UINT32_MAX / 4)
			return false;
		struct node **ids = reallocarray(t->by_id, t->room * 2, sizeof(*ids));
		if (!ids)
			return false;
		t->by_id = ids;
		uint32_t *unused = reallocarray(t->free_ids, t->room * 2, sizeof(*unused));
		if (!unused)
			return false;
		t->free_ids = unused;
		t->room *= 2;
	}
	*ret = t->n_ids++;
	return true;
}

/* Twice as many buckets; without memory the chains are just longer. */
static void grow_buckets(struct node_table *t)
{
	uint32_t mask = t->name_mask * 2 + 1;
	struct node **b = calloc((size_t)mask + 1, sizeof(*b));

	if (!b)
		return;
	for (uint32_t i = 0; i <= t->name_mask; i++) {
		struct node *next;

		for (struct node *n = t->by_name[i]; n; n = next) {
			struct node **to = &b[name_hash(n->parent, n->name) & mask];

			next = n->hash_next;
			n->hash_next = *to;
			*to = n;
		}
	}
	free(t->by_name);
	t->by_name = b;
	t->name_mask = mask;
}

static void unhash(struct node_table *t, struct node *n)
{
	struct node **p = &t->by_name[name_hash(n->parent, n->name) & t->name_mask];

	while (*p && *p != n)
		p = &(*p)->hash_next;
	if (*p)
		*p = n->hash_next;
}

struct node *node_find(struct view *v, const struct node *parent, const char *name)
{
	struct node_table *t = &v->table;
	struct node *n = t->by_name[name_hash(parent, name) & t->name_mask];

	while (n && (n->parent != parent || strcmp(n->name, name)))
		n = n->hash_next;
	return n;
}

static struct node *node_add(struct view *v, struct node *parent, const char *name, const struct stat *st)
{
	struct node_table *t = &v->table;
	struct node *n = node_new(name, st);

	if (!n || !take_id(t, &n->id)) {
		free(n);
		return NULL;
	}
	n->generation = ++t->generation;
	n->parent = parent;
	parent->kids++;
	if (parent->flags & NODE_ABOVE_HIDDEN)
		n->flags |= node_hide_flags(v, parent, name);
	t->by_id[n->id] = n;
	if (++t->count > t->name_mask)
		grow_buckets(t);
	struct node **bucket = &t->by_name[name_hash(parent, name) & t->name_mask];
	n->hash_next = *bucket;
	*bucket = n;
	return n;
}

struct node *node_see(struct view *v, struct node *parent, const char *name, const struct stat *st)
{
	struct node *n = node_find(v, parent, name);

	if (n && node_bind(v, n, st) < 0) {
		unhash(&v->table, n);
		n->flags |= NODE_GONE;
		pin_drop(v, n);
		n = NULL;
	}
	if (!n)
		n = node_add(v, parent, name, st);
	if (n)
		n->nlookup++;
	return n;
}

int node_bind(struct view *v, struct node *n, const struct stat *st)
{
	if (n->flags & (NODE_GONE | NODE_HIDDEN))
		return n->flags & NODE_GONE ? -ESTALE : 0;
	if (n->dev == st->st_dev && n->ino == st->st_ino && n->type == (st->st_mode & S_IFMT))
		return 0;
	if (n->type != (st->st_mode & S_IFMT))
		return -ESTALE;
	if (n->opens)
		return 0;
	n->dev = st->st_dev;
	n->ino = st->st_ino;
	if (S_ISDIR(n->type)) {
		/*
		 * What the kernel and the overlay know of the old directory's entries is about other files.
		 */
		pin_drop(v, n);
		watch_remove(v, n);
		n->flags &= ~NODE_UNWATCHED;
		watch_tell(v, JOB_SUBTREE, n, "");
	} else if (S_ISLNK(n->type)) {
		watch_tell(v, JOB_INODE, n, ""); /* its target is in the page cache */
	}
	return 0;
}

static void node_free(struct view *v, struct node *n)
{
	struct node_table *t = &v->table;

	if (!(n->flags & NODE_GONE))
		unhash(t, n);
	pin_drop(v, n);
	watch_remove(v, n);
	close_fd(n->open_fd);
	t->by_id[n->id] = NULL;
	t->free_ids[t->n_free++] = n->id;
	t->count--;
	n->parent->kids--;
	free(n);
}

void node_forget(struct view *v, uint64_t id, uint64_t nlookup)
{
	pthread_mutex_lock(&v->lock);
	struct node *n = id < v->table.n_ids ? v->table.by_id[id] : NULL;
	if (n)
		n->nlookup -= MIN(nlookup, n->nlookup);
	while (n && n->parent && !n->nlookup && !n->kids) {
		struct node *parent = n->parent;

		node_free(v, n);
		n = parent;
	}
	pthread_mutex_unlock(&v->lock);
}

bool node_is_below(const struct node *n, const struct node *dir)
{
	while (n && n != dir)
		n = n->parent;
	return n == dir;
}

uint64_t node_version(const struct stat *st)
{
	const uint64_t part[] = { st->st_dev,	      st->st_ino,	   st->st_size,
				  st->st_mtim.tv_sec, st->st_mtim.tv_nsec, st->st_ctim.tv_sec,
				  st->st_ctim.tv_nsec };
	uint64_t h = 1469598103934665603u;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		h = (h ^ part[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h ? h : 1;
}

/*
 * One number space for all file systems below: the root's own numbers stay as they are, others get a hash of
 * their device in the upper bits. The same file has the same number in every view of this boot.
 */
uint64_t node_st_ino(const struct view *v, const struct stat *st)
{
	uint64_t dev = st->st_dev, ino = st->st_ino;

	if (dev != v->table.by_id[FUSE_ROOT_ID]->dev) {
		uint64_t h = dev * 0x9e3779b97f4a7c15u;

		ino ^= (h >> 49 | 1) << 48;
	}
	return ino ? ino : 1;
}

void node_show(const struct view *v, struct stat *st)
{
	st->st_ino = node_st_ino(v, st);
	if (v->squash)
		st->st_uid = st->st_gid = 0;
}

/* Does path, which ends before end, begin with n's own path? Returns what follows that, without the slash. */
static const char *after_path_of(const struct node *n, const char *path)
{
	if (!n->parent)
		return path + 1;
	const char *rest = after_path_of(n->parent, path);
	size_t len = strlen(n->name);
	if (!rest || strncmp(rest, n->name, len) || rest[len] != '/')
		return NULL;
	return rest + len + 1;
}

unsigned node_hide_flags(const struct view *v, const struct node *parent, const char *name)
{
	size_t len = strlen(name);
	unsigned flags = 0;

	for (size_t i = 0; i < v->n_hide; i++) {
		/* as deep as the hidden path at most */
		const char *rest = after_path_of(parent, v->hide[i]);

		if (!rest || strncmp(rest, name, len))
			continue;
		if (!rest[len])
			flags |= NODE_HIDDEN;
		else if (rest[len] == '/')
			flags |= NODE_ABOVE_HIDDEN;
	}
	return flags & NODE_HIDDEN ? NODE_HIDDEN : flags;
}
