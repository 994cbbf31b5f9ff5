/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy/link.c - which files of the source were hard links of each other.
 *
 * A table from (device, inode) of the source to where its copy is: the directory, as a chain of single
 * names up to the copy's top, and its name there. A path would not do, for a tree may be deeper than
 * PATH_MAX; a descriptor for each file would not either. The copy that is found again has to be the very
 * inode that we made, else (somebody inside exchanged it) the file is simply copied once more.
 *
 * Memory is mapped, not allocated: see child.h. Node 0 is the top; a directory that is still open is
 * reached by its descriptor, one that is complete has its final name.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "copy/child.h"

struct node {
	uint32_t parent, depth;
	char name[];
};

struct slot {
	uint64_t dev, ino; /* of the source; ino 0 is a free slot */
	uint64_t made_dev, made_ino;
	uint32_t node, name; /* in the pool of names */
};

static int pool_reserve(struct copy_pool *p, size_t size)
{
	size_t room = p->room ? p->room : 1u << 16;

	while (room < p->len + size)
		room *= 2;
	if (room == p->room)
		return 0;
	void *data = p->data ? mremap(p->data, p->room, room, MREMAP_MAYMOVE) :
			       mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return -1;
	p->data = data;
	p->room = room;
	return 0;
}

/* Index of size new bytes, aligned for a node; UINT32_MAX and errno. Index 0 is never given. */
static uint32_t pool_add(struct copy_pool *p, size_t size)
{
	if (p->len == 0)
		p->len = 8;
	if (p->len + size > UINT32_MAX - 8 || pool_reserve(p, size + 8) < 0) {
		errno = ENOMEM;
		return UINT32_MAX;
	}
	uint32_t at = (uint32_t)p->len;
	p->len = (p->len + size + 7) & ~(size_t)7;
	return at;
}

uint32_t copy_links_dir(struct copy_worker *w, uint32_t parent, size_t depth, const char *name)
{
	size_t n = strlen(name) + 1;
	uint32_t at = pool_add(&w->links.names, sizeof(struct node) + n);

	if (at == UINT32_MAX) {
		copy_fail(w, COPY_STEP_MEMORY, name);
		return at;
	}
	struct node *node = (void *)(w->links.names.data + at);
	node->parent = parent;
	node->depth = (uint32_t)depth;
	memcpy(node->name, name, n);
	return at;
}

static struct slot *find(struct copy_links *t, uint64_t dev, uint64_t ino)
{
	struct slot *slots = (void *)t->table.data;
	uint64_t h = (ino ^ dev << 32) * 0x9e3779b97f4a7c15u;

	for (size_t i = (size_t)(h >> 20) & (t->slots - 1);; i = (i + 1) & (t->slots - 1))
		if (!slots[i].ino || (slots[i].ino == ino && slots[i].dev == dev))
			return &slots[i];
}

static int table_grow(struct copy_links *t)
{
	struct copy_links grown = { .slots = t->slots ? t->slots * 2 : 1024 };

	if (pool_reserve(&grown.table, grown.slots * sizeof(struct slot)) < 0)
		return -1;
	const struct slot *old = (const void *)t->table.data;
	for (size_t i = 0; i < t->slots; i++)
		if (old[i].ino)
			*find(&grown, old[i].dev, old[i].ino) = old[i];
	if (t->table.data)
		(void)!munmap(t->table.data, t->table.room);
	t->table = grown.table;
	t->slots = grown.slots;
	return 0;
}

int copy_links_add(struct copy_worker *w, const struct stat *st, const struct stat *made, const char *name)
{
	struct copy_links *t = &w->links;
	size_t n = strlen(name) + 1;

	if (!w->depth || !st->st_ino) /* a single file has no brothers */
		return 0;
	if (t->n * 2 >= t->slots && table_grow(t) < 0)
		return copy_fail(w, COPY_STEP_MEMORY, name);
	uint32_t at = pool_add(&t->names, n);
	if (at == UINT32_MAX)
		return copy_fail(w, COPY_STEP_MEMORY, name);
	memcpy(t->names.data + at, name, n);
	struct slot *s = find(t, st->st_dev, st->st_ino);
	t->n += !s->ino;
	*s = (struct slot){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.made_dev = made->st_dev,
		.made_ino = made->st_ino,
		.node = w->levels[w->depth - 1].node,
		.name = at,
	};
	return 0;
}

/* The directory of a node, or -1. The caller closes it. */
static int open_node(struct copy_worker *w, uint32_t index)
{
	size_t n = 0;
	uint32_t depth = 0;

	for (;; index = ((const struct node *)(const void *)(w->links.names.data + index))->parent) {
		depth = index ? ((const struct node *)(const void *)(w->links.names.data + index))->depth : 0;
		if (depth < w->depth && w->levels[depth].node == index)
			break;
		if (!index || n == COPY_LEVELS_MAX)
			return -1;
		w->chain[n++] = index;
	}
	int fd = fcntl(w->levels[depth].dst_fd, F_DUPFD_CLOEXEC, 3);
	while (fd >= 0 && n--) {
		const struct node *node = (const void *)(w->links.names.data + w->chain[n]);
		int next_fd = openat(fd, node->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		replace_fd(&fd, next_fd);
	}
	return fd;
}

int copy_links_try(struct copy_worker *w, const struct stat *st, int dst_fd, const char *staged,
		   const char *name)
{
	struct copy_links *t = &w->links;
	struct stat found;
	char fd_name[32];

	if (!t->slots || !w->depth)
		return 0;
	const struct slot *s = find(t, st->st_dev, st->st_ino);
	if (!s->ino)
		return 0;
	_cleanup_close_ int dir_fd = open_node(w, s->node);
	if (dir_fd < 0)
		return 0;
	_cleanup_close_ int fd = openat(dir_fd, t->names.data + s->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) < 0 || found.st_dev != s->made_dev || found.st_ino != s->made_ino ||
	    !S_ISREG(found.st_mode))
		return 0;
	copy_fd_name(fd, fd_name);
	if (linkat(w->job->proc_fd, fd_name, dst_fd, staged, AT_SYMLINK_FOLLOW) == 0)
		return 1;
	/* Too many links, or a file system without any: then it is a copy. */
	return errno == EMLINK || errno == EPERM || errno == EOPNOTSUPP || errno == EXDEV ?
		       0 :
		       copy_fail(w, COPY_STEP_TARGET_WRITE, name);
}
