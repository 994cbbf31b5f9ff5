/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/wipe.c - removing and measuring what a sandbox wrote.
 *
 * The tree is hostile: deeper than there are descriptors, stack or path names, full of links. So one
 * directory is open at a time, names still to be done wait on one list, and the way up is "..", believed
 * only if it leads to the directory that we came from. No name is ever followed: all calls take one
 * component of an open directory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "container/container.h"
#include "sys/sys.h"

#define SUBVOLUME_INODE 256
#define SHOWN_MAX 4096u /* of a path in an error: it may have any length */

struct place {
	dev_t dev;
	ino_t ino;
};

struct walk {
	int fd; /* the current directory */
	struct strv todo; /* last in, first out; "" is the way up */
	struct place *parents;
	char **names; /* of the directories that lead here */
	size_t depth, room;
	const char *shown;
	bool remove;
	bool stuck; /* something could not be removed: the first is in why */
	struct kennel_error *why;
	ino_t *links; /* files with several names that were counted: a hash table, 0 is free */
	size_t n_links, links_room;
	uint64_t bytes;
};

static void walk_done(struct walk *w)
{
	close_fd(w->fd);
	strv_done(&w->todo);
	for (size_t i = 0; i < w->depth; i++)
		free(w->names[i]);
	free(w->names);
	free(w->parents);
	free(w->links);
	error_clear(&w->why);
}
#define _cleanup_walk_ __attribute__((cleanup(walk_done)))

static void show(const struct walk *w, const char *name, struct buf *b)
{
	buf_puts(b, w->shown);
	for (size_t i = 0; i < w->depth && b->len < SHOWN_MAX; i++)
		buf_printf(b, "/%s", w->names[i]);
	buf_printf(b, b->len < SHOWN_MAX ? "/%s" : "/.../%s", name);
}

/* Of an entry or, for a name that can't be taken out of it, of the directory. */
static bool is_immutable(int dir_fd, const char *name)
{
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int flags = 0;

	return fd >= 0 && sys_ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
	       (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL));
}

/* Notes what stays; goes on with the rest. */
static void fail_entry(struct walk *w, const char *name)
{
	_cleanup_buf_ struct buf b = { 0 };
	int saved = errno;

	if (w->stuck)
		return;
	w->stuck = true;
	show(w, name, &b);
	bool immutable = saved == EPERM && (is_immutable(w->fd, name) || is_immutable(w->fd, "."));
	errno = saved;
	int r = fail_errno(&w->why, "remove \"%s\"", buf_str(&b));
	if (immutable)
		(void)hint(&w->why, r,
			   "it or its directory is immutable: chattr -R -i -a \"%s\", then \"kennel gc\"",
			   w->shown);
}

/* Is it in the table already? It is now. */
static bool put_link(ino_t *links, size_t room, ino_t ino)
{
	size_t at = (size_t)(ino * 0x9e3779b97f4a7c15u) & (room - 1);

	while (links[at] && links[at] != ino)
		at = (at + 1) & (room - 1);
	bool known = links[at] != 0;
	links[at] = ino;
	return known;
}

/* Subvolumes have the same inode numbers. */
static ino_t link_key(const struct stat *st)
{
	ino_t key = st->st_ino ^ (ino_t)st->st_dev << 40;

	return key ? key : 1;
}

static bool is_new_link(struct walk *w, ino_t ino)
{
	if (w->n_links * 2 >= w->links_room) {
		size_t room = w->links_room ? w->links_room * 2 : 64;
		ino_t *links = calloc(room, sizeof(*links));

		if (!links)
			return true;
		for (size_t i = 0; i < w->links_room; i++)
			if (w->links[i])
				(void)put_link(links, room, w->links[i]);
		free(w->links);
		w->links = links;
		w->links_room = room;
	}
	if (put_link(w->links, w->links_room, ino))
		return false;
	w->n_links++;
	return true;
}

static int see_entry(struct walk *w, int dir_fd, const struct dirent *e, struct kennel_error **err)
{
	unsigned char type = e->d_type;
	struct stat st;

	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (!w->remove || type == DT_UNKNOWN) {
		if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : fail_errno(err, "look at a file of the container");
		type = S_ISDIR(st.st_mode) ? DT_DIR : DT_REG;
		if (!w->remove && (S_ISDIR(st.st_mode) || st.st_nlink == 1 || is_new_link(w, link_key(&st))))
			w->bytes += (uint64_t)st.st_blocks * 512;
	}
	if (type == DT_DIR)
		return strv_add(&w->todo, e->d_name, err);
	if (w->remove && unlinkat(dir_fd, e->d_name, 0) < 0 && errno != ENOENT)
		fail_entry(w, e->d_name);
	return 0;
}

