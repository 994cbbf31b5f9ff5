/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/main.c - kennel-ext4: tells what is in an ext4 image, for an ordinary user who may not mount one.
 * See stream.h;
 * people don't run this by hand.
 *
 * The image may be anybody's. Whoever breaks into the parser has a process that can open no file, start
 * nothing and
 * write only to its pipe, and the reader of that pipe believes none of it. A directory is told once,
 * however often the
 * image names it, and no more data than the image can hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/parse.h"
#include "ext4/internal.h"
#include "ext4/stream.h"
#include "sys/sys.h"

#define DEPTH_MAX 2000
#define MEMORY_MAX (1ull << 30)

struct reader {
	ext2_filsys fs;
	ext2fs_inode_bitmap seen; /* directories, and files of several names */
	int out_fd;
	uint64_t data_left; /* so much an image of this size can hold */
	unsigned depth;
	const char *only; /* of the root, or NULL */
	char block[EXT4_DATA_MAX];
};

static _Noreturn void give_up(struct reader *r, const char *what, errcode_t code)
{
	char text[512];
	const char *why = code ? error_message(code) : "";
	int n = snprintf(text, sizeof(text), "%s%s%s", what, *why ? ": " : "", why);
	const struct ext4_record record = { EXT4_FAILED, (uint32_t)MIN(n, (int)sizeof(text) - 1) };

	if (write(r->out_fd, &record, sizeof(record)) == sizeof(record))
		(void)!write(r->out_fd, text, record.len);
	_exit(1);
}

static void put(struct reader *r, const void *data, size_t len)
{
	for (const char *p = data; len;) {
		ssize_t n = write(r->out_fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1); /* nobody reads any more */
		p += n;
		len -= (size_t)n;
	}
}

/* One record of up to three parts. */
static void put_record(struct reader *r, enum ext4_kind kind, const void *head, size_t head_len,
		       const void *a, size_t a_len, const void *b, size_t b_len)
{
	const struct ext4_record record = { kind, (uint32_t)(head_len + a_len + b_len) };

	put(r, &record, sizeof(record));
	put(r, head, head_len);
	put(r, a, a_len);
	put(r, b, b_len);
}

/* Beyond the 32 bits of seconds there are two more, below the nanoseconds. */
static int64_t seconds(uint32_t low, uint32_t extra)
{
	return (int64_t)(int32_t)low + ((int64_t)(extra & 3) << 32);
}

static void put_data(struct reader *r, uint64_t offset, const char *data, size_t len)
{
	const struct ext4_data head = { offset };

	if (len > r->data_left)
		give_up(r, "its files have more data than it can hold", 0);
	r->data_left -= len;
	put_record(r, EXT4_DATA, &head, sizeof(head), data, len, NULL, 0);
}

static bool is_zero(const char *data, size_t len)
{
	return !len || (!data[0] && memcmp(data, data + 1, len - 1) == 0);
}

static void put_range(struct reader *r, ext2_file_t file, uint64_t from, uint64_t to)
{
	errcode_t e = ext2fs_file_llseek(file, from, EXT2_SEEK_SET, NULL);

	while (!e && from < to) {
		unsigned got = 0;

		e = ext2fs_file_read(file, r->block, (unsigned)MIN(to - from, (uint64_t)sizeof(r->block)),
				     &got);
		if (e || !got)
			break;
		if (!is_zero(r->block, got))
			put_data(r, from, r->block, got);
		from += got;
	}
	if (e)
		give_up(r, "read a file", e);
}

/* What has blocks; holes, however wide, are passed over. */
static void put_extents(struct reader *r, ext2_ino_t ino, struct ext2_inode *inode, ext2_file_t file,
			uint64_t size)
{
	ext2_extent_handle_t handle;
	struct ext2fs_extent extent;
	errcode_t e = ext2fs_extent_open2(r->fs, ino, inode, &handle);
	uint64_t last = 0;

	if (e)
		give_up(r, "read the extents of a file", e);
	for (e = ext2fs_extent_get(handle, EXT2_EXTENT_ROOT, &extent); !e;
	     e = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT_LEAF, &extent)) {
		uint64_t from = extent.e_lblk * r->fs->blocksize;
		uint64_t to = MIN(from + (uint64_t)extent.e_len * r->fs->blocksize, size);

		if (!(extent.e_flags & EXT2_EXTENT_FLAGS_LEAF) || (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT))
			continue;
		if (from < last)
			give_up(r, "the extents of a file overlap", 0);
		if (from < to)
			put_range(r, file, from, to);
		last = to;
	}
	ext2fs_extent_free(handle);
	if (e != EXT2_ET_EXTENT_NO_NEXT && e != EXT2_ET_NO_CURRENT_NODE)
		give_up(r, "read the extents of a file", e);
}

