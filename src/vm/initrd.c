/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/initrd.c - see initrd.h.
 *
 * Modules may be compressed; libarchive, which writes the archive, unpacks them, for a kernel may not. The
 * archive itself is not: UML reads it by one read(), and its kernel unpacks more slowly than that.
 */
#include "vm/initrd.h"

#include "vm/blob.h"
#include "vm/vm-config.h"

#if KENNEL_HAVE_VM
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "path/path.h"
#include "archive/library.h"

#define TEXT_MAX (8u << 20) /* of modules.dep */
#define MODULE_MAX (32u << 20)
#define BLOCK (64 << 10)
#define YOUNG_S 3600

/* What a root needs; the kernel may have it by itself, and only the first must be there. */
static const char *const wanted[] = { "overlay", "ext4" };

/* --- which modules --- */

static bool is_module(const char *path, size_t len, const char *name)
{
	const char *base = path + len;
	const size_t n = strlen(name);

	while (base > path && base[-1] != '/')
		base--;
	return (size_t)(path + len - base) >= n + 3 && !strncmp(base, name, n) &&
	       !strncmp(base + n, ".ko", 3);
}

static int add_path(struct strv *ret, const char *path, size_t len, struct kennel_error **err)
{
	char text[PATH_MAX];

	if (len < sizeof(text)) {
		memcpy(text, path, len);
		text[len] = '\0';
	}
	if (len >= sizeof(text) || !len || text[0] == '/' || strstr(text, ".."))
		return fail(err, KENNEL_E_CORRUPT, "the list of the kernel's modules makes no sense");
	for (size_t i = 0; i < ret->n; i++)
		if (!strcmp(ret->items[i], text))
			return 0;
	return strv_add(ret, text, err);
}

/* "module: needed needed": what is needed last is named first. */
static int add_line(const char *line, const char *colon, const char *end, struct strv *ret,
		    struct kennel_error **err)
{

	while (end > colon + 1) {
		const char *start = end;

		while (start > colon + 1 && start[-1] != ' ')
			start--;
		if (end > start) {
			int r = add_path(ret, start, (size_t)(end - start), err);
			if (r < 0)
				return r;
		}
		end = start > colon + 1 ? start - 1 : start;
	}
	return add_path(ret, line, (size_t)(colon - line), err);
}

int vm_initrd_find(const char *name, const char *dep, const char *builtin, struct strv *ret,
		   struct kennel_error **err)
{
	for (const char *line = dep; *line;) {
		const size_t len = strcspn(line, "\n");
		const char *colon = memchr(line, ':', len);

		if (colon && is_module(line, (size_t)(colon - line), name)) {
			int r = add_line(line, colon, line + len, ret, err);
			return r < 0 ? r : 1;
		}
		line += len + (line[len] == '\n');
	}
	for (const char *line = builtin; *line;) {
		const size_t len = strcspn(line, "\n");

		if (is_module(line, len, name))
			return 1;
		line += len + (line[len] == '\n');
	}
	return 0;
}

static int read_text(int dir_fd, const char *name, struct buf *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "open \"%s\" of the guest's kernel", name);
	return buf_read_fd(ret, fd, TEXT_MAX, err);
}

static int find_modules(int dir_fd, const struct strv *more, struct strv *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf dep = { 0 }, builtin = { 0 };
	int r = read_text(dir_fd, "modules.dep", &dep, err);

	if (r >= 0)
		r = read_text(dir_fd, "modules.builtin", &builtin, err);
	for (size_t i = 0; i < ARRAY_SIZE(wanted) && r >= 0; i++) {
		r = vm_initrd_find(wanted[i], buf_str(&dep), buf_str(&builtin), ret, err);
		if (r == 0 && i == 0)
			return fail(err, KENNEL_E_UNSUPPORTED, "the guest's kernel has no overlay");
	}
	for (size_t i = 0; more && i < more->n && r >= 0; i++)
		r = vm_initrd_find(more->items[i], buf_str(&dep), buf_str(&builtin), ret, err);
	return r < 0 ? r : 0;
}

/* --- the archive --- */

struct archive_job {
	const struct archive_lib *lib;
	struct archive *a;
	struct archive_entry *entry;
	struct buf out;
	unsigned ino;
};

static la_ssize_t on_write(struct archive *a, void *data, const void *bytes, size_t size)
{
	struct archive_job *j = data;

	buf_add(&j->out, bytes, size);
	return (la_ssize_t)size;
}

static int add_entry(struct archive_job *j, const char *path, mode_t mode, const void *data, size_t size,
		     struct kennel_error **err)
{
	const struct archive_lib *l = j->lib;
	const struct stat st = { .st_mode = mode, .st_nlink = 1, .st_size = (off_t)size, .st_ino = ++j->ino };

