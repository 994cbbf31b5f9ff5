/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/snapshot.c - see snapshot.h. */
#include "container/snapshot.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/line.h"
#include "base/parse.h"
#include "conf/name.h"
#include "delta/manifest.h"
#include "sys/sys.h"

#define TAKEN_MAX 8192u
#define NUMBERED "snap"
#define RETIRED ".rm-"

int snapshots_open_dir(const struct container *c, bool make, struct kennel_error **err)
{
	if (make && mkdirat(c->dir_fd, SNAPSHOT_DIR, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make \"%s/" SNAPSHOT_DIR "\"", c->path);
	int fd = openat(c->dir_fd, SNAPSHOT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "\"%s\" has no snapshots", c->name),
			    "\"kennel snapshot %s\" takes one", c->name);
	return fd < 0 ? fail_errno(err, "open \"%s/" SNAPSHOT_DIR "\"", c->path) : fd;
}

int snapshot_describe(const char *comment, struct buf *text, struct kennel_error **err)
{
	buf_printf(text, "taken\t%lld\n", (long long)manifest_now());
	if (comment && *comment) {
		buf_puts(text, "comment\t");
		line_put(text, comment);
		buf_puts(text, "\n");
	}
	return buf_check(text, err);
}

/* What can't be read says nothing: it is only for people. */
static void read_taken(int dir_fd, struct snapshot *s)
{
	_cleanup_close_ int fd =
		openat(dir_fd, SNAPSHOT_TAKEN, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_buf_ struct buf text = { 0 };

	if (fd < 0 || buf_read_fd(&text, fd, TAKEN_MAX, NULL) < 0)
		return;
	for (char *at = text.data, *end; at && (end = strchr(at, '\n')); at = end + 1) {
		char *rest = at, *value;
		uint64_t ns;

		*end = '\0';
		const char *key = line_next(&rest);
		value = line_next(&rest);
		if (value && strcmp(key, "taken") == 0 && parse_u64(value, &ns) == 0 && ns <= INT64_MAX)
			s->taken_ns = (int64_t)ns;
		if (value && strcmp(key, "comment") == 0) {
			free(s->comment);
			s->comment = strdup(value);
		}
	}
}

static int add(struct snapshots *l, int dir_fd, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct snapshot *items = reallocarray(l->items, l->n + 1, sizeof(*items));
	struct snapshot s = { .name = strdup(name), .comment = strdup("") };

	if (items)
		l->items = items;
	if (fd >= 0)
		read_taken(fd, &s);
	if (!items || !s.name || !s.comment) {
		free(s.name);
		free(s.comment);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	items[l->n++] = s;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct snapshot *x = a, *y = b;

	if (x->taken_ns != y->taken_ns)
		return x->taken_ns < y->taken_ns ? -1 : 1;
	return strverscmp(x->name, y->name);
}

int snapshots_read(const struct container *c, struct snapshots *ret, struct kennel_error **err)
{
	int fd = openat(c->dir_fd, SNAPSHOT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct snapshots l = { 0 };
	int r = 0;

	if (fd < 0 && errno == ENOENT) {
		*ret = l;
		return 0;
	}
	if (!d)
		return fail_errno(err, "open \"%s/" SNAPSHOT_DIR "\"", c->path);
	for (const struct dirent *e; r == 0 && (e = readdir(d));)
		if (name_check(e->d_name, NULL) == 0)
			r = add(&l, fd, e->d_name, err);
	if (r < 0) {
		snapshots_done(&l);
		return r;
	}
	if (l.n)
		qsort(l.items, l.n, sizeof(*l.items), compare);
	*ret = l;
	return 0;
}

void snapshots_done(struct snapshots *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->items[i].name);
		free(s->items[i].comment);
	}
	free(s->items);
	*s = (struct snapshots){ 0 };
}

int snapshots_next_name(const struct container *c, char **ret, struct kennel_error **err)
{
	_cleanup_snapshots_ struct snapshots l = { 0 };
	uint32_t next = 0, n;

	int r = snapshots_read(c, &l, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n; i++)
		if (strncmp(l.items[i].name, NUMBERED, strlen(NUMBERED)) == 0 &&
		    parse_u32(l.items[i].name + strlen(NUMBERED), &n) == 0 && n >= next && n < UINT32_MAX)
			next = n + 1;
	if (asprintf(ret, NUMBERED "%u", next) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return 0;
}

static int fail_none(const struct container *c, const char *name, struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_NOTFOUND, "\"%s\" has no snapshot \"%s\"", c->name, name),
		    "\"kennel snapshot --list %s\" shows those that it has", c->name);
}

