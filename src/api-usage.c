/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-usage.c - what sandboxes use, from /proc alone: it works for who has no control group as well, and
 * costs one walk over all processes for all sandboxes.
 *
 * A process is one of a sandbox if it is in the pid namespace of its first process, or descends from it
 * (level fs, and what has made a pid namespace of its own inside).
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-list.h"
#include "base/cleanup.h"
#include "base/parse.h"

struct process {
	uint32_t pid, parent;
	size_t owner; /* which sandbox, from 1; 0 none */
	uint64_t ticks, rss_bytes, read_bytes, written_bytes;
};

struct processes {
	struct process *items;
	size_t n, room;
	struct stat *namespaces; /* of each sandbox's first process; st_ino 0: none of its own */
	uint32_t *inits;
	size_t n_sandboxes;
};

static bool read_text(int dir_fd, const char *name, char *text, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[MAX(n, (ssize_t)0)] = '\0';
	return n > 0;
}

/*
 * proc(5): the name in brackets may have anything in it. Children's times count once their parent has seen
 * them end.
 */
static bool read_stat(int dir_fd, struct process *p)
{
	uint64_t user, sys, child_user, child_sys;
	char text[1024];
	long rss;

	if (!read_text(dir_fd, "stat", text, sizeof(text)))
		return false;
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1,
			    " %*c %" SCNu32 " %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
			    " %" SCNu64 " %" SCNu64 " %*d %*d %*d %*d %*u %*u %ld",
			    &p->parent, &user, &sys, &child_user, &child_sys, &rss) != 6)
		return false;
	p->ticks = user + sys + child_user + child_sys;
	p->rss_bytes = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	return true;
}

static void read_io(int dir_fd, struct process *p)
{
	char text[512];

	if (!read_text(dir_fd, "io", text, sizeof(text)))
		return; /* not ours to see: counted as none */
	const char *in = strstr(text, "\nread_bytes:"), *out = strstr(text, "\nwrite_bytes:");
	(void)!(in && sscanf(in, "\nread_bytes: %" SCNu64, &p->read_bytes) == 1);
	(void)!(out && sscanf(out, "\nwrite_bytes: %" SCNu64, &p->written_bytes) == 1);
}

static size_t owner_by_namespace(const struct processes *all, int dir_fd)
{
	struct stat st;

	if (fstatat(dir_fd, "ns/pid", &st, 0) < 0)
		return 0;
	for (size_t i = 0; i < all->n_sandboxes; i++)
		if (all->namespaces[i].st_ino && all->namespaces[i].st_ino == st.st_ino &&
		    all->namespaces[i].st_dev == st.st_dev)
			return i + 1;
	return 0;
}

static int add_process(struct processes *all, int proc_fd, const char *name, struct kennel_error **err)
{
	struct process p = { 0 };

	if (parse_u32(name, &p.pid) < 0)
		return 0;
	_cleanup_close_ int dir_fd = openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || !read_stat(dir_fd, &p))
		return 0; /* gone meanwhile */
	p.owner = owner_by_namespace(all, dir_fd);
	for (size_t i = 0; i < all->n_sandboxes && !p.owner; i++)
		p.owner = all->inits[i] == p.pid ? i + 1 : 0;
	read_io(dir_fd, &p);
	if (all->n == all->room) {
		size_t room = all->room ? all->room * 2 : 256;
		struct process *grown = reallocarray(all->items, room, sizeof(*grown));

		if (!grown)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		all->items = grown;
		all->room = room;
	}
	all->items[all->n++] = p;
	return 0;
}

static int read_all(struct processes *all, struct kennel_error **err)
{
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!d) {
		close_fd(fd);
		return fail_errno(err, "read \"/proc\"");
	}
	for (const struct dirent *e; r == 0 && (e = readdir(d));)
		r = add_process(all, fd, e->d_name, err);
	return r;
}

static int by_pid(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* Until nothing changes: who descends from one of a sandbox is one of it. */
static void follow_parents(struct processes *all)
{
	bool more = true;

	if (all->n)
		qsort(all->items, all->n, sizeof(*all->items), by_pid);
	while (more) {
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			struct process *p = &all->items[i];
			const struct process key = { .pid = p->parent }, *parent = NULL;

			if (!p->owner)
				parent = bsearch(&key, all->items, all->n, sizeof(key), by_pid);
			if (parent && parent->owner) {
				p->owner = parent->owner;
				more = true;
			}
		}
	}
}

static int put_number(struct registry_entry *e, const char *key, uint64_t v, struct kennel_error **err)
{
	int r = strv_add(&e->keys, key, err);

	return r < 0 ? r : strv_addf(&e->values, err, "%" PRIu64, v);
}

static int put_usage(struct kennel_list *list, const struct processes *all, size_t i,
		     struct kennel_error **err)
{
	struct process sum = { 0 };
	uint64_t n = 0;

	for (size_t k = 0; k < all->n; k++) {
		const struct process *p = &all->items[k];

		if (p->owner != i + 1)
			continue;
		n++;
		sum.ticks += p->ticks;
		sum.rss_bytes += p->rss_bytes;
		sum.read_bytes += p->read_bytes;
		sum.written_bytes += p->written_bytes;
	}
	struct registry_entry *e = &list->entries[i];
	int r = put_number(e, "cpu-us", sum.ticks * (1000000u / (uint64_t)sysconf(_SC_CLK_TCK)), err);
	if (r == 0)
		r = put_number(e, "memory-bytes", sum.rss_bytes, err);
	if (r == 0)
		r = put_number(e, "processes", n, err);
	if (r == 0)
		r = put_number(e, "read-bytes", sum.read_bytes, err);
	return r < 0 ? r : put_number(e, "written-bytes", sum.written_bytes, err);
}

static void find_first_ones(const struct kennel_list *list, struct processes *all)
{
	for (size_t i = 0; i < all->n_sandboxes; i++) {
		const char *init = kennel_list_value(list, i, "init"),
			   *level = kennel_list_value(list, i, "isolate");
		char path[48];

		if (!init || parse_u32(init, &all->inits[i]) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%" PRIu32 "/ns/pid", all->inits[i]);
		if (!level || strcmp(level, "fs") == 0 || stat(path, &all->namespaces[i]) < 0)
			all->namespaces[i].st_ino = 0;
	}
}

int kennel_usage_read(const char *id, struct kennel_list **ret, struct kennel_error **err)
{
	struct kennel_list *list = NULL;
	struct processes all = { 0 };

	int r = kennel_list_read(id, &list, err);
	if (r < 0)
		return r;
	all.n_sandboxes = list->n;
	all.namespaces = calloc(list->n + 1, sizeof(*all.namespaces));
	all.inits = calloc(list->n + 1, sizeof(*all.inits));
	if (!all.namespaces || !all.inits)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0) {
		find_first_ones(list, &all);
		r = read_all(&all, err);
	}
	if (r == 0)
		follow_parents(&all);
	for (size_t i = 0; i < list->n && r == 0; i++)
		r = put_usage(list, &all, i, err);
	free(all.items);
	free(all.namespaces);
	free(all.inits);
	if (r < 0)
		kennel_list_free(list);
	else
		*ret = list;
	return r;
}
