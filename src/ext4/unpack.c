/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/unpack.c - see unpack.h.
 *
 * A file's owner is set first, then come content and xattrs (writing takes capabilities away), mode and
 * times last.
 * A file of several names is also kept in a directory of its own under its number, for the later names to
 * be linked
 * to; so nothing has to be remembered here, and no path is looked up.
 */
#include "ext4/unpack.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ext4/stream.h"

#define DEPTH_MAX 4096

struct level {
	struct ext4_entry e; /* of the directory */
	int fd; /* of its parent; -EBADF for the root, whose is the caller's */
};

struct unpack {
	const struct unpack_where *where;
	struct level *levels; /* open directories; [0] is the root */
	size_t n, room;
	int dir_fd; /* the innermost */
	bool has_entry; /* a file that is not finished */
	bool is_lost; /* and one that was not made: what comes of it goes by */
	bool has_top;
	struct ext4_entry top; /* of the root */
	struct ext4_entry entry;
	int entry_fd; /* a regular file, else -EBADF */
	char name[256], target[4096];
	char record[EXT4_RECORD_MAX];
};

/* The name of what is being made, for a message. */
static int fail_at(struct unpack *u, const char *what, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 };
	int saved = errno;

	buf_safe(&name, u->name);
	errno = saved;
	return fail_errno(err, "%s \"%s\"", what, buf_str(&name));
}

/* Return: it may be. */
static bool lose(struct unpack *u)
{
	struct unpack_loss *loss = u->where->loss;

	if (loss && !loss->n++)
		snprintf(loss->first, sizeof(loss->first), "%s", u->name);
	return loss;
}

