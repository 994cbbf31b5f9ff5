/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/tree.c - see tree.h.
 *
 * Times of directories are set when everything is there, for each new entry changes its directory's. The
 * parent of the last entry stays open: most entries come with their neighbours.
 */
#include "ship/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sys/sys.h"

#define SPACE_EVERY (32u << 20)
#define ENTRIES_EVERY 4096
#define HOLE_BYTES 65536

struct late_time {
	char *path;
	struct timespec mtime;
};

struct tree_sink {
	struct ship_sink base;
	struct ship_tree_options o;
	struct buf parent; /* path of parent_fd */
	int parent_fd;
	struct late_time *times;
	size_t n_times, times_room;
	uint64_t unchecked; /* bytes since the free space was looked at */
	unsigned unchecked_entries;
	char *buffer;
	char *mark;
	bool prune;
	mode_t umask_before;
};

static void left_out(struct tree_sink *t)
{
	if (t->o.progress)
		t->o.progress->left_out++;
}

static int check_space(struct tree_sink *t, uint64_t more, struct kennel_error **err)
{
	struct statvfs v;

	t->unchecked += more;
	if (t->unchecked < SPACE_EVERY && ++t->unchecked_entries < ENTRIES_EVERY)
		return 0;
	t->unchecked = 0;
	t->unchecked_entries = 0;
	if (fstatvfs(t->o.top_fd, &v) < 0)
		return fail_errno(err, "look at the free space");
	bool few_inodes = v.f_files && v.f_favail < 2 * ENTRIES_EVERY;
	if ((uint64_t)v.f_bavail * v.f_frsize >= t->o.keep_free + SPACE_EVERY && !few_inodes)
		return 0;
	return hint(err, fail(err, KENNEL_E_NOSPACE, "the file system is nearly full"),
		    "what was written is taken back; make room, or choose another place");
}

