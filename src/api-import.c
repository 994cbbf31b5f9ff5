/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-import.c - the public face of ship/ for what comes in: a container is filled before it has its name.
 *
 * A delta goes into delta/0/upper; a whole root becomes "base" in the container's own directory, which its
 * configuration calls "own": a directory, an ordinary user's with ids of the user's range; or, where a user
 * has none, a squashfs image. An image that holds a root is copied as it is. What a template makes is made in
 * its place at once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-import.h"
#include "base/cleanup.h"
#include "base/line.h"
#include "conf/name.h"
#include "conf/spec.h"
#include "container/container.h"
#include "container/tidy.h"
#include "delta/manifest.h"
#include "ext4/stream.h"
#include "ext4/unpack.h"
#include "idmap/user.h"
#include "layer/layer.h"
#include "run/ext4-program.h"
#include "run/keep.h"
#include "ship/export.h"
#include "ship/import.h"
#include "ship/oci.h"
#include "ship/shift.h"
#include "ship/tool.h"
#include "ship/tree.h"
#include "ship/worker.h"

#define KEEP_FREE_MAX (256ull << 20)

#define MADE "made" /* an image layout that a template left */
#define WORK "template" /* where it works */

struct import {
	const struct import_wish *wish;
	const struct kennel_import_options *o;
	struct ship_input_options in;
	int file_fd; /* of an image */
	struct ship_mark mark;
	struct strv words; /* of an image: keys and values */
	struct buf text; /* of the trailer */
	uint64_t left_out;
	int dir_fd; /* of the container that is filled */
	int data_fd; /* where its delta and base are */
	struct storage *storage;
	int top_fd; /* of what the tree goes into */
	int base_fd; /* the file that becomes the base, or -EBADF */
	int stream_fd; /* what kennel-ext4 tells of an image, or -EBADF */
	bool user;
	bool packs; /* a user of one id: owners are in an image, or nowhere */
};

static int parse_what(const char *what, enum ship_what *ret, struct kennel_error **err)
{
	*ret = !what ? SHIP_WHAT_TOLD : strcmp(what, "delta") == 0 ? SHIP_WHAT_DELTA : SHIP_WHAT_ROOT;
	if (*ret != SHIP_WHAT_ROOT || strcmp(what, "root") == 0)
		return 0;
	return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is neither delta nor root", what),
		    "delta: changes over a base; root: a base of its own");
}

static int open_input(struct import *i, const char *path, struct kennel_error **err)
{
	_cleanup_free_ char *fstype = NULL;

	i->in.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (i->in.fd < 0)
		return fail_errno(err, "open \"%s\"", path);
	int r = ship_input_find(i->in.fd, path, &i->in.input, err);
	i->in.mark = "";
	if (r < 0 || i->in.input != SHIP_INPUT_IMAGE)
		return r;
	r = ship_trailer_read(i->in.fd, &i->text, err);
	if (r < 0)
		return r;
	i->in.mark = buf_str(&i->text);
	i->file_fd = i->in.fd;
	i->in.fd = i->user ? fcntl(i->file_fd, F_DUPFD_CLOEXEC, 3) : image_open(path, &fstype, err);
	if (i->in.fd < 0 && i->user)
		return fail_errno(err, "duplicate a descriptor");
	return MIN(i->in.fd, 0);
}

/* How much of the file system others may still need: some of it, and not more than matters. */
static uint64_t free_to_keep(int fd)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) < 0)
		return KEEP_FREE_MAX;
	return MIN((uint64_t)v.f_blocks * v.f_frsize / 50, (uint64_t)KEEP_FREE_MAX);
}

static int look(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct import *i = data;
	struct ship_mark mark = { 0 };

	i->in.progress = p;
	int r = ship_import_look(&i->in, &mark, err);
	if (r == 0 && mark.known)
		ship_mark_format(out, mark.root, mark.base, mark.base_id);
	ship_mark_done(&mark);
	return r;
}

