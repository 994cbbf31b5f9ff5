/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/package-write.c - the tree is walked twice: for what stands in the description, which comes first in
 * the file, and for the files themselves.
 *
 * A directory that the base has too goes in only together with something that is in it: it was copied up to
 * lead there, and dpkg is to know no more of it than it must.
 */
#include "archive/library.h"
#include "ship/package-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ship/archive.h"

#if KENNEL_HAVE_ARCHIVE

struct pending {
	char *path;
	struct stat st;
};

struct filter {
	struct ship_sink base;
	const struct ship_package *p;
	struct package_contents *contents; /* the first time; else NULL */
	struct ship_sink *to; /* the second time */
	struct strv owned; /* paths of packages that were installed, sorted */
	struct pending *pending;
	size_t n_pending, room;
};

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_owned(const struct filter *f, const char *path)
{
	return f->owned.n &&
	       bsearch(&path, f->owned.items, f->owned.n, sizeof(char *), compare_strings) != NULL;
}

/* The lines of one list of dpkg, without their slash in front. */
static int add_owned(struct filter *f, int dir_fd, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };

	if (fd < 0)
		return 0;
	int r = buf_read_fd(&b, fd, 16u << 20, err);
	for (char *p = b.data; r == 0 && p && *p;) {
		char *end = p + strcspn(p, "\n");
		char *next = *end ? end + 1 : end;

		*end = '\0';
		if (*p == '/' && p[1] && p[1] != '.')
			r = strv_add(&f->owned, p + 1, err);
		p = next;
	}
	return r;
}

/* A list in the delta is that of a package that was installed or upgraded inside. */
static int read_owned(struct filter *f, int top_fd, struct kennel_error **err)
{
	static const char *const steps[] = { "var", "lib", "dpkg", "info" };
	_cleanup_close_ int fd = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int next_fd = openat(fd, steps[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (next_fd < 0)
			return 0;
		replace_fd(&fd, next_fd);
	}
	int dir_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);
	const struct dirent *e;
	if (!d) {
		close_fd(dir_fd);
		return 0;
	}
	while (r == 0 && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n > 5 && strcmp(e->d_name + n - 5, ".list") == 0)
			r = add_owned(f, fd, e->d_name, err);
	}
	if (f->owned.n)
		qsort(f->owned.items, f->owned.n, sizeof(char *), compare_strings);
	return r;
}

static void drop_pending(struct filter *f, size_t keep)
{
	while (f->n_pending > keep)
		free(f->pending[--f->n_pending].path);
}

static bool leads_to(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	return n == 0 || (strncmp(dir, path, n) == 0 && path[n] == '/');
}

static int remember_dir(struct filter *f, const struct ship_entry *e, struct kennel_error **err)
{
	if (f->n_pending == f->room) {
		size_t room = f->room ? f->room * 2 : 16;
		struct pending *items = reallocarray(f->pending, room, sizeof(*items));

		if (!items)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		f->pending = items;
		f->room = room;
	}
	char *path = strdup(e->path);
	if (!path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	f->pending[f->n_pending++] = (struct pending){ path, e->st };
	return 0;
}

static int flush_pending(struct filter *f, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < f->n_pending && r == 0; i++) {
		const struct ship_entry e = { .path = f->pending[i].path,
					      .st = f->pending[i].st,
					      .fd = -EBADF };

		if (f->to)
			r = f->to->add(f->to, &e, err);
	}
	drop_pending(f, 0);
	return r;
}

static int note_deletion(struct filter *f, const char *path, const char *tail, struct kennel_error **err)
{
	return f->contents ? strv_addf(&f->contents->deletions, err, "%s%s", path, tail) : 0;
}

static int take(struct filter *f, const struct ship_entry *e, struct kennel_error **err)
{
	int r = flush_pending(f, err);

	if (r == 0 && f->to)
		r = f->to->add(f->to, e, err);
	if (r < 0 || !f->contents)
		return r;
	f->contents->files++;
	f->contents->bytes += e->kind == SHIP_NODE && S_ISREG(e->st.st_mode) ? (uint64_t)e->st.st_size : 0;
	if (S_ISREG(e->st.st_mode) && strncmp(e->path, "etc/", 4) == 0 && !strchr(e->path, '\n'))
		return strv_add(&f->contents->config, e->path, err);
	return 0;
}

