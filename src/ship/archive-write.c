/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/archive-write.c - the sink that makes tar and cpio.
 *
 * Names are bytes, not characters. libarchive takes them for UTF-8, as whoever calls has set the locale,
 * and marks those that are none; to mark all would make GNU tar complain of each.
 *
 * Hard links in tar name their first path. In cpio they have the same inode number, and the content comes
 * with the first name, for the kernel unpacks in one go; the numbers are our own, since the real ones may
 * not fit.
 */
#include "ship/archive.h"
#include "archive/library.h"

#if KENNEL_HAVE_ARCHIVE
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ship/links.h"

#define XZ_LEVEL "4" /* 48 MiB a thread; level 6 takes 94 for 2 % */
#define BLOCK_BYTES (1 << 20)

struct archive_sink {
	struct ship_sink base;
	const struct archive_lib *lib;
	struct ship_archive_options o;
	struct archive *a;
	struct archive_entry *entry;
	struct ship_links links;
	unsigned last_ino; /* cpio: of those with one name; others count from the other end */
	char *buffer;
	struct kennel_error *write_error; /* what o.write said */
};

static la_ssize_t on_write(struct archive *a, void *data, const void *bytes, size_t size)
{
	struct archive_sink *s = data;

	return s->o.write(s->o.write_data, bytes, size, &s->write_error) < 0 ? -1 : (la_ssize_t)size;
}

static int sink_fail(struct archive_sink *s, const char *what, struct kennel_error **err)
{
	if (!s->write_error)
		return archive_lib_fail(s->lib, s->a, what, err);
	int r = -kennel_error_code(s->write_error);
	if (err)
		*err = take_ptr(&s->write_error);
	return r;
}

/* WARN tells of something that could not be kept; it is counted, once an entry. */
static int check(struct archive_sink *s, int code, const char *path, struct kennel_error **err)
{
	if (code >= ARCHIVE_OK)
		return 0;
	if (code == ARCHIVE_WARN && !s->write_error) {
		if (s->o.progress)
			s->o.progress->left_out++;
		return 0;
	}
	int r = sink_fail(s, "write the archive", err);
	return path ? wrap(err, r, "\"%s\"", path) : r;
}

static int add_xattrs(struct archive_sink *s, const struct ship_entry *e)
{
	size_t n = e->xattrs.n + (e->opaque && s->o.deletions == SHIP_DELETIONS_OVERLAY);

	if (n && s->o.format != SHIP_TAR) {
		if (s->o.progress)
			s->o.progress->left_out += n;
		return 0;
	}
	for (size_t i = 0; i < e->xattrs.n; i++)
		s->lib->archive_entry_xattr_add_entry(s->entry, e->xattrs.items[i].name,
						      e->xattrs.items[i].value, e->xattrs.items[i].size);
	if (e->opaque && s->o.deletions == SHIP_DELETIONS_OVERLAY)
		s->lib->archive_entry_xattr_add_entry(s->entry, SHIP_XATTR_OPAQUE, "y", 1);
	return 0;
}

/*
 * Where the data of the file is. Return: how many pieces; none where it is whole, or 1 of size 0 for a
 * hole.
 */
