/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/image-erofs.c - erofs, read here: its library is too young to be found everywhere.
 *
 * A node is the number by which directories name an inode: its place in units of 32 bytes. All that the
 * format has without compression; images with compressed files are refused when they are opened, not in the
 * middle of somebody's work.
 *
 * super block at 1024 | inodes: 32 or 64 bytes, then xattrs, then (inline) the file's last part, or its
 * chunks directory block: entries of 12 bytes (node, offset of the name, type), then the names
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "view/image.h"

#define SUPER_OFFSET 1024
#define INCOMPAT_CHUNKED 0x4u
#define INCOMPAT_PREFIXES 0x40u
#define INCOMPAT_KNOWN (0x1u | 0x2u | INCOMPAT_CHUNKED | INCOMPAT_PREFIXES)
#define NO_BLOCK 0xffffffffu

enum layout { FLAT_PLAIN, COMPRESSED_FULL, FLAT_INLINE, COMPRESSED_COMPACT, CHUNKED };

struct erofs {
	unsigned block_bits;
	uint64_t meta, xattrs; /* bytes */
	uint64_t build_time;
	uint32_t build_time_nsec;
	bool prefixes;
};

struct inode {
	uint64_t size, mtime;
	uint64_t after; /* behind inode and xattrs: bytes in the image */
	uint64_t xattrs; /* where they begin */
	uint32_t xattr_len, u, uid, gid, nlink, mtime_nsec, number;
	uint16_t mode;
	enum layout layout;
};

