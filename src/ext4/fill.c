/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/fill.c - the files of a directory into an empty ext4 that mke2fs has just made.
 *
 * mke2fs -d does that too, but cuts times to seconds and looks through a directory for each name that it
 * adds: half a
 * minute for ten thousand names. Here a directory is written at once, when all in it have their inodes.
 * Runs as root
 * of the namespace whose ids the image is to have; what stands in the root itself becomes root's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ext4/internal.h"

#define NAMES_MAX 65536 /* of the xattrs of a file */
#define DEPTH_MAX 4000

struct fill {
	ext2_filsys fs;
	void *links; /* tree of struct link */
	unsigned depth;
	const char *what; /* that failed */
	char data[65536];
};

struct link { /* a file of several names, here and in the image */
	ino_t from;
	ext2_ino_t to;
};

struct inside {
	ext2_ino_t ino;
	uint8_t type;
	char name[EXT2_NAME_LEN + 1];
};

struct entries {
	struct inside *items;
	size_t n, room;
	unsigned dirs;
};

typedef struct ext2_inode_large inode_t;

static struct ext2_inode *small(inode_t *inode)
{
	return (struct ext2_inode *)inode;
}

static errcode_t failed(struct fill *f, const char *what, errcode_t e)
{
	if (e && !f->what)
		f->what = what;
	return e;
}

static errcode_t write_inode(struct fill *f, ext2_ino_t ino, inode_t *inode)
{
	size_t size = MIN(sizeof(*inode), (size_t)EXT2_INODE_SIZE(f->fs->super));

	return failed(f, "write an inode", ext2fs_write_inode_full(f->fs, ino, small(inode), (int)size));
}

static void put_time(const struct timespec *t, uint32_t *ret_low, uint32_t *ret_extra)
{
	*ret_low = (uint32_t)t->tv_sec;
	*ret_extra = (uint32_t)t->tv_nsec << 2 | (uint32_t)((t->tv_sec - (int32_t)t->tv_sec) >> 32 & 3);
}

static errcode_t new_inode(struct fill *f, ext2_ino_t parent, const struct stat *st, ext2_ino_t *ret,
			   inode_t *inode)
{
	bool top = parent == EXT2_ROOT_INO;
	uid_t uid = top ? 0 : st->st_uid;
	gid_t gid = top ? 0 : st->st_gid;
	errcode_t e = ext2fs_new_inode(f->fs, parent, (int)st->st_mode, NULL, ret);

	if (e)
		return failed(f, "get an inode", e);
	ext2fs_inode_alloc_stats2(f->fs, *ret, 1, S_ISDIR(st->st_mode));
	*inode = (inode_t){
		.i_mode = (uint16_t)st->st_mode,
		.i_uid = (uint16_t)uid,
		.i_gid = (uint16_t)gid,
		.i_links_count = 1,
		.i_extra_isize = sizeof(*inode) - EXT2_GOOD_OLD_INODE_SIZE,
	};
	inode->osd2.linux2.l_i_uid_high = (uint16_t)(uid >> 16);
	inode->osd2.linux2.l_i_gid_high = (uint16_t)(gid >> 16);
	put_time(&st->st_atim, &inode->i_atime, &inode->i_atime_extra);
	put_time(&st->st_mtim, &inode->i_mtime, &inode->i_mtime_extra);
	put_time(&st->st_ctim, &inode->i_ctime, &inode->i_ctime_extra);
	return 0;
}

/* An empty map of blocks, where the image has extents. */
static errcode_t init_blocks(struct fill *f, ext2_ino_t ino, inode_t *inode)
{
	ext2_extent_handle_t handle;

	if (!ext2fs_has_feature_extents(f->fs->super))
		return 0;
	errcode_t e = ext2fs_extent_open2(f->fs, ino, small(inode), &handle);
	if (!e)
		ext2fs_extent_free(handle);
	return failed(f, "write an inode", e);
}

static errcode_t put_segment(struct fill *f, ext2_file_t file, int fd, off_t from, off_t to)
{
	errcode_t e = ext2fs_file_llseek(file, (uint64_t)from, EXT2_SEEK_SET, NULL);

	while (!e && from < to) {
		ssize_t n = pread(fd, f->data, (size_t)MIN(to - from, (off_t)sizeof(f->data)), from);
		unsigned written = 0;

		if (n == 0)
			return 0; /* cut off meanwhile */
		e = n < 0 ? errno : ext2fs_file_write(file, f->data, (unsigned)n, &written);
		from += written;
	}
	return failed(f, "write a file", e);
}