/* What kind of thing it is, before a container is begun. */
static int find_mark(struct import *i, const struct ship_watch *watch, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = ship_work(look, i, watch, &text, NULL, err);
	if (r == 0)
		r = ship_mark_parse(buf_str(&text), text.len, &i->mark, err);
	if (r < 0)
		return r;
	i->mark.root = i->in.what == SHIP_WHAT_ROOT ||
		       (i->in.what == SHIP_WHAT_TOLD && (!i->mark.known || i->mark.root));
	i->in.what = i->mark.root ? SHIP_WHAT_ROOT : SHIP_WHAT_DELTA;
	if (i->mark.root && i->o->base)
		return fail(err, KENNEL_E_INVALID, "a whole root lies over no base");
	return 0;
}

static int open_dir(int at_fd, const char *name, struct kennel_error **err)
{
	if (mkdirat(at_fd, name, 0755) < 0)
		return fail_errno(err, "make \"%s\" in the container", name);
	int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open \"%s\" in the container", name) : fd;
}

static bool is_ext(int fd)
{
	unsigned char magic[2];

	return pread(fd, magic, sizeof(magic), 1080) == sizeof(magic) && magic[0] == 0x53 && magic[1] == 0xef;
}

static bool is_squashfs(int fd)
{
	char magic[4];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && memcmp(magic, "hsqs", 4) == 0;
}

static int unpack_ext4(struct import *i, int to_fd, struct kennel_error **err)
{
	_cleanup_close_ int links_fd = open_dir(i->data_fd, "links", err);
	const struct unpack_where where = { .dir_fd = to_fd, .links_fd = links_fd, .with_top = true };

	if (links_fd < 0)
		return links_fd;
	int r = ext4_unpack(i->stream_fd, &where, err);
	if (r == 0 && unlinkat(i->data_fd, "links", AT_REMOVEDIR) < 0)
		r = fail_errno(err, "remove what was needed to unpack");
	return r;
}

/* An image for who can't mount it: a program takes it apart, then it is a tree like others. */
static int unpack_image(struct import *i, int to_fd, struct kennel_error **err)
{
	static const char *const args[] = { "-quiet",
					    "-no-progress",
					    "-ignore-errors",
					    "-no-exit-code",
					    "-force",
					    "-dest",
					    ".",
					    TOOL_FILE,
					    NULL };
	const struct ship_tool tool = {
		.name = "unsquashfs",
		.package = "squashfs-tools",
		.args = args,
		.file_fd = i->file_fd,
		.dir_fd = to_fd,
		.fills_dir = true,
		.progress = i->in.progress,
	};
	return i->stream_fd >= 0 ? unpack_ext4(i, to_fd, err) : ship_tool_run(&tool, err);
}

/* The reader of an image that may be anybody's has the caller's own rights, not those over all their ids. */
static int start_reader(struct import *i, pid_t *ret, struct kennel_error **err)
{
	_cleanup_free_ char *program = NULL;

	if (!i->user || i->file_fd < 0 || i->mark.root || is_squashfs(i->file_fd))
		return 0;
	if (!is_ext(i->file_fd))
		return hint(err,
			    fail(err, KENNEL_E_PERM,
				 "without root kennel takes changes out of squashfs and ext4 images only"),
			    "export them to one of these or to an archive, or import it as root");
	int r = ext4_program_find(&program, err);
	return r == 0 ? ext4_program_read(program, i->file_fd, EXT4_TOP, &i->stream_fd, ret, err) : r;
}

/* As the end of an image tells it. Owners that are not this user's were refused before, in what is in it. */
static int set_top(const struct import *i, int top_fd, struct kennel_error **err)
{
	struct ship_mark told = { 0 };
	int r = ship_mark_parse(i->in.mark, strlen(i->in.mark), &told, err);
	const struct timespec times[2] = { { .tv_sec = told.top_mtime }, { .tv_sec = told.top_mtime } };

	if (r == 0 && told.has_top &&
	    ((fchown(top_fd, told.top_uid, told.top_gid) < 0 && errno != EINVAL && errno != EPERM) ||
	     fchmod(top_fd, told.top_mode & 07777) < 0 || futimens(top_fd, times) < 0))
		r = fail_errno(err, "set the attributes of the top directory");
	ship_mark_done(&told);
	return r;
}