static void add_sparse(struct archive_sink *s, const struct ship_entry *e)
{
	off_t pos = 0, size = e->st.st_size;

	if (e->fd < 0 || s->o.format == SHIP_CPIO || s->o.holes_are_zeros || e->st.st_blocks * 512 >= size)
		return;
	while (pos < size) {
		off_t data = lseek(e->fd, pos, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(e->fd, data, SEEK_HOLE);

		if (data < 0 || hole < 0 || data >= size)
			break;
		hole = MIN(hole, size);
		if (data > 0 || hole < size)
			s->lib->archive_entry_sparse_add_entry(s->entry, data, hole - data);
		pos = hole;
	}
	if (pos == 0 && errno == ENXIO)
		s->lib->archive_entry_sparse_add_entry(s->entry, size, 0);
}

/* The number of an inode in a cpio archive. Return: 1 its content came before, 0, or a code. */
static int set_cpio_ino(struct archive_sink *s, const struct ship_entry *e, struct kennel_error **err)
{
	const struct ship_link *link;

	s->lib->archive_entry_set_dev(s->entry, 1);
	if (S_ISDIR(e->st.st_mode) || e->st.st_nlink < 2) {
		s->lib->archive_entry_set_nlink(s->entry, S_ISDIR(e->st.st_mode) ? 2 : 1);
		s->lib->archive_entry_set_ino64(s->entry, ++s->last_ino);
		return 0;
	}
	int r = ship_links_see(&s->links, &e->st, e->path, &link, err);
	if (r >= 0)
		s->lib->archive_entry_set_ino64(s->entry, 0xffffffffu - link->serial);
	return r;
}

static int set_stat(struct archive_sink *s, const struct ship_entry *e, struct kennel_error **err)
{
	struct stat st = e->st;
	bool has_content = S_ISREG(st.st_mode) && e->kind == SHIP_NODE;

	if (!has_content)
		st.st_size = 0;
	if (S_ISREG(st.st_mode))
		st.st_rdev = 0;
	s->lib->archive_entry_copy_stat(s->entry, &st);
	/* nobody restores these, and the same tree is to give the same archive */
	s->lib->archive_entry_unset_atime(s->entry);
	s->lib->archive_entry_unset_ctime(s->entry);
	if (s->o.format != SHIP_CPIO)
		return has_content;
	int r = set_cpio_ino(s, e, err);
	if (r > 0)
		s->lib->archive_entry_set_size(s->entry, 0);
	return r < 0 ? r : r == 0 && has_content;
}

static int put_zeros(struct archive_sink *s, uint64_t n, const char *path, struct kennel_error **err)
{
	static const char zeros[65536];

	while (n) {
		size_t part = (size_t)MIN(n, (uint64_t)sizeof(zeros));
		la_ssize_t done = s->lib->archive_write_data(s->a, zeros, part);

		if (done < 0)
			return check(s, ARCHIVE_FATAL, path, err);
		if (done == 0) /* all that was announced is there */
			return 0;
		n -= part;
	}
	return 0;
}

/*
 * The content, holes filled up. The writer for sparse files takes the zeros out again where a hole was told
 * before; that costs little beside reading.
 */
static int put_content(struct archive_sink *s, const struct ship_entry *e, struct kennel_error **err)
{
	struct ship_reader reader = { .fd = e->fd, .size = (uint64_t)e->st.st_size, .buffer = s->buffer };
	ship_content_fn next = e->content ? e->content : ship_reader_next;
	void *data = e->content ? e->content_data : &reader;
	uint64_t pos = 0, offset;
	const void *bytes;
	size_t size;
	int r;

	if (!e->content && e->fd < 0)
		return 0;
	while ((r = next(data, &bytes, &size, &offset, err)) > 0) {
		r = offset > pos ? put_zeros(s, offset - pos, e->path, err) : 0;
		if (r == 0 && s->lib->archive_write_data(s->a, bytes, size) < 0)
			r = check(s, ARCHIVE_FATAL, e->path, err);
		if (r == 0)
			r = ship_advance(s->o.progress, size, err);
		if (r < 0)
			return r;
		pos = offset + size;
	}
	if (r == 0 && pos < (uint64_t)e->st.st_size)
		r = put_zeros(s, (uint64_t)e->st.st_size - pos, e->path, err);
	return r;
}

static int put_entry(struct archive_sink *s, const struct ship_entry *e, const char *name,
		     struct kennel_error **err)
{
	s->lib->archive_entry_clear(s->entry);
	s->lib->archive_entry_copy_pathname(s->entry, name);
	int has_content = set_stat(s, e, err);
	if (has_content < 0)
		return has_content;
	if (S_ISLNK(e->st.st_mode) && e->link && e->kind == SHIP_NODE)
		s->lib->archive_entry_copy_symlink(s->entry, e->link);
	if (e->kind == SHIP_HARDLINK && s->o.format != SHIP_CPIO) {
		_cleanup_buf_ struct buf target = { 0 };

		buf_printf(&target, "%s%s", s->o.prefix, e->link);
		s->lib->archive_entry_copy_hardlink(s->entry, buf_str(&target));
		s->lib->archive_entry_unset_size(s->entry);
	}
	if (e->kind == SHIP_NODE) {
		(void)add_xattrs(s, e);
		if (has_content)
			add_sparse(s, e);
	}
	int r = check(s, s->lib->archive_write_header(s->a, s->entry), e->path, err);
	if (r == 0 && has_content)
		r = put_content(s, e, err);
	if (r == 0)
		r = check(s, s->lib->archive_write_finish_entry(s->a), e->path, err);
	return r == 0 ? ship_advance(s->o.progress, SHIP_ENTRY_COST, err) : r;
}

/* An empty file with a name that tells what is gone. dir "" is the top. */
static int put_marker(struct archive_sink *s, const char *path, const char *dir, const char *name,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf full = { 0 };
	const struct ship_entry e = {
		.kind = SHIP_NODE,
		.path = path,
		.fd = -EBADF,
		.st = { .st_mode = S_IFREG, .st_nlink = 1 },
	};

	buf_printf(&full, "%s%s%s%s", s->o.prefix, dir, *dir ? "/" : "", name);
	int r = buf_check(&full, err);
	return r < 0 ? r : put_entry(s, &e, buf_str(&full), err);
}

static int put_whiteout(struct archive_sink *s, const struct ship_entry *e, struct kennel_error **err)
{
	_cleanup_buf_ struct buf dir = { 0 }, name = { 0 };
	const char *slash = strrchr(e->path, '/');

	if (s->o.deletions == SHIP_DELETIONS_LEFT_OUT)
		return 0;
	if (s->o.deletions == SHIP_DELETIONS_OVERLAY) {
		struct ship_entry device = *e;

		device.kind = SHIP_NODE;
		device.st = (struct stat){ .st_mode = S_IFCHR, .st_nlink = 1, .st_mtim = e->st.st_mtim };
		buf_printf(&name, "%s%s", s->o.prefix, e->path);
		return put_entry(s, &device, buf_str(&name), err);
	}
	buf_add(&dir, e->path, slash ? (size_t)(slash - e->path) : 0);
	buf_printf(&name, ".wh.%s", slash ? slash + 1 : e->path);
	return put_marker(s, e->path, buf_str(&dir), buf_str(&name), err);
}

static int check_name(const struct archive_sink *s, const char *path, struct kennel_error **err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	if (s->o.deletions != SHIP_DELETIONS_OCI || strncmp(name, ".wh.", 4) != 0)
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_INVALID,
			 "\"%s\" would be taken for a deletion: in this format names with \".wh.\" mean that",
			 path),
		    "a directory, squashfs, erofs, ext4 or btrfs can hold it");
}