	l->archive_entry_clear(j->entry);
	l->archive_entry_copy_pathname(j->entry, path);
	l->archive_entry_copy_stat(j->entry, &st);
	if (l->archive_write_header(j->a, j->entry) < ARCHIVE_OK ||
	    (size && l->archive_write_data(j->a, data, size) != (la_ssize_t)size))
		return archive_lib_fail(l, j->a, "write the guest's initramfs", err);
	return 0;
}

static int read_module(const struct archive_lib *l, int fd, struct buf *ret, struct kennel_error **err)
{
	struct archive *a = l->archive_read_new();
	struct archive_entry *entry;
	la_ssize_t n = -1;
	char block[4096];
	int r = 0;

	if (!a)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->archive_read_support_filter_gzip(a);
	l->archive_read_support_filter_xz(a);
	l->archive_read_support_filter_zstd(a);
	l->archive_read_support_format_raw(a);
	if (l->archive_read_open_fd(a, fd, BLOCK) >= ARCHIVE_OK &&
	    l->archive_read_next_header(a, &entry) >= ARCHIVE_OK)
		while ((n = l->archive_read_data(a, block, sizeof(block))) > 0 && ret->len <= MODULE_MAX)
			buf_add(ret, block, (size_t)n);
	if (n < 0)
		r = archive_lib_fail(l, a, "read it", err);
	else if (n > 0)
		r = fail(err, KENNEL_E_LIMIT, "it is larger than %u MB", MODULE_MAX >> 20);
	l->archive_read_free(a);
	return r < 0 ? r : buf_check(ret, err);
}

static int add_modules(struct archive_job *j, int dir_fd, const struct strv *modules,
		       struct kennel_error **err)
{
	int r = add_entry(j, "modules", S_IFDIR | 0755, NULL, 0, err);

	for (size_t i = 0; i < modules->n && r == 0; i++) {
		_cleanup_buf_ struct buf data = { 0 };
		_cleanup_close_ int fd = openat(dir_fd, modules->items[i], O_RDONLY | O_CLOEXEC);
		char name[40];

		if (fd < 0)
			return fail_errno(err, "open the module \"%s\"", modules->items[i]);
		r = read_module(j->lib, fd, &data, err);
		if (r < 0)
			return wrap(err, r, "module \"%s\"", modules->items[i]);
		snprintf(name, sizeof(name), "modules/%zu.ko", i);
		r = add_entry(j, name, S_IFREG | 0644, data.data, data.len, err);
	}
	return r;
}

static int fill(struct archive_job *j, int dir_fd, const struct strv *modules, struct kennel_error **err)
{
	const struct archive_lib *l = j->lib;

	if (l->archive_write_set_format_cpio_newc(j->a) < ARCHIVE_OK ||
	    l->archive_write_set_bytes_per_block(j->a, BLOCK) < ARCHIVE_OK ||
	    l->archive_write_set_bytes_in_last_block(j->a, 1) < ARCHIVE_OK ||
	    l->archive_write_open2(j->a, j, NULL, on_write, NULL, NULL) < ARCHIVE_OK)
		return archive_lib_fail(l, j->a, "write the guest's initramfs", err);
	int r = add_entry(j, "init", S_IFREG | 0755, vm_blob, vm_blob_size, err);
	if (r == 0)
		r = add_modules(j, dir_fd, modules, err);
	if (r == 0 && l->archive_write_close(j->a) < ARCHIVE_OK)
		r = archive_lib_fail(l, j->a, "write the guest's initramfs", err);
	return r < 0 ? r : buf_check(&j->out, err);
}

static int make(int dir_fd, const struct strv *modules, struct buf *ret, struct kennel_error **err)
{
	_cleanup_archive_lib_ struct archive_lib lib = { 0 };
	int r = archive_lib_load(&lib, err);

	if (r < 0)
		return r;
	struct archive_job j = { .lib = &lib,
				 .a = lib.archive_write_new(),
				 .entry = lib.archive_entry_new() };
	r = j.a && j.entry ? fill(&j, dir_fd, modules, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
	if (j.entry)
		lib.archive_entry_free(j.entry);
	if (j.a)
		lib.archive_write_free(j.a);
	if (r == 0)
		*ret = j.out;
	else
		buf_done(&j.out);
	return r;
}

/* --- where it is kept --- */

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
		hash ^= hash >> 32;
	}
	for (; len; len--)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

struct wish {
	const char *release;
	const struct strv *more; /* or NULL */
};

/* Of all that goes into it; modules by what tells one file from another. */
static int name_it(const struct wish *w, int dir_fd, const struct strv *modules, struct buf *ret,
		   struct kennel_error **err)
{
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), vm_blob, vm_blob_size);

	for (size_t i = 0; i < modules->n; i++) {
		struct stat st;

		if (fstatat(dir_fd, modules->items[i], &st, 0) < 0)
			return fail_errno(err, "find the module \"%s\"", modules->items[i]);
		const int64_t tells[] = { st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
		hash = mix(hash, tells, sizeof(tells));
		hash = mix(hash, modules->items[i], strlen(modules->items[i]));
	}
	if (strchr(w->release, '/') || strlen(w->release) > 100)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is no release of a kernel", w->release);
	buf_printf(ret, "initrd-%s", w->release);
	for (size_t i = 0; w->more && i < w->more->n; i++)
		buf_printf(ret, "+%s", w->more->items[i]);
	buf_printf(ret, "-%016" PRIx64, hash);
	return buf_check(ret, err);
}

