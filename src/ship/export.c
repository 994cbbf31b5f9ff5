/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/export.c - see export.h.
 *
 * squashfs is made from a stream: mksquashfs reads our tar, so owners, devices and attributes are right
 * whoever we are, and nothing is copied to the disk first. (As sqfstar, the same program takes no level of
 * compression in 4.5; and 4.5 leaves the top directory to root, whatever we say.) The mkfs programs of
 * erofs, ext4 and btrfs read a directory (newer ones of the first two also tar, but not those of Debian 12),
 * so the tree stands in a spare directory for a while.
 */
#include "ship/export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "archive/library.h"
#include "ship/mark.h"
#include "ship/tool.h"
#include "ship/tree.h"

#define MIB (1024ull * 1024)
#define SQUASHFS_LEVEL "9" /* 15, its own choice, takes six times as long for 2 % */

static bool is_image(const struct ship_output *o, const char *name)
{
	return o->format->form == SHIP_FORM_IMAGE && strcmp(o->format->name, name) == 0;
}

bool ship_output_needs_spare(const struct ship_output *o)
{
	return (o->format->form == SHIP_FORM_IMAGE && !is_image(o, "squashfs")) ||
	       o->format->form == SHIP_FORM_OCI_TAR;
}

int ship_push_all(const struct ship_walk *w, const struct ship_output *o, struct ship_sink *sink,
		  struct kennel_error **err)
{
	int r = ship_walk(w, sink, err);

	for (size_t i = 0; i < o->n_extra && r == 0; i++)
		r = sink->add(sink, &o->extra[i], err);
	return r == 0 ? sink->finish(sink, err) : r;
}

static int export_tree(const struct ship_walk *w, const struct ship_output *o, int top_fd,
		       struct kennel_error **err)
{
	const struct ship_tree_options to = {
		.top_fd = top_fd,
		.deletions = !o->root,
		.owners = true,
		.progress = o->progress,
		.counts = true,
		.mark = true,
	};
	_cleanup_ship_sink_ struct ship_sink *sink = NULL;
	int r = ship_tree_sink(&to, &sink, err);

	return r == 0 ? ship_push_all(w, o, sink, err) : r;
}

/* From here on a program is at work that does not tell how far it is. */
static void all_is_read(const struct ship_output *o)
{
	if (o->progress)
		o->progress->done = MAX(o->progress->done, o->progress->total);
}

#if KENNEL_HAVE_ARCHIVE
static int export_archive(const struct archive_lib *lib, const struct ship_walk *w,
			  const struct ship_output *o, struct kennel_error **err)
{
	int fd = o->fd;
	const struct ship_archive_options ao = {
		.format = o->format->form == SHIP_FORM_CPIO ? SHIP_CPIO : SHIP_TAR,
		.filter = o->format->filter,
		.deletions = o->root ? SHIP_DELETIONS_LEFT_OUT : SHIP_DELETIONS_OCI,
		.prefix = o->format->form == SHIP_FORM_CPIO ? "" : "./",
		.top = true,
		.write = ship_write_fd,
		.write_data = &fd,
		.progress = o->progress,
	};
	_cleanup_ship_sink_ struct ship_sink *sink = NULL;
	int r = ship_archive_sink(lib, &ao, &sink, err);

	return r == 0 ? ship_push_all(w, o, sink, err) : r;
}

/* Writes an archive into a program, and takes the better of two words where that fails. */
static int export_through(const struct archive_lib *lib, const struct ship_walk *w,
			  const struct ship_output *o, const struct ship_tool *tool,
			  struct ship_archive_options *ao, struct kennel_error **err)
{
	struct kennel_error *first = NULL, *second = NULL;
	struct ship_sink *sink = NULL;
	struct ship_running run;
	int r = ship_tool_start(tool, &run, err);
	if (r < 0)
		return r;
	ao->write = ship_write_fd;
	ao->write_data = &run.input_fd;
	ao->progress = o->progress;
	r = ship_archive_sink(lib, ao, &sink, &first);
	if (r == 0)
		r = ship_push_all(w, o, sink, &first);
	if (sink)
		sink->free(sink);
	all_is_read(o);
	/* where it ended early, a broken pipe is all that we saw: what it said counts */
	bool broken = r < 0 && kennel_error_errno(first) == EPIPE;
	int waited = ship_tool_wait(&run, r < 0 && !broken, &second);
	bool take_second = waited < 0 && (r == 0 || broken);
	r = take_second ? waited : r;
	if (err && r < 0)
		*err = take_second ? take_ptr(&second) : take_ptr(&first);
	error_clear(&first);
	error_clear(&second);
	return r;
}

