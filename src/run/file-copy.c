/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/file-copy.c - an ordinary user's way with an image: a working copy beside it. Root's, too, where the
 * image is to become the disk of a guest and has to be put in order for that: this machine's kernel never
 * sees it then.
 *
 *   .NAME.kennel/            0700, locked while it is used
 *     root/                  what is in the image; ids of the user's subordinate range
 *     links/                 empty but while unpacking
 *     image                  which image root/ was unpacked from; without it, root/ is half of one
 *     packed                 the next image, until it takes the name of the old one
 *
 * Unpacking: kennel-ext4, with the user's own rights and locked up, reads the image; a process that is
 * root of a user
 * namespace with the user's ids makes the files. Packing: mke2fs and kennel-ext4, as root of that
 * namespace, so that
 * ids in the image are those seen inside. "image" also names the packed one before that takes its place,
 * so whoever finds a
 * directory that a killed session has left knows which of the two has everything.
 *
 * Tried and left: serving the image through FUSE as a lower layer and merging the session's changes into
 * it at the
 * end opens at once, but every read inside goes through a second server, and the merge is a writer of
 * file systems of
 * our own; a FUSE file system can't be the upper layer itself.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "delta/layout.h"
#include "ext4/stream.h"
#include "ext4/unpack.h"
#include "layer/disk.h"
#include "path/remove.h"
#include "run/errand.h"
#include "run/ext4-program.h"
#include "run/file.h"
#include "sys/sys.h"

#define RECORD_MAX 4096

char *file_copy_name(const struct file_box *box)
{
	char *name;

	return asprintf(&name, ".%s.kennel", box->base) < 0 ? NULL : name;
}

/* What tells one image from another that later has its name. */
struct identity {
	unsigned long long ino, size, mtime_s, mtime_ns;
};

struct record {
	struct identity image;
	unsigned long long packed_ino; /* 0: none */
};

static int identify(int fd, struct identity *ret, struct kennel_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at the image");
	*ret = (struct identity){ st.st_ino, (unsigned long long)st.st_size,
				  (unsigned long long)st.st_mtim.tv_sec,
				  (unsigned long long)st.st_mtim.tv_nsec };
	return 0;
}

/* Return: 1, 0 there is none. */
static int record_read(const struct file_box *box, struct record *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(box->work_fd, "image", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };
	struct identity *i = &ret->image;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the note of what was unpacked");
	int r = buf_read_fd(&b, fd, RECORD_MAX, err);
	if (r < 0)
		return r;
	return sscanf(buf_str(&b), "%llu %llu %llu %llu %llu", &i->ino, &i->size, &i->mtime_s, &i->mtime_ns,
		      &ret->packed_ino) == 5;
}

static int record_write(const struct file_box *box, const struct record *record, struct kennel_error **err)
{
	const struct identity *i = &record->image;
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "%llu %llu %llu %llu %llu\n", i->ino, i->size, i->mtime_s, i->mtime_ns,
		   record->packed_ino);
	unlinkat(box->work_fd, "image.new", 0);
	_cleanup_close_ int fd =
		openat(box->work_fd, "image.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, buf_str(&b), b.len) != (ssize_t)b.len || fsync(fd) < 0 ||
	    renameat(box->work_fd, "image.new", box->work_fd, "image") < 0 || fsync(box->work_fd) < 0)
		return fail_errno(err, "note what was unpacked");
	return 0;
}

/* Root has all of them, one to one; but not root's rights over the machine, for what is made of an image. */
static int hold_all_ids(struct file_box *box, struct kennel_error **err)
{
	struct idmap all;

	int r = idmap_identity(&all, err);
	if (r < 0)
		return r;
	box->map = (struct idmap_user){ .uids = all, .gids = all };
	return errand_namespace_of(&box->map, &box->user_ns_fd, err);
}

/* What all work on a working copy needs: the program, and a user namespace with the user's ids. */
static int hold_ids(struct file_box *box, struct kennel_error **err)
{
	if (box->user_ns_fd >= 0)
		return 0;
	int r = ext4_program_find(&box->program, err);
	if (r < 0)
		return r;
	if (geteuid() == 0)
		return hold_all_ids(box, err);
	r = idmap_pick_user(&box->map, err);
	return r < 0 ? r : errand_namespace(&box->user_ns_fd, err);
}

static int remove_inner(void *data, struct buf *out, struct kennel_error **err)
{
	const struct file_box *box = data;

	int r = path_remove_tree(box->work_fd, "root", err);
	return r < 0 ? r : path_remove_tree(box->work_fd, "links", err);
}

