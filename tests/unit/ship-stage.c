/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship-stage.c - see ship-stage.h. */
#include "unit.h"

#include "ship-stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ship/sha256.h"
#include "ship/tree.h"
#include "ship/walk.h"

static void put_file(int dir_fd, const char *name, mode_t mode, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
}

static void put_dir(int dir_fd, const char *name, mode_t mode)
{
	assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
	assert_int_equal(fchmodat(dir_fd, name, mode, 0), 0);
}

static void put_xattr(int dir_fd, const char *name, const char *key, const void *value, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fsetxattr(fd, key, value, size, 0), 0);
}

/* The pieces of a sparse file lie apart. */
static void put_sparse(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, 1 << 20), 6);
	assert_int_equal(ftruncate(fd, 3 << 20), 0);
}

static void put_big(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	unsigned x = 1;

	assert_true(fd >= 0);
	for (unsigned i = 0; i < 300; i++) {
		unsigned char block[8192];

		for (size_t k = 0; k < sizeof(block); k++)
			block[k] = (unsigned char)((x = x * 1103515245 + 12345) >> 24);
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	}
}

/* rwxr-x--- and one more group that may read */
static const unsigned char acl[] = {
	2, 0, 0, 0, 1, 0, 7,  0, 255, 255, 255, 255, 4,	  0,   5,  0, 255, 255, 255, 255, 8,   0,
	4, 0, 3, 0, 0, 0, 16, 0, 5,   0,   255, 255, 255, 255, 32, 0, 0,   0,	255, 255, 255, 255,
};

static void make_names(int fd, size_t len)
{
	char longest[256];

	memset(longest, 'n', len);
	longest[len] = '\0';
	put_file(fd, longest, 0644, "long");
	put_file(fd, "-rf", 0644, "dash");
	put_file(fd, "a b\nc", 0644, "newline");
	put_file(fd, "caf\xc3\xa9", 0644, "utf-8");
	put_file(fd, "raw\xff\xfe", 0644, "no character set");
	put_file(fd, "*?[x]\\'\"$`;&|", 0644, "a shell's");
}

