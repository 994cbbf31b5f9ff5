/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/pin.c - from a node to a descriptor, never over a path.
 *
 * One descriptor per node would be more than a user may have (often 1024 or 4096), so only the directories
 * used last are held open. Others are opened again below their parent, one plain name at a time, following no
 * link, and looked at afterwards: if device and number are not those that the node is bound to, somebody
 * renamed on the host meanwhile, and the answer is ESTALE. The kernel then looks the place up again by
 * itself, which binds it anew. A held directory keeps its file system busy on the host, so after some idle
 * seconds the watch thread lets go.
 */
#include "view/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t now_s(void)
{
	return now_ms() / 1000;
}

int pins_init(struct view *v, int32_t n)
{
	struct pin_cache *c = &v->pins;

	c->slots = calloc((size_t)n, sizeof(struct pin));
	if (!c->slots)
		return -ENOMEM;
	c->n = n;
	c->head = c->tail = c->free = -1;
	return 0;
}

static void unlink_slot(struct pin_cache *c, int32_t i)
{
	struct pin *p = &c->slots[i];

	if (p->prev >= 0)
		c->slots[p->prev].next = p->next;
	else
		c->head = p->next;
	if (p->next >= 0)
		c->slots[p->next].prev = p->prev;
	else
		c->tail = p->prev;
}

static void link_last(struct pin_cache *c, int32_t i)
{
	struct pin *p = &c->slots[i];

	p->prev = c->tail;
	p->next = -1;
	if (c->tail >= 0)
		c->slots[c->tail].next = i;
	else
		c->head = i;
	c->tail = i;
}

/* The slot's node loses it; the descriptor stays for those who use it now. */
static void detach(struct pin_cache *c, int32_t i)
{
	struct pin *p = &c->slots[i];

	if (!p->node)
		return;
	p->node->pin = -1;
	p->node = NULL;
	unlink_slot(c, i);
}

static void release(struct pin_cache *c, int32_t i)
{
	close_fd(c->slots[i].fd);
	c->slots[i].next = c->free;
	c->free = i;
}

static void drop_slot(struct pin_cache *c, int32_t i)
{
	detach(c, i);
	if (!c->slots[i].refs)
		release(c, i);
}

void pin_drop(struct view *v, struct node *dir)
{
	if (dir->pin >= 0)
		drop_slot(&v->pins, dir->pin);
}

void pins_drop_idle(struct view *v, int64_t unused_s)
{
	int64_t before = now_s() - unused_s;
	int32_t next;

	for (int32_t i = v->pins.head; i >= 0; i = next) {
		next = v->pins.slots[i].next;
		if (unused_s && v->pins.slots[i].used_s > before)
			break;
		drop_slot(&v->pins, i);
	}
}

/* A free slot, by letting go of the least recently used if need be; -1 if all are in use. */
static int32_t take_slot(struct pin_cache *c)
{
	if (c->free < 0 && c->n_used < c->n)
		return c->n_used++;
	if (c->free < 0) {
		int32_t i = c->head;

		while (i >= 0 && c->slots[i].refs)
			i = c->slots[i].next;
		if (i < 0)
			return -1;
		drop_slot(c, i);
	}
	int32_t i = c->free;
	c->free = c->slots[i].next;
	return i;
}

static bool use_slot(struct view *v, struct node *dir, struct pinned *ret)
{
	if (!dir->parent) {
		*ret = (struct pinned){ .fd = v->root_fd, .slot = -1 };
		return true;
	}
	if (dir->pin < 0)
		return false;
	struct pin *p = &v->pins.slots[dir->pin];
	p->refs++;
	p->used_s = now_s();
	*ret = (struct pinned){ .fd = p->fd, .slot = dir->pin };
	unlink_slot(&v->pins, dir->pin);
	link_last(&v->pins, dir->pin);
	return true;
}

void pin_put_locked(struct view *v, struct pinned *p)
{
	if (p->owned)
		close_fd(p->fd);
	if (p->slot >= 0) {
		struct pin *slot = &v->pins.slots[p->slot];

		if (p->claimed)
			slot->listing = false;
		if (!--slot->refs && !slot->node)
			release(&v->pins, p->slot);
	}
	*p = (struct pinned){ .fd = -EBADF, .slot = -1 };
}

void pin_put(struct view *v, struct pinned *p)
{
	if (p->slot < 0 && !p->owned)
		return;
	pthread_mutex_lock(&v->lock);
	pin_put_locked(v, p);
	pthread_mutex_unlock(&v->lock);
}