/*
 * Takes the working copy away; killed in the middle, what is left has no "image" and goes at the next start.
 */
static int remove_copy(struct file_box *box, struct kennel_error **err)
{
	_cleanup_free_ char *name = file_copy_name(box);
	static const char *const files[] = { "image", "image.new", "packed" };

	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlinkat(box->work_fd, files[i], 0);
	int r = hold_ids(box, err);
	if (r == 0)
		r = errand_run(box->user_ns_fd, remove_inner, box, NULL, err);
	if (r < 0)
		return wrap(err, r, "remove the working copy \"%s\"", name);
	replace_fd(&box->work_fd, -EBADF);
	return unlinkat(box->parent_fd, name, AT_REMOVEDIR) < 0 ? fail_errno(err, "remove \"%s\"", name) : 0;
}

static int lock_copy(struct file_box *box, struct kennel_error **err)
{
	if (flock(box->work_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ?
		       fail(err, KENNEL_E_BUSY, "\"%s\" is in use by another kennel", box->name) :
		       fail_errno(err, "lock the working copy of \"%s\"", box->name);
}

/* Return: 1 there is one, 0 not. */
static int open_old_copy(struct file_box *box, struct kennel_error **err)
{
	_cleanup_free_ char *name = file_copy_name(box);
	struct stat st;

	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	box->work_fd = openat(box->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (box->work_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the working copy \"%s\"", name);
	if (fstat(box->work_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", name);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return hint(err,
			    fail(err, KENNEL_E_PERM, "the working copy \"%s\" belongs to user %u", name,
				 st.st_uid),
			    "that user's next run puts it into the file; or have the directory removed");
	int r = lock_copy(box, err);
	return r < 0 ? r : 1;
}

static int make_copy_dirs(struct file_box *box, struct kennel_error **err)
{
	_cleanup_free_ char *name = file_copy_name(box);

	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (mkdirat(box->parent_fd, name, 0700) < 0 && errno != EEXIST)
		return hint(
			err, fail_errno(err, "make the working copy \"%s\"", name),
			"without root it is beside the file: take a copy of the file in a directory of yours");
	box->work_fd = openat(box->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (box->work_fd < 0)
		return fail_errno(err, "open the working copy \"%s\"", name);
	int r = lock_copy(box, err);
	if (r < 0)
		return r;
	if (mkdirat(box->work_fd, "root", 0700) < 0 || mkdirat(box->work_fd, "links", 0700) < 0)
		return fail_errno(err, "make the working copy \"%s\"", name);
	if (!delta_has_user_xattr(box->work_fd))
		return hint(
			err,
			fail(err, KENNEL_E_UNSUPPORTED,
			     "the file system that \"%s\" is on keeps no extended attributes, which its "
			     "working copy needs",
			     box->name),
			"copy the file to one that does, such as your home, or run kennel as root");
	return 0;
}

static int open_root(struct file_box *box, struct kennel_error **err)
{
	box->dir_fd = openat(box->work_fd, "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return box->dir_fd < 0 ? fail_errno(err, "open the working copy of \"%s\"", box->name) : 0;
}

struct unpacking {
	struct file_box *box;
	int stream_fd;
};

/* As root of the user's ids. */
static int unpack_inner(void *data, struct buf *out, struct kennel_error **err)
{
	const struct unpacking *u = data;
	_cleanup_close_ int links_fd = openat(u->box->work_fd, "links", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool range = idmap_user_has_range(&u->box->map);
	const struct unpack_where where = {
		.dir_fd = u->box->dir_fd,
		.links_fd = links_fd,
		.uid = range ? u->box->map.uid : 0,
		.gid = range ? u->box->map.gid : 0,
	};

	if (links_fd < 0)
		return fail_errno(err, "open the working copy");
	errand_raise_file_limit();
	umask(0);
	return ext4_unpack(u->stream_fd, &where, err);
}

static int unpack(struct file_box *box, struct kennel_error **err)
{
	struct unpacking u = { .box = box };
	_cleanup_close_ int read_fd = -EBADF;
	pid_t pid;

	int r = ext4_program_read(box->program, box->file_fd, NULL, &read_fd, &pid, err);
	if (r < 0)
		return r;
	u.stream_fd = read_fd;
	r = errand_run(box->user_ns_fd, unpack_inner, &u, NULL, err);
	replace_fd(&read_fd, -EBADF);
	(void)!ext4_program_wait(pid); /* it has said so itself if something failed */
	return r < 0 ? wrap(err, r, "unpack \"%s\"", box->name) : 0;
}

static int fill_copy(struct file_box *box, struct kennel_error **err)
{
	struct record record = { 0 };

	int r = disk_ready(box->file_fd, box->name, err);
	if (r == 0)
		r = make_copy_dirs(box, err);
	if (r == 0)
		r = open_root(box, err);
	if (r == 0)
		r = unpack(box, err);
	/* What the note says is there must be there after a power loss, too: it will be put into the file. */
	if (r == 0 && syncfs(box->work_fd) < 0)
		r = fail_errno(err, "write the working copy of \"%s\"", box->name);
	if (r == 0)
		r = identify(box->file_fd, &record.image, err);
	if (r == 0)
		r = record_write(box, &record, err);
	box->saved = r == 0;
	return r;
}

/* What a session that was killed has left. Return: 1 it is to be used, 0 it is of no use and gone. */
static int judge_copy(struct file_box *box, const struct log_sink *log, struct kennel_error **err)
{
	struct record record = { 0 };
	struct identity now = { 0 };

	int r = record_read(box, &record, err);
	if (r == 0 || (r > 0 && identify(box->file_fd, &now, err) == 0 && record.packed_ino == now.ino))
		return remove_copy(box, err);
	if (r < 0)
		return r;
	if (memcmp(&now, &record.image, sizeof(now)) == 0) {
		log_warn(log, "going on with changes that had not been put into \"%s\" yet", box->name);
		unlinkat(box->work_fd, "packed", 0);
		return 1;
	}
	_cleanup_free_ char *name = file_copy_name(box);
	return hint(
		err,
		fail(err, KENNEL_E_BUSY,
		     "a session with \"%s\" was killed, and the file has been changed since then", box->name),
		"what that session did is in \"%s\" beside it: rename that, and the file can be opened",
		name ? name : "?");
}

int file_copy_discard(struct file_box *box, struct kennel_error **err)
{
	int r = open_old_copy(box, err);

	return r > 0 ? remove_copy(box, err) : r;
}

int file_copy_open(struct file_box *box, const struct file_wish *wish, struct kennel_error **err)
{
	if (strcmp(box->format, "ext4") != 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "\"%s\" is a %s, which only root can open",
				 box->name, box->format),
			    "run kennel as root, or make a file of ext4");
	int r = hold_ids(box, err);
	if (r == 0)
		r = open_old_copy(box, err);
	if (r > 0) {
		r = judge_copy(box, wish->log, err);
		if (r > 0)
			r = open_root(box, err);
		else if (r == 0)
			r = fill_copy(box, err);
	} else if (r == 0) {
		r = fill_copy(box, err);
	}
	box->size_bytes = MAX(box->size_bytes, wish->size_bytes);
	return r;
}

static int fill_image(const struct file_box *box, int fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 }, words = { 0 };
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	int r = ext4_program_start(box->program, fd, box->dir_fd, EXT4_FILL, write_fd, &pid, err);
	if (r < 0)
		return r;
	replace_fd(&write_fd, -EBADF);
	r = buf_read_fd(&said, read_fd, RECORD_MAX, NULL);
	int status = ext4_program_wait(pid);
	if (status == 0)
		return 0;
	if (said.len && said.data[said.len - 1] == '\n')
		said.data[--said.len] = '\0';
	buf_safe(&words, r < 0 || !said.len ? "it was killed" : said.data);
	return fail(err, status == EXT4_EXIT_FULL ? KENNEL_E_NOSPACE : KENNEL_E_IO, "%s", buf_str(&words));
}

/* As root of the user's ids, so that the image has those that are seen inside. */
static int pack_inner(void *data, struct buf *out, struct kennel_error **err)
{
	const struct file_box *box = data;
	_cleanup_close_ int fd = openat(box->work_fd, "packed", O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "open the new image");
	errand_raise_file_limit();
	int r = disk_make(fd, "ext4", box->size_bytes, err);
	return r < 0 ? r : fill_image(box, fd, err);
}

static int make_packed(struct file_box *box, int *ret_fd, struct kennel_error **err)
{
	struct stat st;

	unlinkat(box->work_fd, "packed", 0);
	_cleanup_close_ int fd =
		openat(box->work_fd, "packed", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "make the new image");
	int r = errand_run(box->user_ns_fd, pack_inner, box, NULL, err);
	if (r < 0) {
		unlinkat(box->work_fd, "packed", 0);
		return r;
	}
	if (box->file_fd >= 0 && (fstat(box->file_fd, &st) < 0 || fchmod(fd, st.st_mode & 0777) < 0 ||
				  (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0)))
		return fail_errno(err, "set the mode and owner of the new image");
	/* Locked before it has the name. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fsync(fd) < 0)
		return fail_errno(err, "write the new image");
	*ret_fd = take_fd(&fd);
	return 0;
}

/* The packed image takes the name; both exchange nothing else, so the name always leads to a whole one. */
static int put_in_place(struct file_box *box, bool first, struct kennel_error **err)
{
	int r = first ? sys_renameat2(box->work_fd, "packed", box->parent_fd, box->base, RENAME_NOREPLACE) :
			renameat(box->work_fd, "packed", box->parent_fd, box->base);

	if (r < 0 && first && errno == EEXIST)
		return fail(err, KENNEL_E_BUSY, "\"%s\" was made by somebody else at the same time",
			    box->name);
	if (r < 0 || fsync(box->parent_fd) < 0)
		return fail_errno(err, "put the new image in place of \"%s\"", box->name);
	return 0;
}

static int pack(struct file_box *box, bool first, struct kennel_error **err)
{
	_cleanup_close_ int fd = -EBADF;
	struct record record = { 0 };
	struct identity packed = { 0 };

	int r = make_packed(box, &fd, err);
	if (r == 0)
		r = identify(fd, &packed, err);
	if (r == 0 && !first) {
		r = record_read(box, &record, err);
		r = MIN(r, 0);
		record.packed_ino = packed.ino;
		if (r == 0)
			r = record_write(box, &record, err);
	}
	if (r == 0)
		r = put_in_place(box, first, err);
	if (r < 0)
		return r;
	replace_fd(&box->file_fd, take_fd(&fd));
	box->saved = true;
	return 0;
}

int file_copy_save(struct file_box *box, struct kennel_error **err)
{
	struct record record = { 0 };

	box->saved = false;
	int r = pack(box, false, err);
	if (r == 0)
		r = identify(box->file_fd, &record.image, err);
	if (r == 0) /* it may go on being used */
		return record_write(box, &record, err);
	if (r == -KENNEL_E_NOSPACE)
		return hint(err,
			    fail(err, KENNEL_E_NOSPACE,
				 "the changes do not fit into \"%s\", which has room for %llu bytes",
				 box->name, (unsigned long long)box->size_bytes),
			    "they are kept beside it: give it more room, kennel set %s --size SIZE",
			    box->name);
	return wrap(err, r, "put the changes into \"%s\"", box->name);
}

int file_copy_make(struct file_box *box, const struct file_wish *wish, struct kennel_error **err)
{
	struct record record = { 0 };

	if (wish->format && strcmp(wish->format, "ext4") != 0)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "only root can open a %s", wish->format),
			    "leave --format out, or run kennel as root");
	box->format = "ext4";
	box->size_bytes = wish->size_bytes ? wish->size_bytes : FILE_SIZE_DEFAULT;
	int r = hold_ids(box, err);
	if (r == 0)
		r = open_old_copy(box, err);
	if (r > 0) {
		_cleanup_free_ char *name = file_copy_name(box);

		if (record_read(box, &record, NULL) > 0)
			return hint(err,
				    fail(err, KENNEL_E_BUSY,
					 "there is no \"%s\", but \"%s\" has what was done with it",
					 box->name, name ? name : "?"),
				    "remove that directory, or put the file back");
		r = remove_copy(box, err);
	}
	if (r == 0)
		r = make_copy_dirs(box, err);
	if (r == 0)
		r = open_root(box, err);
	if (r == 0 && wish->fill)
		r = wish->fill(wish->data, box->dir_fd, err);
	if (r == 0)
		r = pack(box, true, err);
	if (r == 0)
		r = identify(box->file_fd, &record.image, err);
	if (r == 0)
		r = record_write(box, &record, err);
	box->made = r == 0;
	return r;
}

void file_copy_close(struct file_box *box)
{
	struct record record;

	if (box->work_fd < 0)
		return;
	/* Half of a copy is of no use to anybody; a whole one has something that the file has not. */
	if (box->saved || record_read(box, &record, NULL) <= 0)
		(void)!remove_copy(box, NULL);
	close_fd(box->work_fd);
	box->work_fd = -EBADF;
}