int snapshot_open(const struct container *c, const char *name, struct container *ret,
		  struct kennel_error **err)
{
	_cleanup_container_ struct container s = CONTAINER_NONE;
	_cleanup_close_ int dir_fd =
		openat(c->dir_fd, SNAPSHOT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (name_check(name, NULL) < 0)
		return fail_none(c, name, err);
	s.dir_fd = dir_fd < 0 ? -1 : openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s.dir_fd < 0)
		return errno == ENOENT ? fail_none(c, name, err) :
					 fail_errno(err, "open the snapshot \"%s\"", name);
	s.name = strdup(name);
	if (asprintf(&s.path, "%s/" SNAPSHOT_DIR "/%s", c->path, name) < 0)
		s.path = NULL;
	if (!s.name || !s.path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s.store_fd = fcntl(c->store_fd, F_DUPFD_CLOEXEC, 3);
	if (s.store_fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	*ret = s;
	s = (struct container)CONTAINER_NONE;
	return 0;
}

int snapshot_retire(const struct container *c, const char *name, char **ret_temp, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF;
	char *temp = NULL;

	if (name_check(name, NULL) < 0)
		return fail_none(c, name, err);
	dir_fd = snapshots_open_dir(c, false, err);
	if (dir_fd < 0)
		return dir_fd;
	if (asprintf(&temp, RETIRED "%s", name) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (sys_renameat2(dir_fd, name, dir_fd, temp, RENAME_NOREPLACE) < 0 || fsync(dir_fd) < 0) {
		int r = errno == ENOENT ? fail_none(c, name, err) :
					  fail_errno(err, "remove the snapshot \"%s\"", name);

		free(temp);
		return r;
	}
	*ret_temp = temp;
	return 0;
}

static bool is_retired(const char *name)
{
	return strncmp(name, RETIRED, strlen(RETIRED)) == 0 ||
	       strncmp(name, SNAPSHOT_NEW, strlen(SNAPSHOT_NEW)) == 0;
}

static int find_retired(const struct container *c, struct strv *ret, struct kennel_error **err)
{
	int fd = openat(c->dir_fd, SNAPSHOT_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	for (const struct dirent *e; d && r == 0 && (e = readdir(d));)
		if (is_retired(e->d_name))
			r = strv_add(ret, e->d_name, err);
	return r;
}

bool snapshots_have_leftovers(const struct container *c)
{
	_cleanup_strv_ struct strv names = { 0 };

	return find_retired(c, &names, NULL) == 0 && names.n;
}

int snapshots_sweep(const struct container *c, container_wipe_fn wipe, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };

	int r = find_retired(c, &names, err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		_cleanup_close_ int dir_fd = snapshots_open_dir(c, false, err);
		_cleanup_close_ int fd = dir_fd < 0 ? -1 :
						      openat(dir_fd, names.items[i],
							     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return dir_fd < 0 ? dir_fd : fail_errno(err, "open \"%s\"", names.items[i]);
		r = wipe(NULL, fd, c->path, err);
		if (r == 0 && unlinkat(dir_fd, names.items[i], AT_REMOVEDIR) < 0)
			r = fail_errno(err, "remove \"%s\"", names.items[i]);
	}
	return r;
}
