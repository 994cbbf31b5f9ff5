/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-ext.c - ext2, ext3 and ext4 through libext2fs, which is loaded when it is needed. A node is the
 * inode's number. The journal is not replayed, as with root's mounts of images.
 */
#include "view/image-config.h"
#include "view/image.h"

#if KENNEL_HAVE_EXT2FS
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <ext2fs/ext2fs.h>

#include "base/cleanup.h"

/* clang-format off */
#define CALLS(X) \
	X(open2) X(read_inode_full) X(dir_iterate2) X(file_open) X(file_close) X(file_llseek) X(file_read) \
	X(inode_has_valid_blocks2) X(xattrs_open) X(xattrs_read) X(xattrs_iterate) X(xattr_get) \
	X(xattrs_close)
/* clang-format on */

struct ext {
#define X(name) __typeof__(&ext2fs_##name) name;
	CALLS(X)
#undef X
	ext2_filsys fs;
	/* the file that was read last: reads come in a row */
	uint64_t node;
	ext2_file_t file;
};

/* Its own codes are large numbers, errno's are small. */
static int errno_of(errcode_t r)
{
	return r == 0				? 0 :
	       r == EXT2_ET_NO_MEMORY		? -ENOMEM :
	       r == EXT2_ET_UNSUPP_FEATURE	? -EOPNOTSUPP :
	       r == EXT2_ET_RO_UNSUPP_FEATURE	? -EOPNOTSUPP :
	       r > 0 && r < 4096 && r != ENOENT ? -(int)r :
						  -EUCLEAN;
}

