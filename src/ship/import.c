/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/import.c - see import.h. */
#include "ship/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "ship/input.h"
#include "archive/library.h"
#include "ship/oci-read.h"
#include "ship/tree.h"

#define MARK_MAX 4096

static int tree_mark(int fd, struct ship_mark *ret, struct kennel_error **err)
{
	char text[MARK_MAX];
	ssize_t n = fgetxattr(fd, SHIP_XATTR_MARK, text, sizeof(text));

	if (n < 0)
		n = 0;
	return ship_mark_parse(text, (size_t)n, ret, err);
}

static int import_tree(const struct ship_input_options *o, struct ship_sink *tree, bool root,
		       struct kennel_error **err)
{
	const struct ship_part part = { o->fd, "" };
	const struct ship_walk w = {
		.parts = &part, .n_parts = 1, .deletions = !root, .progress = o->progress
	};
	struct ship_size size;
	int r = ship_measure(&w, &size, err);

	if (r == 0 && o->progress)
		o->progress->total = size.bytes + size.entries * SHIP_ENTRY_COST;
	return r == 0 ? ship_walk(&w, tree, err) : r;
}

#if KENNEL_HAVE_ARCHIVE
#define ENOUGH (-KENNEL_E_EXISTS) /* what a sink says that has seen all that it wants */

/*
 * The first entry of an archive tells what it is: the top directory with its mark, or a file of an image
 * layout.
 */
struct look {
	struct ship_sink base;
	bool oci, other;
	struct ship_mark *mark;
};

static int look_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct look *l = container_of(sink, struct look, base);
	const struct ship_xattr *x = ship_xattrs_find(&e->xattrs, SHIP_XATTR_MARK);

	if (!*e->path && x) {
		int r = ship_mark_parse(x->value, x->size, l->mark, err);

		return r < 0 ? r : ENOUGH;
	}
	l->oci = strcmp(e->path, "oci-layout") == 0;
	if (l->oci)
		return ENOUGH;
	if (strcmp(e->path, "index.json") == 0 || strcmp(e->path, "manifest.json") == 0 ||
	    strcmp(e->path, "repositories") == 0 || strncmp(e->path, "blobs", 5) == 0)
		return 0;
	l->other = true;
	return ENOUGH;
}

static int look_into_archive(const struct archive_lib *lib, const struct ship_input_options *o,
			     struct look *l, struct kennel_error **err)
{
	_cleanup_input_ struct ship_input_file file = { 0 };
	_cleanup_error_ struct kennel_error *why = NULL;
	const struct ship_source_options so = {
		.read = ship_input_read,
		.skip = ship_input_skip,
		.read_data = &file,
		.progress = o->progress,
	};
	int r = ship_input_open(&file, o->fd, NULL, err);

	if (r < 0)
		return r;
	r = ship_archive_read(lib, &so, &l->base, &why);
	if (r < 0 && r != ENOUGH && err)
		*err = take_ptr(&why);
	return r == ENOUGH ? 0 : r;
}

static int read_oci_manifest(const struct archive_lib *lib, const struct ship_input_options *o, bool is_tar,
			     struct oci_source *s, struct oci_manifest *m, struct kennel_error **err)
{
	*s = (struct oci_source){ .lib = lib, .fd = o->fd, .is_tar = is_tar, .progress = o->progress };
	return oci_read_manifest(s, m, err);
}

static int import_oci(const struct archive_lib *lib, const struct ship_input_options *o, bool is_tar,
		      struct ship_sink *tree, struct kennel_error **err)
{
	struct oci_manifest m = { 0 };
	struct oci_source s;
	int r = read_oci_manifest(lib, o, is_tar, &s, &m, err);

	if (r == 0 && o->progress) {
		o->progress->total = 0;
		for (size_t i = 0; i < m.n_layers; i++)
			o->progress->total += m.layers[i].size * (i ? 2 : 1);
	}
	if (r == 0)
		r = oci_read_layers(&s, &m, tree, err);
	oci_manifest_done(&m);
	return r;
}

static int import_archive(const struct archive_lib *lib, const struct ship_input_options *o, bool root,
			  struct ship_sink *tree, struct kennel_error **err)
{
	_cleanup_input_ struct ship_input_file file = { 0 };
	const struct ship_source_options so = {
		.read = ship_input_read,
		.skip = ship_input_skip,
		.read_data = &file,
		.whiteouts = !root,
		.progress = o->progress,
	};
	int r = ship_input_open(&file, o->fd, o->progress, err);

	if (r == 0 && o->progress)
		o->progress->total = file.size;
	return r == 0 ? ship_archive_read(lib, &so, tree, err) : r;
}
#endif