bool pin_claim(struct view *v, struct pinned *p)
{
	if (p->slot < 0 || !v->pins.slots[p->slot].listable || v->pins.slots[p->slot].listing)
		return false;
	return p->claimed = v->pins.slots[p->slot].listing = true;
}

/* openat() that makes room among the pins when there are too many descriptors. */
static int open_below(struct view *v, int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		pthread_mutex_lock(&v->lock);
		pins_drop_idle(v, 0);
		streams_drop_idle(v, 0);
		pthread_mutex_unlock(&v->lock);
		fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	}
	return fd < 0 ? -errno : fd;
}

static bool is_bound_to(struct view *v, const struct node *n, const struct stat *st)
{
	pthread_mutex_lock(&v->lock);
	bool same = n->dev == st->st_dev && n->ino == st->st_ino && n->type == (st->st_mode & S_IFMT) &&
		    !(n->flags & NODE_GONE);
	pthread_mutex_unlock(&v->lock);
	return same;
}

/* Opens the node below its parent's descriptor and makes sure that it is what the node is bound to. */
static int open_checked(struct view *v, int parent_fd, struct node *n, int flags)
{
	struct stat st;
	_cleanup_close_ int fd = open_below(v, parent_fd, n->name, flags);

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_bound_to(v, n, &st))
		return -ESTALE;
	return take_fd(&fd);
}

/* Keeps fd (taken) as the pin of dir, or uses the one that another thread made meanwhile. */
static void keep(struct view *v, struct node *dir, int fd, bool listable, struct pinned *ret)
{
	pthread_mutex_lock(&v->lock);
	int32_t i = -1;
	if (use_slot(v, dir, ret)) {
		close_fd(fd);
	} else if ((i = take_slot(&v->pins)) < 0) {
		*ret = (struct pinned){ .fd = fd, .slot = -1, .owned = true };
	} else {
		v->pins.slots[i] = (struct pin){ .node = dir, .fd = fd, .listable = listable };
		dir->pin = i;
		link_last(&v->pins, i);
		use_slot(v, dir, ret);
	}
	pthread_mutex_unlock(&v->lock);
}

int pin_get(struct view *v, struct node *dir, struct pinned *ret)
{
	struct pinned at;
	struct node *known = dir;

	pthread_mutex_lock(&v->lock);
	while (!use_slot(v, known, &at))
		known = known->parent;
	pthread_mutex_unlock(&v->lock);
	/*
	 * Down again. A loop, for the host may have trees deeper than our stack; such chains are searched
	 * anew at each level.
	 */
	while (known != dir) {
		struct node *next = dir;

		while (next->parent != known)
			next = next->parent;
		bool listable = true;
		int fd = next->flags & NODE_HIDDEN ? -ESTALE :
						     open_checked(v, at.fd, next, O_RDONLY | O_DIRECTORY);
		if (fd == -EACCES) {
			listable = false;
			fd = open_checked(v, at.fd, next, O_PATH | O_DIRECTORY);
		}
		pin_put(v, &at);
		if (fd < 0)
			return fd;
		keep(v, next, fd, listable, &at);
		known = next;
	}
	*ret = at;
	return 0;
}

int node_open(struct view *v, struct node *n, int flags)
{
	struct pinned dir;

	if (!n->parent) {
		int fd = openat(v->root_fd, ".", flags | O_CLOEXEC | O_DIRECTORY);

		return fd < 0 ? -errno : fd;
	}
	int r = pin_get(v, n->parent, &dir);
	if (r < 0)
		return r;
	r = open_checked(v, dir.fd, n, flags);
	pin_put(v, &dir);
	return r;
}

int node_stat(struct view *v, struct node *n, struct stat *ret)
{
	struct pinned dir;

	if (!n->parent)
		return fstatat(v->root_fd, "", ret, AT_EMPTY_PATH) < 0 ? -errno : 0;
	pthread_mutex_lock(&v->lock);
	int r = n->flags & NODE_GONE ? -ESTALE : 0;
	bool open = n->opens > 0;
	if (open)
		r = fstat(n->open_fd, ret) < 0 ? -errno : 0;
	pthread_mutex_unlock(&v->lock);
	if (open || r < 0)
		return r;
	r = pin_get(v, n->parent, &dir);
	if (r < 0)
		return r;
	r = fstatat(dir.fd, n->name, ret, STAT_FLAGS) < 0 ? -errno : 0;
	pin_put(v, &dir);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	pthread_mutex_lock(&v->lock);
	r = node_bind(v, n, ret);
	pthread_mutex_unlock(&v->lock);
	return r;
}