static void put_content(struct reader *r, ext2_ino_t ino, struct ext2_inode *inode)
{
	ext2_file_t file;
	uint64_t size = EXT2_I_SIZE(inode);

	if (!size)
		return;
	errcode_t e = ext2fs_file_open(r->fs, ino, 0, &file);
	if (e)
		give_up(r, "open a file", e);
	if (inode->i_flags & EXT4_EXTENTS_FL)
		put_extents(r, ino, inode, file, size);
	else
		put_range(r, file, 0, MIN(size, r->data_left + 1));
	ext2fs_file_close(file);
}

struct xattrs {
	struct reader *r;
	struct ext2_xattr_handle *handle;
};

/*
 * Access control lists stand on the disk in another form than programs know; ext2fs_xattr_get() translates.
 */
static int put_xattr(char *name, char *value, size_t value_len, void *data)
{
	const struct xattrs *x = data;
	const struct ext4_xattr head = { (uint32_t)strlen(name) };
	void *translated;

	if (value_len > EXT4_DATA_MAX || head.name_len > 255)
		give_up(x->r, "an extended attribute is too long", 0);
	errcode_t e = ext2fs_xattr_get(x->handle, name, &translated, &value_len);
	if (e)
		give_up(x->r, "read an extended attribute", e);
	put_record(x->r, EXT4_XATTR, &head, sizeof(head), name, head.name_len, translated, value_len);
	ext2fs_free_mem(&translated);
	return 0;
}

static void put_xattrs(struct reader *r, ext2_ino_t ino)
{
	struct xattrs x = { .r = r };
	errcode_t e = ext2fs_xattrs_open(r->fs, ino, &x.handle);

	if (!e)
		e = ext2fs_xattrs_read(x.handle);
	if (!e)
		e = ext2fs_xattrs_iterate(x.handle, put_xattr, &x);
	if (e)
		give_up(r, "read extended attributes", e);
	ext2fs_xattrs_close(&x.handle);
}

/* Where a link leads, into r->block; its length. */
static unsigned read_link(struct reader *r, ext2_ino_t ino, struct ext2_inode *inode)
{
	uint64_t size = EXT2_I_SIZE(inode);
	unsigned got = 0;
	ext2_file_t file;

	if (!size || size >= 4096)
		give_up(r, "a link has an impossible length", 0);
	if (ext2fs_is_fast_symlink(inode)) {
		if (size > sizeof(inode->i_block))
			give_up(r, "a link has an impossible length", 0);
		memcpy(r->block, inode->i_block, size);
		return (unsigned)size;
	}
	errcode_t e = ext2fs_file_open(r->fs, ino, 0, &file);
	if (!e)
		e = ext2fs_file_read(file, r->block, (unsigned)size, &got);
	if (e || got != size)
		give_up(r, "read a link", e);
	ext2fs_file_close(file);
	return got;
}

/* Devices have their number in one of two places, in one of two forms. */
static void device_of(const struct ext2_inode *inode, struct ext4_entry *ret)
{
	uint32_t old = inode->i_block[0], new = inode->i_block[1];

	ret->major = old ? old >> 8 & 0xff : (new & 0xfff00) >> 8;
	ret->minor = old ? old & 0xff : (new & 0xff) | (new >> 12 & 0xfff00);
}

struct names {
	struct name {
		ext2_ino_t ino;
		char text[EXT2_NAME_LEN + 1];
	} * items;
	size_t n, room;
	bool nomem;
};

