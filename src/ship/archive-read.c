/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/archive-read.c - the source that reads tar and cpio, whoever wrote them.
 *
 * Nothing in an archive is believed: names are cleaned or refused, ids must fit, attributes that are not
 * ours to take are left out. Where an entry goes is the sink's care, which follows no link that came
 * before.
 */
#include "ship/archive.h"
#include "archive/library.h"

#include <string.h>
#include <sys/sysmacros.h>

#define NAME_BYTES_MAX 65536

int ship_clean_name(const char *name, char *buf, size_t size)
{
	size_t len = 0;

	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return 0;
		if (n > 255 || len + n + 2 > size)
			return 0;
		if (n && !(n == 1 && *p == '.')) {
			if (len)
				buf[len++] = '/';
			memcpy(buf + len, p, n);
			len += n;
		}
		p += n + (p[n] == '/');
	}
	buf[len] = '\0';
	return 1;
}

#if KENNEL_HAVE_ARCHIVE
#include "base/buf.h"
#include "base/cleanup.h"

struct archive_source {
	const struct archive_lib *lib;
	const struct ship_source_options *o;
	struct archive *a;
	struct kennel_error *read_error; /* what o->read said */
	char *name, *link; /* NAME_BYTES_MAX each */
};

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	struct archive_source *s = data;
	size_t size = 0;

	if (s->o->progress && s->o->progress->stop) {
		fail(&s->read_error, KENNEL_E_INTERRUPTED, "stopped; nothing was left behind");
		return -1;
	}
	return s->o->read(s->o->read_data, ret, &size, &s->read_error) < 0 ? -1 : (la_ssize_t)size;
}

static la_int64_t on_skip(struct archive *a, void *data, la_int64_t request)
{
	struct archive_source *s = data;

	return s->o->skip && request > 0 ? (la_int64_t)s->o->skip(s->o->read_data, (uint64_t)request) : 0;
}

static int source_fail(struct archive_source *s, const char *what, struct kennel_error **err)
{
	if (!s->read_error)
		return archive_lib_fail(s->lib, s->a, what, err);
	int r = -kennel_error_code(s->read_error);
	if (err)
		*err = take_ptr(&s->read_error);
	return r;
}

static int next_piece(void *data, const void **ret, size_t *ret_size, uint64_t *ret_offset,
		      struct kennel_error **err)
{
	struct archive_source *s = data;
	la_int64_t offset = 0;
	int r = s->lib->archive_read_data_block(s->a, ret, ret_size, &offset);

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return source_fail(s, "read the archive", err);
	*ret_offset = (uint64_t)offset;
	return 1;
}

static void count_left_out(struct archive_source *s)
{
	if (s->o->progress)
		s->o->progress->left_out++;
}

static int take_xattrs(struct archive_source *s, struct archive_entry *in, struct ship_entry *e,
		       struct kennel_error **err)
{
	const char *name;
	const void *value;
	size_t size;

	s->lib->archive_entry_xattr_reset(in);
	while (s->lib->archive_entry_xattr_next(in, &name, &value, &size) == ARCHIVE_OK) {
		bool opaque = strcmp(name, SHIP_XATTR_OPAQUE) == 0 ||
			      strcmp(name, "trusted.overlay.opaque") == 0;
		if (opaque && S_ISDIR(e->st.st_mode)) {
			e->opaque = size == 1 && *(const char *)value == 'y';
			continue;
		}
		if (!ship_xattr_travels(name) && !(*e->path == '\0' && strcmp(name, SHIP_XATTR_MARK) == 0)) {
			count_left_out(s);
			continue;
		}
		int r = size > 65536 ? fail(err, KENNEL_E_CORRUPT, "an attribute is too long") :
				       ship_xattrs_add(&e->xattrs, name, value, size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_stat(struct archive_source *s, struct archive_entry *in, struct ship_entry *e,
		     struct kennel_error **err)
{
	la_int64_t uid = s->lib->archive_entry_uid(in), gid = s->lib->archive_entry_gid(in);
	la_int64_t size = s->lib->archive_entry_size_is_set(in) ? s->lib->archive_entry_size(in) : 0;

	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX || size < 0)
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" has an owner or size that can't be", e->path);
	e->st = (struct stat){
		.st_mode = s->lib->archive_entry_mode(in) & (S_IFMT | 07777),
		.st_uid = (uid_t)uid,
		.st_gid = (gid_t)gid,
		.st_size = size,
		.st_nlink = 1,
		.st_mtim = { s->lib->archive_entry_mtime(in), s->lib->archive_entry_mtime_nsec(in) },
	};
	if (S_ISCHR(e->st.st_mode) || S_ISBLK(e->st.st_mode))
		e->st.st_rdev = makedev((unsigned)s->lib->archive_entry_rdevmajor(in),
					(unsigned)s->lib->archive_entry_rdevminor(in));
	if (e->st.st_mtim.tv_nsec < 0 || e->st.st_mtim.tv_nsec > 999999999)
		e->st.st_mtim.tv_nsec = 0;
	return 0;
}

/*
 * The markers of deletions. Return: 1 it is an ordinary name, 0 it became a whiteout or opaque entry, -1
 * nothing of it is to be taken, or a code. Changes s->name.
 */
#define NOT_TAKEN 2
static int take_marker(struct archive_source *s, struct ship_entry *e, struct kennel_error **err)
{
	char *slash = strrchr(s->name, '/'), *last = slash ? slash + 1 : s->name;

	if (S_ISCHR(e->st.st_mode) && e->st.st_rdev == 0 && e->kind == SHIP_NODE) {
		e->kind = SHIP_WHITEOUT;
		return 0;
	}
	if (!s->o->whiteouts || strncmp(last, ".wh.", 4) != 0)
		return 1;
	if (strcmp(last, ".wh..wh..opq") == 0) {
		e->kind = SHIP_OPAQUE;
		if (slash)
			*slash = '\0';
		else
			*last = '\0';
		return 0;
	}
	if (strncmp(last, ".wh..wh.", 8) == 0) /* aufs kept its own things under such names */
		return NOT_TAKEN;
	if (!last[4] || strcmp(last + 4, ".") == 0 || strcmp(last + 4, "..") == 0)
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" deletes what has no name", s->name);
	memmove(last, last + 4, strlen(last + 4) + 1);
	e->kind = SHIP_WHITEOUT;
	return 0;
}

