/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/tell.c - see tell.h. */
#include "unit.h"

#include "tell.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strv.h"

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct seen {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct tell {
	struct buf *out;
	struct seen *seen;
	size_t n_seen;
};

static void tell_xattrs(struct tell *t, int dir_fd, const char *name)
{
	char path[400], names[4096], value[256];
	_cleanup_strv_ struct strv sorted = { 0 };

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	ssize_t len = llistxattr(path, names, sizeof(names));
	for (const char *x = names; x < names + len; x += strlen(x) + 1)
		assert_int_equal(strv_add(&sorted, x, NULL), 0);
	if (sorted.n)
		qsort(sorted.items, sorted.n, sizeof(char *), compare_names);
	for (size_t i = 0; i < sorted.n; i++) {
		ssize_t n = lgetxattr(path, sorted.items[i], value, sizeof(value));

		if (strcmp(sorted.items[i], "security.selinux") != 0)
			buf_printf(t->out, " %s=%.*s", sorted.items[i], (int)n, value);
	}
}

static void tell_link(struct tell *t, const struct stat *st, const char *path)
{
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return;
	for (size_t i = 0; i < t->n_seen; i++)
		if (t->seen[i].ino == st->st_ino && t->seen[i].dev == st->st_dev) {
			buf_printf(t->out, " same as %s", t->seen[i].path);
			return;
		}
	t->seen = reallocarray(t->seen, t->n_seen + 1, sizeof(*t->seen));
	assert_non_null(t->seen);
	t->seen[t->n_seen++] = (struct seen){ st->st_dev, st->st_ino, strdup(path) };
}

static void tell_file(struct tell *t, int dir_fd, const char *name, const char *path)
{
	struct stat st;
	char text[300];

	/* of a directory that is in one layer alone the kernel lists deletions, too, which are not there */
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	buf_printf(t->out, "%s %o %u:%u %ld.%ld", path, st.st_mode, st.st_uid, st.st_gid, st.st_mtim.tv_sec,
		   st.st_mtim.tv_nsec);
	if (!S_ISDIR(st.st_mode))
		buf_printf(t->out, " %lld %lx", (long long)st.st_size, (unsigned long)st.st_rdev);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlinkat(dir_fd, name, text, sizeof(text));

		buf_printf(t->out, " -> %.*s", (int)n, text);
	}
	if (S_ISREG(st.st_mode)) {
		_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof(text));

		buf_printf(t->out, " \"%.*s\"", (int)MAX(n, (ssize_t)0), text);
	}
	tell_link(t, &st, path);
	tell_xattrs(t, dir_fd, name);
	buf_puts(t->out, "\n");
}

static void tell_dir(struct tell *t, int dir_fd, const char *path)
{
	_cleanup_strv_ struct strv names = { 0 };
	int own_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fdopendir(own_fd);
	const struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			assert_int_equal(strv_add(&names, e->d_name, NULL), 0);
	if (names.n)
		qsort(names.items, names.n, sizeof(char *), compare_names);
	for (size_t i = 0; i < names.n; i++) {
		_cleanup_free_ char *child = NULL;

		assert_true(asprintf(&child, "%s/%s", path, names.items[i]) > 0);
		tell_file(t, dir_fd, names.items[i], child);
		_cleanup_close_ int fd = openat(dir_fd, names.items[i],
						O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			tell_dir(t, fd, child);
	}
}

void tell(int dir_fd, struct buf *out)
{
	struct tell t = { .out = out };

	tell_file(&t, dir_fd, ".", "");
	tell_dir(&t, dir_fd, "");
	for (size_t i = 0; i < t.n_seen; i++)
		free(t.seen[i].path);
	free(t.seen);
}

void assert_same(const struct buf *a, const struct buf *b)
{
	const char *x = buf_str(a), *y = buf_str(b);

	while (*x || *y) {
		size_t n = strcspn(x, "\n"), m = strcspn(y, "\n");
		_cleanup_free_ char *p = strndup(x, n), *q = strndup(y, m);

		assert_string_equal(p, q);
		x += n + (x[n] == '\n');
		y += m + (y[m] == '\n');
	}
}
