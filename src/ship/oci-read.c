/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/oci-read.c - see oci-read.h.
 *
 * A blob is handed to a function as a stream. In a directory that is its file. In a tar it is an entry: the
 * tar is read from its beginning for each, which costs little, since what is not wanted is skipped without
 * being read.
 */
#include "ship/oci-read.h"
#include "archive/library.h"

#if KENNEL_HAVE_ARCHIVE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ship/archive.h"
#include "ship/input.h"
#include "ship/sha256.h"
#include "ship/tree.h"

typedef int (*stream_fn)(void *data, ship_read_fn read, void *read_data, struct kennel_error **err);

/* One entry of a tar, found by its name, as a stream. */
struct find {
	struct ship_sink base;
	const char *path;
	bool found;
	stream_fn use;
	void *use_data;
	const struct ship_entry *entry;
	uint64_t pos;
};

static int read_entry(void *data, const void **ret, size_t *ret_size, struct kennel_error **err)
{
	struct find *f = data;
	uint64_t offset;
	int r = f->entry->content(f->entry->content_data, ret, ret_size, &offset, err);

	if (r <= 0) {
		*ret_size = 0;
		return r;
	}
	if (offset != f->pos)
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" has holes in it", f->path);
	f->pos += *ret_size;
	return 0;
}

static int find_wanted(void *data, const char *path)
{
	const struct find *f = data;

	return !f->found && strcmp(path, f->path) == 0;
}

static int find_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct find *f = container_of(sink, struct find, base);

	if (e->kind != SHIP_NODE || !S_ISREG(e->st.st_mode))
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" is no file", f->path);
	f->found = true;
	f->entry = e;
	return f->use(f->use_data, read_entry, f, err);
}

static int with_tar_file(const struct oci_source *s, const char *path, stream_fn use, void *data,
			 struct kennel_error **err)
{
	_cleanup_input_ struct ship_input_file file = { 0 };
	struct find f = { .base = { .add = find_add }, .path = path, .use = use, .use_data = data };
	const struct ship_source_options o = {
		.read = ship_input_read,
		.skip = ship_input_skip,
		.read_data = &file,
		.wanted = find_wanted,
		.wanted_data = &f,
		.progress = s->progress,
	};
	int r = ship_input_open(&file, s->fd, NULL, err);

	if (r == 0)
		r = ship_archive_read(s->lib, &o, &f.base, err);
	if (r == 0 && !f.found)
		r = fail(err, KENNEL_E_CORRUPT, "the image has no \"%s\"", path);
	return r;
}

static int with_dir_file(const struct oci_source *s, const char *path, stream_fn use, void *data,
			 struct kennel_error **err)
{
	_cleanup_input_ struct ship_input_file file = { 0 };
	_cleanup_close_ int fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"%s\" of the image", path);
	if (!S_ISREG(st.st_mode))
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" of the image is no file", path);
	int r = ship_input_open(&file, fd, NULL, err);
	return r == 0 ? use(data, ship_input_read, &file, err) : r;
}

static int with_file(const struct oci_source *s, const char *path, stream_fn use, void *data,
		     struct kennel_error **err)
{
	return s->is_tar ? with_tar_file(s, path, use, data, err) : with_dir_file(s, path, use, data, err);
}

/* A stream whose sum is taken while it passes. */
struct checked {
	const struct oci_descriptor *d;
	struct sha256 sum;
	uint64_t size;
	ship_read_fn read;
	void *read_data;
	stream_fn use;
	void *use_data;
	struct ship_progress *progress;
};

static int read_checked(void *data, const void **ret, size_t *ret_size, struct kennel_error **err)
{
	struct checked *c = data;
	int r = c->read(c->read_data, ret, ret_size, err);

	if (r < 0)
		return r;
	sha256_add(&c->sum, *ret, *ret_size);
	c->size += *ret_size;
	return ship_advance(c->progress, *ret_size, err);
}

