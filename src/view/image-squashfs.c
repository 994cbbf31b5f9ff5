/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-squashfs.c - squashfs through libsquashfs, which is loaded when it is needed.
 *
 * A node is the reference by which directories name an inode: the metadata block that it is in and where
 * there.
 */
#include "view/image-config.h"
#include "view/image.h"

#if KENNEL_HAVE_SQUASHFS
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <sqfs/compressor.h>
#include <sqfs/data_reader.h>
#include <sqfs/dir.h>
#include <sqfs/error.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/io.h>
#include <sqfs/meta_reader.h>
#include <sqfs/super.h>
#include <sqfs/xattr.h>
#include <sqfs/xattr_reader.h>

#include "base/cleanup.h"

/* clang-format off */
#define CALLS(X) \
	X(open_file) X(super_read) X(compressor_config_init) X(compressor_create) \
	X(id_table_create) X(id_table_read) X(id_table_index_to_id) X(meta_reader_create) \
	X(meta_reader_read_inode) X(readdir_state_init) X(meta_reader_readdir) \
	X(data_reader_create) X(data_reader_load_fragment_table) X(data_reader_read) \
	X(xattr_reader_create) X(xattr_reader_load) X(xattr_reader_get_desc) \
	X(xattr_reader_seek_kv) X(xattr_reader_read_key) X(xattr_reader_read_value) \
	X(inode_get_file_size) X(inode_get_xattr_index) X(free)
/* clang-format on */

struct squashfs {
#define X(name) __typeof__(&sqfs_##name) name;
	CALLS(X)
#undef X
	sqfs_super_t super;
	sqfs_file_t *file;
	sqfs_compressor_t *compressor;
	sqfs_id_table_t *ids;
	sqfs_meta_reader_t *inodes, *dirs;
	sqfs_data_reader_t *data;
	sqfs_xattr_reader_t *xattrs; /* NULL: the image has none */
	/* the last one that was looked at: reads come in a row */
	uint64_t node;
	sqfs_inode_generic_t *inode;
};

static int errno_of(int r)
{
	return r >= 0			     ? 0 :
	       r == SQFS_ERROR_ALLOC	     ? -ENOMEM :
	       r == SQFS_ERROR_IO	     ? -EIO :
	       r == SQFS_ERROR_UNSUPPORTED   ? -EOPNOTSUPP :
	       r == SFQS_ERROR_SUPER_VERSION ? -EOPNOTSUPP :
	       r == SQFS_ERROR_NOT_DIR	     ? -ENOTDIR :
					       -EUCLEAN;
}