static int see_directory(struct walk *w, struct kennel_error **err)
{
	int dir_fd = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = dir_fd < 0 ? NULL : fdopendir(dir_fd);

	if (!d) {
		int r = fail_errno(err, "read a directory of the container");

		close_fd(dir_fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read a directory of the container") : 0;
		int r = see_entry(w, dir_fd, e, err);
		if (r < 0)
			return r;
	}
}

static int remember_parent(struct walk *w, const char *name, struct kennel_error **err)
{
	struct stat st;

	if (fstat(w->fd, &st) < 0)
		return fail_errno(err, "look at a directory of the container");
	if (w->depth == w->room) {
		size_t room = w->room ? w->room * 2 : 32;
		struct place *parents = reallocarray(w->parents, room, sizeof(*parents));
		char **names = parents ? reallocarray(w->names, room, sizeof(*names)) : NULL;

		w->parents = parents ? parents : w->parents;
		w->names = names ? names : w->names;
		if (!names)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		w->room = room;
	}
	char *copy = strdup(name);
	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	w->names[w->depth] = copy;
	w->parents[w->depth++] = (struct place){ st.st_dev, st.st_ino };
	return 0;
}

/* The root of a btrfs subvolume is a directory with another device number, and no mount. */
static bool remove_subvolume(struct walk *w, const char *name, const struct statx *st)
{
	struct btrfs_ioctl_vol_args args = { 0 };

	if (!w->remove || st->stx_ino != SUBVOLUME_INODE || strlen(name) >= sizeof(args.name))
		return false;
	memcpy(args.name, name, strlen(name) + 1);
	return sys_ioctl(w->fd, BTRFS_IOC_SNAP_DESTROY, &args) == 0;
}

static int enter(struct walk *w, const char *name, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st) < 0)
		return fail_errno(err, "open a directory of the container");
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) { /* nothing of ours is mounted there */
		_cleanup_buf_ struct buf b = { 0 };

		show(w, name, &b);
		return hint(err, fail(err, KENNEL_E_BUSY, "something is mounted at \"%s\"", buf_str(&b)),
			    "unmount it first");
	}
	if (remove_subvolume(w, name, &st))
		return 0;
	int r = remember_parent(w, name, err);
	if (r == 0)
		r = strv_add(&w->todo, "", err);
	if (r < 0)
		return r;
	replace_fd(&w->fd, take_fd(&fd));
	return see_directory(w, err);
}

static int leave(struct walk *w, struct kennel_error **err)
{
	const struct place *to = &w->parents[--w->depth];
	_cleanup_free_ char *name = take_ptr(&w->names[w->depth]);
	_cleanup_close_ int fd = openat(w->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "go back in the container");
	if (st.st_dev != to->dev || st.st_ino != to->ino)
		return fail(err, KENNEL_E_BUSY, "a directory of the container was moved meanwhile");
	replace_fd(&w->fd, take_fd(&fd));
	if (w->remove && unlinkat(w->fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		fail_entry(w, name);
	return 0;
}

static int walk_all(struct walk *w, int dir_fd, struct kennel_error **err)
{
	w->fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->fd < 0)
		return fail_errno(err, "open \"%s\"", w->shown);
	int r = see_directory(w, err);
	while (r == 0 && w->todo.n) {
		_cleanup_free_ char *name = take_ptr(&w->todo.items[--w->todo.n]);

		r = *name ? enter(w, name, err) : leave(w, err);
	}
	return r;
}

int container_wipe(int dir_fd, const char *shown, struct kennel_error **err)
{
	_cleanup_walk_ struct walk w = { .fd = -EBADF, .shown = shown, .remove = true };

	int r = walk_all(&w, dir_fd, err);
	if (r < 0 || !w.stuck)
		return r;
	r = -kennel_error_code(w.why);
	if (err)
		*err = take_ptr(&w.why);
	return r;
}

int container_measure(int dir_fd, uint64_t *ret, struct kennel_error **err)
{
	_cleanup_walk_ struct walk w = { .fd = -EBADF, .shown = "the container" };

	int r = walk_all(&w, dir_fd, err);
	if (r == 0)
		*ret = w.bytes;
	return r;
}