static int write_all(int fd, const struct buf *b, struct kennel_error **err)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);

		if (n < 0)
			return fail_errno(err, "write the guest's initramfs");
		done += (size_t)n;
	}
	return 0;
}

/*
 * Those of the same kernel and set with another program or other modules. One that is young may be that of
 * another kennel, which is just about to use it.
 */
static void remove_others(int cache_fd, const char *name)
{
	const size_t len = strlen(name) - 16;
	_cleanup_close_ int fd = openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return;
	(void)take_fd(&fd);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		struct stat st;

		if (!strncmp(e->d_name, name, len) && strlen(e->d_name) == len + 16 &&
		    strcmp(e->d_name, name) && fstatat(cache_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_mtime < time(NULL) - YOUNG_S)
			(void)!unlinkat(cache_fd, e->d_name, 0);
	}
}

static int save(int cache_fd, const char *name, const struct buf *b, struct kennel_error **err)
{
	char temporary[200];

	snprintf(temporary, sizeof(temporary), "%s.%d", name, (int)getpid());
	_cleanup_close_ int fd =
		openat(cache_fd, temporary, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "create \"%s\" in the cache directory", temporary);
	int r = write_all(fd, b, err);
	if (r == 0 && (fdatasync(fd) < 0 || renameat(cache_fd, temporary, cache_fd, name) < 0))
		r = fail_errno(err, "create \"%s\" in the cache directory", name);
	if (r < 0)
		(void)!unlinkat(cache_fd, temporary, 0);
	else
		remove_others(cache_fd, name);
	return r;
}

/* Return: descriptor, -EBADF it is not there. */
static int open_kept(int cache_fd, const char *name)
{
	_cleanup_close_ int fd = cache_fd < 0 ? -EBADF :
						openat(cache_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || !st.st_size))
		return -EBADF;
	return take_fd(&fd);
}

static int open_nameless(const struct buf *b, struct kennel_error **err)
{
	_cleanup_close_ int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return hint(err, fail_errno(err, "keep the guest's initramfs"),
			    "HOME or XDG_CACHE_HOME names no directory that can be written to");
	int r = write_all(fd, b, err);
	return r < 0 ? r : path_reopen(fd, O_RDONLY, err);
}

static int path_of(int fd, char **ret, struct kennel_error **err)
{
	char link[40], target[PATH_MAX];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	const ssize_t n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return fail_errno(err, "find the guest's initramfs");
	target[n] = '\0';
	*ret = strdup(strstr(target, " (deleted)") ? link : target);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

int vm_initrd_open(const char *release, const char *modules_dir, const struct strv *more, char **ret_path,
		   struct kennel_error **err)
{
	_cleanup_close_ int cache_fd = path_open_cache(), dir_fd = -EBADF;
	_cleanup_buf_ struct buf all = { 0 }, name = { 0 };
	_cleanup_strv_ struct strv modules = { 0 };
	const struct wish wish = { release, more };
	int r = 0;

	if (modules_dir) {
		dir_fd = open(modules_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir_fd < 0)
			return fail_errno(err, "open the modules of the guest's kernel, \"%s\"", modules_dir);
		r = find_modules(dir_fd, more, &modules, err);
	}
	if (r == 0)
		r = name_it(&wish, dir_fd, &modules, &name, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_kept(cache_fd, buf_str(&name));
	if (fd < 0) {
		r = make(dir_fd, &modules, &all, err);
		if (r < 0)
			return wrap(err, r, "make the guest's initramfs");
		if (cache_fd >= 0 && save(cache_fd, buf_str(&name), &all, NULL) == 0)
			fd = open_kept(cache_fd, buf_str(&name));
		if (fd < 0)
			fd = open_nameless(&all, err);
		if (fd < 0)
			return fd;
	}
	r = path_of(fd, ret_path, err);
	return r < 0 ? r : take_fd(&fd);
}
#else
const unsigned char vm_blob[1] = { 0 };
const size_t vm_blob_size = 0;

int vm_initrd_open(const char *release, const char *modules_dir, const struct strv *more, char **ret_path,
		   struct kennel_error **err)
{
	return fail(err, KENNEL_E_UNSUPPORTED, "this kennel was built without guests (-Dvm=enabled)");
}

int vm_initrd_find(const char *name, const char *dep, const char *builtin, struct strv *ret,
		   struct kennel_error **err)
{
	return fail(err, KENNEL_E_UNSUPPORTED, "this kennel was built without guests (-Dvm=enabled)");
}
#endif
