/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/oci-write.c - an OCI image layout with one layer.
 *
 * A blob's name is the sum of its bytes, known at the end: it is written under a plain name and renamed. The
 * layer has two sums, of the tar and of what it was compressed to, so the bytes pass two of them.
 */
#include "ship/export.h"
#include "archive/library.h"

#if KENNEL_HAVE_ARCHIVE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ship/oci.h"
#include "ship/sha256.h"
#include "ship/tree.h"

#define OCI_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct blob {
	int fd;
	struct sha256 sum;
	uint64_t size;
	char digest[OCI_DIGEST_SIZE];
};

struct layer {
	struct sha256 sum; /* of the tar */
	struct ship_compressor *compressor;
	struct blob blob;
	char diff_id[OCI_DIGEST_SIZE];
};

static void finish_sum(struct sha256 *s, char ret[OCI_DIGEST_SIZE])
{
	char hex[SHA256_HEX];

	sha256_hex(s, hex);
	snprintf(ret, OCI_DIGEST_SIZE, "sha256:%s", hex);
}

static int write_blob(void *data, const void *bytes, size_t size, struct kennel_error **err)
{
	struct blob *b = data;

	sha256_add(&b->sum, bytes, size);
	b->size += size;
	return ship_write_fd(&b->fd, bytes, size, err);
}

static int write_tar(void *data, const void *bytes, size_t size, struct kennel_error **err)
{
	struct layer *l = data;

	sha256_add(&l->sum, bytes, size);
	return ship_compress_write(l->compressor, bytes, size, err);
}

/*
 * A layout is a user's own, like any file of that user: who works is root of the ids inside, and what it
 * makes would be that root's, whom its user could not remove it from.
 */