static int load(struct ext *s, io_manager *ret_manager)
{
	void *lib = dlopen("libext2fs.so.2", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return -ENOPKG;
#define X(name) \
	s->name = dlsym(lib, "ext2fs_" #name); \
	if (!s->name) \
		return -ENOPKG;
	CALLS(X)
#undef X
	const io_manager *manager = dlsym(lib, "unix_io_manager");
	if (!manager)
		return -ENOPKG;
	*ret_manager = *manager;
	return 0;
}

static int read_inode(struct ext *s, uint64_t node, struct ext2_inode_large *ret)
{
	*ret = (struct ext2_inode_large){ 0 };
	if (!node || node > s->fs->super->s_inodes_count)
		return -EUCLEAN;
	return errno_of(
		s->read_inode_full(s->fs, (ext2_ino_t)node, (struct ext2_inode *)(void *)ret, sizeof(*ret)));
}

static int ext_open(struct image *im)
{
	struct ext *s = calloc(1, sizeof(*s));
	struct ext2_inode_large root;
	io_manager manager;
	char path[32];

	if (!s)
		return -ENOMEM;
	im->state = s;
	int r = load(s, &manager);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", im->fd);
	r = errno_of(s->open2(path, NULL, EXT2_FLAG_64BITS, 0, 0, manager, &s->fs));
	if (r < 0)
		return r;
	im->root = EXT2_ROOT_INO;
	r = read_inode(s, im->root, &root);
	return r < 0 ? r : LINUX_S_ISDIR(root.i_mode) ? 0 : -EUCLEAN;
}

static struct timespec time_of(uint32_t seconds, uint32_t extra, bool has_extra)
{
	/* two bits more for the seconds, the rest is nanoseconds */
	return (struct timespec){
		.tv_sec = (time_t)(int32_t)seconds + (has_extra ? (time_t)(extra & 3) << 32 : 0),
		.tv_nsec = has_extra ? (long)(extra >> 2) : 0,
	};
}

static int ext_stat(struct image *im, uint64_t node, struct stat *ret)
{
	struct ext *s = im->state;
	struct ext2_inode_large n;

	int r = read_inode(s, node, &n);
	if (r < 0)
		return r;
	bool extra = EXT2_INODE_SIZE(s->fs->super) > EXT2_GOOD_OLD_INODE_SIZE && n.i_extra_isize >= 24;
	ret->st_ino = node;
	ret->st_mode = n.i_mode;
	ret->st_nlink = n.i_links_count;
	ret->st_uid = inode_uid(n);
	ret->st_gid = inode_gid(n);
	ret->st_size = (off_t)EXT2_I_SIZE(&n);
	ret->st_blocks = n.i_blocks;
	ret->st_atim = time_of(n.i_atime, n.i_atime_extra, extra);
	ret->st_mtim = time_of(n.i_mtime, n.i_mtime_extra, extra);
	ret->st_ctim = time_of(n.i_ctime, n.i_ctime_extra, extra);
	if (S_ISCHR(n.i_mode) || S_ISBLK(n.i_mode))
		ret->st_rdev = n.i_block[0] ?
				       makedev(n.i_block[0] >> 8 & 0xff, n.i_block[0] & 0xff) :
				       makedev((n.i_block[1] >> 8) & 0xfff,
					       (n.i_block[1] & 0xff) | ((n.i_block[1] >> 12) & 0xfff00));
	return 0;
}

struct listing {
	image_name_fn fn;
	void *data;
	int r;
};

static int take_name(ext2_ino_t dir, int entry, struct ext2_dir_entry *e, int offset, int blocksize,
		     char *buf, void *data)
{
	static const mode_t types[] = { 0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK };
	struct listing *l = data;
	unsigned type = (unsigned)ext2fs_dirent_file_type(e);
	size_t len = (size_t)ext2fs_dirent_name_len(e);

	if (entry == DIRENT_DOT_FILE || entry == DIRENT_DOT_DOT_FILE || !e->inode)
		return 0;
	l->r = l->fn(l->data, e->name, len, e->inode, type < ARRAY_SIZE(types) ? types[type] : 0);
	return l->r < 0 ? DIRENT_ABORT : 0;
}

static int ext_list(struct image *im, uint64_t node, image_name_fn fn, void *data)
{
	struct ext *s = im->state;
	struct listing l = { fn, data, 0 };

	errcode_t r = s->dir_iterate2(s->fs, (ext2_ino_t)node, 0, NULL, take_name, &l);
	return l.r < 0 ? l.r : errno_of(r);
}

static ssize_t ext_read(struct image *im, uint64_t node, void *to, size_t size, uint64_t offset)
{
	struct ext *s = im->state;
	unsigned len = 0;

	if (!s->file || s->node != node) {
		if (s->file)
			(void)!s->file_close(s->file);
		s->file = NULL;
		int r = errno_of(s->file_open(s->fs, (ext2_ino_t)node, 0, &s->file));
		if (r < 0)
			return r;
		s->node = node;
	}
	errcode_t r = s->file_llseek(s->file, offset, EXT2_SEEK_SET, NULL);
	if (r == 0)
		r = s->file_read(s->file, to, (unsigned)size, &len);
	return r ? errno_of(r) : (ssize_t)len;
}

static ssize_t ext_readlink(struct image *im, uint64_t node, char *to, size_t size)
{
	struct ext *s = im->state;
	struct ext2_inode_large n;

	int r = read_inode(s, node, &n);
	if (r < 0)
		return r;
	if (!LINUX_S_ISLNK(n.i_mode))
		return -EINVAL;
	uint64_t len = EXT2_I_SIZE(&n);
	bool inside = !(n.i_flags & (EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL)) && len < sizeof(n.i_block) &&
		      !s->inode_has_valid_blocks2(s->fs, (struct ext2_inode *)(void *)&n);
	if (!inside)
		return ext_read(im, node, to, size, 0);
	memcpy(to, n.i_block, MIN(len, size));
	return (ssize_t)MIN(len, size);
}

struct xattr_walk {
	struct ext *s;
	struct ext2_xattr_handle *handle;
	image_xattr_fn fn;
	void *data;
	int r;
};

static int take_xattr(char *name, char *value, size_t len, void *data)
{
	struct xattr_walk *w = data;
	_cleanup_free_ void *converted = NULL;

	/* Kept shorter on disk than programs know them. */
	if (strncmp(name, "system.posix_acl_", 17) == 0 &&
	    w->s->xattr_get(w->handle, name, &converted, &len) == 0)
		value = converted;
	w->r = w->fn(w->data, name, value, len);
	return w->r < 0 ? XATTR_ABORT : 0;
}

static int ext_xattrs(struct image *im, uint64_t node, image_xattr_fn fn, void *data)
{
	struct ext *s = im->state;
	struct xattr_walk w = { .s = s, .fn = fn, .data = data };
	struct ext2_inode_large n;

	int r = read_inode(s, node, &n);
	if (r < 0)
		return r;
	r = errno_of(s->xattrs_open(s->fs, (ext2_ino_t)node, &w.handle));
	if (r < 0)
		return r;
	r = errno_of(s->xattrs_read(w.handle));
	if (r == 0)
		r = errno_of(s->xattrs_iterate(w.handle, take_xattr, &w));
	(void)!s->xattrs_close(&w.handle);
	return w.r < 0 ? w.r : r;
}
#else
static int ext_open(struct image *im)
{
	return -ENOPKG;
}
#define ext_stat NULL
#define ext_list NULL
#define ext_readlink NULL
#define ext_read NULL
#define ext_xattrs NULL
#endif

const struct image_backend image_ext = {
	.open = ext_open,
	.stat = ext_stat,
	.list = ext_list,
	.readlink = ext_readlink,
	.read = ext_read,
	.xattrs = ext_xattrs,
};
