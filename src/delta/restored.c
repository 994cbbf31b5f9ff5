/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/restored.c - see restored.h. */
#include "delta/restored.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/line.h"
#include "base/parse.h"
#include "delta/journal.h"

#define FILE_MAX (256u << 20)

static int compare(const void *a, const void *b)
{
	const struct restored_entry *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	return c ? c : strcmp(x->root, y->root);
}

void restored_done(struct restored *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->items[i].root);
		free(r->items[i].path);
	}
	free(r->items);
	*r = (struct restored){ 0 };
}

int restored_add(struct restored *r, const struct restored_entry *e, struct kennel_error **err)
{
	char *root = strdup(e->root), *path = strdup(e->path);
	struct restored_entry *items = root && path ? journal_grow(r->items, &r->n, sizeof(*items)) : NULL;

	if (!items) {
		free(root);
		free(path);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	r->items = items;
	items[r->n - 1] = *e;
	items[r->n - 1].root = root;
	items[r->n - 1].path = path;
	return 0;
}

static bool next_number(char **rest, uint64_t *ret)
{
	const char *field = line_next(rest);

	return field && parse_u64(field, ret) == 0;
}

static bool read_line(char *line, struct restored_entry *e)
{
	uint64_t now_s, now_ns, before_s, before_ns;

	e->root = line_next(&line);
	e->path = line_next(&line);
	if (!e->path || !next_number(&line, &e->ino) || !next_number(&line, &now_s) ||
	    !next_number(&line, &now_ns) || !next_number(&line, &before_s) || !next_number(&line, &before_ns))
		return false;
	e->now = (struct timespec){ (time_t)now_s, (long)now_ns };
	e->before = (struct timespec){ (time_t)before_s, (long)before_ns };
	return true;
}

void restored_sort(struct restored *r)
{
	if (r->n)
		qsort(r->items, r->n, sizeof(*r->items), compare);
}

int restored_parse(char *text, struct restored *ret, struct kennel_error **err)
{
	int r = 0;

	*ret = (struct restored){ 0 };
	for (char *line = text, *end; r == 0 && line && (end = strchr(line, '\n')); line = end + 1) {
		struct restored_entry e;

		*end = '\0';
		if (read_line(line, &e))
			r = restored_add(ret, &e, err);
	}
	if (r < 0)
		restored_done(ret);
	else
		restored_sort(ret);
	return r;
}

int restored_read(int state_fd, struct restored *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(state_fd, "restored", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };

	*ret = (struct restored){ 0 };
	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the list of what was put back");
	int r = buf_read_fd(&b, fd, FILE_MAX, err);
	return r < 0 ? r : restored_parse(b.data, ret, err);
}

int restored_write(int state_fd, const struct restored *r, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	for (size_t i = 0; i < r->n; i++) {
		const struct restored_entry *e = &r->items[i];

		line_put(&b, e->root);
		buf_puts(&b, "\t");
		line_put(&b, e->path);
		buf_printf(&b, "\t%" PRIu64 "\t%" PRIu64 "\t%ld\t%" PRIu64 "\t%ld\n", e->ino,
			   (uint64_t)e->now.tv_sec, e->now.tv_nsec, (uint64_t)e->before.tv_sec,
			   e->before.tv_nsec);
	}
	int result = buf_check(&b, err);
	if (result < 0)
		return result;
	_cleanup_close_ int fd =
		openat(state_fd, "restored.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "write the list of what was put back");
	for (size_t at = 0; at < b.len;) {
		ssize_t n = write(fd, b.data + at, b.len - at);

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "write the list of what was put back");
		at += n < 0 ? 0 : (size_t)n;
	}
	if (fsync(fd) < 0 || renameat(state_fd, "restored.new", state_fd, "restored") < 0)
		return fail_errno(err, "write the list of what was put back");
	return 0;
}

const struct restored_entry *restored_find(const struct restored *r, const char *root, const char *path)
{
	const struct restored_entry key = { .root = (char *)root, .path = (char *)path };

	return r && r->n ? bsearch(&key, r->items, r->n, sizeof(key), compare) : NULL;
}

struct timespec restored_ctime(const struct restored *r, const char *root, const char *path, uint64_t ino,
			       struct timespec now)
{
	const struct restored_entry *e = restored_find(r, root, path);

	return e && e->ino == ino && e->now.tv_sec == now.tv_sec && e->now.tv_nsec == now.tv_nsec ?
		       e->before :
		       now;
}