/* What it is, as far as it tells. */
static int look(const struct ship_input_options *o, struct ship_mark *ret, bool *ret_oci, void *lib_ptr,
		struct kennel_error **err)
{
	*ret_oci = o->input == SHIP_INPUT_OCI;
	*ret = (struct ship_mark){ 0 };
	if (o->input == SHIP_INPUT_TREE)
		return tree_mark(o->fd, ret, err);
	if (o->input == SHIP_INPUT_IMAGE)
		return ship_mark_parse(o->mark, strlen(o->mark), ret, err);
#if KENNEL_HAVE_ARCHIVE
	struct look l = { .base = { .add = look_add }, .mark = ret };
	int r = *ret_oci ? 0 : look_into_archive(lib_ptr, o, &l, err);
	*ret_oci = *ret_oci || l.oci;
	if (r == 0 && *ret_oci) {
		struct oci_manifest m = { 0 };
		struct oci_source s;

		r = read_oci_manifest(lib_ptr, o, o->input == SHIP_INPUT_ARCHIVE, &s, &m, err);
		if (r == 0 && m.mark)
			r = ship_mark_parse(m.mark, strlen(m.mark), ret, err);
		oci_manifest_done(&m);
	}
	return r;
#else
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "this kennel was built without libarchive"),
		    "install libarchive-dev and build it again; directories and images need none");
#endif
}

static bool needs_library(const struct ship_input_options *o)
{
	return o->input == SHIP_INPUT_OCI || o->input == SHIP_INPUT_ARCHIVE;
}

static int import_into(const struct ship_input_options *o, void *lib, bool oci, bool root,
		       struct ship_sink *tree, struct kennel_error **err)
{
#if KENNEL_HAVE_ARCHIVE
	if (oci)
		return import_oci(lib, o, o->input == SHIP_INPUT_ARCHIVE, tree, err);
	if (o->input == SHIP_INPUT_ARCHIVE)
		return import_archive(lib, o, root, tree, err);
#endif
	return import_tree(o, tree, root, err);
}

static int import_with(const struct ship_input_options *o, void *lib, bool unpack, struct ship_mark *ret,
		       struct kennel_error **err)
{
	_cleanup_ship_sink_ struct ship_sink *tree = NULL;
	bool oci;
	int r = look(o, ret, &oci, lib, err);

	if (r < 0 || !unpack)
		return r;
	ret->root = o->what == SHIP_WHAT_ROOT || (o->what == SHIP_WHAT_TOLD && (!ret->known || ret->root));
	const struct ship_tree_options to = {
		.top_fd = o->top_fd,
		.deletions = !ret->root,
		.owners = true,
		.keep_free = o->keep_free,
		.progress = o->progress,
		.counts = !needs_library(o),
	};
	r = ship_tree_sink(&to, &tree, err);
	if (r == 0)
		r = import_into(o, lib, oci, ret->root, tree, err);
	return r == 0 ? tree->finish(tree, err) : r;
}

static int import(const struct ship_input_options *o, bool unpack, struct ship_mark *ret,
		  struct kennel_error **err)
{
#if KENNEL_HAVE_ARCHIVE
	_cleanup_archive_lib_ struct archive_lib lib = { 0 };
	int r = needs_library(o) ? archive_lib_load(&lib, err) : 0;

	if (r < 0)
		return r;
	r = import_with(o, &lib, unpack, ret, err);
#else
	int r = import_with(o, NULL, unpack, ret, err);
#endif
	if (r < 0)
		ship_mark_done(ret);
	return r;
}

int ship_import(const struct ship_input_options *o, struct ship_mark *ret, struct kennel_error **err)
{
	return import(o, true, ret, err);
}

int ship_import_look(const struct ship_input_options *o, struct ship_mark *ret, struct kennel_error **err)
{
	return import(o, false, ret, err);
}

#if KENNEL_HAVE_ARCHIVE
static int read_words(const struct archive_lib *lib, const struct ship_input_options *o, struct strv *ret,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	struct look l = { .base = { .add = look_add }, .mark = &(struct ship_mark){ 0 } };
	struct oci_manifest m = { 0 };
	struct oci_source s;
	bool is_tar = o->input == SHIP_INPUT_ARCHIVE;
	int r = is_tar ? look_into_archive(lib, o, &l, err) : 0;

	ship_mark_done(l.mark);
	if (r == 0 && !l.oci && o->input != SHIP_INPUT_OCI)
		return hint(err, fail(err, KENNEL_E_TYPE, "it is no OCI image"),
			    "image: reads archives and images of other kinds, dir: directories");
	if (r == 0)
		r = read_oci_manifest(lib, o, is_tar, &s, &m, err);
	if (r == 0)
		r = oci_read_config(&s, &m, &text, err);
	oci_manifest_done(&m);
	return r == 0 && text.len ? oci_config_parse(buf_str(&text), text.len, ret, err) : r;
}
#endif

int ship_import_words(const struct ship_input_options *o, struct strv *ret, struct kennel_error **err)
{
#if KENNEL_HAVE_ARCHIVE
	_cleanup_archive_lib_ struct archive_lib lib = { 0 };
	int r = archive_lib_load(&lib, err);

	return r < 0 ? r : read_words(&lib, o, ret, err);
#else
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "this kennel was built without libarchive"),
		    "install libarchive-dev and build it again");
#endif
}