static int archive_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct archive_sink *s = container_of(sink, struct archive_sink, base);
	_cleanup_buf_ struct buf name = { 0 };

	if (e->kind == SHIP_WHITEOUT)
		return put_whiteout(s, e, err);
	if (S_ISSOCK(e->st.st_mode)) { /* no archive can hold one, and nobody listens any more */
		if (s->o.progress)
			s->o.progress->left_out++;
		return 0;
	}
	int r = check_name(s, e->path, err);
	if (r < 0)
		return r;
	if (e->kind == SHIP_NODE && (*e->path || s->o.top)) {
		buf_printf(&name, "%s%s%s", s->o.prefix, e->path,
			   S_ISDIR(e->st.st_mode) && *e->path && s->o.format != SHIP_CPIO ? "/" : "");
		if (!*e->path && s->o.format == SHIP_CPIO)
			buf_printf(&name, ".");
		r = buf_check(&name, err);
		if (r == 0)
			r = put_entry(s, e, *buf_str(&name) ? buf_str(&name) : ".", err);
	} else if (e->kind == SHIP_HARDLINK) {
		buf_printf(&name, "%s%s", s->o.prefix, e->path);
		r = buf_check(&name, err);
		if (r == 0)
			r = put_entry(s, e, buf_str(&name), err);
	}
	if (r == 0 && (e->opaque || e->kind == SHIP_OPAQUE) && s->o.deletions == SHIP_DELETIONS_OCI)
		r = put_marker(s, e->path, e->path, ".wh..wh..opq", err);
	return r;
}

static int archive_finish(struct ship_sink *sink, struct kennel_error **err)
{
	struct archive_sink *s = container_of(sink, struct archive_sink, base);

	return check(s, s->lib->archive_write_close(s->a), NULL, err);
}

static void archive_sink_free(struct ship_sink *sink)
{
	struct archive_sink *s = container_of(sink, struct archive_sink, base);

	if (s->entry)
		s->lib->archive_entry_free(s->entry);
	if (s->a)
		s->lib->archive_write_free(s->a);
	ship_links_done(&s->links);
	error_clear(&s->write_error);
	free(s->buffer);
	free(s);
}

/* A filter that is not built in would run a program of its name out of PATH: that is WARN, and refused. */
static int add_filter(const struct archive_lib *lib, struct archive *a, enum ship_filter filter,
		      struct kennel_error **err)
{
	char threads[16];
	int r = ARCHIVE_OK;

	snprintf(threads, sizeof(threads), "%ld", MIN(MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L), 3L));
	if (filter == SHIP_GZIP) {
		r = lib->archive_write_add_filter_gzip(a);
	} else if (filter == SHIP_XZ) {
		r = lib->archive_write_add_filter_xz(a);
		(void)!lib->archive_write_set_filter_option(a, "xz", "compression-level", XZ_LEVEL);
		(void)!lib->archive_write_set_filter_option(a, "xz", "threads", threads);
	} else if (filter == SHIP_ZSTD) {
		r = lib->archive_write_add_filter_zstd(a);
		(void)!lib->archive_write_set_filter_option(a, "zstd", "threads", threads);
	}
	if (r != ARCHIVE_OK)
		return fail(err, KENNEL_E_MISSING, "the libarchive that is installed lacks this compression");
	return 0;
}