static void make_deep(int dir_fd)
{
	_cleanup_close_ int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);

	for (unsigned i = 0; i < 40; i++) {
		put_dir(fd, "deeper-and-deeper-and-deeper-and-deeper", 0755);
		replace_fd(&fd, openat(fd, "deeper-and-deeper-and-deeper-and-deeper",
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}
	put_file(fd, "bottom", 0644, "at the bottom");
}

static void make_deletions(int fd)
{
	put_dir(fd, "hides", 0755);
	put_xattr(fd, "hides", SHIP_XATTR_OPAQUE, "y", 1);
	put_dir(fd, "etc/gone.d", 0755);
	assert_int_equal(mknodat(fd, "gone", S_IFCHR, 0), 0);
	assert_int_equal(mknodat(fd, "etc/gone.d/too", S_IFCHR, 0), 0);
}

void stage_make(int fd, unsigned what)
{
	put_dir(fd, "etc", 0755);
	put_dir(fd, "empty", 01777);
	put_dir(fd, "closed", 0);
	put_file(fd, "etc/plain", 0644, "plain\n");
	put_file(fd, "etc/nothing", 0600, "");
	put_file(fd, "etc/setuid", 04755, "#!/bin/true\n");
	put_file(fd, "etc/linked", 0640, "two names");
	if (what & STAGE_LINKS) {
		assert_int_equal(linkat(fd, "etc/linked", fd, "etc/other-name", 0), 0);
		assert_int_equal(linkat(fd, "etc/linked", fd, "also", 0), 0);
	}
	assert_int_equal(symlinkat("plain", fd, "etc/link"), 0);
	assert_int_equal(symlinkat("/nowhere/\n..", fd, "etc/broken"), 0);
	assert_int_equal(mkfifoat(fd, "etc/fifo", 0620), 0);
	put_sparse(fd, "sparse");
	put_big(fd, "big");
	put_xattr(fd, "etc/plain", "user.note", "a\0b", 3);
	put_xattr(fd, "etc", "user.empty", "", 0);
	put_dir(fd, "names", 0755);
	_cleanup_close_ int names_fd = openat(fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_names(names_fd, what & STAGE_LONG_NAME ? 255 : 254);
	make_deep(fd);
	put_file(fd, "etc/acl", 0750, "acl");
	put_xattr(fd, "etc/acl", "system.posix_acl_access", acl, sizeof(acl));
	if (what & STAGE_DELETIONS)
		make_deletions(fd);
	if (what & STAGE_DEVICES)
		assert_int_equal(mknodat(fd, "etc/device", S_IFBLK | 0660, makedev(7, 3)), 0);
	if (what & STAGE_OWNERS) {
		static const unsigned char cap[] = { 1, 0, 0, 2, 0, 32, 0, 0, 0, 0,
						     0, 0, 0, 0, 0, 0,	0, 0, 0, 0 };

		assert_int_equal(fchownat(fd, "etc/plain", 33, 44, 0), 0);
		assert_int_equal(fchownat(fd, "etc/link", 55, 66, AT_SYMLINK_NOFOLLOW), 0);
		put_file(fd, "etc/capable", 0755, "capable");
		put_xattr(fd, "etc/capable", "security.capability", cap, sizeof(cap));
	}
	const struct timespec old[2] = { { 1000000000, 123456789 }, { 1000000000, 123456789 } };
	assert_int_equal(utimensat(fd, "etc/plain", old, 0), 0);
	assert_int_equal(utimensat(fd, "etc", old, 0), 0);
}

static void add_content(struct buf *b, const struct ship_entry *e)
{
	_cleanup_free_ char *buffer = malloc(SHIP_PIECE);
	struct ship_reader r = { .fd = e->fd, .size = (uint64_t)e->st.st_size, .buffer = buffer };
	static const char zeros[4096];
	uint64_t pos = 0, offset;
	struct sha256 s;
	char hex[SHA256_HEX];
	const void *bytes;
	size_t size;
	int more;

	sha256_init(&s);
	do {
		more = ship_reader_next(&r, &bytes, &size, &offset, NULL);
		assert_true(more >= 0);
		for (uint64_t end = more ? offset : r.size; pos < end;) {
			size_t n = (size_t)MIN(end - pos, (uint64_t)sizeof(zeros));

			sha256_add(&s, zeros, n);
			pos += n;
		}
		if (more)
			sha256_add(&s, bytes, size);
		pos += more ? size : 0;
	} while (more);
	sha256_hex(&s, hex);
	buf_printf(b, " %s%s", hex, e->st.st_blocks * 512 < e->st.st_size ? " holes" : "");
}

static int compare_xattr(const void *a, const void *b)
{
	return strcmp(((const struct ship_xattr *)a)->name, ((const struct ship_xattr *)b)->name);
}

static void add_xattrs(struct stage_list *l, const struct ship_entry *e)
{
	if (e->xattrs.n)
		qsort(e->xattrs.items, e->xattrs.n, sizeof(*e->xattrs.items), compare_xattr);
	for (size_t i = 0; i < e->xattrs.n; i++) {
		const struct ship_xattr *x = &e->xattrs.items[i];

		if ((l->lost & STAGE_NO_ACL) && strncmp(x->name, "system.posix", 12) == 0)
			continue;
		buf_printf(&l->text, " %s=", x->name);
		for (size_t k = 0; k < x->size; k++)
			buf_printf(&l->text, "%02x", ((unsigned char *)x->value)[k]);
	}
}

static int list_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct stage_list *l = container_of(sink, struct stage_list, base);
	static const char *const kinds[] = { "node", "hardlink", "whiteout", "opaque" };

	if ((l->lost & STAGE_NO_TOP) && !*e->path)
		return 0;
	buf_json(&l->text, e->path);
	buf_printf(&l->text, " %s", kinds[e->kind]);
	if (e->kind == SHIP_NODE) {
		buf_printf(&l->text, " %o %u:%u", e->st.st_mode, e->st.st_uid, e->st.st_gid);
		if (*e->path)
			buf_printf(&l->text, " %lld.%09ld", (long long)e->st.st_mtim.tv_sec,
				   l->lost & STAGE_NO_NANOSECONDS ? 0 : e->st.st_mtim.tv_nsec);
		if (!S_ISDIR(e->st.st_mode))
			buf_printf(&l->text, " %lld", (long long)e->st.st_size);
		if (S_ISCHR(e->st.st_mode) || S_ISBLK(e->st.st_mode))
			buf_printf(&l->text, " %u:%u", major(e->st.st_rdev), minor(e->st.st_rdev));
		if (e->opaque)
			buf_puts(&l->text, " opaque");
		if (e->fd >= 0)
			add_content(&l->text, e);
		if (!(l->lost & STAGE_NO_XATTR))
			add_xattrs(l, e);
	}
	if (e->link) {
		buf_puts(&l->text, " -> ");
		buf_json(&l->text, e->link);
	}
	buf_puts(&l->text, "\n");
	return 0;
}

void stage_list_init(struct stage_list *l, unsigned lost)
{
	*l = (struct stage_list){ .base = { .add = list_add }, .lost = lost };
}

void stage_list_done(struct stage_list *l)
{
	buf_done(&l->text);
}

void stage_list_tree(struct stage_list *l, int dir_fd)
{
	const struct ship_part part = { dir_fd, "" };
	const struct ship_walk w = { .parts = &part, .n_parts = 1, .deletions = true };
	_cleanup_error_ struct kennel_error *err = NULL;

	if (ship_walk(&w, &l->base, &err) < 0)
		fail_msg("%s", kennel_error_message(err));
}

void stage_same(const struct stage_list *a, const struct stage_list *b)
{
	const char *p = buf_str(&a->text), *q = buf_str(&b->text);

	while (*p || *q) {
		size_t n = strcspn(p, "\n"), m = strcspn(q, "\n");

		if (n != m || memcmp(p, q, n) != 0)
			fail_msg("differs:\n%.*s\n%.*s", (int)n, p, (int)m, q);
		p += n + (p[n] == '\n');
		q += m + (q[m] == '\n');
	}
}

int stage_dir(char path[64])
{
	snprintf(path, 64, "/var/tmp/kennel-unit-XXXXXX");
	assert_non_null(mkdtemp(path));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void stage_remove(int fd, const char *path)
{
	assert_int_equal(ship_tree_clear(fd, NULL), 0);
	close_fd(fd);
	assert_int_equal(rmdir(path), 0);
}