static errcode_t put_segments(struct fill *f, ext2_file_t file, int fd, off_t size)
{
	errcode_t e = 0;

	for (off_t at = 0; at < size && !e;) {
		off_t data = lseek(fd, at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break; /* a hole up to the end */
		if (data < 0)
			data = at;
		at = lseek(fd, data, SEEK_HOLE);
		if (at <= data)
			at = size;
		e = put_segment(f, file, fd, data, MIN(at, size));
	}
	return e;
}

static errcode_t put_content(struct fill *f, ext2_ino_t ino, inode_t *inode, const char *name, off_t size)
{
	_cleanup_close_ int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ext2_file_t file;

	errcode_t e = fd < 0 ? errno : init_blocks(f, ino, inode);
	if (!e)
		e = write_inode(f, ino, inode);
	if (e || !size)
		return failed(f, "open a file", e);
	e = ext2fs_file_open(f->fs, ino, EXT2_FILE_WRITE, &file);
	if (e)
		return failed(f, "write a file", e);
	e = put_segments(f, file, fd, size);
	if (!e)
		e = ext2fs_file_set_size2(file, size);
	errcode_t closed = ext2fs_file_close(file);
	return failed(f, "write a file", e ? e : closed);
}

static errcode_t put_link(struct fill *f, ext2_ino_t ino, inode_t *inode, const char *name)
{
	ssize_t len = readlink(name, f->data, sizeof(f->data));
	unsigned written = 0;
	ext2_file_t file;

	if (len <= 0)
		return failed(f, "read a link", errno);
	if ((size_t)len < sizeof(inode->i_block)) {
		memcpy(inode->i_block, f->data, (size_t)len);
		inode->i_size = (uint32_t)len;
		return write_inode(f, ino, inode);
	}
	errcode_t e = init_blocks(f, ino, inode);
	if (!e)
		e = write_inode(f, ino, inode);
	if (!e)
		e = ext2fs_file_open(f->fs, ino, EXT2_FILE_WRITE, &file);
	if (e)
		return failed(f, "write a link", e);
	e = ext2fs_file_write(file, f->data, (unsigned)len, &written);
	errcode_t closed = ext2fs_file_close(file);
	return failed(f, "write a link", e ? e : closed);
}

static errcode_t put_device(struct fill *f, ext2_ino_t ino, inode_t *inode, dev_t dev)
{
	unsigned ma = major(dev), mi = minor(dev);

	if (ma < 256 && mi < 256)
		inode->i_block[0] = ma << 8 | mi;
	else
		inode->i_block[1] = (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
	return write_inode(f, ino, inode);
}

/* Labels of a security module are the machine's own business. */
static bool is_kept(const char *name)
{
	return strncmp(name, "security.", strlen("security.")) != 0 ||
	       strcmp(name, "security.capability") == 0;
}

static errcode_t put_xattrs(struct fill *f, ext2_ino_t ino, const char *name)
{
	struct ext2_xattr_handle *handle;
	char names[NAMES_MAX];
	ssize_t len = llistxattr(name, names, sizeof(names));

	if (len <= 0)
		return len < 0 && errno != EOPNOTSUPP ? failed(f, "read extended attributes", errno) : 0;
	errcode_t e = ext2fs_xattrs_open(f->fs, ino, &handle);
	if (e)
		return failed(f, "write extended attributes", e);
	e = ext2fs_xattrs_read(handle);
	for (const char *n = names; n < names + len && !e; n += strlen(n) + 1) {
		ssize_t size = is_kept(n) ? lgetxattr(name, n, f->data, sizeof(f->data)) : -1;

		if (size >= 0)
			e = ext2fs_xattr_set(handle, n, f->data, (size_t)size);
		else if (is_kept(n) && errno != ENODATA)
			e = errno;
	}
	errcode_t closed = ext2fs_xattrs_close(&handle);
	return failed(f, "write extended attributes", e ? e : closed);
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* A file of several names that has come before: its number, or 0. Notes it else. */
static ext2_ino_t find_link(struct fill *f, ino_t from, ext2_ino_t to)
{
	const struct link key = { .from = from };
	struct link **found = tfind(&key, &f->links, compare_links);

	if (found || !to)
		return found ? (*found)->to : 0;
	struct link *l = malloc(sizeof(*l));
	if (l) {
		*l = (struct link){ from, to };
		tsearch(l, &f->links, compare_links);
	}
	return l ? to : 0;
}

static errcode_t link_again(struct fill *f, ext2_ino_t ino)
{
	inode_t inode = { 0 };
	size_t size = MIN(sizeof(inode), (size_t)EXT2_INODE_SIZE(f->fs->super));
	errcode_t e = ext2fs_read_inode_full(f->fs, ino, small(&inode), (int)size);

	if (e)
		return failed(f, "read an inode", e);
	inode.i_links_count++;
	return write_inode(f, ino, &inode);
}

static uint8_t type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static size_t record_length(size_t name_len)
{
	return (8 + name_len + 3) & ~(size_t)3;
}

struct dir_writer {
	struct fill *f;
	ext2_ino_t ino;
	inode_t *inode;
	char *block;
	size_t at, last, limit; /* where the next record goes, where the last one is */
	blk64_t n;
};

static errcode_t flush_block(struct dir_writer *w)
{
	ext2_filsys fs = w->f->fs;
	struct ext2_dir_entry *last = (struct ext2_dir_entry *)(w->block + w->last);
	blk64_t block = 0;

	/* The last record reaches to the end of the block, or to the checksum there. */
	errcode_t e = ext2fs_set_rec_len(fs, (unsigned)(w->limit - w->last), last);
	if (w->limit < fs->blocksize)
		ext2fs_initialize_dirent_tail(fs, EXT2_DIRENT_TAIL(w->block, fs->blocksize));
	if (!e)
		e = ext2fs_bmap2(fs, w->ino, small(w->inode), NULL, BMAP_ALLOC, w->n, NULL, &block);
	if (!e)
		e = ext2fs_write_dir_block4(fs, block, w->block, 0, w->ino);
	w->n++;
	w->at = w->last = 0;
	memset(w->block, 0, fs->blocksize);
	return failed(w->f, "write a directory", e);
}

static errcode_t put_name(struct dir_writer *w, ext2_ino_t ino, uint8_t type, const char *name)
{
	size_t len = strlen(name), need = record_length(len);
	errcode_t e = w->at + need > w->limit ? flush_block(w) : 0;
	struct ext2_dir_entry *d = (struct ext2_dir_entry *)(w->block + w->at);

	d->inode = ino;
	ext2fs_dirent_set_name_len(d, (int)len);
	ext2fs_dirent_set_file_type(d, type);
	memcpy(d->name, name, len);
	if (!e)
		e = ext2fs_set_rec_len(w->f->fs, (unsigned)need, d);
	w->last = w->at;
	w->at += need;
	return e;
}

static errcode_t write_dir(struct fill *f, ext2_ino_t ino, inode_t *inode, ext2_ino_t parent,
			   const struct entries *entries)
{
	size_t tail = ext2fs_has_feature_metadata_csum(f->fs->super) ? sizeof(struct ext2_dir_entry_tail) : 0;
	_cleanup_free_ char *block = calloc(1, f->fs->blocksize);
	struct dir_writer w = {
		.f = f, .ino = ino, .inode = inode, .block = block, .limit = f->fs->blocksize - tail
	};

	if (!block)
		return ENOMEM;
	errcode_t e = put_name(&w, ino, EXT2_FT_DIR, ".");
	if (!e)
		e = put_name(&w, parent, EXT2_FT_DIR, "..");
	for (size_t i = 0; i < entries->n && !e; i++)
		e = put_name(&w, entries->items[i].ino, entries->items[i].type, entries->items[i].name);
	if (!e)
		e = flush_block(&w);
	if (!e)
		e = ext2fs_inode_size_set(f->fs, small(inode), (ext2_off64_t)(w.n * f->fs->blocksize));
	inode->i_links_count = (uint16_t)(entries->dirs + 2 < EXT2_LINK_MAX ? entries->dirs + 2 : 1);
	return e ? failed(f, "write a directory", e) : write_inode(f, ino, inode);
}

static errcode_t put_dir(struct fill *f, ext2_ino_t ino, struct entries *ret);

/* Goes into a directory and back. */
static errcode_t put_subdir(struct fill *f, ext2_ino_t parent, ext2_ino_t ino, inode_t *inode,
			    const char *name)
{
	_cleanup_close_ int here_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct entries entries = { 0 };

	if (here_fd < 0 || fd < 0 || fchdir(fd) < 0)
		return failed(f, "open a directory", errno);
	replace_fd(&fd, -EBADF);
	errcode_t e = ++f->depth > DEPTH_MAX ? ELOOP : put_dir(f, ino, &entries);
	f->depth--;
	if (!e)
		e = init_blocks(f, ino, inode);
	if (!e)
		e = write_dir(f, ino, inode, parent, &entries);
	free(entries.items);
	return fchdir(here_fd) < 0 ? failed(f, "go back in a tree", errno) : e;
}

static errcode_t put_file(struct fill *f, ext2_ino_t parent, const char *name, const struct stat *st,
			  ext2_ino_t *ret)
{
	bool several = !S_ISDIR(st->st_mode) && st->st_nlink > 1;
	inode_t inode;
	ext2_ino_t ino = several ? find_link(f, st->st_ino, 0) : 0;
	errcode_t e;

	*ret = ino;
	if (ino)
		return link_again(f, ino);
	e = new_inode(f, parent, st, ret, &inode);
	if (e)
		return e;
	if (several && !find_link(f, st->st_ino, *ret))
		return failed(f, "get memory", ENOMEM);
	if (S_ISREG(st->st_mode))
		e = put_content(f, *ret, &inode, name, st->st_size);
	else if (S_ISDIR(st->st_mode))
		e = put_subdir(f, parent, *ret, &inode, name);
	else if (S_ISLNK(st->st_mode))
		e = put_link(f, *ret, &inode, name);
	else
		e = put_device(f, *ret, &inode,
			       S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode) ? st->st_rdev : 0);
	return e ? e : put_xattrs(f, *ret, name);
}

static struct inside *add_entry(struct entries *entries)
{
	if (entries->n == entries->room) {
		size_t room = entries->room ? entries->room * 2 : 16;
		struct inside *items = reallocarray(entries->items, room, sizeof(*items));

		if (!items)
			return NULL;
		entries->items = items;
		entries->room = room;
	}
	return &entries->items[entries->n++];
}

/* Everything in the working directory, as what is in the directory ino of the image. */
static errcode_t put_dir(struct fill *f, ext2_ino_t ino, struct entries *ret)
{
	_cleanup_closedir_ DIR *dir = opendir(".");
	errcode_t e = dir ? 0 : errno;

	for (const struct dirent *d; !e && (d = readdir(dir));) {
		struct stat st;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		struct inside *entry = add_entry(ret);
		if (!entry || lstat(d->d_name, &st) < 0) {
			e = entry ? errno : ENOMEM;
			break;
		}
		snprintf(entry->name, sizeof(entry->name), "%s", d->d_name);
		entry->type = type_of(st.st_mode);
		ret->dirs += S_ISDIR(st.st_mode);
		e = put_file(f, ino, d->d_name, &st, &entry->ino);
	}
	return failed(f, "read a directory", e);
}

/* The root is there already, with lost+found in it. */
static errcode_t add_to_root(struct fill *f, const struct entries *entries)
{
	inode_t root = { 0 };
	errcode_t e = 0;

	for (size_t i = 0; i < entries->n && !e; i++) {
		const struct inside *n = &entries->items[i];

		e = ext2fs_link(f->fs, EXT2_ROOT_INO, n->name, n->ino, n->type);
		if (e == EXT2_ET_DIR_NO_SPACE) {
			e = ext2fs_expand_dir(f->fs, EXT2_ROOT_INO);
			if (!e)
				e = ext2fs_link(f->fs, EXT2_ROOT_INO, n->name, n->ino, n->type);
		}
	}
	if (!e)
		e = ext2fs_read_inode_full(f->fs, EXT2_ROOT_INO, small(&root), sizeof(root));
	root.i_links_count = (uint16_t)(root.i_links_count + entries->dirs);
	return e ? failed(f, "write a directory", e) : write_inode(f, EXT2_ROOT_INO, &root);
}

errcode_t ext4_fill(int image_fd, int dir_fd, const char **ret_what)
{
	_cleanup_free_ struct fill *f = calloc(1, sizeof(*f));
	struct entries entries = { 0 };
	char number[16];

	*ret_what = "open the image";
	if (!f)
		return ENOMEM;
	snprintf(number, sizeof(number), "%d", image_fd);
	errcode_t e =
		ext2fs_open2(number, NULL, EXT2_FLAG_64BITS | EXT2_FLAG_RW, 0, 0, unixfd_io_manager, &f->fs);
	if (!e)
		e = ext2fs_read_bitmaps(f->fs);
	if (!e && fchdir(dir_fd) < 0)
		e = errno;
	if (!e)
		e = put_dir(f, EXT2_ROOT_INO, &entries);
	if (!e)
		e = add_to_root(f, &entries);
	free(entries.items);
	tdestroy(f->links, free);
	errcode_t closed = f->fs ? ext2fs_close(f->fs) : 0;
	*ret_what = f->what ? f->what : *ret_what;
	return e ? e : closed;
}
