/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/test-unpack.c - files into a stream, and out of it: those of kennel-ext4 and of liars included.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ext4/pack.h"
#include "ext4/stream.h"
#include "ext4/unpack.h"
#include "path/remove.h"
#include "sys/sys.h"

static char top[64];
static int top_fd, root_fd, links_fd;

static int setup(void **state)
{
	snprintf(top, sizeof(top), "/var/tmp/kennel-unpack-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkdirat(top_fd, "root", 0700) < 0 || mkdirat(top_fd, "links", 0700) < 0)
		return -1;
	root_fd = openat(top_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	links_fd = openat(top_fd, "links", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int teardown(void **state)
{
	close(root_fd);
	close(links_fd);
	close(top_fd);
	_cleanup_close_ int parent_fd = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return path_remove_tree(parent_fd, strrchr(top, '/') + 1, NULL);
}

static void record(struct buf *b, enum ext4_kind kind, const void *head, size_t head_len, const char *text,
		   size_t len)
{
	const struct ext4_record r = { kind, (uint32_t)(head_len + len) };

	buf_add(b, &r, sizeof(r));
	buf_add(b, head, head_len);
	buf_add(b, text, len);
}

/* As ours, so that the test needs no rights; target stands behind the name. */
static struct ext4_entry entry_like(uint32_t mode, const char *name)
{
	return (struct ext4_entry){ .mode = mode,
				    .uid = getuid(),
				    .gid = getgid(),
				    .mtime_s = 12345,
				    .mtime_ns = 678,
				    .name_len = (uint32_t)strlen(name) };
}

static void put_entry(struct buf *b, const struct ext4_entry *e, const char *texts)
{
	record(b, EXT4_ENTRY, e, sizeof(*e), texts, e->name_len + e->target_len);
}

static void put_plain(struct buf *b, uint32_t mode, const char *name)
{
	const struct ext4_entry e = entry_like(mode, name);

	put_entry(b, &e, name);
}

static void put_data(struct buf *b, uint64_t offset, const char *text)
{
	const struct ext4_data d = { offset };

	record(b, EXT4_DATA, &d, sizeof(d), text, strlen(text));
}

static int run(const struct buf *b, struct kennel_error **err)
{
	const struct unpack_where where = { root_fd, links_fd, getuid(), getgid() };
	_cleanup_close_ int fd = sys_memfd_create("stream", 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buf_str(b), b->len), b->len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return ext4_unpack(fd, &where, err);
}

static void test_unpack_makes_what_is_told(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct ext4_entry file = entry_like(S_IFREG | 04751, "a"), link = entry_like(S_IFLNK | 0777, "l");
	const struct ext4_xattr x = { 9 };
	char text[8] = "";
	struct stat st, other;

	put_plain(&b, S_IFDIR | 01750, "dir");
	record(&b, EXT4_XATTR, &x, sizeof(x), "user.dir1v", 10);
	file.size = 9;
	file.number = 77;
	put_entry(&b, &file, "a");
	put_data(&b, 4, "x");
	record(&b, EXT4_XATTR, &x, sizeof(x), "user.fileval", 12);
	link.target_len = 7;
	put_entry(&b, &link, "l../../x");
	put_plain(&b, S_IFIFO | 0640, "fifo");
	record(&b, EXT4_LEAVE, NULL, 0, NULL, 0);
	file.again = 1;
	put_entry(&b, &file, "b");
	b.data[b.len - 1] = 'b';
	record(&b, EXT4_END, NULL, 0, NULL, 0);
	if (run(&b, &err) < 0)
		fail_msg("%s", kennel_error_message(err));

	assert_int_equal(fstatat(root_fd, "dir", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 01750);
	assert_int_equal(st.st_mtim.tv_sec, 12345);
	assert_int_equal(st.st_mtim.tv_nsec, 678);
	assert_int_equal(fstatat(root_fd, "dir/a", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04751);
	assert_int_equal(st.st_size, 9);
	assert_int_equal(st.st_mtim.tv_nsec, 678);
	assert_int_equal(fstatat(root_fd, "b", &other, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(other.st_ino == st.st_ino && st.st_nlink == 2);
	_cleanup_close_ int fd = openat(root_fd, "b", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, text, 3, 3), 3);
	assert_memory_equal(text, "\0x\0", 3);
	assert_int_equal(fgetxattr(fd, "user.file", text, sizeof(text)), 3);
	assert_memory_equal(text, "val", 3);
	char target[16] = "";
	assert_int_equal(readlinkat(root_fd, "dir/l", target, sizeof(target)), 7);
	assert_string_equal(target, "../../x");
	assert_int_equal(fstatat(root_fd, "dir/fifo", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFIFO | 0640);
	/* no name was kept */
	assert_int_equal(unlinkat(top_fd, "links", AT_REMOVEDIR), 0);
}

static void name_it(struct buf *b, const char *name, size_t len)
{
	struct ext4_entry e = entry_like(S_IFREG | 0644, "");

	e.name_len = (uint32_t)len;
	record(b, EXT4_ENTRY, &e, sizeof(e), name, len);
}

static void lie(struct buf *b, unsigned n)
{
	struct ext4_entry e;
	const struct ext4_xattr x = { 200 };
	const uint32_t unknown[2] = { 99, 0 }, too_long[2] = { EXT4_DATA, EXT4_RECORD_MAX + 1 };

	switch (n) {
	case 0:
		name_it(b, "..", 2);
		break;
	case 1:
		name_it(b, ".", 1);
		break;
	case 2:
		name_it(b, "../x", 4);
		break;
	case 3:
		name_it(b, "/etc/passwd", 11);
		break;
	case 4:
		name_it(b, "", 0);
		break;
	case 5:
		name_it(b, "a\0b", 3);
		break;
	case 6:
		put_data(b, 0, "x");
		break;
	case 7:
		put_plain(b, S_IFREG, "f");
		put_data(b, 0, "behind its size");
		break;
	case 8:
		record(b, EXT4_LEAVE, NULL, 0, NULL, 0);
		break;
	case 9:
		record(b, EXT4_XATTR, &x, sizeof(x), "user.x", 6);
		break;
	case 10:
		put_plain(b, S_IFREG, "f");
		record(b, EXT4_XATTR, &x, sizeof(x), "user.x", 6);
		break;
	case 11:
		put_plain(b, 0170000, "odd");
		break;
	case 12:
		put_plain(b, S_IFLNK, "nowhere");
		break;
	case 13:
		buf_add(b, unknown, sizeof(unknown));
		break;
	case 14:
		buf_add(b, too_long, sizeof(too_long));
		break;
	case 15:
		put_plain(b, S_IFDIR, "d");
		record(b, EXT4_END, NULL, 0, NULL, 0);
		break;
	case 16:
		record(b, EXT4_ENTRY, &e, 8, NULL, 0);
		break;
	case 17:
		record(b, EXT4_FAILED, NULL, 0, "bad \033[31m block", 15);
		break;
	case 18:
		put_plain(b, S_IFREG, "cut off");
		break;
	}
}
#define LIES 19

static void test_unpack_liars_are_refused(void **state)
{
	for (unsigned i = 0; i < LIES; i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_buf_ struct buf b = { 0 };

		lie(&b, i);
		if (run(&b, &err) != -KENNEL_E_CORRUPT)
			fail_msg("lie %u: %s", i, kennel_error_message(err));
		assert_null(strchr(kennel_error_message(err), '\033'));
		assert_int_equal(path_remove_tree(root_fd, "f", NULL), 0);
		assert_int_equal(path_remove_tree(root_fd, "d", NULL), 0);
	}
}

/* A directory that is made as a link first must not be gone through. */
static void test_unpack_never_follows_a_link(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct ext4_entry link = entry_like(S_IFLNK | 0777, "d");
	struct stat st;

	link.target_len = 2;
	put_entry(&b, &link, "d..");
	put_plain(&b, S_IFDIR | 0755, "d");
	put_plain(&b, S_IFREG | 0644, "escaped");
	record(&b, EXT4_END, NULL, 0, NULL, 0);
	assert_int_equal(run(&b, &err), -KENNEL_E_EXISTS);
	assert_true(fstatat(top_fd, "escaped", &st, AT_SYMLINK_NOFOLLOW) < 0);
}

static void make_tree(int at_fd)
{
	assert_int_equal(mkdirat(at_fd, "tree", 0700), 0);
	assert_int_equal(mkdirat(at_fd, "tree/dir", 0750), 0);
	assert_int_equal(mkdirat(at_fd, "tree/dir/deep", 0700), 0);
	_cleanup_close_ int fd = openat(at_fd, "tree/dir/file", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "end", 3, 1 << 20), 3);
	assert_int_equal(fchmod(fd, 04751), 0);
	assert_int_equal(fsetxattr(fd, "user.note", "v", 1, 0), 0);
	assert_int_equal(fsetxattr(fd, "user.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(futimens(fd, (struct timespec[2]){ { 11, 0 }, { 12345, 678 } }), 0);
	assert_int_equal(linkat(at_fd, "tree/dir/file", at_fd, "tree/again", 0), 0);
	assert_int_equal(symlinkat("../nowhere", at_fd, "tree/link"), 0);
	assert_int_equal(mkfifoat(at_fd, "tree/pipe", 0600), 0);
}

/* Packs top/tree under a name, or as the root, and unpacks it into root. */
static int pack_and_unpack(struct pack *p, const struct unpack_where *where, const char *name,
			   struct kennel_error **err)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/stream", top);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	_cleanup_close_ int pin_fd = openat(top_fd, "tree", O_PATH | O_CLOEXEC);
	p->out_fd = fd;
	if (name)
		assert_int_equal(pack_entry(p, pin_fd, name), 0);
	else
		assert_int_equal(pack_top(p, pin_fd), 0);
	assert_int_equal(pack_end(p), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return ext4_unpack(fd, where, err);
}

static void test_pack_tells_all_there_is(void **state)
{
	const struct unpack_where where = { .dir_fd = root_fd, .links_fd = links_fd, .with_top = true };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct pack p = { .id_count = 0 };
	struct stat st, again;
	char text[32];

	make_tree(top_fd);
	assert_int_equal(pack_and_unpack(&p, &where, "named", &err), 0);
	assert_int_equal(fstatat(root_fd, "named/dir/file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 04751);
	assert_int_equal(st.st_size, (1 << 20) + 3);
	assert_true(st.st_blocks < 512); /* the hole */
	assert_int_equal(st.st_mtim.tv_sec, 12345);
	assert_int_equal(st.st_mtim.tv_nsec, 678);
	assert_int_equal(fstatat(root_fd, "named/again", &again, 0), 0);
	assert_int_equal(again.st_ino, st.st_ino);
	assert_int_equal(readlinkat(root_fd, "named/link", text, sizeof(text)), 10);
	assert_int_equal(fstatat(root_fd, "named/pipe", &st, 0), 0);
	assert_true(S_ISFIFO(st.st_mode));
	_cleanup_close_ int fd = openat(root_fd, "named/dir/file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.overlay.opaque", text, sizeof(text)), 1);
	assert_int_equal(p.left_out, 0);
}

static void test_pack_plain_gives_no_rights(void **state)
{
	const struct unpack_where where = {
		.dir_fd = root_fd, .links_fd = links_fd, .with_top = true, .plain = true, .keep_owner = true
	};
	_cleanup_error_ struct kennel_error *err = NULL;
	struct pack p = { .plain = true };
	struct stat st;
	char text[32];

	make_tree(top_fd);
	assert_int_equal(pack_and_unpack(&p, &where, NULL, &err), 0);
	assert_int_equal(p.left_out, 1);
	assert_string_equal(p.first_left_out, "pipe");
	assert_int_equal(fstatat(root_fd, "dir/file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	_cleanup_close_ int fd = openat(root_fd, "dir/file", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "user.note", text, sizeof(text)), 1);
	assert_true(fgetxattr(fd, "user.overlay.opaque", text, sizeof(text)) < 0);
}

/* Who was asked for plain files sends others. */
static void test_unpack_plain_believes_no_right(void **state)
{
	const struct unpack_where where = {
		.dir_fd = root_fd, .links_fd = links_fd, .with_top = true, .plain = true, .keep_owner = true
	};
	_cleanup_error_ struct kennel_error *err = NULL;
	struct pack p = { .plain = false };

	make_tree(top_fd);
	assert_int_equal(pack_and_unpack(&p, &where, NULL, &err), -KENNEL_E_CORRUPT); /* a pipe */
	assert_int_equal(unlinkat(top_fd, "tree/pipe", 0), 0);
	assert_int_equal(path_remove_tree(top_fd, "root", NULL), 0);
	assert_int_equal(mkdirat(top_fd, "root", 0700), 0);
	replace_fd(&root_fd, openat(top_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct unpack_where anew = {
		.dir_fd = root_fd, .links_fd = links_fd, .with_top = true, .plain = true, .keep_owner = true
	};
	struct stat st;
	char text[32];
	error_clear(&err);
	p = (struct pack){ .plain = false };
	assert_int_equal(pack_and_unpack(&p, &anew, NULL, &err), 0);
	assert_int_equal(fstatat(root_fd, "dir/file", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0751);
	_cleanup_close_ int fd = openat(root_fd, "dir/file", O_RDONLY | O_CLOEXEC);
	assert_true(fgetxattr(fd, "user.overlay.opaque", text, sizeof(text)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unpack_makes_what_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unpack_liars_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unpack_never_follows_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pack_tells_all_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pack_plain_gives_no_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unpack_plain_believes_no_right, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