static int filter_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct filter *f = container_of(sink, struct filter, base);

	while (f->n_pending && !leads_to(f->pending[f->n_pending - 1].path, e->path))
		drop_pending(f, f->n_pending - 1);
	if (!ship_package_takes(e->path))
		return 0;
	if (e->kind == SHIP_WHITEOUT)
		return note_deletion(f, e->path, "", err);
	if (!S_ISDIR(e->st.st_mode))
		return is_owned(f, e->path) ? 0 : take(f, e, err);
	/* An overlay marks each new directory as one that hides the base's, also where the base has none. */
	bool based = !*e->path || f->p->in_base(f->p->data, e->path);
	int r = e->opaque && based ? note_deletion(f, e->path, "/", err) : 0;
	if (r < 0)
		return r;
	bool known = based || is_owned(f, e->path);
	return known ? remember_dir(f, e, err) : take(f, e, err);
}

/* Bytes of ours as a file. */
struct text {
	const struct buf *text;
	bool done;
};

static int next_text(void *data, const void **ret, size_t *ret_size, uint64_t *ret_offset,
		     struct kennel_error **err)
{
	struct text *t = data;

	if (t->done || !t->text->len)
		return 0;
	t->done = true;
	*ret = buf_str(t->text);
	*ret_size = t->text->len;
	*ret_offset = 0;
	return 1;
}

static int put_text(struct ship_sink *to, const char *path, const struct buf *text, struct kennel_error **err)
{
	struct text t = { .text = text };
	const struct ship_entry e = {
		.path = path,
		.fd = -EBADF,
		.content = next_text,
		.content_data = &t,
		.st = { .st_mode = S_IFREG | 0644,
			.st_nlink = 1,
			.st_size = (off_t)text->len,
			.st_mtim.tv_sec = time(NULL) },
	};
	int r = buf_check(text, err);

	return r == 0 ? to->add(to, &e, err) : r;
}

static int open_archive(const struct archive_lib *lib, enum ship_archive_format format,
			enum ship_filter filter, int *fd, struct ship_progress *progress,
			struct ship_sink **ret, struct kennel_error **err)
{
	const struct ship_archive_options o = {
		.format = format,
		.filter = filter,
		.deletions = SHIP_DELETIONS_LEFT_OUT,
		.prefix = "./",
		.top = true,
		.write = ship_write_fd,
		.write_data = fd,
		.progress = progress,
	};

	return ship_archive_sink(lib, &o, ret, err);
}

static int walk_into(const struct ship_walk *w, struct filter *f, struct ship_sink *to,
		     struct kennel_error **err)
{
	f->to = to;
	f->contents = NULL;
	int r = ship_walk(w, &f->base, err);
	return r == 0 ? to->finish(to, err) : r;
}

#define AR_HEADER 60

/* A member's header, once its size is known; then the file ends on an even byte. */
static int end_member(int fd, const char *name, off_t from, struct kennel_error **err)
{
	char header[AR_HEADER + 1];
	off_t end = lseek(fd, 0, SEEK_END), size = end - from - AR_HEADER;

	if (size < 0 || size > 9999999999)
		return fail(err, KENNEL_E_LIMIT, "a .deb can't hold more than 10 GB");
	snprintf(header, sizeof(header), "%-16s%-12lld%-6d%-6d%-8o%-10lld`\n", name, (long long)time(NULL), 0,
		 0, S_IFREG | 0644u, (long long)size);
	if (pwrite(fd, header, AR_HEADER, from) != AR_HEADER || (size % 2 && write(fd, "\n", 1) != 1))
		return fail_errno(err, "write the package");
	return 0;
}

/* Return: where it begins, or a code. */
static off_t begin_member(int fd, struct kennel_error **err)
{
	off_t from = lseek(fd, 0, SEEK_END);

	if (from < 0 || lseek(fd, from + AR_HEADER, SEEK_SET) < 0)
		return fail_errno(err, "write the package");
	return from;
}