static const char *first_of(const char *a, const char *b)
{
	return a ? a : b;
}

/* Return: 1 *e is filled in, NOT_TAKEN, or a code. */
static int take_entry(struct archive_source *s, struct archive_entry *in, struct ship_entry *e,
		      struct kennel_error **err)
{
	const struct archive_lib *l = s->lib;
	const char *name = first_of(l->archive_entry_pathname(in), l->archive_entry_pathname_utf8(in));
	const char *hard = first_of(l->archive_entry_hardlink(in), l->archive_entry_hardlink_utf8(in));

	if (!name || !ship_clean_name(name, s->name, NAME_BYTES_MAX)) {
		return hint(
			err, fail(err, KENNEL_E_CORRUPT, "the archive has the name \"%s\"", name ? name : ""),
			"a name that leads out of the tree, or is too long, is refused with all the rest");
	}
	if (s->o->wanted && !s->o->wanted(s->o->wanted_data, s->name))
		return NOT_TAKEN;
	*e = (struct ship_entry){
		.path = s->name,
		.fd = -EBADF,
		.content = next_piece,
		.content_data = s,
	};
	int r = take_stat(s, in, e, err);
	if (r == 0 && l->archive_entry_is_encrypted(in))
		r = fail(err, KENNEL_E_UNSUPPORTED, "\"%s\" is encrypted", s->name);
	if (r < 0)
		return r;
	if (hard) {
		if (!ship_clean_name(hard, s->link, NAME_BYTES_MAX))
			return fail(err, KENNEL_E_CORRUPT, "\"%s\" is a link to \"%s\"", s->name, hard);
		e->kind = SHIP_HARDLINK;
		e->link = s->link;
		return 1;
	}
	r = take_marker(s, e, err);
	if (r != 1)
		return r == 0 ? 1 : r;
	if (S_ISLNK(e->st.st_mode)) {
		e->link = first_of(l->archive_entry_symlink(in), l->archive_entry_symlink_utf8(in));
		if (!e->link || !*e->link)
			return fail(err, KENNEL_E_CORRUPT, "the link \"%s\" leads nowhere", s->name);
	}
	r = take_xattrs(s, in, e, err);
	return r < 0 ? r : 1;
}

static int read_entries(struct archive_source *s, struct ship_sink *sink, struct kennel_error **err)
{
	for (;;) {
		struct archive_entry *in;
		int r = s->lib->archive_read_next_header(s->a, &in);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return source_fail(s, "read the archive", err);
		struct ship_entry e = { 0 };
		r = take_entry(s, in, &e, err);
		if (r == 1)
			r = sink->add(sink, &e, err);
		ship_xattrs_done(&e.xattrs);
		if (r < 0)
			return r;
	}
}

/*
 * A filter that is not built in would run a program of its name out of PATH; that is what WARN means, and
 * such a filter is not added.
 */
static void add_filters(const struct archive_lib *l, struct archive *a)
{
	int (*const filters[])(struct archive *) = {
		l->archive_read_support_filter_gzip, l->archive_read_support_filter_xz,
		l->archive_read_support_filter_zstd, l->archive_read_support_filter_bzip2,
		l->archive_read_support_filter_lzma,
	};

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct archive *probe = l->archive_read_new();

		if (probe && filters[i](probe) == ARCHIVE_OK)
			(void)!filters[i](a);
		if (probe)
			l->archive_read_free(probe);
	}
}

int ship_archive_read(const struct archive_lib *lib, const struct ship_source_options *o,
		      struct ship_sink *sink, struct kennel_error **err)
{
	struct archive_source s = { .lib = lib, .o = o };
	_cleanup_free_ char *name = malloc(NAME_BYTES_MAX), *link = malloc(NAME_BYTES_MAX);
	int r = 0;

	s.a = lib->archive_read_new();
	if (!s.a || !name || !link)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	s.name = name;
	s.link = link;
	if (r == 0) {
		(void)!lib->archive_read_support_format_tar(s.a);
		(void)!lib->archive_read_support_format_cpio(s.a);
		(void)!lib->archive_read_support_format_empty(s.a);
		add_filters(lib, s.a);
		if (lib->archive_read_open2(s.a, &s, NULL, on_read, on_skip, NULL) != ARCHIVE_OK)
			r = source_fail(&s, "read the archive", err);
	}
	if (r == 0)
		r = read_entries(&s, sink, err);
	if (s.a)
		lib->archive_read_free(s.a);
	error_clear(&s.read_error);
	return r;
}
#endif
