/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/store.c - see store.h. */
#include "container/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/pathname.h"
#include "conf/name.h"
#include "sys/sys.h"

#define TEMP_TRIES 16u

/* Text of the default, malloc'ed; NULL without memory or with *err set. */
static char *default_path(struct kennel_error **err)
{
	const char *data = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");
	char *path = NULL;
	int n;

	if (geteuid() == 0) {
		n = asprintf(&path, "/var/lib/kennel");
	} else if (data && data[0] == '/') {
		n = asprintf(&path, "%s/kennel", data);
	} else if (home && home[0] == '/') {
		n = asprintf(&path, "%s/.local/share/kennel", home);
	} else {
		(void)hint(err,
			   fail(err, KENNEL_E_NOTFOUND,
				"HOME is not set, so there is no place for containers"),
			   "set HOME, or name a directory with --path");
		return NULL;
	}
	if (n < 0)
		(void)fail(err, KENNEL_E_NOMEM, "out of memory");
	return n < 0 ? NULL : path;
}

static int fail_part(const char *shown, const char *what, struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_PERM, "\"%s\" %s", shown, what),
		    "name a directory of your own with --path");
}

/*
 * One step down. A link counts as what it leads to only if it is ours or root's: whoever owns it can turn it.
 * Return: 1 and *ret_fd, 0 not there, or a negative code.
 */
static int step(int at_fd, const char *name, const char *shown, int make_mode, int *ret_fd,
		struct kennel_error **err)
{
	struct stat st;

	int r = fstatat(at_fd, name, &st, AT_SYMLINK_NOFOLLOW);
	if (r < 0 && errno == ENOENT) {
		if (make_mode < 0)
			return 0;
		if (mkdirat(at_fd, name, (mode_t)make_mode) < 0 && errno != EEXIST)
			return fail_errno(err, "make \"%s\"", shown);
		/* Not the group of a set-group-id parent: root of the ids inside has no right over it. */
		if (geteuid() != 0 && fchownat(at_fd, name, (uid_t)-1, getegid(), AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != EPERM)
			return fail_errno(err, "make \"%s\"", shown);
		r = fstatat(at_fd, name, &st, AT_SYMLINK_NOFOLLOW);
	}
	if (r < 0)
		return fail_errno(err, "look at \"%s\"", shown);
	if (S_ISLNK(st.st_mode) && st.st_uid != 0 && st.st_uid != geteuid())
		return fail_part(shown, "is a link of another user", err);
	int fd = openat(at_fd, name,
			O_PATH | O_DIRECTORY | O_CLOEXEC | (S_ISLNK(st.st_mode) ? 0 : O_NOFOLLOW));
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is not a directory", shown),
			    "containers need a directory: name another one with --path");
	if (fd < 0)
		return fail_errno(err, "open \"%s\"", shown);
	*ret_fd = fd;
	return 1;
}

static int walk(const char *path, bool make, int *ret_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_strv_ struct strv parts = { 0 };
	_cleanup_buf_ struct buf shown = { 0 };

	if (fd < 0)
		return fail_errno(err, "open \"/\"");
	int r = strv_split(&parts, path, '/', err);
	for (size_t i = 0; i < parts.n && r >= 0; i++) {
		int next_fd = -EBADF;

		buf_printf(&shown, "/%s", parts.items[i]);
		r = buf_check(&shown, err);
		if (r == 0)
			r = step(fd, parts.items[i], buf_str(&shown),
				 !make		 ? -1 :
				 i + 1 < parts.n ? 0755 :
						   0700,
				 &next_fd, err);
		if (r == 0)
			return 0;
		replace_fd(&fd, next_fd);
	}
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 1;
}

static int check_owner(int fd, const char *path, bool any, uid_t *ret, struct kennel_error **err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", path);
	*ret = st.st_uid;
	if (st.st_uid != geteuid() && !any)
		return fail_part(path, "belongs to another user", err);
	if (st.st_mode & 022)
		return hint(err, fail(err, KENNEL_E_PERM, "\"%s\" may be written by other users", path),
			    "chmod go-w it, or name a directory of your own with --path");
	return 0;
}

