/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/txn-trees.c - see txn-trees.h. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "txn-trees.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

void write_file(int dir_fd, const char *name, const char *text, mode_t mode)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
}

void set_times(int dir_fd, const char *name, time_t seconds)
{
	const struct timespec times[2] = { { seconds, 5 }, { seconds, 123456789 } };

	assert_int_equal(utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

void make_old(int fd)
{
	write_file(fd, "keep", "kept", 0640);
	write_file(fd, "change", "before", 0644);
	write_file(fd, "gone", "gone", 0600);
	assert_int_equal(mkdirat(fd, "gonedir", 0755), 0);
	assert_int_equal(mkdirat(fd, "gonedir/b", 0700), 0);
	write_file(fd, "gonedir/b/c", "deep", 0400);
	assert_int_equal(mkdirat(fd, "dir", 0755), 0);
	write_file(fd, "dir/inside", "inside", 0644);
	write_file(fd, "dir/other", "other", 0644);
	write_file(fd, "ftod", "a file", 0644);
	assert_int_equal(mkdirat(fd, "dtof", 0755), 0);
	write_file(fd, "dtof/x", "x", 0644);
	assert_int_equal(symlinkat("keep", fd, "link"), 0);
	write_file(fd, "h1", "hard", 0644);
	assert_int_equal(linkat(fd, "h1", fd, "h2", 0), 0);
	assert_int_equal(linkat(fd, "h1", fd, "h3", 0), 0);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	static const char *const names[] = { "keep",	"change",     "gone", "gonedir/b/c", "gonedir/b",
					     "gonedir", "dir/inside", "dir",  "ftod",	     "dtof/x",
					     "dtof",	"link",	      "h1",   "fifo",	     "." };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		set_times(fd, names[i], 1000000 + (time_t)i);
}

void make_new(int fd)
{
	write_file(fd, "change", "after", 04750);
	assert_int_equal(mkdirat(fd, "dir", 0750), 0);
	write_file(fd, "dir/inside", "changed inside", 0600);
	write_file(fd, "dir/fresh", "fresh", 0644);
	assert_int_equal(mkdirat(fd, "ftod", 0711), 0);
	write_file(fd, "ftod/in", "in it", 0644);
	write_file(fd, "dtof", "now a file", 0604);
	assert_int_equal(symlinkat("/nowhere/else", fd, "link"), 0);
	write_file(fd, "h1", "not hard any more", 0644);
	assert_int_equal(mkdirat(fd, "added", 0700), 0);
	assert_int_equal(fchmodat(fd, "added", 01777, 0), 0);
	write_file(fd, "added/x", "x", 0640);
	assert_int_equal(linkat(fd, "added/x", fd, "added/y", 0), 0);
	assert_int_equal(mkdirat(fd, "added/sub", 0500), 0);
	assert_int_equal(mkfifoat(fd, "added/pipe", 0620), 0);
	assert_int_equal(fchmodat(fd, "added/pipe", 0620, 0), 0);
	assert_int_equal(linkat(fd, "added/x", fd, "z", 0), 0);
	if (geteuid() == 0)
		assert_int_equal(mknodat(fd, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
	_cleanup_close_ int sparse = openat(fd, "sparse", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(sparse >= 0);
	assert_int_equal(pwrite(sparse, "middle", 6, 1 << 20), 6);
	assert_int_equal(ftruncate(sparse, 3 << 20), 0);
	/* tmpfs knows this one since Linux 6.6 */
	(void)!fsetxattr(sparse, "user.mark", "value", 5, 0);
	static const char *const names[] = { "change",	   "dir/inside", "dir/fresh", "dir",	"ftod/in",
					     "ftod",	   "dtof",	 "link",      "h1",	"added/x",
					     "added/pipe", "added/sub",	 "added",     "sparse", "." };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		set_times(fd, names[i], 2000000 + (time_t)i);
}

static void picture_attrs(struct buf *b, int fd)
{
	char path[64], names[1024], value[256];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = listxattr(path, names, sizeof(names));
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		if (strncmp(names + i, "user.", 5) != 0)
			continue;
		ssize_t len = getxattr(path, names + i, value, sizeof(value));
		buf_printf(b, " %s=%.*s", names + i, (int)MAX(len, (ssize_t)0), value);
	}
}

static void picture_entry(struct buf *b, int dir_fd, const char *path, const char *name, bool inodes)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char text[64];
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	buf_printf(b, "%s %o %u:%u %llu %ld.%09ld", path, st.st_mode, st.st_uid, st.st_gid,
		   (unsigned long long)st.st_rdev, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (!S_ISDIR(st.st_mode))
		buf_printf(b, " %u %llu", (unsigned)st.st_nlink, (unsigned long long)st.st_size);
	if (inodes)
		buf_printf(b, " i%llu", (unsigned long long)st.st_ino);
	picture_attrs(b, fd);
	ssize_t n = S_ISLNK(st.st_mode) ? readlinkat(fd, "", text, sizeof(text)) : 0;
	if (S_ISREG(st.st_mode)) {
		_cleanup_close_ int in = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

		if (in >= 0)
			n = pread(in, text, sizeof(text), st.st_size > (1 << 20) ? 1 << 20 : 0);
		buf_printf(b, " hole %d", in >= 0 && lseek(in, 0, SEEK_HOLE) == 0);
	}
	buf_printf(b, " %.*s\n", (int)MIN(MAX(n, (ssize_t)0), (ssize_t)20), text);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void picture_dir(struct buf *b, int dir_fd, const char *path, bool inodes)
{
	_cleanup_strv_ struct strv names = { 0 };
	DIR *d = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			assert_int_equal(strv_add(&names, e->d_name, NULL), 0);
	closedir(d);
	if (names.n)
		qsort(names.items, names.n, sizeof(*names.items), by_name);
	for (size_t i = 0; i < names.n; i++) {
		char below[256];

		snprintf(below, sizeof(below), "%s/%s", path, names.items[i]);
		picture_entry(b, dir_fd, below, names.items[i], inodes);
		_cleanup_close_ int fd =
			openat(dir_fd, names.items[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			picture_dir(b, fd, below, inodes);
	}
}

char *picture(int fd, bool inodes)
{
	struct buf b = { 0 };

	picture_entry(&b, fd, "", ".", inodes);
	picture_dir(&b, fd, "", inodes);
	assert_int_equal(buf_check(&b, NULL), 0);
	return b.data;
}

unsigned sample_points(unsigned step, unsigned *ret_first)
{
	const char *points = getenv("KENNEL_TEST_POINTS");

	if (!points || strcmp(points, "all") != 0)
		step *= 7;
	*ret_first = 1 + (unsigned)getpid() % step;
	return step;
}