/* Exactly size bytes of the image: 0, -EUCLEAN where it ends before, or another errno. */
static int read_at(const struct image *im, void *to, size_t size, uint64_t offset)
{
	size_t have = 0;

	if (offset > im->size || size > im->size - offset)
		return -EUCLEAN;
	while (have < size) {
		ssize_t n = pread(im->fd, (char *)to + have, size - have, (off_t)(offset + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EUCLEAN;
		have += (size_t)n;
	}
	return 0;
}

static uint16_t le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void parse_compact(const struct erofs *s, const unsigned char *p, struct inode *ret)
{
	ret->nlink = le16(p + 6);
	ret->size = le32(p + 8);
	ret->u = le32(p + 16);
	ret->number = le32(p + 20);
	ret->uid = le16(p + 24);
	ret->gid = le16(p + 26);
	ret->mtime = s->build_time;
	ret->mtime_nsec = s->build_time_nsec;
}

static void parse_extended(const unsigned char *p, struct inode *ret)
{
	ret->size = le64(p + 8);
	ret->u = le32(p + 16);
	ret->number = le32(p + 20);
	ret->uid = le32(p + 24);
	ret->gid = le32(p + 28);
	ret->mtime = le64(p + 32);
	ret->mtime_nsec = le32(p + 40);
	ret->nlink = le32(p + 44);
}

static int read_inode(const struct image *im, uint64_t node, struct inode *ret)
{
	const struct erofs *s = im->state;
	unsigned char p[64] = { 0 };

	if (node > UINT64_MAX / 64)
		return -EUCLEAN;
	uint64_t at = s->meta + node * 32;
	int r = read_at(im, p, 32, at);
	if (r < 0)
		return r;
	bool extended = le16(p) & 1;
	r = extended ? read_at(im, p + 32, 32, at + 32) : 0;
	if (r < 0)
		return r;
	unsigned count = le16(p + 2);
	*ret = (struct inode){
		.layout = (le16(p) >> 1) & 7,
		.mode = le16(p + 4),
		.xattrs = at + (extended ? 64 : 32),
		.xattr_len = count ? 12 + 4 * (count - 1) : 0,
	};
	ret->after = ret->xattrs + ret->xattr_len;
	if (extended)
		parse_extended(p, ret);
	else
		parse_compact(s, p, ret);
	return ret->size > INT64_MAX ? -EUCLEAN : 0;
}

/* Return: where the part of the file at offset lies, and how much of it in a row. *ret_at 0: a hole. */
static int map(const struct image *im, const struct inode *n, uint64_t offset, uint64_t *ret_at,
	       uint64_t *ret_len)
{
	const struct erofs *s = im->state;
	uint64_t tail = n->layout == FLAT_INLINE ? n->size >> s->block_bits << s->block_bits : n->size;

	if (n->layout == FLAT_PLAIN || n->layout == FLAT_INLINE) {
		bool inside = offset >= tail;

		*ret_at = inside ? n->after + (offset - tail) : ((uint64_t)n->u << s->block_bits) + offset;
		*ret_len = (inside ? n->size : tail) - offset;
		return 0;
	}
	if (n->layout != CHUNKED)
		return -EOPNOTSUPP;
	unsigned char p[8];
	unsigned bits = s->block_bits + (n->u & 31), unit = n->u & 32 ? 8 : 4;
	if (bits > 40)
		return -EUCLEAN;
	uint64_t start = (n->after + unit - 1) / unit * unit;
	int r = read_at(im, p, unit, start + (offset >> bits) * unit);
	if (r < 0)
		return r;
	uint32_t block = le32(p + (unit == 8 ? 4 : 0));
	uint64_t in_chunk = offset & ((1ull << bits) - 1);
	if (unit == 8 && le16(p + 2)) /* on another device */
		return -EOPNOTSUPP;
	*ret_at = block == NO_BLOCK ? 0 : ((uint64_t)block << s->block_bits) + in_chunk;
	*ret_len = MIN((1ull << bits) - in_chunk, n->size - offset);
	return 0;
}

static ssize_t read_data(const struct image *im, const struct inode *n, void *to, size_t size,
			 uint64_t offset)
{
	size_t have = 0;

	if (offset >= n->size)
		return 0;
	size = (size_t)MIN((uint64_t)size, n->size - offset);
	while (have < size) {
		uint64_t at, len;
		int r = map(im, n, offset + have, &at, &len);

		if (r < 0)
			return r;
		len = MIN(len, (uint64_t)(size - have));
		if (!len)
			return -EUCLEAN;
		r = at ? read_at(im, (char *)to + have, len, at) : 0;
		if (r < 0)
			return r;
		if (!at)
			memset((char *)to + have, 0, len);
		have += len;
	}
	return (ssize_t)have;
}

static int erofs_open(struct image *im)
{
	struct erofs *s = calloc(1, sizeof(*s));
	unsigned char p[128];
	struct inode root;

	if (!s)
		return -ENOMEM;
	im->state = s;
	int r = read_at(im, p, sizeof(p), SUPER_OFFSET);
	if (r < 0)
		return r;
	uint32_t incompat = le32(p + 80);
	s->block_bits = p[12];
	if (s->block_bits < 9 || s->block_bits > 16)
		return -EUCLEAN;
	/* Whatever came after us; algorithms, which say that something is compressed; other devices. */
	if (incompat & ~INCOMPAT_KNOWN || le16(p + 84) || le16(p + 86))
		return -EOPNOTSUPP;
	s->meta = (uint64_t)le32(p + 40) << s->block_bits;
	s->xattrs = (uint64_t)le32(p + 44) << s->block_bits;
	s->build_time = le64(p + 24);
	s->build_time_nsec = le32(p + 32);
	s->prefixes = incompat & INCOMPAT_PREFIXES;
	im->root = le16(p + 14);
	r = read_inode(im, im->root, &root);
	return r < 0 ? r : S_ISDIR(root.mode) ? 0 : -EUCLEAN;
}

static int erofs_stat(struct image *im, uint64_t node, struct stat *ret)
{
	struct inode n;

	int r = read_inode(im, node, &n);
	if (r < 0)
		return r;
	ret->st_ino = node;
	ret->st_mode = n.mode;
	ret->st_nlink = n.nlink;
	ret->st_uid = n.uid;
	ret->st_gid = n.gid;
	ret->st_size = (off_t)n.size;
	ret->st_mtim.tv_sec = (time_t)n.mtime;
	ret->st_mtim.tv_nsec = n.mtime_nsec;
	ret->st_atim = ret->st_ctim = ret->st_mtim;
	if (S_ISCHR(n.mode) || S_ISBLK(n.mode))
		ret->st_rdev = makedev((n.u >> 8) & 0xfff, (n.u & 0xff) | ((n.u >> 12) & 0xfff00));
	return 0;
}

/* The names of one block. */
static int list_block(const unsigned char *p, size_t len, image_name_fn fn, void *data)
{
	static const mode_t types[] = { 0, S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK };
	size_t names = len >= 12 ? le16(p + 8) : 0;

	if (names < 12 || names > len || names % 12)
		return -EUCLEAN;
	for (size_t at = 0; at < names; at += 12) {
		size_t from = le16(p + at + 8), to = at + 12 < names ? le16(p + at + 20) : len;
		unsigned type = p[at + 10];

		if (from < names || from >= len || to > len || to <= from)
			return -EUCLEAN;
		const char *name = (const char *)p + from;
		size_t n = strnlen(name, to - from);
		if (n && name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
			continue;
		int r = fn(data, name, n, le64(p + at), type < ARRAY_SIZE(types) ? types[type] : 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int erofs_list(struct image *im, uint64_t node, image_name_fn fn, void *data)
{
	const struct erofs *s = im->state;
	size_t block = (size_t)1 << s->block_bits;
	_cleanup_free_ unsigned char *p = malloc(block);
	struct inode n;

	int r = p ? read_inode(im, node, &n) : -ENOMEM;
	for (uint64_t at = 0; r == 0 && at < n.size; at += block) {
		ssize_t len = read_data(im, &n, p, block, at);

		r = len < 0 ? (int)len : list_block(p, (size_t)len, fn, data);
	}
	return r;
}

static ssize_t erofs_readlink(struct image *im, uint64_t node, char *to, size_t size)
{
	struct inode n;

	int r = read_inode(im, node, &n);
	return r < 0 ? r : !S_ISLNK(n.mode) ? -EINVAL : read_data(im, &n, to, size, 0);
}

static ssize_t erofs_read(struct image *im, uint64_t node, void *to, size_t size, uint64_t offset)
{
	struct inode n;

	int r = read_inode(im, node, &n);
	return r < 0 ? r : !S_ISREG(n.mode) ? -EINVAL : read_data(im, &n, to, size, offset);
}

/* One entry of at most room bytes. Return: its length, rounded up to 4, or a negative errno. */
static int one_xattr(const unsigned char *p, size_t room, image_xattr_fn fn, void *data)
{
	static const char *const prefixes[] = {
		"",	   "user.",    "system.posix_acl_access", "system.posix_acl_default", "trusted.",
		"lustre.", "security."
	};
	char name[320];

	if (room < 4)
		return -EUCLEAN;
	size_t name_len = p[0], value_len = le16(p + 2), len = 4 + name_len + value_len;
	if (len > room)
		return -EUCLEAN;
	/* those with the prefixes of a table (0x80) are nothing that is shown */
	if (p[1] < ARRAY_SIZE(prefixes)) {
		snprintf(name, sizeof(name), "%s%.*s", prefixes[p[1]], (int)name_len, (const char *)p + 4);
		int r = fn(data, name, p + 4 + name_len, value_len);
		if (r < 0)
			return r;
	}
	return (int)((len + 3) & ~(size_t)3);
}

/* One that several files have, elsewhere in the image. */
static int shared_xattr(const struct image *im, uint32_t id, image_xattr_fn fn, void *data)
{
	const struct erofs *s = im->state;
	uint64_t at = s->xattrs + (uint64_t)id * 4;
	unsigned char head[4];

	int r = read_at(im, head, sizeof(head), at);
	if (r < 0)
		return r;
	size_t len = 4u + head[0] + le16(head + 2);
	_cleanup_free_ unsigned char *p = malloc(len);
	r = p ? read_at(im, p, len, at) : -ENOMEM;
	if (r == 0)
		r = one_xattr(p, len, fn, data);
	return MIN(r, 0);
}

static int erofs_xattrs(struct image *im, uint64_t node, image_xattr_fn fn, void *data)
{
	struct inode n;

	int r = read_inode(im, node, &n);
	if (r < 0 || !n.xattr_len)
		return r;
	_cleanup_free_ unsigned char *p = malloc(n.xattr_len);
	r = p ? read_at(im, p, n.xattr_len, n.xattrs) : -ENOMEM;
	if (r < 0)
		return r;
	size_t at = 12, shared = p[4];
	if (12 + shared * 4 > n.xattr_len)
		return -EUCLEAN;
	for (size_t i = 0; i < shared && r == 0; i++, at += 4)
		r = shared_xattr(im, le32(p + at), fn, data);
	while (r == 0 && at + 4 <= n.xattr_len) {
		int len = one_xattr(p + at, n.xattr_len - at, fn, data);

		r = MIN(len, 0);
		at += (size_t)MAX(len, 0);
	}
	return r;
}

const struct image_backend image_erofs = {
	.open = erofs_open,
	.stat = erofs_stat,
	.list = erofs_list,
	.readlink = erofs_readlink,
	.read = erofs_read,
	.xattrs = erofs_xattrs,
};