static int import_tree(struct import *i, int top_fd, struct ship_progress *p, struct kennel_error **err)
{
	struct ship_mark mark = { 0 };
	_cleanup_close_ int unpacked_fd = -EBADF;
	int r = 0;

	i->in.top_fd = top_fd;
	i->in.progress = p;
	if (i->in.input == SHIP_INPUT_IMAGE && i->user) {
		unpacked_fd = open_dir(i->data_fd, "unpacked", err);
		r = unpacked_fd < 0 ? unpacked_fd : unpack_image(i, unpacked_fd, err);
		i->in.fd = unpacked_fd;
		i->in.input = SHIP_INPUT_TREE;
	}
	if (r == 0)
		r = ship_import(&i->in, &mark, err);
	ship_mark_done(&mark);
	if (r == 0)
		r = set_top(i, top_fd, err);
	if (r == 0 && unpacked_fd >= 0)
		r = ship_tree_clear(unpacked_fd, err);
	if (r == 0 && unpacked_fd >= 0 && unlinkat(i->data_fd, "unpacked", AT_REMOVEDIR) < 0)
		r = fail_errno(err, "remove what was unpacked");
	return r;
}

static int import_delta(struct import *i, struct ship_progress *p, struct kennel_error **err)
{
	_cleanup_close_ int delta_fd =
		openat(i->data_fd, "delta", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (delta_fd < 0)
		return fail_errno(err, "open the delta");
	_cleanup_close_ int zero_fd = open_dir(delta_fd, "0", err);
	if (zero_fd < 0)
		return zero_fd;
	_cleanup_close_ int upper_fd = open_dir(zero_fd, "upper", err);
	if (upper_fd < 0)
		return upper_fd;
	if (fchmod(zero_fd, 0700) < 0 || mkdirat(zero_fd, "work", 0700) < 0)
		return fail_errno(err, "make the delta");
	return import_tree(i, upper_fd, p, err);
}

static int remove_dir(struct import *i, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(i->data_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? fail_errno(err, "open \"%s\" in the container", name) : ship_tree_clear(fd, err);

	if (r == 0 && unlinkat(i->data_fd, name, AT_REMOVEDIR) < 0)
		r = fail_errno(err, "remove what was needed meanwhile");
	return r;
}

/* The tree that stays is made as the backing store wants it; others go again. */
static int make_tree_dir(struct import *i, const char *name, struct kennel_error **err)
{
	if (strcmp(name, "base") != 0)
		return open_dir(i->data_fd, name, err);
	int r = storage_make_tree(i->storage, name, err);
	if (r < 0)
		return r;
	int fd = openat(i->data_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return fail_errno(err, "open \"%s\" in the container", name);
	return fd;
}

/* Where the root is unpacked: of who has one id it is not the base yet. */
static const char *tree_name(const struct import *i)
{
	return i->packs ? "tree" : "base";
}

/* Where ids on disk can't be those inside, the tree becomes an image, and goes again. */
static int pack_tree(struct import *i, struct ship_progress *p, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(i->data_fd, tree_name(i), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct ship_part part = { fd, "" };
	const struct ship_walk w = { .parts = &part, .n_parts = 1, .progress = p };
	struct ship_output out = { .fd = i->base_fd, .mark = "", .root = true };

	if (!i->packs)
		return 0;
	int r = fd < 0 ? fail_errno(err, "open the tree that was made") :
			 ship_format_find("squashfs", &out.format, err);
	if (r == 0)
		r = ship_export(&w, &out, err);
	return r < 0 ? r : remove_dir(i, tree_name(i), err);
}

static int import_root(struct import *i, struct ship_progress *p, struct kennel_error **err)
{
	_cleanup_close_ int fd = make_tree_dir(i, tree_name(i), err);

	if (fd < 0)
		return fd;
	/* the container's directory is the user's, who is not root inside, and its group, too */
	if (i->user && !i->packs && fchown(fd, 0, 0) < 0)
		return fail_errno(err, "give the base to the root of the inside");
	int r = import_tree(i, fd, p, err);
	return r < 0 ? r : pack_tree(i, p, err);
}

static int copy_image(struct import *i, struct ship_progress *p, struct kennel_error **err)
{
	off_t size = lseek(i->file_fd, 0, SEEK_END), from = 0, to = 0;

	if (size < 0)
		return fail_errno(err, "look at the size of the image");
	p->total = (uint64_t)size;
	while (from < size) {
		ssize_t n = copy_file_range(i->file_fd, &from, i->base_fd, &to, 16u << 20, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "copy the image");
		if (n == 0)
			break;
		int r = ship_advance(p, (uint64_t)n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_words(const struct import *i, struct buf *out)
{
	for (size_t n = 0; n + 1 < i->words.n; n += 2) {
		line_put(out, i->words.items[n]);
		buf_puts(out, "\t");
		line_put(out, i->words.items[n + 1]);
		buf_puts(out, "\n");
	}
	return 0;
}

static int read_words(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct import *i = data;

	i->in.progress = p;
	int r = ship_import_words(&i->in, &i->words, err);
	if (r == 0)
		r = put_words(i, out);
	strv_done(&i->words);
	if (r == 0 && out->len >= SHIP_OUT_MAX)
		r = fail(err, KENNEL_E_LIMIT, "the image's environment and command are too long");
	return r;
}

/* How the image wants to be run, asked by a process that may be deceived. */
static int find_words(struct import *i, const struct ship_watch *watch, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	char *rest, *line;

	int r = ship_work(read_words, i, watch, &text, NULL, err);
	if (r == 0)
		r = buf_check(&text, err);
	rest = r == 0 && text.len ? text.data : NULL;
	while (r == 0 && (line = strsep(&rest, "\n")))
		for (char *fields = *line ? line : NULL, *field; r == 0 && (field = line_next(&fields));)
			r = strv_add(&i->words, field, err);
	return r == 0 && i->words.n % 2 ? fail(err, KENNEL_E_CORRUPT, "the image's words make no sense") : r;
}

static bool is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int n = 0;

	if (!d)
		close_fd(fd);
	while (d && n < 3 && readdir(d)) /* "." and ".." */
		n++;
	if (d)
		closedir(d);
	return n < 3;
}

/* What a template left becomes the base, and what it needed meanwhile goes. */
static int finish_made(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct import *i = data;
	int r = is_empty(i->in.fd) ? fail(err, KENNEL_E_IO, "the template left nothing") :
		i->wish->makes_oci ? import_root(i, p, err) :
				     pack_tree(i, p, err);

	if (r == 0)
		r = remove_dir(i, WORK, err);
	return r == 0 && i->wish->makes_oci ? remove_dir(i, MADE, err) : r;
}

static int work(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct import *i = data;

	if (!i->mark.root)
		return import_delta(i, p, err);
	return i->file_fd >= 0 ? copy_image(i, p, err) : import_root(i, p, err);
}

static const char *base_of(const struct import *i)
{
	return i->mark.root ? "own" : i->o->base ? i->o->base : i->mark.base ? i->mark.base : "system";
}

/* A boot has no command, and begins as root at "/": of those an image's own init has no use. */
static bool is_wanted(const struct import *i, const char *key)
{
	return !i->wish->spec || !i->wish->spec->boot || strcmp(key, "env") == 0;
}

static int set_spec(const struct import *i, struct spec *spec, struct kennel_error **err)
{
	const struct strv *given = i->wish->spec ? &i->wish->spec->given : NULL;
	int r = spec_set(spec, "base", base_of(i), err);

	for (size_t n = 0; n + 1 < i->words.n && r == 0; n += 2)
		if (is_wanted(i, i->words.items[n])) {
			r = spec_set(spec, i->words.items[n], i->words.items[n + 1], err);
			if (r < 0)
				return wrap(err, r, "take over how the image wants to be run");
		}
	for (size_t n = 0; given && n + 1 < given->n && r == 0; n += 2)
		r = spec_set(spec, given->items[n], given->items[n + 1], err);
	return r < 0 ? r : spec_check(spec, err);
}

static int format_config(const struct import *i, struct buf *text, struct kennel_error **err)
{
	struct spec *spec = spec_new(err);

	if (!spec)
		return -KENNEL_E_NOMEM;
	int r = set_spec(i, spec, err);
	if (r == 0)
		r = container_new_config(spec, text, err);
	spec_free(spec);
	return r;
}

/* Over which base the changes lie, and whose the ids on disk are. */
static int format_manifest(const struct import *i, struct buf *text, struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { .view = i->user, .user_xattr = true };
	int r = manifest_add_mount(&m, 0, "/", "unknown", NULL, err);

	m.base = strdup(base_of(i));
	if (!m.base || (!i->o->base && i->mark.base_id && !(m.base_id = strdup(i->mark.base_id))))
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0 && i->user) {
		r = idmap_pick_user(&m.ids, err);
		m.shifted = true;
	}
	if (r < 0)
		return r;
	manifest_format(&m, text);
	return buf_check(text, err);
}

static int write_manifest(const struct import *i, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r = format_manifest(i, &text, err);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(i->dir_fd, CONTAINER_MANIFEST,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "make the manifest");
	return ship_write_fd(&fd, buf_str(&text), text.len, err);
}

static int make(struct import *i, struct kennel_error **err)
{
	const struct ship_watch watch = { i->o->tick, i->o->data };
	const char *target = i->wish->makes_oci ? MADE : tree_name(i);
	_cleanup_close_ int work_fd = open_dir(i->data_fd, WORK, err);
	_cleanup_close_ int fd = work_fd < 0 ? work_fd : make_tree_dir(i, target, err);

	/* whatever the umask is */
	if (fd >= 0 && (fchmod(fd, 0755) < 0 || fchmod(work_fd, 0755) < 0))
		return fail_errno(err, "make the directories of the template");
	int r = fd < 0 ? fd : i->wish->make(i->wish->make_data, i->data_fd, target, WORK, err);
	if (r < 0)
		return r;
	i->in.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	i->in.input = i->wish->makes_oci ? SHIP_INPUT_OCI : SHIP_INPUT_TREE;
	i->in.what = SHIP_WHAT_ROOT;
	i->in.mark = "";
	if (i->wish->makes_oci)
		r = find_words(i, &watch, err);
	return r < 0 ? r : ship_work(finish_made, i, &watch, NULL, &i->left_out, err);
}

/* In the container that is filled: where it is stopped, all of that goes. */
static int unshift(const struct import *i, struct kennel_error **err)
{
	static const char *const names[] = { "base", NULL };
	const struct shift_job job = {
		.root_fd = i->data_fd,
		.names = names,
		.ids = { .from = i->wish->shift_base, .to = 0, .count = i->wish->shift_count },
		.record_dir_fd = i->dir_fd,
		.record_name = "convert",
		.tick = i->o->tick,
		.data = i->o->data,
	};
	struct shift_result result;

	return i->wish->shift_count ? shift_run(&job, &result, err) : 0;
}

static int fill(void *data, const struct container_room *room, struct buf *config, struct kennel_error **err)
{
	struct import *i = data;
	const struct ship_watch watch = { i->o->tick, i->o->data };
	bool image = i->mark.root && (i->packs || i->file_fd >= 0);
	pid_t reader = -1;

	i->dir_fd = room->dir_fd;
	i->data_fd = room->data_fd;
	i->storage = room->storage;
	i->in.keep_free = free_to_keep(room->data_fd);
	if (image) {
		i->base_fd =
			openat(i->data_fd, "base", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (i->base_fd < 0)
			return fail_errno(err, "make the base");
	}
	int r = i->wish->make ? make(i, err) : start_reader(i, &reader, err);
	if (r == 0 && !i->wish->make)
		r = ship_work(work, i, &watch, NULL, &i->left_out, err);
	replace_fd(&i->stream_fd, -EBADF);
	if (reader > 0)
		(void)!ext4_program_wait(reader); /* what went wrong it has said in its stream */
	if (r == 0)
		r = i->mark.root ? unshift(i, err) : write_manifest(i, err);
	config->len = 0; /* an image says only now how it is run */
	if (r == 0)
		r = format_config(i, config, err);
	if (r == 0 && (syncfs(room->data_fd) < 0 || syncfs(room->dir_fd) < 0))
		r = fail_errno(err, "write what was imported");
	return r;
}

/* What it is that will be read, before anything is begun. */
static int look_at_input(struct import *i, struct kennel_error **err)
{
	const struct ship_watch watch = { i->o->tick, i->o->data };
	int r = parse_what(i->o->what, &i->in.what, err);

	if (r == 0 && !i->wish->input) {
		i->mark.root = true;
		return 0;
	}
	if (r == 0)
		r = open_input(i, i->wish->input, err);
	if (r == 0 && i->wish->image_words)
		r = find_words(i, &watch, err);
	return r < 0 ? r : find_mark(i, &watch, err);
}

static int import(struct import *i, const char *name, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_buf_ struct buf config = { 0 };

	int r = name_check(name, err);
	if (r == 0)
		r = look_at_input(i, err);
	if (r == 0) /* what is wrong with it is told before, not after */
		r = format_config(i, &config, err);
	if (r == 0)
		r = store_open(i->o->store, true, &store, err);
	if (r >= 0)
		store_tidy(&store, keep_wipe);
	if (r >= 0)
		r = store_check_file_system(&store, err);
	const struct container_making making = {
		.fill = fill, .data = i, .wipe = keep_wipe, .wish = i->wish->store
	};
	return r < 0 ? r : container_create_by(&store, name, &config, &making, err);
}

int import_container(const struct import_wish *w, const char *name, uint64_t *ret_left_out,
		     struct kennel_error **err)
{
	struct import i = {
		.wish = w,
		.o = w->o,
		.in = { .fd = -EBADF },
		.file_fd = -EBADF,
		.base_fd = -EBADF,
		.stream_fd = -EBADF,
		.user = geteuid() != 0,
	};

	struct idmap_user ids;
	int r = i.user ? idmap_pick_user(&ids, err) : 0;
	i.packs = r == 0 && i.user && !idmap_user_has_range(&ids);
	if (r == 0)
		r = import(&i, name, err);
	close_fd(i.in.fd);
	close_fd(i.file_fd);
	close_fd(i.base_fd);
	ship_mark_done(&i.mark);
	strv_done(&i.words);
	buf_done(&i.text);
	if (r == 0 && ret_left_out)
		*ret_left_out = i.left_out;
	return r;
}

int kennel_import(const char *input, const char *name, const struct kennel_import_options *options,
		  uint64_t *ret_left_out, struct kennel_error **err)
{
	const struct kennel_import_options defaults = { .size = sizeof(defaults) };
	const struct import_wish w = { .o = options ? options : &defaults, .input = input };

	if (options && options->size != sizeof(*options))
		return fail(err, KENNEL_E_INVALID, "options of another version of the library");
	int r = import_is_foreign(input) ? import_foreign(input, name, w.o, ret_left_out, err) :
					   import_container(&w, name, ret_left_out, err);
	return r < 0 ? wrap(err, r, "import \"%s\" as \"%s\"", input, name) : 0;
}