static int take_name(ext2_ino_t dir, int entry, struct ext2_dir_entry *d, int offset, int size, char *buf,
		     void *data)
{
	struct names *names = data;
	size_t len = (size_t)ext2fs_dirent_name_len(d);

	if ((len == 1 && d->name[0] == '.') || (len == 2 && d->name[0] == '.' && d->name[1] == '.'))
		return 0;
	if (names->n == names->room) {
		size_t room = names->room ? names->room * 2 : 16;
		struct name *items = reallocarray(names->items, room, sizeof(*items));

		names->nomem = !items;
		if (!items)
			return DIRENT_ABORT;
		names->items = items;
		names->room = room;
	}
	names->items[names->n].ino = d->inode;
	memcpy(names->items[names->n].text, d->name, len);
	names->items[names->n++].text[len] = '\0';
	return 0;
}

static void put_entry(struct reader *r, const struct name *name);

static void put_directory(struct reader *r, ext2_ino_t ino)
{
	struct names names = { 0 };
	errcode_t e = ext2fs_dir_iterate2(r->fs, ino, 0, NULL, take_name, &names);

	if (e || names.nomem)
		give_up(r, "read a directory", names.nomem ? ENOMEM : e);
	if (++r->depth > DEPTH_MAX)
		give_up(r, "its directories are nested too deeply", 0);
	for (size_t i = 0; i < names.n; i++)
		put_entry(r, &names.items[i]);
	r->depth--;
	free(names.items);
}

/* Notes one that may come again. Return: it has come before. */
static bool has_seen(struct reader *r, ext2_ino_t ino)
{
	bool seen = ext2fs_test_inode_bitmap2(r->seen, ino);

	ext2fs_mark_inode_bitmap2(r->seen, ino);
	return seen;
}

static void put_entry(struct reader *r, const struct name *name)
{
	struct ext2_inode_large inode = { 0 };
	struct ext2_inode *small = (struct ext2_inode *)&inode;
	struct ext4_entry e = { .name_len = (uint32_t)strlen(name->text) };

	if (r->depth == 1 &&
	    (strcmp(name->text, "lost+found") == 0 || (r->only && strcmp(name->text, r->only) != 0)))
		return;
	if (name->ino < EXT2_FIRST_INODE(r->fs->super) || name->ino > r->fs->super->s_inodes_count)
		give_up(r, "a directory names an impossible file", 0);
	errcode_t code = ext2fs_read_inode_full(r->fs, name->ino, small, sizeof(inode));
	if (code)
		give_up(r, "read about a file", code);
	bool is_dir = LINUX_S_ISDIR(inode.i_mode);
	bool several = !is_dir && inode.i_links_count > 1;
	e.size = EXT2_I_SIZE(small);
	e.mode = inode.i_mode;
	e.uid = inode_uid(*small);
	e.gid = inode_gid(*small);
	e.atime_s = seconds(inode.i_atime, inode.i_atime_extra);
	e.mtime_s = seconds(inode.i_mtime, inode.i_mtime_extra);
	e.atime_ns = inode.i_atime_extra >> 2;
	e.mtime_ns = inode.i_mtime_extra >> 2;
	e.number = several ? name->ino : 0;
	if (LINUX_S_ISCHR(inode.i_mode) || LINUX_S_ISBLK(inode.i_mode))
		device_of(small, &e);
	if ((is_dir || several) && has_seen(r, name->ino)) {
		if (is_dir)
			give_up(r, "a directory has two names", 0);
		e.again = 1;
	}
	if (LINUX_S_ISLNK(inode.i_mode) && !e.again)
		e.target_len = read_link(r, name->ino, small);
	put_record(r, EXT4_ENTRY, &e, sizeof(e), name->text, e.name_len, r->block, e.target_len);
	if (e.again)
		return;
	if (LINUX_S_ISREG(inode.i_mode))
		put_content(r, name->ino, small);
	put_xattrs(r, name->ino);
	if (is_dir) {
		put_directory(r, name->ino);
		put_record(r, EXT4_LEAVE, NULL, 0, NULL, 0, NULL, 0);
	}
}

