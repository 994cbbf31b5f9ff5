/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/layout.c - see layout.h.
 *
 * Planting walks the upper one name at a time and follows no link: a kept delta was written by a sandbox,
 * which could have put a link where we expect a directory. In that case nothing is planted.
 */
#include "delta/layout.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "delta/over.h"
#include "delta/newer.h"
#include "path/path.h"
#include "sys/sys.h"

static int remember(const struct delta_spot *spot, int dir_fd, const char *name, enum manifest_kind kind,
		    struct kennel_error **err)
{
	struct stat st = { 0 };

	if (!spot->planted)
		return 0;
	if (kind == MANIFEST_FILE && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "look at \"%s\" in the delta", name);
	return manifest_plants_add(spot->planted, spot->mount, spot->rel, kind, &st, err);
}

/* mkdir, then owner and mode like an example, whatever the umask is. */
static int make_dir_like(int dir_fd, const char *name, const struct stat *like, struct kennel_error **err)
{
	if (mkdirat(dir_fd, name, 0700) < 0)
		return errno == EEXIST ? 0 : fail_errno(err, "make \"%s\" in the delta", name);
	if ((like->st_uid || like->st_gid) &&
	    fchownat(dir_fd, name, like->st_uid, like->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "give \"%s\" in the delta to its owner", name);
	if (fchmodat(dir_fd, name, like->st_mode & 07777, 0) < 0)
		return fail_errno(err, "set the mode of \"%s\" in the delta", name);
	return 1;
}

int delta_open_place(int delta_fd, unsigned index, const char *name, int flags)
{
	char place[16];

	snprintf(place, sizeof(place), "%u", index);
	_cleanup_close_ int fd = openat(delta_fd, place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || !name)
		return take_fd(&fd);
	return openat(fd, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int delta_add_mount(int delta_fd, unsigned index, const struct stat *lower_root, int *ret_upper_fd,
		    int *ret_work_fd, struct kennel_error **err)
{
	const struct stat private = { .st_mode = 0700 };
	char name[16];

	snprintf(name, sizeof(name), "%u", index);
	int r = make_dir_like(delta_fd, name, &private, err);
	if (r < 0)
		return r;
	_cleanup_close_ int place_fd = delta_open_place(delta_fd, index, NULL, 0);
	if (place_fd < 0)
		return fail_errno(err, "open \"%s\" in the delta", name);
	r = make_dir_like(place_fd, "upper", lower_root, err);
	if (r >= 0)
		r = make_dir_like(place_fd, "work", &private, err);
	if (r < 0)
		return r;
	_cleanup_close_ int upper_fd =
		openat(place_fd, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int work_fd = openat(place_fd, "work", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper_fd < 0 || work_fd < 0)
		return fail_errno(err, "open the delta");
	*ret_upper_fd = take_fd(&upper_fd);
	*ret_work_fd = take_fd(&work_fd);
	return 0;
}

static int compare_known(const void *rel, const void *known)
{
	return strcmp(rel, ((const struct delta_known *)known)->rel);
}

/* The first len bytes of spot->rel, out of what is known. Return: 1, or 0 nothing is known of it. */
static int look_at_known(const struct delta_spot *spot, size_t len, struct stat *ret)
{
	char rel[PATH_MAX];

	if (len >= sizeof(rel))
		return 0;
	memcpy(rel, spot->rel, len);
	rel[len] = '\0';
	const struct delta_known *k = bsearch(rel, spot->known, spot->n_known, sizeof(*k), compare_known);
	if (k)
		*ret = k->st;
	return k != NULL;
}

/*
 * The next directory on the way to spot->rel: its attributes, and *low_fd moved into it. Return: 1, 0 there
 * is no such directory, or a negative code.
 */
static int next_lower(const struct delta_spot *spot, const char *name, size_t len, int *low_fd,
		      struct stat *ret, struct kennel_error **err)
{
	if (spot->known)
		return look_at_known(spot, len, ret) && S_ISDIR(ret->st_mode);
	int fd = openat(*low_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ?
			       0 :
			       fail_errno(err, "look at \"%s\"", spot->rel);
	replace_fd(low_fd, fd);
	return fstat(fd, ret) < 0 ? fail_errno(err, "look at \"%s\"", spot->rel) : 1;
}

/*
 * Makes the parents of spot->rel in the upper as the lower has them. Return: 1 with the parent's descriptor
 * and the last name, 0 where lower or upper have no such directory, or a negative code.
 */
static int make_parents(const struct delta_spot *spot, int *ret_dir_fd, const char **ret_name,
			struct kennel_error **err)
{
	_cleanup_close_ int up_fd = fcntl(spot->upper_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_close_ int low_fd = fcntl(spot->lower_fd, F_DUPFD_CLOEXEC, 3);
	_cleanup_strv_ struct strv parts = { 0 };
	_cleanup_over_ struct over over = { 0 };
	bool has_lower = true;

	if (up_fd < 0 || low_fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	int r = strv_split(&parts, spot->rel, '/', err);
	if (r == 0)
		r = over_begin(&over, spot->over_fds, spot->n_over, spot->user_xattr, err);
	if (r < 0)
		return r;
	if (!parts.n)
		return 0;
	size_t len = 0;
	for (size_t i = 0; i + 1 < parts.n; i++) {
		const char *name = parts.items[i];
		struct stat st, above;

		len += strlen(name) + (i > 0);
		int o = over_enter(&over, name, &above);
		r = o < 0 || over.hides || !has_lower ? 0 : next_lower(spot, name, len, &low_fd, &st, err);
		has_lower = r > 0;
		if (r < 0 || o < 0 || (!o && !has_lower))
			return MIN(r, 0);
		r = make_dir_like(up_fd, name, o ? &above : &st, err);
		if (r < 0)
			return r;
		int next_up_fd = openat(up_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next_up_fd < 0)
			return errno == ENOTDIR || errno == ELOOP ?
				       0 :
				       fail_errno(err, "open \"%s\" in the delta", spot->rel);
		replace_fd(&up_fd, next_up_fd);
	}
	*ret_dir_fd = take_fd(&up_fd);
	*ret_name = strrchr(spot->rel, '/') ? strrchr(spot->rel, '/') + 1 : spot->rel;
	return 1;
}

/*
 * What the lower has at spot->rel. Return: 1, 0 nothing, or a negative code. A link on the way is refused,
 * for the thing would stay visible under the name that the link stands for.
 */
static int look_at_lower(const struct delta_spot *spot, struct stat *ret, struct kennel_error **err)
{
	if (spot->known)
		return look_at_known(spot, strlen(spot->rel), ret);
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_close_ int fd = path_pin_plain(spot->lower_fd, spot->rel, O_NOFOLLOW, &why);

	/* of a frozen layer it may be a deletion */
	if (fd >= 0)
		return fstat(fd, ret) < 0 ? fail_errno(err, "look at \"%s\"", spot->rel) :
					    !S_ISCHR(ret->st_mode) || ret->st_rdev;
	int errnum = kennel_error_errno(why);
	if (errnum == ENOENT || errnum == ENOTDIR)
		return 0;
	if (errnum == ELOOP)
		return hint(err, fail(err, KENNEL_E_TYPE, "a part of \"%s\" is a symbolic link", spot->rel),
			    "name the place itself, as realpath shows it");
	return error_set(err, kennel_error_code(why), errnum, "look at \"%s\"", spot->rel);
}

static bool is_opaque(int dir_fd, const char *name, bool user_xattr)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char value;

	return fd >= 0 &&
	       fgetxattr(fd, user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque", &value, 1) == 1 &&
	       value == 'y';
}

static bool has_content(int dir_fd, const char *name, const struct stat *st, const void *data, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *there = malloc(size + 1);

	return fd >= 0 && there && st->st_size == (off_t)size && read(fd, there, size + 1) == (ssize_t)size &&
	       (size == 0 || memcmp(there, data, size) == 0);
}

/*
 * What a sandbox put into a directory of ours stays. Return: 1 it is gone, 0 it is a directory with something
 * in it, -1 with errno.
 */
static int take_out(int dir_fd, const char *name, const struct stat *st)
{
	if (unlinkat(dir_fd, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) == 0)
		return 1;
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : -1;
}

/*
 * The place in the upper, of which an earlier start may have made the same or something else. Return: 1 it is
 * free (now), 0 what is there stays, 2 it is just what is wanted, or a negative code.
 */
static int make_room(const struct delta_spot *spot, int dir_fd, const char *name, enum manifest_kind kind,
		     const void *data, size_t size, struct kennel_error **err)
{
	const struct delta_before *b = spot->before;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : fail_errno(err, "look at \"%s\" in the delta", spot->rel);
	if (!b)
		return 0;
	bool opaque = S_ISDIR(st.st_mode) && is_opaque(dir_fd, name, spot->user_xattr);
	const struct manifest_planted *p = manifest_plants_find(b->planted, spot->mount, spot->rel);
	bool ours = p && p->kind != MANIFEST_PLACE && manifest_planted_is_same(p, &st, opaque);
	if (ours && p->kind == kind && (kind != MANIFEST_FILE || has_content(dir_fd, name, &st, data, size)))
		return 2;
	bool younger = b->unclean && !time_is_later(&b->since, &st.st_ctim);
	if (!ours && !younger)
		return 0;
	int r = take_out(dir_fd, name, &st);
	return r < 0 ? fail_errno(err, "refresh \"%s\" in the delta", spot->rel) : r;
}

/* No longer hides what is below it. */
static int show_below(int dir_fd, const char *name, bool user_xattr)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -1 : fremovexattr(fd, user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque");
}

int delta_unplant(int upper_fd, unsigned mount, bool user_xattr, const struct manifest_plants *before,
		  const struct manifest_plants *now, enum delta_unplant filled, struct kennel_error **err)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct manifest_planted *p = &before->items[i];
		const char *slash = strrchr(p->rel, '/'), *name = slash ? slash + 1 : p->rel;
		_cleanup_free_ char *dir = slash ? strndup(p->rel, (size_t)(slash - p->rel)) : strdup(".");
		struct stat st;

		if (p->mount != mount || p->kind == MANIFEST_PLACE ||
		    manifest_plants_find(now, mount, p->rel))
			continue;
		if (!dir)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		_cleanup_close_ int dir_fd = path_pin_plain(upper_fd, dir, O_DIRECTORY, NULL);
		if (dir_fd < 0 || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* the sandbox took it away */
		bool opaque = S_ISDIR(st.st_mode) && is_opaque(dir_fd, name, user_xattr);
		if (!manifest_planted_is_same(p, &st, opaque))
			continue;
		int r = take_out(dir_fd, name, &st);
		if (r == 0 && filled == DELTA_SHOW_BELOW)
			r = show_below(dir_fd, name, user_xattr);
		if (r < 0)
			return fail_errno(err, "take \"%s\" out of the delta", p->rel);
	}
	return 0;
}

static int again(const struct delta_spot *spot, int dir_fd, const char *name, enum manifest_kind kind,
		 struct kennel_error **err)
{
	int r = remember(spot, dir_fd, name, kind, err);

	return r < 0 ? r : 1;
}

int delta_plant_file(const struct delta_spot *spot, const void *data, size_t size, mode_t mode,
		     struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF;
	const char *name;

	int r = make_parents(spot, &dir_fd, &name, err);
	if (r > 0)
		r = make_room(spot, dir_fd, name, MANIFEST_FILE, data, size, err);
	if (r == 2)
		return again(spot, dir_fd, name, MANIFEST_FILE, err);
	if (r <= 0)
		return r;
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : fail_errno(err, "make \"%s\" in the delta", spot->rel);
	ssize_t n = write(fd, data, size);
	if (n >= 0 && n < (ssize_t)size) {      /* the delta is full in the middle of it */
		n = -1;
		errno = ENOSPC;
	}
	if (n < 0 || fchmod(fd, mode) < 0)
		return fail_errno(err, "write \"%s\" in the delta", spot->rel);
	r = remember(spot, dir_fd, name, MANIFEST_FILE, err);
	return r < 0 ? r : 1;
}

static int plant_empty_dir(const struct delta_spot *spot, int dir_fd, const char *name,
			   const struct stat *like, struct kennel_error **err)
{
	int r = make_dir_like(dir_fd, name, like, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 ||
	    fsetxattr(fd, spot->user_xattr ? "user.overlay.opaque" : "trusted.overlay.opaque", "y", 1, 0) < 0)
		return fail_errno(err, "hide \"%s\"", spot->rel);
	r = remember(spot, dir_fd, name, MANIFEST_OPAQUE, err);
	return r < 0 ? r : 1;
}

int delta_plant_instead(const struct delta_spot *spot, const void *data, size_t size,
			struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF;
	const char *name;
	struct stat st;

	int r = look_at_lower(spot, &st, err);
	if (r > 0)
		r = make_parents(spot, &dir_fd, &name, err);
	const enum manifest_kind kind = r > 0 && S_ISDIR(st.st_mode) ? MANIFEST_OPAQUE : MANIFEST_FILE;
	if (r > 0)
		r = make_room(spot, dir_fd, name, kind, data, size, err);
	if (r == 2)
		return again(spot, dir_fd, name, kind, err);
	if (r <= 0)
		return r;
	if (kind == MANIFEST_OPAQUE)
		return plant_empty_dir(spot, dir_fd, name, &st, err);
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* A link has mode 0777, and a fifo or device is no file that others should write now. */
	if (fd < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(fd, S_ISREG(st.st_mode) ? st.st_mode & 0777 : 0644) < 0)
		return fail_errno(err, "hide \"%s\"", spot->rel);
	if (size && write(fd, data, size) != (ssize_t)size)
		return fail_errno(err, "write \"%s\" in the delta", spot->rel);
	r = remember(spot, dir_fd, name, MANIFEST_FILE, err);
	return r < 0 ? r : 1;
}

int delta_plant_empty(const struct delta_spot *spot, struct kennel_error **err)
{
	return delta_plant_instead(spot, NULL, 0, err);
}

int delta_plant_absent(const struct delta_spot *spot, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF;
	const char *name;
	struct stat st;

	int r = look_at_lower(spot, &st, err);
	if (r > 0)
		r = make_parents(spot, &dir_fd, &name, err);
	if (r > 0)
		r = make_room(spot, dir_fd, name, MANIFEST_WHITEOUT, NULL, 0, err);
	if (r == 2)
		return again(spot, dir_fd, name, MANIFEST_WHITEOUT, err);
	if (r <= 0)
		return r;
	if (mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)) < 0)
		return fail_errno(err, "leave out \"%s\"", spot->rel);
	r = remember(spot, dir_fd, name, MANIFEST_WHITEOUT, err);
	return r < 0 ? r : 1;
}

bool delta_has_user_xattr(int dir_fd)
{
	/* a pin takes no xattr */
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && fsetxattr(fd, "user.kennel", "1", 1, 0) == 0;
}