static int set_owner(struct unpack *u, struct kennel_error **err)
{
	const bool top = u->n == 1 && !u->where->with_top;
	uid_t uid = top ? u->where->uid : u->entry.uid;
	gid_t gid = top ? u->where->gid : u->entry.gid;

	if (u->where->keep_owner || fchownat(u->dir_fd, u->name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return fail_at(u, "give away", err);
	if (lose(u)) {
		u->entry.mode &= ~06000u;
		return 0;
	}
	return hint(
		err,
		fail(err, KENNEL_E_PERM, "the image has files of the ids %u:%u, which this user has not", uid,
		     gid),
		"give the user a range of subordinate ids: usermod --add-subuids 100000-165535 --add-subgids "
		"100000-165535 USER; or run kennel as root");
}

/* Modes and times come when nothing is written to it any more. Links and such have no mode of their own. */
static int set_rest(struct unpack *u, int dir_fd, const char *name, const struct ext4_entry *e,
		    struct kennel_error **err)
{
	const struct timespec times[2] = {
		{ e->atime_s, MIN(e->atime_ns, 999999999u) },
		{ e->mtime_s, MIN(e->mtime_ns, 999999999u) },
	};

	if (!S_ISLNK(e->mode) && fchmodat(dir_fd, name, e->mode & 07777, 0) < 0)
		return fail_at(u, "set the mode of", err);
	if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(u, "set the times of", err);
	return 0;
}

static int finish_entry(struct unpack *u, struct kennel_error **err)
{
	if (!u->has_entry)
		return 0;
	u->has_entry = false;
	replace_fd(&u->entry_fd, -EBADF);
	return set_rest(u, u->dir_fd, u->name, &u->entry, err);
}

static int make_file(struct unpack *u, struct kennel_error **err)
{
	u->entry_fd = openat(u->dir_fd, u->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (u->entry_fd < 0)
		return fail_at(u, "make", err);
	if (u->entry.size > INT64_MAX || ftruncate(u->entry_fd, (off_t)u->entry.size) < 0)
		return fail_at(u, "make", err);
	return 0;
}

static int make_node(struct unpack *u, struct kennel_error **err)
{
	const struct ext4_entry *e = &u->entry;

	if (mknodat(u->dir_fd, u->name, (e->mode & S_IFMT) | 0600, makedev(e->major, e->minor)) == 0)
		return 0;
	if (errno == EPERM && lose(u)) {
		u->is_lost = true;
		return 0;
	}
	if (errno == EPERM)
		return hint(err,
			    fail(err, KENNEL_E_PERM,
				 "the image has a device node, \"%s\", which only root may make", u->name),
			    "run kennel as root");
	return fail_at(u, "make", err);
}

static int enter(struct unpack *u, struct kennel_error **err)
{
	if (u->n >= DEPTH_MAX)
		return stream_corrupt(err, "its directories are nested too deeply");
	if (u->n == u->room) {
		size_t room = u->room ? u->room * 2 : 64;
		struct level *levels = reallocarray(u->levels, room, sizeof(*levels));

		if (!levels)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		u->levels = levels;
		u->room = room;
	}
	int fd = openat(u->dir_fd, u->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_at(u, "open", err);
	u->levels[u->n++] = (struct level){ u->entry, u->dir_fd };
	u->dir_fd = fd;
	u->has_entry = false;
	return 0;
}

/* Also of a directory, whose xattrs come before what is in it: then it is the innermost one. */
static int leave(struct unpack *u, struct kennel_error **err)
{
	if (u->n <= 1)
		return stream_corrupt(err, "it leaves its root");
	struct level *l = &u->levels[--u->n];
	const struct timespec times[2] = {
		{ l->e.atime_s, MIN(l->e.atime_ns, 999999999u) },
		{ l->e.mtime_s, MIN(l->e.mtime_ns, 999999999u) },
	};
	int r = 0;

	if (fchmod(u->dir_fd, l->e.mode & 07777) < 0 || futimens(u->dir_fd, times) < 0)
		r = fail_errno(err, "set mode and times of a directory");
	replace_fd(&u->dir_fd, l->fd);
	return r;
}

static int make_again(struct unpack *u, struct kennel_error **err)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", u->entry.number);
	if (linkat(u->where->links_fd, number, u->dir_fd, u->name, 0) == 0)
		return 0;
	u->is_lost = errno == ENOENT && lose(u);
	return u->is_lost ? 0 : fail_at(u, "link", err);
}

static int make_entry(struct unpack *u, struct kennel_error **err)
{
	const struct ext4_entry *e = &u->entry;
	char number[16];
	int r = 0;

	if (e->again)
		return make_again(u, err);
	switch (e->mode & S_IFMT) {
	case S_IFDIR:
		r = mkdirat(u->dir_fd, u->name, 0700) < 0 ? fail_at(u, "make", err) : 0;
		break;
	case S_IFREG:
		r = make_file(u, err);
		break;
	case S_IFLNK:
		r = symlinkat(u->target, u->dir_fd, u->name) < 0 ? fail_at(u, "make", err) : 0;
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		r = make_node(u, err);
		break;
	default:
		return stream_corrupt(err, "a file of an unknown kind");
	}
	if (r < 0 || u->is_lost)
		return r;
	u->has_entry = true;
	r = set_owner(u, err);
	snprintf(number, sizeof(number), "%u", e->number);
	if (r == 0 && e->number && linkat(u->dir_fd, u->name, u->where->links_fd, number, 0) < 0)
		r = fail_at(u, "link", err);
	if (r == 0 && S_ISDIR(e->mode))
		r = enter(u, err);
	return r;
}

/* Owner now, for xattrs come next; mode and times when all is in it. */
static int take_top(struct unpack *u, const struct ext4_entry *e, struct kennel_error **err)
{
	if (!u->where->with_top || u->has_top || u->n != 1 || !S_ISDIR(e->mode) || e->target_len)
		return stream_corrupt(err, "a file without a name");
	u->has_top = true;
	u->top = *e;
	if (!u->where->keep_owner && fchown(u->dir_fd, e->uid, e->gid) < 0 && errno != EINVAL &&
	    errno != EPERM)
		return fail_errno(err, "give the root to its owner");
	return 0;
}

static int finish_top(struct unpack *u, struct kennel_error **err)
{
	const struct timespec times[2] = {
		{ u->top.atime_s, MIN(u->top.atime_ns, 999999999u) },
		{ u->top.mtime_s, MIN(u->top.mtime_ns, 999999999u) },
	};

	if (!u->has_top)
		return 0;
	if (fchmod(u->dir_fd, u->top.mode & 07777) < 0 || futimens(u->dir_fd, times) < 0)
		return fail_errno(err, "set mode and times of the root");
	return 0;
}

static int take_entry(struct unpack *u, size_t len, struct kennel_error **err)
{
	struct ext4_entry e;

	int r = finish_entry(u, err);
	if (r < 0)
		return r;
	u->is_lost = false;
	if (len < sizeof(e))
		return stream_corrupt(err, "half a record");
	memcpy(&e, u->record, sizeof(e));
	if (u->where->plain && !e.again) {
		if (!S_ISREG(e.mode) && !S_ISDIR(e.mode) && !S_ISLNK(e.mode))
			return stream_corrupt(err, "a file of an unknown kind");
		e.mode &= S_IFMT | (S_ISDIR(e.mode) ? 01777 : 00777);
	}
	if (!e.name_len && len == sizeof(e))
		return take_top(u, &e, err);
	const char *name = u->record + sizeof(e), *target = name + e.name_len;
	if (!e.name_len || e.name_len >= sizeof(u->name) || e.target_len >= sizeof(u->target) ||
	    len != sizeof(e) + e.name_len + e.target_len)
		return stream_corrupt(err, "a name of an impossible length");
	if (memchr(name, '\0', e.name_len) || memchr(name, '/', e.name_len) ||
	    (e.name_len == 1 && name[0] == '.') || (e.name_len == 2 && name[0] == '.' && name[1] == '.'))
		return stream_corrupt(err, "an impossible name");
	if (memchr(target, '\0', e.target_len) || (S_ISLNK(e.mode) && !e.again && !e.target_len))
		return stream_corrupt(err, "a link that leads nowhere");
	memcpy(u->name, name, e.name_len);
	u->name[e.name_len] = '\0';
	memcpy(u->target, target, e.target_len);
	u->target[e.target_len] = '\0';
	u->entry = e;
	return make_entry(u, err);
}

static int take_data(struct unpack *u, size_t len, struct kennel_error **err)
{
	struct ext4_data d;

	if (u->entry_fd < 0 || len < sizeof(d))
		return stream_corrupt(err, "data without a file");
	memcpy(&d, u->record, sizeof(d));
	const char *data = u->record + sizeof(d);
	size_t left = len - sizeof(d);
	if (d.offset > u->entry.size || left > u->entry.size - d.offset)
		return stream_corrupt(err, "data behind the end of a file");
	for (off_t at = (off_t)d.offset; left;) {
		ssize_t n = pwrite(u->entry_fd, data, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_at(u, "write", err);
		data += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

/*
 * Labels of a security module are the machine's own business; of that family, capabilities alone are the
 * file's.
 */
static bool is_passed_over(const struct unpack *u, const char *name)
{
	if (u->where->plain)
		return strncmp(name, "user.", strlen("user.")) != 0 ||
		       strncmp(name, "user.overlay.", strlen("user.overlay.")) == 0;
	return strncmp(name, "security.", strlen("security.")) == 0 &&
	       strcmp(name, "security.capability") != 0;
}

static int take_xattr(struct unpack *u, size_t len, struct kennel_error **err)
{
	struct ext4_xattr x;
	char name[256], path[64];
	int r;

	if (len < sizeof(x))
		return stream_corrupt(err, "half a record");
	memcpy(&x, u->record, sizeof(x));
	if (!x.name_len || x.name_len >= sizeof(name) || x.name_len > len - sizeof(x))
		return stream_corrupt(err, "an extended attribute of an impossible length");
	memcpy(name, u->record + sizeof(x), x.name_len);
	name[x.name_len] = '\0';
	if (strlen(name) != x.name_len || (!u->has_entry && u->n <= 1 && !u->has_top))
		return stream_corrupt(err, "an extended attribute of nothing");
	if (is_passed_over(u, name) || u->is_lost)
		return 0;
	const char *value = u->record + sizeof(x) + x.name_len;
	size_t size = len - sizeof(x) - x.name_len;
	if (!u->has_entry)
		r = fsetxattr(u->dir_fd, name, value, size, 0);
	else if (u->entry_fd >= 0)
		r = fsetxattr(u->entry_fd, name, value, size, 0);
	else {
		/* A link, a device: no descriptor of it takes xattrs. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", u->dir_fd);
		_cleanup_free_ char *full = NULL;
		if (asprintf(&full, "%s/%s", path, u->name) < 0) {
			full = NULL;
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		}
		r = lsetxattr(full, name, value, size, 0);
	}
	if (r < 0 && (errno == EPERM || errno == EINVAL || errno == EOPNOTSUPP) && lose(u))
		return 0;
	return r < 0 ? fail_errno(err, "set the extended attribute \"%s\" of \"%s\"", name, u->name) : 0;
}

/* Return: 1 goes on, 0 the end, or a code. */
static int take(struct unpack *u, uint32_t kind, size_t len, struct kennel_error **err)
{
	int r;

	switch (kind) {
	case EXT4_ENTRY:
		r = take_entry(u, len, err);
		break;
	case EXT4_DATA:
		r = take_data(u, len, err);
		break;
	case EXT4_XATTR:
		r = take_xattr(u, len, err);
		break;
	case EXT4_LEAVE:
		r = finish_entry(u, err);
		if (r == 0)
			r = leave(u, err);
		break;
	case EXT4_END:
		r = finish_entry(u, err);
		if (r == 0 && u->n != 1)
			r = stream_corrupt(err, "it ends in the middle");
		return r == 0 ? finish_top(u, err) : r;
	case EXT4_FAILED:
		return stream_failed(u->record, len, err);
	default:
		return stream_corrupt(err, "an unknown record");
	}
	return r < 0 ? r : 1;
}

/* Names that were kept for links are no longer needed. */
static void forget_links(int links_fd)
{
	_cleanup_close_ int fd = openat(links_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		take_fd(&fd);
	for (const struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_name[0] != '.')
			unlinkat(links_fd, d->d_name, 0);
}

int ext4_unpack(int stream_fd, const struct unpack_where *where, struct kennel_error **err)
{
	_cleanup_free_ struct unpack *u = calloc(1, sizeof(*u));
	struct ext4_record record;
	uint64_t total = 0;
	int r = 1;

	if (!u)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	u->where = where;
	u->entry_fd = -EBADF;
	u->n = 1; /* the root, which is the caller's to finish; level 0 is never used */
	u->room = 64;
	u->levels = calloc(u->room, sizeof(*u->levels));
	u->dir_fd = fcntl(where->dir_fd, F_DUPFD_CLOEXEC, 3);
	if (!u->levels)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	else if (u->dir_fd < 0)
		r = fail_errno(err, "duplicate a descriptor");
	while (r > 0) {
		r = stream_next(stream_fd, &record, u->record, err);
		if (r == 0 && (total += sizeof(record) + record.len) > where->max_bytes && where->max_bytes)
			r = fail(err, KENNEL_E_LIMIT, "it has more than there can be");
		if (r == 0)
			r = take(u, record.kind, record.len, err);
	}
	while (u->levels && u->n > 1)
		close_fd(u->levels[--u->n].fd);
	close_fd(u->dir_fd);
	close_fd(u->entry_fd);
	free(u->levels);
	forget_links(where->links_fd);
	return r;
}