static void put_top(struct reader *r)
{
	struct ext2_inode_large inode = { 0 };
	struct ext2_inode *small = (struct ext2_inode *)&inode;
	errcode_t code = ext2fs_read_inode_full(r->fs, EXT2_ROOT_INO, small, sizeof(inode));

	if (code)
		give_up(r, "read about the root", code);
	const struct ext4_entry e = {
		.mode = inode.i_mode,
		.uid = inode_uid(*small),
		.gid = inode_gid(*small),
		.atime_s = seconds(inode.i_atime, inode.i_atime_extra),
		.mtime_s = seconds(inode.i_mtime, inode.i_mtime_extra),
		.atime_ns = inode.i_atime_extra >> 2,
		.mtime_ns = inode.i_mtime_extra >> 2,
	};
	put_record(r, EXT4_ENTRY, &e, sizeof(e), NULL, 0, NULL, 0);
	put_xattrs(r, EXT2_ROOT_INO);
}

/* Root's rights are of no use here, but to who breaks in. */
static int become_nobody(void)
{
	const uid_t nobody = 65534;

	if (geteuid() != 0 || sys_setresgid(nobody, nobody, nobody) < 0)
		return 0; /* or root of a few ids: its rights end there */
	return sys_setgroups(0, NULL) < 0 || sys_setresuid(nobody, nobody, nobody) < 0 ? -1 : 0;
}

/* From here on: no file can be opened, changed or run, and memory is bounded. */
static int harden(void)
{
	const uint64_t all_but_refer = (1ull << 13) - 1; /* what the first version of Landlock knows */
	const struct rlimit memory = { MEMORY_MAX, MEMORY_MAX }, none = { 0, 0 };

	if (sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_FSIZE, &none) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    setrlimit(RLIMIT_NPROC, &none) < 0 || become_nobody() < 0)
		return -1;
#ifndef __SANITIZE_ADDRESS__
	if (setrlimit(RLIMIT_AS, &memory) < 0)
		return -1;
#else
	(void)memory;
#endif
	_cleanup_close_ int fd = sys_landlock_create_ruleset(&all_but_refer, sizeof(all_but_refer));
	if (fd >= 0)
		(void)!sys_landlock_restrict_self(fd);
	return 0;
}

/* Journals are replayed before, by e2fsck; an image that still needs it would be read as it was not. */
static void open_image(struct reader *r, int image_fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", image_fd);
	errcode_t e = ext2fs_open2(number, NULL, EXT2_FLAG_64BITS, 0, 0, unixfd_io_manager, &r->fs);
	if (e)
		give_up(r, "open the image", e);
	if (ext2fs_has_feature_journal_needs_recovery(r->fs->super))
		give_up(r, "its journal has to be replayed first", 0);
	e = ext2fs_allocate_inode_bitmap(r->fs, "seen", &r->seen);
	if (e)
		give_up(r, "get memory", e);
	r->data_left = (uint64_t)ext2fs_blocks_count(r->fs->super) * r->fs->blocksize;
}

static _Noreturn void fill(int image_fd, int dir_fd)
{
	const char *what;
	errcode_t e = ext4_fill(image_fd, dir_fd, &what);

	if (e)
		fprintf(stderr, "%s: %s\n", what, error_message(e));
	_exit(e == 0							     ? 0 :
	      e == EXT2_ET_BLOCK_ALLOC_FAIL || e == EXT2_ET_INODE_ALLOC_FAIL ? EXT4_EXIT_FULL :
									       1);
}

int main(int argc, char **argv)
{
	struct reader *r = calloc(1, sizeof(*r));
	uint32_t image_fd, out_fd;

	if (argc < 3 || argc > 4 || parse_u32(argv[1], &image_fd) < 0 || parse_u32(argv[2], &out_fd) < 0 ||
	    !r) {
		free(r);
		fprintf(stderr, "%s: started by kennel only\n", EXT4_PROGRAM);
		return 2;
	}
	r->out_fd = (int)out_fd;
	r->only = argv[3];
	if (r->only && strcmp(r->only, EXT4_FILL) == 0)
		fill((int)image_fd, (int)out_fd);
	initialize_ext2_error_table();
	if (harden() < 0)
		give_up(r, "give up rights", errno);
	open_image(r, (int)image_fd);
	if (r->only && strcmp(r->only, EXT4_TOP) == 0) {
		r->only = NULL;
		put_top(r);
	}
	put_directory(r, EXT2_ROOT_INO);
	put_record(r, EXT4_END, NULL, 0, NULL, 0, NULL, 0);
	_exit(0);
}