/* The kernel unpacks xz only with the checksum that libarchive does not write. */
static int export_cpio_xz(const struct archive_lib *lib, const struct ship_walk *w,
			  const struct ship_output *o, struct kennel_error **err)
{
	static const char *const args[] = { "--check=crc32", "-4", "-T2", "-c", NULL };
	const struct ship_tool tool = {
		.name = "xz",
		.package = "xz-utils",
		.args = args,
		.file_fd = o->fd,
		.dir_fd = -EBADF,
		.progress = o->progress,
		.has_input = true,
		.writes_file = true,
	};
	struct ship_archive_options ao = {
		.format = SHIP_CPIO,
		.deletions = o->root ? SHIP_DELETIONS_LEFT_OUT : SHIP_DELETIONS_OCI,
		.prefix = "",
		.top = true,
	};

	return export_through(lib, w, o, &tool, &ao, err);
}

/* A tar has no entry for the top directory that mksquashfs would take, so its attributes are words. */
static int export_squashfs(const struct archive_lib *lib, const struct ship_walk *w,
			   const struct ship_output *o, struct kennel_error **err)
{
	char mode[16], uid[16], gid[16], when[24];
	const char *const args[] = { "-",
				     TOOL_FILE,
				     "-tar",
				     "-noappend",
				     "-comp",
				     "zstd",
				     "-Xcompression-level",
				     SQUASHFS_LEVEL,
				     "-mem",
				     "128M",
				     "-no-progress",
				     "-quiet",
				     "-root-mode",
				     mode,
				     "-root-uid",
				     uid,
				     "-root-gid",
				     gid,
				     "-root-time",
				     when,
				     NULL };
	const struct ship_tool tool = {
		.name = "mksquashfs",
		.package = "squashfs-tools",
		.args = args,
		.file_fd = o->fd,
		.dir_fd = -EBADF,
		.progress = o->progress,
		.has_input = true,
	};
	struct ship_archive_options ao = {
		.deletions = o->root ? SHIP_DELETIONS_LEFT_OUT : SHIP_DELETIONS_OVERLAY,
		.prefix = "",
		.holes_are_zeros = true, /* which it sees itself; of holes it reads GNU tar's form alone */
	};
	struct stat st;
	int r = ship_walk_look_at_top(w, &st, err);

	if (r < 0)
		return r;
	snprintf(mode, sizeof(mode), "%o", st.st_mode & 07777);
	snprintf(uid, sizeof(uid), "%u", st.st_uid);
	snprintf(gid, sizeof(gid), "%u", st.st_gid);
	snprintf(when, sizeof(when), "%u", (unsigned)st.st_mtim.tv_sec);
	return export_through(lib, w, o, &tool, &ao, err);
}
#endif

uint64_t ship_image_bytes(const struct ship_size *s, bool journal)
{
	/* inodes of 256 bytes, their bitmaps, one block in 64 for maps and extents, and some air */
	uint64_t bytes =
		s->blocks * 4096 + s->entries * 300 + s->blocks * 64 + 16 * MIB + (journal ? 64 * MIB : 0);

	return (bytes + bytes / 50 + 65535) / 65536 * 65536;
}

static int make_erofs(const struct ship_output *o, struct kennel_error **err)
{
	static const char *const args[] = { "-zlz4hc", "--preserve-mtime", "--quiet", TOOL_FILE, ".", NULL };
	const struct ship_tool tool = {
		.name = "mkfs.erofs",
		.package = "erofs-utils",
		.args = args,
		.file_fd = o->fd,
		.dir_fd = o->spare_fd,
		.progress = o->progress,
	};

	return ship_tool_run(&tool, err);
}