static int use_checked(void *data, ship_read_fn read, void *read_data, struct kennel_error **err)
{
	struct checked *c = data;
	char hex[SHA256_HEX];
	const void *bytes;
	size_t size;

	c->read = read;
	c->read_data = read_data;
	int r = c->use(c->use_data, read_checked, c, err);
	do /* what stands behind the end of an archive counts too */
		r = r < 0 ? r : read_checked(c, &bytes, &size, err);
	while (r == 0 && size);
	if (r < 0)
		return r;
	sha256_hex(&c->sum, hex);
	if (c->size != c->d->size || strcmp(hex, c->d->digest + strlen("sha256:")) != 0)
		return fail(err, KENNEL_E_CORRUPT, "the blob %s is damaged", c->d->digest);
	return 0;
}

static int with_blob(const struct oci_source *s, const struct oci_descriptor *d, stream_fn use, void *data,
		     struct kennel_error **err)
{
	struct checked c = { .d = d, .use = use, .use_data = data, .progress = s->progress };
	char path[32 + OCI_DIGEST_SIZE];

	sha256_init(&c.sum);
	snprintf(path, sizeof(path), "blobs/sha256/%s", d->digest + strlen("sha256:"));
	return with_file(s, path, use_checked, &c, err);
}

static int take_text(void *data, ship_read_fn read, void *read_data, struct kennel_error **err)
{
	struct buf *b = data;
	const void *bytes;
	size_t size;

	for (;;) {
		int r = read(read_data, &bytes, &size, err);

		if (r < 0 || size == 0)
			return r < 0 ? r : buf_check(b, err);
		if (b->len + size > OCI_JSON_MAX)
			return fail(err, KENNEL_E_CORRUPT, "a description in the image is too long");
		buf_add(b, bytes, size);
	}
}

int oci_read_manifest(const struct oci_source *s, struct oci_manifest *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct oci_descriptor d;
	bool is_index = true;
	int r = with_file(s, "index.json", take_text, &text, err);

	for (unsigned level = 0; r == 0 && is_index; level++) {
		if (level == 4)
			return fail(err, KENNEL_E_CORRUPT, "the image has an index in an index in an index");
		r = oci_index_parse(buf_str(&text), text.len, oci_arch(), &d, &is_index, err);
		if (r == 0) {
			buf_done(&text);
			text = (struct buf){ 0 };
			r = with_blob(s, &d, take_text, &text, err);
		}
	}
	return r == 0 ? oci_manifest_parse(buf_str(&text), text.len, ret, err) : r;
}

int oci_read_config(const struct oci_source *s, const struct oci_manifest *m, struct buf *ret,
		    struct kennel_error **err)
{
	return m->has_config ? with_blob(s, &m->config, take_text, ret, err) : 0;
}

enum pass { PASS_ALL, PASS_DELETIONS, PASS_REST };

struct layer_pass {
	struct ship_sink base;
	struct ship_sink *tree;
	enum pass pass;
	const struct oci_source *source;
};

static int pass_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct layer_pass *p = container_of(sink, struct layer_pass, base);
	bool deletion = e->kind == SHIP_WHITEOUT || e->kind == SHIP_OPAQUE;

	if ((p->pass == PASS_DELETIONS && !deletion) || (p->pass == PASS_REST && deletion))
		return 0;
	return p->tree->add(p->tree, e, err);
}

static int unpack(void *data, ship_read_fn read, void *read_data, struct kennel_error **err)
{
	struct layer_pass *p = data;
	const struct ship_source_options o = {
		.read = read,
		.read_data = read_data,
		.whiteouts = true,
		.progress = p->source->progress,
	};

	return ship_archive_read(p->source->lib, &o, &p->base, err);
}

int oci_read_layers(const struct oci_source *s, const struct oci_manifest *m, struct ship_sink *tree,
		    struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < m->n_layers && r == 0; i++) {
		struct layer_pass p = { .base = { .add = pass_add }, .tree = tree, .source = s };

		if (i > 0) {
			p.pass = PASS_DELETIONS;
			ship_tree_prune(tree, true);
			r = with_blob(s, &m->layers[i], unpack, &p, err);
			ship_tree_prune(tree, false);
		}
		p.pass = i > 0 ? PASS_REST : PASS_ALL;
		if (r == 0)
			r = with_blob(s, &m->layers[i], unpack, &p, err);
		if (r < 0)
			return wrap(err, r, "layer %zu", i + 1);
	}
	return r;
}
#endif