static int own_as_directory(int dir_fd, const char *name, struct kennel_error **err)
{
	struct stat dir, st;

	if (fstat(dir_fd, &dir) < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	if ((st.st_uid != dir.st_uid || st.st_gid != dir.st_gid) &&
	    fchownat(dir_fd, name, dir.st_uid, dir.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "give \"%s\" to its user", name);
	return 0;
}

static int open_blob(int blobs_fd, struct blob *b, struct kennel_error **err)
{
	sha256_init(&b->sum);
	b->size = 0;
	b->fd = openat(blobs_fd, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return b->fd < 0 ? fail_errno(err, "make a blob") : own_as_directory(blobs_fd, "new", err);
}

static int close_blob(int blobs_fd, struct blob *b, struct kennel_error **err)
{
	close_fd(take_fd(&b->fd));
	finish_sum(&b->sum, b->digest);
	if (renameat(blobs_fd, "new", blobs_fd, b->digest + strlen("sha256:")) < 0)
		return fail_errno(err, "name a blob");
	return 0;
}

static int write_layer(const struct archive_lib *lib, const struct ship_walk *w, const struct ship_output *o,
		       int blobs_fd, struct layer *l, struct kennel_error **err)
{
	const struct ship_archive_options ao = {
		.deletions = o->root ? SHIP_DELETIONS_LEFT_OUT : SHIP_DELETIONS_OCI,
		.prefix = "",
		.top = true,
		.write = write_tar,
		.write_data = l,
		.progress = o->progress,
	};
	struct ship_sink *sink = NULL;

	sha256_init(&l->sum);
	int r = open_blob(blobs_fd, &l->blob, err);
	if (r == 0)
		r = ship_compress_open(lib, o->format->filter, write_blob, &l->blob, &l->compressor, err);
	if (r == 0)
		r = ship_archive_sink(lib, &ao, &sink, err);
	if (r == 0)
		r = ship_push_all(w, o, sink, err);
	if (sink)
		sink->free(sink);
	if (r == 0)
		r = ship_compress_close(l->compressor, err);
	ship_compress_free(l->compressor);
	if (r == 0)
		r = close_blob(blobs_fd, &l->blob, err);
	close_fd(take_fd(&l->blob.fd));
	finish_sum(&l->sum, l->diff_id);
	return r;
}

static int write_text_blob(int blobs_fd, const struct buf *text, struct blob *b, struct kennel_error **err)
{
	int r = buf_check(text, err);

	if (r == 0)
		r = open_blob(blobs_fd, b, err);
	if (r == 0)
		r = write_blob(b, buf_str(text), text->len, err);
	if (r == 0)
		r = close_blob(blobs_fd, b, err);
	close_fd(take_fd(&b->fd));
	return r;
}

static int write_text(int dir_fd, const char *name, const struct buf *text, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = buf_check(text, err);

	if (r < 0)
		return r;
	if (fd < 0)
		return fail_errno(err, "make \"%s\"", name);
	r = own_as_directory(dir_fd, name, err);
	if (r < 0)
		return r;
	return ship_write_fd(&fd, buf_str(text), text->len, err);
}

static void format_config(struct buf *b, const struct ship_output *o, const struct layer *l)
{
	buf_puts(b, "{\"architecture\":");
	buf_json(b, o->arch);
	buf_puts(b, ",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=" OCI_PATH "\"],");
	buf_puts(b, "\"Cmd\":[\"/bin/sh\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
	buf_json(b, l->diff_id);
	buf_puts(b, "]},\"history\":[{\"created_by\":\"kennel export\"}]}");
}

static void add_descriptor(struct buf *b, const char *type, const struct blob *blob)
{
	buf_puts(b, "{\"mediaType\":");
	buf_json(b, type);
	buf_puts(b, ",\"digest\":");
	buf_json(b, blob->digest);
	buf_printf(b, ",\"size\":%llu", (unsigned long long)blob->size);
}

static void format_manifest(struct buf *b, const struct ship_output *o, const struct layer *l,
			    const struct blob *config)
{
	buf_puts(b, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":");
	add_descriptor(b, OCI_CONFIG, config);
	buf_puts(b, "},\"layers\":[");
	add_descriptor(b, o->format->filter == SHIP_ZSTD ? OCI_LAYER_ZSTD : OCI_LAYER_GZIP, &l->blob);
	buf_puts(b, "}],\"annotations\":{\"" OCI_MARK "\":");
	buf_json(b, o->mark);
	buf_puts(b, "}}");
}

static void format_index(struct buf *b, const struct ship_output *o, const struct blob *manifest)
{
	buf_puts(b, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[");
	add_descriptor(b, OCI_MANIFEST, manifest);
	buf_puts(b, ",\"platform\":{\"architecture\":");
	buf_json(b, o->arch);
	buf_puts(b, ",\"os\":\"linux\"},\"annotations\":{\"org.opencontainers.image.ref.name\":");
	buf_json(b, o->name);
	buf_puts(b, "}}]}");
}

static int write_layout(const struct archive_lib *lib, const struct ship_walk *w, const struct ship_output *o,
			int top_fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf config = { 0 }, manifest = { 0 }, index = { 0 }, version = { 0 };
	struct layer l = { .blob.fd = -EBADF };
	struct blob config_blob = { .fd = -EBADF }, manifest_blob = { .fd = -EBADF };

	if (mkdirat(top_fd, "blobs", 0755) < 0 || mkdirat(top_fd, "blobs/sha256", 0755) < 0)
		return fail_errno(err, "make the directory of the blobs");
	_cleanup_close_ int blobs_fd = openat(top_fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (blobs_fd < 0)
		return fail_errno(err, "open the directory of the blobs");
	int r = own_as_directory(top_fd, "blobs", err);
	if (r == 0)
		r = own_as_directory(top_fd, "blobs/sha256", err);
	if (r < 0)
		return r;
	r = write_layer(lib, w, o, blobs_fd, &l, err);
	if (r < 0)
		return r;
	format_config(&config, o, &l);
	r = write_text_blob(blobs_fd, &config, &config_blob, err);
	if (r < 0)
		return r;
	format_manifest(&manifest, o, &l, &config_blob);
	r = write_text_blob(blobs_fd, &manifest, &manifest_blob, err);
	if (r < 0)
		return r;
	format_index(&index, o, &manifest_blob);
	buf_puts(&version, "{\"imageLayoutVersion\":\"1.0.0\"}");
	r = write_text(top_fd, "index.json", &index, err);
	if (r == 0)
		r = write_text(top_fd, "oci-layout", &version, err);
	if (r == 0 && fchmod(top_fd, 0755) < 0)
		r = fail_errno(err, "set the mode of the directory");
	return r;
}

static int pack_layout(const struct archive_lib *lib, const struct ship_output *o, struct kennel_error **err)
{
	const struct ship_part part = { o->spare_fd, "" };
	const struct ship_walk w = { .parts = &part, .n_parts = 1 };
	int fd = o->fd;
	const struct ship_archive_options ao = {
		.deletions = SHIP_DELETIONS_LEFT_OUT,
		.prefix = "",
		.write = ship_write_fd,
		.write_data = &fd,
	};
	_cleanup_ship_sink_ struct ship_sink *sink = NULL;
	int r = ship_archive_sink(lib, &ao, &sink, err);

	if (r == 0)
		r = ship_walk(&w, sink, err);
	return r == 0 ? sink->finish(sink, err) : r;
}

int ship_oci_write(const struct archive_lib *lib, const struct ship_walk *w, const struct ship_output *o,
		   struct kennel_error **err)
{
	if (o->format->form == SHIP_FORM_OCI)
		return write_layout(lib, w, o, o->fd, err);
	int r = write_layout(lib, w, o, o->spare_fd, err);
	if (r == 0)
		r = pack_layout(lib, o, err);
	int cleared = ship_tree_clear(o->spare_fd, r < 0 ? NULL : err);
	return r < 0 ? r : cleared;
}
#endif