/* mke2fs leaves the top directory as it makes it, and a directory in it that no one asked for. */
static int set_ext4_top(const struct ship_output *o, struct kennel_error **err)
{
	static const char *const args[] = { "-w", TOOL_FILE, NULL };
	const struct ship_tool tool = {
		.name = "debugfs",
		.package = "e2fsprogs",
		.args = args,
		.file_fd = o->fd,
		.dir_fd = -EBADF,
		.progress = o->progress,
		.has_input = true,
	};
	_cleanup_buf_ struct buf words = { 0 };
	struct ship_running run;
	struct stat st;

	if (fstat(o->spare_fd, &st) < 0)
		return fail_errno(err, "look at the top directory");
	buf_printf(&words, "sif / mode 0%o\nsif / uid %u\nsif / gid %u\nsif / mtime @%lld\n", st.st_mode,
		   st.st_uid, st.st_gid, (long long)st.st_mtim.tv_sec);
	if (faccessat(o->spare_fd, "lost+found", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		buf_puts(&words, "rmdir /lost+found\n");
	int r = buf_check(&words, err);
	if (r == 0)
		r = ship_tool_start(&tool, &run, err);
	if (r < 0)
		return r;
	r = ship_write_fd(&run.input_fd, buf_str(&words), words.len, err);
	int waited = ship_tool_wait(&run, r < 0, r < 0 ? NULL : err);
	return r < 0 ? r : waited;
}

static int make_ext4(const struct ship_output *o, const struct ship_size *size, struct kennel_error **err)
{
	char inodes[32];
	const char *const args[] = { "-q",	     "-F",
				     "-t",	     "ext4",
				     "-b",	     "4096",
				     "-I",	     "256",
				     "-m",	     "0",
				     "-N",	     inodes,
				     "-O",	     o->journal ? "has_journal" : "^has_journal",
				     "-E",	     "lazy_itable_init=0,lazy_journal_init=0",
				     "-d",	     ".",
				     TOOL_FILE, NULL };
	const struct ship_tool tool = {
		.name = "mke2fs",
		.package = "e2fsprogs",
		.args = args,
		.file_fd = o->fd,
		.dir_fd = o->spare_fd,
		.progress = o->progress,
	};

	snprintf(inodes, sizeof(inodes), "%llu",
		 (unsigned long long)(size->entries + size->entries / 8 + 64));
	if (ftruncate(o->fd, (off_t)ship_image_bytes(size, o->journal)) < 0)
		return fail_errno(err, "make the image as large as it must be");
	int r = ship_tool_run(&tool, err);
	return r == 0 ? set_ext4_top(o, err) : r;
}

static int make_btrfs(const struct ship_output *o, const struct ship_size *size, struct kennel_error **err)
{
	static const char *const args[] = { "-q", "-f",	      "-m",	      "single", "--rootdir",
					    ".",  "--shrink", TOOL_FILE, NULL };
	const struct ship_tool tool = {
		.name = "mkfs.btrfs",
		.package = "btrfs-progs",
		.args = args,
		.file_fd = o->fd,
		.dir_fd = o->spare_fd,
		.progress = o->progress,
	};

	if (ftruncate(o->fd, (off_t)(ship_image_bytes(size, false) * 2 + 128 * MIB)) < 0)
		return fail_errno(err, "make the image as large as it must be");
	return ship_tool_run(&tool, err);
}

/* The attribute that tells what it is has no place in an image: the trailer does. */
static int export_image(const struct ship_walk *w, const struct ship_output *o, struct kennel_error **err)
{
	struct ship_size size;
	int r = ship_measure(w, &size, err);

	if (r == 0)
		r = export_tree(w, o, o->spare_fd, err);
	if (r < 0)
		return r;
	all_is_read(o);
	r = is_image(o, "erofs") ? make_erofs(o, err) :
	    is_image(o, "ext4")	 ? make_ext4(o, &size, err) :
				   make_btrfs(o, &size, err);
	struct kennel_error *ignored = NULL;
	int cleared = ship_tree_clear(o->spare_fd, r < 0 ? &ignored : err);
	error_clear(&ignored);
	return r < 0 ? r : cleared;
}

static int export_with_library(const struct ship_walk *w, const struct ship_output *o,
			       struct kennel_error **err)
{
#if KENNEL_HAVE_ARCHIVE
	_cleanup_archive_lib_ struct archive_lib lib;
	int r = archive_lib_load(&lib, err);

	if (r < 0)
		return r;
	switch (o->format->form) {
	case SHIP_FORM_CPIO:
		return o->format->filter == SHIP_XZ ? export_cpio_xz(&lib, w, o, err) :
						      export_archive(&lib, w, o, err);
	case SHIP_FORM_OCI:
	case SHIP_FORM_OCI_TAR:
		return ship_oci_write(&lib, w, o, err);
	case SHIP_FORM_IMAGE:
		return export_squashfs(&lib, w, o, err);
	default:
		return export_archive(&lib, w, o, err);
	}
#else
	return hint(
		err, fail(err, KENNEL_E_UNSUPPORTED, "this kennel was built without libarchive"),
		"install libarchive-dev and build it again; a directory, erofs, ext4 and btrfs need none");
#endif
}

/* What it is; and the top directory, which mksquashfs and mkfs.btrfs make as they like. */
static int end_image(const struct ship_walk *w, const struct ship_output *o, struct kennel_error **err)
{
	_cleanup_buf_ struct buf mark = { 0 };
	struct stat st;

	if (!*o->mark)
		return ship_trailer_write(o->fd, o->mark, err);
	int r = ship_walk_look_at_top(w, &st, err);
	if (r < 0)
		return r;
	buf_puts(&mark, o->mark);
	ship_mark_add_top(&mark, &st);
	r = buf_check(&mark, err);
	return r == 0 ? ship_trailer_write(o->fd, buf_str(&mark), err) : r;
}

int ship_export(const struct ship_walk *w, const struct ship_output *o, struct kennel_error **err)
{
	const struct ship_xattr mark = { (char *)SHIP_XATTR_MARK, (void *)o->mark, strlen(o->mark) };
	bool image = o->format->form == SHIP_FORM_IMAGE;
	struct ship_walk marked = *w;
	int r;

	if (o->format->form == SHIP_FORM_TAR || o->format->form == SHIP_FORM_DIRECTORY)
		marked.top_xattr = &mark;
	if (o->format->form == SHIP_FORM_DIRECTORY)
		r = export_tree(&marked, o, o->fd, err);
	else if (image && !is_image(o, "squashfs"))
		r = export_image(&marked, o, err);
	else
		r = export_with_library(&marked, o, err);
	return r == 0 && image ? end_image(w, o, err) : r;
}