static int open_store(const char *path, bool make, bool any, struct store *ret, struct kennel_error **err)
{
	_cleanup_free_ char *clean = NULL, *chosen = path ? NULL : default_path(err);
	_cleanup_close_ int pin_fd = -EBADF;

	*ret = (struct store)STORE_NONE;
	if (!path && !chosen)
		return err && *err ? -kennel_error_code(*err) : -KENNEL_E_NOTFOUND;
	int r = path_clean(path ? path : chosen, &clean, err);
	if (r == 0)
		r = walk(clean, make, &pin_fd, err);
	if (r > 0) {
		r = check_owner(pin_fd, clean, any, &ret->owner, err);
		if (r == 0) {
			ret->fd = openat(pin_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			r = ret->fd < 0 ? fail_errno(err, "open \"%s\"", clean) : 1;
		}
	}
	if (r < 0)
		return hint_default(err, wrap(err, r, "open the place of the containers"),
				    "name a directory of your own with --path");
	ret->path = take_ptr(&clean);
	return r;
}

int store_open(const char *path, bool make, struct store *ret, struct kennel_error **err)
{
	return open_store(path, make, false, ret, err);
}

int store_open_any(const char *path, struct store *ret, struct kennel_error **err)
{
	return open_store(path, false, true, ret, err);
}

void store_done(struct store *s)
{
	close_fd(s->fd);
	free(s->path);
	*s = (struct store)STORE_NONE;
}

int store_check_file_system(const struct store *s, struct kennel_error **err)
{
	static const struct {
		long magic;
		const char *name;
	} bad[] = {
		{ OVERLAYFS_SUPER_MAGIC, "an overlay itself" },
		{ NFS_SUPER_MAGIC, "NFS" },
		{ 0x65735546, "FUSE" },
		{ V9FS_MAGIC, "9p" },
		{ SMB_SUPER_MAGIC, "SMB" },
		{ (int)0xff534d42, "SMB" },
		{ (int)0xfe534d42, "SMB" },
		{ MSDOS_SUPER_MAGIC, "FAT" },
		{ 0x2011bab0, "exFAT" },
		{ 0x7366746e, "NTFS" },
		{ ECRYPTFS_SUPER_MAGIC, "eCryptfs" },
		{ 0x61756673, "aufs" },
		{ CEPH_SUPER_MAGIC, "Ceph" },
		{ AFS_SUPER_MAGIC, "AFS" },
	};
	long magic;

	if (sys_fgetfsmagic(s->fd, &magic) < 0)
		return fail_errno(err, "look at the file system of \"%s\"", s->path);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if ((int)magic == (int)bad[i].magic)
			return hint(
				err,
				fail(err, KENNEL_E_UNSUPPORTED,
				     "the file system of \"%s\" is %s, which can't hold changes of a copy",
				     s->path, bad[i].name),
				"name a directory on ext4, xfs, btrfs or tmpfs with --path%s",
				(int)magic == OVERLAYFS_SUPER_MAGIC ?
					"; a sandbox that was started with --nest has one for it" :
					"");
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A directory with a configuration; the store may be a directory that has other things too. */
static bool is_container(const struct store *s, const char *name)
{
	char config[NAME_MAX_LENGTH + 16];
	struct stat st;

	if (name_check(name, NULL) < 0)
		return false;
	snprintf(config, sizeof(config), "%.*s/config", NAME_MAX_LENGTH, name);
	return fstatat(s->fd, config, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static bool is_temporary(const struct store *s, const char *name)
{
	return strncmp(name, STORE_NEW, strlen(STORE_NEW)) == 0 ||
	       strncmp(name, STORE_REMOVED, strlen(STORE_REMOVED)) == 0;
}

static int read_names(const struct store *s, bool (*choose)(const struct store *s, const char *name),
		      struct strv *ret, struct kennel_error **err)
{
	int own_fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (!d) {
		int r = fail_errno(err, "read \"%s\"", s->path);

		close_fd(own_fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e)
			return errno ? fail_errno(err, "read \"%s\"", s->path) : 0;
		int r = choose(s, e->d_name) ? strv_add(ret, e->d_name, err) : 0;
		if (r < 0)
			return r;
	}
}

int store_names(const struct store *s, struct strv *ret, struct kennel_error **err)
{
	int r = read_names(s, is_container, ret, err);

	if (r == 0 && ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), compare_names);
	return r;
}

int store_temp_name(const struct store *s, const char *prefix, char ret[STORE_TEMP_SIZE],
		    struct kennel_error **err)
{
	for (unsigned i = 0; i < TEMP_TRIES; i++) {
		struct stat st;
		uint32_t v;

		if (getrandom(&v, sizeof(v), 0) != sizeof(v))
			return fail_errno(err, "get random bytes");
		snprintf(ret, STORE_TEMP_SIZE, "%s%08x", prefix, v);
		if (fstatat(s->fd, ret, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : fail_errno(err, "look at \"%s\"", s->path);
	}
	return fail(err, KENNEL_E_EXISTS, "%u random names in a row were taken", TEMP_TRIES);
}

/* Return: 1 removed, 0 somebody is at it, or it is gone. */
static int sweep_one(const struct store *s, const char *name, store_wipe_fn wipe, void *data,
		     struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *shown = NULL;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
			       0 :
			       fail_errno(err, "open \"%s/%s\"", s->path, name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	if (asprintf(&shown, "%s/%s", s->path, name) < 0) {
		shown = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	int r = wipe(data, fd, shown, err);
	if (r < 0)
		return r;
	if (unlinkat(s->fd, name, AT_REMOVEDIR) < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "remove \"%s\"", shown);
	return 1;
}

int store_sweep(const struct store *s, store_wipe_fn wipe, void *data, size_t *ret_removed,
		struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };
	size_t removed = 0;
	int result = 0;

	int r = read_names(s, is_temporary, &names, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < names.n; i++) {
		r = sweep_one(s, names.items[i], wipe, data, result < 0 ? NULL : err);
		removed += r > 0;
		if (r < 0 && result == 0)
			result = r;
	}
	if (ret_removed)
		*ret_removed = removed;
	return result;
}