/* One step down. Return: descriptor or -1 and errno. */
static int step(int dir_fd, const char *name)
{
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_missing(struct tree_sink *t, int dir_fd, const char *name)
{
	if (mkdirat(dir_fd, name, 0755) < 0)
		return -1;
	return step(dir_fd, name);
}

/*
 * The directory that path is to be in, and its last name. Missing ones are made (archives may leave them
 * out). Return: 0, or a code. The descriptor stays ours.
 */
static int find_parent(struct tree_sink *t, const char *path, int *ret_fd, const char **ret_name,
		       struct kennel_error **err)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	*ret_name = slash ? slash + 1 : path;
	if (t->parent_fd >= 0 && t->parent.len == len && memcmp(buf_str(&t->parent), path, len) == 0) {
		*ret_fd = t->parent_fd;
		return 0;
	}
	_cleanup_close_ int fd = fcntl(t->o.top_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	for (const char *p = path; p < path + len;) {
		size_t n = MIN(strcspn(p, "/"), (size_t)(path + len - p));
		char name[256];

		if (n >= sizeof(name))
			return fail(err, KENNEL_E_CORRUPT, "\"%s\" has too long a name in it", path);
		memcpy(name, p, n);
		name[n] = '\0';
		int next_fd = step(fd, name);
		if (next_fd < 0 && errno == ENOENT)
			next_fd = make_missing(t, fd, name);
		if (next_fd < 0 && (errno == ELOOP || errno == ENOTDIR))
			return fail(err, KENNEL_E_CORRUPT,
				    "\"%s\" leads through a file or link that came before", path);
		if (next_fd < 0)
			return fail_errno(err, "open the directory above \"%s\"", path);
		replace_fd(&fd, next_fd);
		p += n + 1;
	}
	replace_fd(&t->parent_fd, take_fd(&fd));
	t->parent.len = 0;
	buf_add(&t->parent, path, len);
	*ret_fd = t->parent_fd;
	return buf_check(&t->parent, err);
}

static void forget_parent(struct tree_sink *t)
{
	replace_fd(&t->parent_fd, -EBADF);
}

/* Takes away what has this name, a whole tree too. Return: 0 nothing was there, 1 removed, or a code. */
static int remove_name(struct tree_sink *t, int dir_fd, const char *name, struct kennel_error **err)
{
	if (unlinkat(dir_fd, name, 0) == 0)
		return 1;
	if (errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return fail_errno(err, "take away an earlier \"%s\"", name);
	_cleanup_close_ int fd = step(dir_fd, name);
	if (fd < 0)
		return fail_errno(err, "take away an earlier \"%s\"", name);
	forget_parent(
		t); /* it may be in there; dir_fd is used no more after this than its number is good for */
	int r = ship_tree_clear(fd, err);
	if (r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
		r = fail_errno(err, "take away an earlier \"%s\"", name);
	return r < 0 ? r : 1;
}

static int set_xattrs(struct tree_sink *t, int fd, const struct ship_entry *e, struct kennel_error **err)
{
	for (size_t i = 0; i < e->xattrs.n; i++) {
		const struct ship_xattr *x = &e->xattrs.items[i];

		if (!t->o.mark && strcmp(x->name, SHIP_XATTR_MARK) == 0)
			continue;
		if (fsetxattr(fd, x->name, x->value, x->size, 0) == 0)
			continue;
		if (errno == ENOSPC || errno == EDQUOT || errno == EIO)
			return fail_errno(err, "set the attribute \"%s\" of \"%s\"", x->name, e->path);
		left_out(t); /* not every file system has all of them, nor may every user set them */
	}
	return 0;
}

static int set_owner_mode(struct tree_sink *t, int fd, const struct ship_entry *e, struct kennel_error **err)
{
	if (t->o.owners && fchown(fd, e->st.st_uid, e->st.st_gid) < 0) {
		if (errno != EINVAL && errno != EPERM)
			return fail_errno(err, "give \"%s\" to its owner", e->path);
		return hint(err,
			    fail_errno(err, "give \"%s\" to user %u, group %u", e->path, e->st.st_uid,
				       e->st.st_gid),
			    "this user has no such id: a larger range in /etc/subuid and /etc/subgid helps");
	}
	/* after the owner, whose change takes setuid bits away */
	if (fchmod(fd, e->st.st_mode & 07777) < 0)
		return fail_errno(err, "set the mode of \"%s\"", e->path);
	return 0;
}

static int write_at(int fd, const char *bytes, size_t size, uint64_t offset, const char *path,
		    struct kennel_error **err)
{
	while (size) {
		ssize_t n = pwrite(fd, bytes, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(err, "write \"%s\"", path);
		bytes += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Zeros in a file that never had anything there are a hole as well; image formats do not tell holes. */
static size_t zeros_at(const char *bytes, size_t size)
{
	size_t n = 0;

	while (n < size) {
		size_t part = MIN(size - n, (size_t)HOLE_BYTES);

		if (bytes[n] || memcmp(bytes + n, bytes + n + 1, part - 1) != 0)
			break;
		n += part;
	}
	return n;
}

static int write_piece(int fd, const char *bytes, size_t size, uint64_t offset, const char *path,
		       struct kennel_error **err)
{
	for (size_t from = zeros_at(bytes, size); from < size;) {
		size_t to = from, zeros = 0;

		while (to < size && zeros == 0) {
			to = MIN(to + HOLE_BYTES, size);
			zeros = zeros_at(bytes + to, size - to);
		}
		int r = write_at(fd, bytes + from, to - from, offset + from, path, err);
		if (r < 0)
			return r;
		from = to + zeros;
	}
	return 0;
}

static int put_content(struct tree_sink *t, int fd, const struct ship_entry *e, struct kennel_error **err)
{
	struct ship_reader reader = { .fd = e->fd, .size = (uint64_t)e->st.st_size, .buffer = t->buffer };
	ship_content_fn next = e->content ? e->content : ship_reader_next;
	void *data = e->content ? e->content_data : &reader;
	uint64_t offset, size_now = (uint64_t)e->st.st_size;
	const void *bytes;
	size_t size;
	int r;

	if (!e->content && e->fd < 0)
		return 0;
	/* The same blocks, where the file system can share them. */
	if (!e->content && sys_ioctl_int(fd, FICLONE, (unsigned long)e->fd) == 0)
		return ship_advance(t->o.progress, t->o.counts ? size_now : 0, err);
	if (ftruncate(fd, e->st.st_size) < 0)
		return fail_errno(err, "make \"%s\" %lld bytes long", e->path, (long long)e->st.st_size);
	while ((r = next(data, &bytes, &size, &offset, err)) > 0) {
		if (offset > size_now || size > size_now - offset)
			return fail(err, KENNEL_E_CORRUPT, "\"%s\" is longer than was said", e->path);
		r = write_piece(fd, bytes, size, offset, e->path, err);
		if (r == 0)
			r = check_space(t, size, err);
		if (r == 0)
			r = ship_advance(t->o.progress, t->o.counts ? size : 0, err);
		if (r < 0)
			return r;
	}
	return r;
}

static int add_file(struct tree_sink *t, int dir_fd, const char *name, const struct ship_entry *e,
		    struct kennel_error **err)
{
	const struct timespec times[2] = { e->st.st_mtim, e->st.st_mtim };
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(err, "make the file \"%s\"", e->path);
	int r = put_content(t, fd, e, err);
	if (r == 0)
		r = set_owner_mode(t, fd, e, err);
	if (r == 0)
		r = set_xattrs(t, fd, e, err); /* after the owner: a capability goes with a change of it */
	if (r == 0 && futimens(fd, times) < 0)
		r = fail_errno(err, "set the time of \"%s\"", e->path);
	return r;
}

static int remember_time(struct tree_sink *t, const struct ship_entry *e, struct kennel_error **err)
{
	if (t->n_times == t->times_room) {
		size_t room = t->times_room ? t->times_room * 2 : 256;
		struct late_time *times = reallocarray(t->times, room, sizeof(*times));

		if (!times)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		t->times = times;
		t->times_room = room;
	}
	char *path = strdup(e->path);
	if (!path)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	t->times[t->n_times++] = (struct late_time){ path, e->st.st_mtim };
	return 0;
}

static int make_opaque(int fd, const char *path, struct kennel_error **err)
{
	if (fsetxattr(fd, SHIP_XATTR_OPAQUE, "y", 1, 0) == 0)
		return 0;
	return hint(err, fail_errno(err, "mark \"%s\" as hiding what is below", path),
		    "the file system must keep user.* attributes (tmpfs: Linux 6.6)");
}

static int finish_dir(struct tree_sink *t, int fd, const struct ship_entry *e, bool opaque,
		      struct kennel_error **err)
{
	int r = set_owner_mode(t, fd, e, err);

	if (r == 0)
		r = set_xattrs(t, fd, e, err);
	if (r == 0 && opaque && t->o.deletions)
		r = make_opaque(fd, e->path, err);
	return r < 0 ? r : remember_time(t, e, err);
}

static bool is_whiteout(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(0, 0);
}

/*
 * A directory that is there stays with what is in it; a deletion that it replaces makes it hide the base's.
 */
static int add_dir(struct tree_sink *t, int dir_fd, const char *name, const struct ship_entry *e,
		   struct kennel_error **err)
{
	_cleanup_close_ int fd = step(dir_fd, name);
	bool opaque = e->opaque;
	int r = 0;

	if (fd < 0) {
		opaque = opaque || is_whiteout(dir_fd, name);
		r = remove_name(t, dir_fd, name, err);
		if (r >= 0 && mkdirat(dir_fd, name, 0700) < 0)
			r = fail_errno(err, "make the directory \"%s\"", e->path);
		if (r < 0)
			return r;
		fd = step(dir_fd, name);
		if (fd < 0)
			return fail_errno(err, "open the directory \"%s\"", e->path);
	}
	return finish_dir(t, fd, e, opaque, err);
}

static int add_top(struct tree_sink *t, const struct ship_entry *e, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(t->o.top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct ship_xattr *mark = ship_xattrs_find(&e->xattrs, SHIP_XATTR_MARK);

	if (fd < 0)
		return fail_errno(err, "open the top directory");
	if (!S_ISDIR(e->st.st_mode) || e->kind != SHIP_NODE)
		return fail(err, KENNEL_E_CORRUPT, "the top of the tree is no directory");
	if (mark && !t->mark) {
		t->mark = malloc(mark->size + 1);
		if (!t->mark)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		memcpy(t->mark, mark->value, mark->size);
		t->mark[mark->size] = '\0';
	}
	return finish_dir(t, fd, e, e->opaque, err);
}

static int add_symlink(struct tree_sink *t, int dir_fd, const char *name, const struct ship_entry *e,
		       struct kennel_error **err)
{
	const struct timespec times[2] = { e->st.st_mtim, e->st.st_mtim };

	if (symlinkat(e->link, dir_fd, name) < 0)
		return fail_errno(err, "make the link \"%s\"", e->path);
	if (t->o.owners && fchownat(dir_fd, name, e->st.st_uid, e->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "give \"%s\" to its owner", e->path);
	if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "set the time of \"%s\"", e->path);
	return 0;
}

static int add_special(struct tree_sink *t, int dir_fd, const char *name, const struct ship_entry *e,
		       struct kennel_error **err)
{
	const struct timespec times[2] = { e->st.st_mtim, e->st.st_mtim };

	if (S_ISCHR(e->st.st_mode) &&
	    e->st.st_rdev == makedev(0, 0)) { /* overlay would take it for a deletion */
		left_out(t);
		return 0;
	}
	if (mknodat(dir_fd, name, e->st.st_mode & (S_IFMT | 0700), e->st.st_rdev) < 0) {
		if (errno != EPERM)
			return fail_errno(err, "make the device or fifo \"%s\"", e->path);
		left_out(t);
		return 0;
	}
	if ((t->o.owners && fchownat(dir_fd, name, e->st.st_uid, e->st.st_gid, AT_SYMLINK_NOFOLLOW) < 0) ||
	    fchmodat(dir_fd, name, e->st.st_mode & 07777, 0) < 0 ||
	    utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "set the attributes of \"%s\"", e->path);
	return 0;
}

/* Some programs that make cpio send the content with the last name, not the first. */
static int add_late_content(struct tree_sink *t, int dir_fd, const char *name, const struct ship_entry *e,
			    struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const struct timespec times[2] = { e->st.st_mtim, e->st.st_mtim };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"%s\"", e->path);
	if (!S_ISREG(st.st_mode) || st.st_size)
		return 0;
	int r = put_content(t, fd, e, err);
	if (r == 0 && (fchmod(fd, st.st_mode & 07777) < 0 || futimens(fd, times) < 0))
		r = fail_errno(err, "set the attributes of \"%s\"", e->path);
	return r;
}

static int add_hardlink(struct tree_sink *t, const struct ship_entry *e, struct kennel_error **err)
{
	const char *name, *old_name;
	int dir_fd, r = find_parent(t, e->link, &dir_fd, &old_name, err);
	if (r < 0)
		return r;
	_cleanup_close_ int old_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	struct stat old, st;

	if (old_fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	if (!*old_name || !*e->path || fstatat(old_fd, old_name, &old, AT_SYMLINK_NOFOLLOW) < 0 ||
	    S_ISDIR(old.st_mode))
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" is a link to \"%s\", which did not come before it",
			    e->path, e->link);
	r = find_parent(t, e->path, &dir_fd, &name, err);
	if (r < 0)
		return r;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == old.st_ino &&
	    st.st_dev == old.st_dev)
		return 0;
	_cleanup_close_ int new_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	r = new_fd < 0 ? fail_errno(err, "duplicate a descriptor") : remove_name(t, new_fd, name, err);
	if (r >= 0 && linkat(old_fd, old_name, new_fd, name, 0) < 0)
		r = fail_errno(err, "make \"%s\" a link to \"%s\"", e->path, e->link);
	if (r >= 0 && S_ISREG(old.st_mode) && e->st.st_size && e->content)
		return add_late_content(t, new_fd, name, e, err);
	return MIN(r, 0);
}

static int add_whiteout(struct tree_sink *t, int dir_fd, const char *name, const struct ship_entry *e,
			struct kennel_error **err)
{
	int r = remove_name(t, dir_fd, name, err);

	if (r >= 0 && t->o.deletions && mknodat(dir_fd, name, S_IFCHR, makedev(0, 0)) < 0)
		r = fail_errno(err, "make the deletion \"%s\"", e->path);
	return MIN(r, 0);
}

/* What earlier layers put there goes, and the base's is hidden. */
static int add_opaque(struct tree_sink *t, const struct ship_entry *e, struct kennel_error **err)
{
	const char *name;
	int dir_fd = t->o.top_fd, r = *e->path ? find_parent(t, e->path, &dir_fd, &name, err) : 0;

	if (r < 0)
		return r;
	_cleanup_close_ int fd = *e->path ? step(dir_fd, name) : openat(dir_fd, ".", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && *e->path && errno == ENOENT)
		fd = make_missing(t, dir_fd, name);
	if (fd < 0)
		return fail_errno(err, "open the directory \"%s\"", e->path);
	if (t->prune) {
		forget_parent(t);
		r = ship_tree_clear(fd, err);
	}
	return r == 0 && t->o.deletions ? make_opaque(fd, e->path, err) : r;
}

static int tree_add(struct ship_sink *sink, const struct ship_entry *e, struct kennel_error **err)
{
	struct tree_sink *t = container_of(sink, struct tree_sink, base);
	const char *name;
	int parent_fd, r = ship_advance(t->o.progress, t->o.counts ? SHIP_ENTRY_COST : 0, err);

	if (r == 0)
		r = check_space(t, 0, err);
	if (r < 0)
		return r;
	if (e->kind == SHIP_OPAQUE)
		return add_opaque(t, e, err);
	if (!*e->path)
		return add_top(t, e, err);
	if (e->kind == SHIP_HARDLINK)
		return add_hardlink(t, e, err);
	if (S_ISSOCK(e->st.st_mode)) {
		left_out(t);
		return 0;
	}
	r = find_parent(t, e->path, &parent_fd, &name, err);
	if (r < 0)
		return r;
	/* our own: removing what has the name may drop the one that is remembered */
	_cleanup_close_ int dir_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	if (dir_fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	if (e->kind == SHIP_WHITEOUT)
		return add_whiteout(t, dir_fd, name, e, err);
	if (S_ISDIR(e->st.st_mode))
		return add_dir(t, dir_fd, name, e, err);
	r = remove_name(t, dir_fd, name, err);
	if (r < 0)
		return r;
	return S_ISREG(e->st.st_mode) ? add_file(t, dir_fd, name, e, err) :
	       S_ISLNK(e->st.st_mode) ? add_symlink(t, dir_fd, name, e, err) :
					add_special(t, dir_fd, name, e, err);
}

/* Backwards, for the last one said of a directory counts and a parent comes before what is in it. */
static int tree_finish(struct ship_sink *sink, struct kennel_error **err)
{
	struct tree_sink *t = container_of(sink, struct tree_sink, base);

	for (size_t i = 0; i < t->n_times; i++) {
		const struct timespec times[2] = { t->times[i].mtime, t->times[i].mtime };
		const char *path = t->times[i].path, *name = ".";
		int dir_fd = t->o.top_fd, r = *path ? find_parent(t, path, &dir_fd, &name, err) : 0;

		if (r < 0)
			return r;
		if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return fail_errno(err, "set the time of \"%s\"", path);
	}
	return 0;
}

static void tree_free(struct ship_sink *sink)
{
	struct tree_sink *t = container_of(sink, struct tree_sink, base);

	for (size_t i = 0; i < t->n_times; i++)
		free(t->times[i].path);
	free(t->times);
	free(t->buffer);
	free(t->mark);
	buf_done(&t->parent);
	close_fd(t->parent_fd);
	umask(t->umask_before);
	free(t);
}

int ship_tree_sink(const struct ship_tree_options *o, struct ship_sink **ret, struct kennel_error **err)
{
	struct tree_sink *t = calloc(1, sizeof(*t));
	char *buffer = malloc(SHIP_PIECE);

	if (!t || !buffer) {
		free(t);
		free(buffer);
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	t->base = (struct ship_sink){ tree_add, tree_finish, tree_free };
	t->o = *o;
	t->parent_fd = -EBADF;
	t->buffer = buffer;
	t->umask_before = umask(0);
	*ret = &t->base;
	return 0;
}

const char *ship_tree_mark(const struct ship_sink *s)
{
	const struct tree_sink *t = container_of(s, struct tree_sink, base);

	return t->mark ? t->mark : "";
}

void ship_tree_prune(struct ship_sink *s, bool on)
{
	container_of(s, struct tree_sink, base)->prune = on;
}