static int put_control(const struct archive_lib *lib, const struct ship_package *p,
		       const struct package_contents *c, int fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf control = { 0 }, conffiles = { 0 }, deletions = { 0 };
	_cleanup_ship_sink_ struct ship_sink *to = NULL;
	off_t from = begin_member(fd, err);
	int r = from < 0 ? (int)from : open_archive(lib, SHIP_TAR_GNU, SHIP_GZIP, &fd, NULL, &to, err);

	package_describe_deb(p, c, &control, &conffiles, &deletions);
	if (r == 0)
		r = put_text(to, "control", &control, err);
	if (r == 0 && conffiles.len)
		r = put_text(to, "conffiles", &conffiles, err);
	if (r == 0 && deletions.len)
		r = put_text(to, "deletions", &deletions, err);
	if (r == 0)
		r = to->finish(to, err);
	return r == 0 ? end_member(fd, "control.tar.gz", from, err) : r;
}

static int put_data(const struct archive_lib *lib, const struct ship_walk *w, struct filter *f, int fd,
		    struct ship_progress *progress, struct kennel_error **err)
{
	_cleanup_ship_sink_ struct ship_sink *to = NULL;
	off_t from = begin_member(fd, err);
	int r = from < 0 ? (int)from : open_archive(lib, SHIP_TAR_GNU, SHIP_XZ, &fd, progress, &to, err);

	if (r == 0)
		r = walk_into(w, f, to, err);
	return r == 0 ? end_member(fd, "data.tar.xz", from, err) : r;
}

static int write_deb(const struct archive_lib *lib, const struct ship_walk *w, struct filter *f,
		     const struct package_contents *c, int fd, struct ship_progress *progress,
		     struct kennel_error **err)
{
	int r = ship_write_fd(&fd, "!<arch>\n", 8, err);
	off_t from = r == 0 ? begin_member(fd, err) : r;

	if (from < 0)
		return (int)from;
	r = ship_write_fd(&fd, "2.0\n", 4, err);
	if (r == 0)
		r = end_member(fd, "debian-binary", from, err);
	if (r == 0)
		r = put_control(lib, f->p, c, fd, err);
	return r == 0 ? put_data(lib, w, f, fd, progress, err) : r;
}

static int write_tar(const struct archive_lib *lib, const struct ship_walk *w, struct filter *f,
		     const struct package_contents *c, int fd, struct ship_progress *progress,
		     struct kennel_error **err)
{
	_cleanup_ship_sink_ struct ship_sink *to = NULL;
	_cleanup_buf_ struct buf text = { 0 };
	int r = open_archive(lib, SHIP_TAR, SHIP_ZSTD, &fd, progress, &to, err);

	package_describe_tar(f->p, c, &text);
	if (r == 0)
		r = put_text(to, ".kennel-package", &text, err);
	return r == 0 ? walk_into(w, f, to, err) : r;
}

static int write_package(const struct archive_lib *lib, const struct ship_walk *w, struct filter *f,
			 struct package_contents *c, int fd, struct ship_progress *progress,
			 struct kennel_error **err)
{
	f->contents = c;
	int r = read_owned(f, w->parts[0].fd, err);
	if (r == 0)
		r = ship_scan(w, &f->base, err);
	if (r == 0 && c->files == 0)
		r = hint(err, fail(err, KENNEL_E_NOTFOUND, "there is nothing to put into a package"),
			 "caches, logs, home directories and what other packages own don't count");
	drop_pending(f, 0);
	if (r < 0)
		return r;
	return f->p->kind == SHIP_PACKAGE_DEB ? write_deb(lib, w, f, c, fd, progress, err) :
						write_tar(lib, w, f, c, fd, progress, err);
}

int ship_package_write(const struct ship_walk *w, const struct ship_package *p, int fd,
		       struct ship_progress *progress, struct kennel_error **err)
{
	_cleanup_archive_lib_ struct archive_lib lib;
	struct package_contents c = { 0 };
	struct filter f = { .base = { .add = filter_add }, .p = p };
	int r = archive_lib_load(&lib, err);

	if (r == 0)
		r = write_package(&lib, w, &f, &c, fd, progress, err);
	drop_pending(&f, 0);
	free(f.pending);
	strv_done(&f.owned);
	strv_done(&c.config);
	strv_done(&c.deletions);
	return r;
}
#else
int ship_package_write(const struct ship_walk *w, const struct ship_package *p, int fd,
		       struct ship_progress *progress, struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "this kennel was built without libarchive"),
		    "install libarchive-dev and build it again");
}
#endif