static int load(struct squashfs *s)
{
	void *lib = dlopen("libsquashfs.so.1", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		return -ENOPKG;
#define X(name) \
	s->name = dlsym(lib, "sqfs_" #name); \
	if (!s->name) \
		return -ENOPKG;
	CALLS(X)
#undef X
	return 0;
}

static int make_compressor(struct squashfs *s)
{
	sqfs_compressor_config_t config;

	int r = s->compressor_config_init(&config, s->super.compression_id, s->super.block_size,
					  SQFS_COMP_FLAG_UNCOMPRESS);
	if (r == 0)
		r = s->compressor_create(&config, &s->compressor);
	if (r < 0)
		return r;
	return s->super.flags & SQFS_FLAG_COMPRESSOR_OPTIONS ?
		       s->compressor->read_options(s->compressor, s->file) :
		       0;
}

static int make_readers(struct squashfs *s)
{
	s->ids = s->id_table_create(0);
	s->inodes = s->meta_reader_create(s->file, s->compressor, s->super.inode_table_start,
					  s->super.directory_table_start);
	s->dirs = s->meta_reader_create(s->file, s->compressor, s->super.directory_table_start,
					s->super.id_table_start);
	s->data = s->data_reader_create(s->file, s->super.block_size, s->compressor, 0);
	if (!s->ids || !s->inodes || !s->dirs || !s->data)
		return SQFS_ERROR_ALLOC;
	int r = s->id_table_read(s->ids, s->file, &s->super, s->compressor);
	if (r == 0)
		r = s->data_reader_load_fragment_table(s->data, &s->super);
	if (r < 0 || s->super.flags & SQFS_FLAG_NO_XATTRS ||
	    s->super.xattr_id_table_start == 0xFFFFFFFFFFFFFFFFu)
		return r;
	s->xattrs = s->xattr_reader_create(0);
	return s->xattrs ? s->xattr_reader_load(s->xattrs, &s->super, s->file, s->compressor) :
			   SQFS_ERROR_ALLOC;
}

static int find_inode(struct squashfs *s, uint64_t node, const sqfs_inode_generic_t **ret)
{
	if (!s->inode || s->node != node) {
		sqfs_inode_generic_t *inode = NULL;
		int r = s->meta_reader_read_inode(s->inodes, &s->super, node >> 16, node & 0xffff, &inode);

		if (r < 0)
			return errno_of(r);
		if (s->inode)
			s->free(s->inode);
		s->inode = inode;
		s->node = node;
	}
	*ret = s->inode;
	return 0;
}

static int squashfs_open(struct image *im)
{
	struct squashfs *s = calloc(1, sizeof(*s));
	const sqfs_inode_generic_t *root;
	char path[32];

	if (!s)
		return -ENOMEM;
	im->state = s;
	int r = load(s);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", im->fd);
	s->file = s->open_file(path, SQFS_FILE_OPEN_READ_ONLY);
	if (!s->file)
		return -EIO;
	r = s->super_read(&s->super, s->file);
	if (r == 0)
		r = make_compressor(s);
	if (r == 0)
		r = make_readers(s);
	if (r < 0)
		return errno_of(r);
	im->root = s->super.root_inode_ref;
	r = find_inode(s, im->root, &root);
	return r < 0 ? r : S_ISDIR(root->base.mode) ? 0 : -EUCLEAN;
}

static uint32_t id_of(struct squashfs *s, uint16_t index)
{
	uint32_t id = 0;

	return s->id_table_index_to_id(s->ids, index, &id) < 0 ? 65534 : id;
}

static void add_details(const sqfs_inode_generic_t *n, struct stat *st)
{
	switch (n->base.type) {
	case SQFS_INODE_DIR:
		st->st_nlink = n->data.dir.nlink;
		st->st_size = n->data.dir.size;
		break;
	case SQFS_INODE_EXT_DIR:
		st->st_nlink = n->data.dir_ext.nlink;
		st->st_size = n->data.dir_ext.size;
		break;
	case SQFS_INODE_EXT_FILE:
		st->st_nlink = n->data.file_ext.nlink;
		break;
	case SQFS_INODE_SLINK:
	case SQFS_INODE_EXT_SLINK: /* both begin alike */
		st->st_nlink = n->data.slink.nlink;
		st->st_size = n->data.slink.target_size;
		break;
	case SQFS_INODE_BDEV:
	case SQFS_INODE_CDEV:
	case SQFS_INODE_EXT_BDEV:
	case SQFS_INODE_EXT_CDEV:
		st->st_nlink = n->data.dev.nlink;
		st->st_rdev = makedev((n->data.dev.devno >> 8) & 0xfff,
				      (n->data.dev.devno & 0xff) | ((n->data.dev.devno >> 12) & 0xfff00));
		break;
	case SQFS_INODE_FIFO:
	case SQFS_INODE_SOCKET:
	case SQFS_INODE_EXT_FIFO:
	case SQFS_INODE_EXT_SOCKET:
		st->st_nlink = n->data.ipc.nlink;
		break;
	}
}

static int squashfs_stat(struct image *im, uint64_t node, struct stat *ret)
{
	struct squashfs *s = im->state;
	const sqfs_inode_generic_t *n;
	sqfs_u64 size = 0;

	int r = find_inode(s, node, &n);
	if (r < 0)
		return r;
	ret->st_ino = n->base.inode_number;
	ret->st_mode = n->base.mode;
	ret->st_nlink = 1;
	ret->st_uid = id_of(s, n->base.uid_idx);
	ret->st_gid = id_of(s, n->base.gid_idx);
	ret->st_atime = ret->st_mtime = ret->st_ctime = n->base.mod_time;
	if (S_ISREG(n->base.mode) && s->inode_get_file_size(n, &size) == 0)
		ret->st_size = (off_t)size;
	add_details(n, ret);
	return 0;
}

static mode_t type_of(unsigned type)
{
	static const mode_t types[] = { 0, S_IFDIR, S_IFREG, S_IFLNK, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK };

	return type < ARRAY_SIZE(types) ? types[type] : 0;
}

static int squashfs_list(struct image *im, uint64_t node, image_name_fn fn, void *data)
{
	struct squashfs *s = im->state;
	const sqfs_inode_generic_t *n;
	sqfs_readdir_state_t state;

	int r = find_inode(s, node, &n);
	if (r < 0)
		return r;
	r = s->readdir_state_init(&state, &s->super, n);
	if (r < 0)
		return errno_of(r);
	for (;;) {
		sqfs_dir_entry_t *entry = NULL;
		sqfs_u32 number;
		sqfs_u64 ref;

		r = s->meta_reader_readdir(s->dirs, &state, &entry, &number, &ref);
		if (r != 0)
			return errno_of(r); /* 1: the end */
		r = fn(data, (const char *)entry->name, (size_t)entry->size + 1, ref, type_of(entry->type));
		s->free(entry);
		if (r < 0)
			return r;
	}
}

static ssize_t squashfs_readlink(struct image *im, uint64_t node, char *to, size_t size)
{
	const sqfs_inode_generic_t *n;

	int r = find_inode(im->state, node, &n);
	if (r < 0)
		return r;
	if (!S_ISLNK(n->base.mode))
		return -EINVAL;
	size = MIN(size, (size_t)MIN(n->data.slink.target_size, n->payload_bytes_available));
	memcpy(to, n->extra, size);
	return (ssize_t)size;
}

static ssize_t squashfs_read(struct image *im, uint64_t node, void *to, size_t size, uint64_t offset)
{
	struct squashfs *s = im->state;
	const sqfs_inode_generic_t *n;

	int r = find_inode(s, node, &n);
	if (r < 0)
		return r;
	if (!S_ISREG(n->base.mode))
		return -EINVAL;
	sqfs_s32 len = s->data_reader_read(s->data, n, offset, to, (sqfs_u32)size);
	return len < 0 ? errno_of(len) : len;
}

static int one_xattr(struct squashfs *s, image_xattr_fn fn, void *data)
{
	sqfs_xattr_entry_t *key = NULL;
	sqfs_xattr_value_t *value = NULL;

	int r = s->xattr_reader_read_key(s->xattrs, &key);
	if (r == 0)
		r = s->xattr_reader_read_value(s->xattrs, key, &value);
	/* the name has its prefix by now, and a NUL */
	r = r < 0 ? errno_of(r) : fn(data, (const char *)key->key, value->value, value->size);
	s->free(value);
	s->free(key);
	return r;
}

static int squashfs_xattrs(struct image *im, uint64_t node, image_xattr_fn fn, void *data)
{
	struct squashfs *s = im->state;
	const sqfs_inode_generic_t *n;
	sqfs_xattr_id_t desc;
	sqfs_u32 index;

	int r = find_inode(s, node, &n);
	if (r < 0 || !s->xattrs)
		return r;
	r = s->inode_get_xattr_index(n, &index);
	if (r < 0 || index == 0xFFFFFFFF)
		return 0;
	r = s->xattr_reader_get_desc(s->xattrs, index, &desc);
	if (r == 0)
		r = s->xattr_reader_seek_kv(s->xattrs, &desc);
	r = errno_of(r);
	for (sqfs_u32 i = 0; i < desc.count && r == 0; i++)
		r = one_xattr(s, fn, data);
	return r;
}
#else
static int squashfs_open(struct image *im)
{
	return -ENOPKG;
}
#define squashfs_stat NULL
#define squashfs_list NULL
#define squashfs_readlink NULL
#define squashfs_read NULL
#define squashfs_xattrs NULL
#endif

const struct image_backend image_squashfs = {
	.open = squashfs_open,
	.stat = squashfs_stat,
	.list = squashfs_list,
	.readlink = squashfs_readlink,
	.read = squashfs_read,
	.xattrs = squashfs_xattrs,
};