static int open_sink(struct archive_sink *s, struct kennel_error **err)
{
	const struct archive_lib *lib = s->lib;

	s->a = lib->archive_write_new();
	s->entry = lib->archive_entry_new();
	s->buffer = malloc(SHIP_PIECE);
	if (!s->a || !s->entry || !s->buffer)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = s->o.format == SHIP_CPIO    ? lib->archive_write_set_format_cpio_newc(s->a) :
		s->o.format == SHIP_TAR_GNU ? lib->archive_write_set_format_gnutar(s->a) :
					      lib->archive_write_set_format_pax(s->a);
	if (r != ARCHIVE_OK)
		return archive_lib_fail(lib, s->a, "choose the format", err);
	if (s->o.format == SHIP_TAR)
		(void)!lib->archive_write_set_option(s->a, NULL, "xattrheader", "SCHILY");
	r = add_filter(lib, s->a, s->o.filter, err);
	if (r < 0)
		return r;
	lib->archive_write_set_bytes_per_block(s->a, BLOCK_BYTES);
	lib->archive_write_set_bytes_in_last_block(s->a, 1);
	return check(s, lib->archive_write_open2(s->a, s, NULL, on_write, NULL, NULL), NULL, err);
}

int ship_archive_sink(const struct archive_lib *lib, const struct ship_archive_options *o,
		      struct ship_sink **ret, struct kennel_error **err)
{
	struct archive_sink *s = calloc(1, sizeof(*s));

	if (!s)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->base = (struct ship_sink){ archive_add, archive_finish, archive_sink_free };
	s->lib = lib;
	s->o = *o;
	int r = open_sink(s, err);
	if (r < 0) {
		archive_sink_free(&s->base);
		return r;
	}
	*ret = &s->base;
	return 0;
}

struct ship_compressor {
	const struct archive_lib *lib;
	struct archive *a;
	struct archive_entry *entry;
	ship_write_fn write;
	void *write_data;
	struct kennel_error *write_error;
};

static la_ssize_t on_compressed(struct archive *a, void *data, const void *bytes, size_t size)
{
	struct ship_compressor *c = data;

	return c->write(c->write_data, bytes, size, &c->write_error) < 0 ? -1 : (la_ssize_t)size;
}

static int compressor_fail(struct ship_compressor *c, struct kennel_error **err)
{
	if (!c->write_error)
		return archive_lib_fail(c->lib, c->a, "compress", err);
	int r = -kennel_error_code(c->write_error);
	if (err)
		*err = take_ptr(&c->write_error);
	return r;
}

int ship_compress_open(const struct archive_lib *lib, enum ship_filter filter, ship_write_fn write,
		       void *write_data, struct ship_compressor **ret, struct kennel_error **err)
{
	struct ship_compressor *c = calloc(1, sizeof(*c));

	if (!c)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*c = (struct ship_compressor){ .lib = lib, .write = write, .write_data = write_data };
	c->a = lib->archive_write_new();
	c->entry = lib->archive_entry_new();
	int r = c->a && c->entry ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0 && lib->archive_write_set_format_raw(c->a) != ARCHIVE_OK)
		r = compressor_fail(c, err);
	if (r == 0)
		r = add_filter(lib, c->a, filter, err);
	if (r == 0) {
		lib->archive_write_set_bytes_per_block(c->a, BLOCK_BYTES);
		lib->archive_write_set_bytes_in_last_block(c->a, 1);
		lib->archive_entry_copy_pathname(c->entry, "data");
		lib->archive_entry_set_mode(c->entry, S_IFREG | 0600);
		if (lib->archive_write_open2(c->a, c, NULL, on_compressed, NULL, NULL) != ARCHIVE_OK ||
		    lib->archive_write_header(c->a, c->entry) != ARCHIVE_OK)
			r = compressor_fail(c, err);
	}
	if (r < 0) {
		ship_compress_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int ship_compress_write(void *compressor, const void *bytes, size_t size, struct kennel_error **err)
{
	struct ship_compressor *c = compressor;

	return c->lib->archive_write_data(c->a, bytes, size) < 0 ? compressor_fail(c, err) : 0;
}

int ship_compress_close(struct ship_compressor *c, struct kennel_error **err)
{
	return c->lib->archive_write_close(c->a) != ARCHIVE_OK ? compressor_fail(c, err) : 0;
}

void ship_compress_free(struct ship_compressor *c)
{
	if (!c)
		return;
	if (c->entry)
		c->lib->archive_entry_free(c->entry);
	if (c->a)
		c->lib->archive_write_free(c->a);
	error_clear(&c->write_error);
	free(c);
}
#endif

int ship_write_fd(void *fd, const void *bytes, size_t size, struct kennel_error **err)
{
	for (const char *p = bytes; size;) {
		ssize_t n = write(*(int *)fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "write");
		p += n;
		size -= (size_t)n;
	}
	return 0;
}
