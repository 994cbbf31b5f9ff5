/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copy/file.c - one file or link, and what belongs to it: holes, extended attributes, owner, mode,
 * times.
 *
 * A file is read up to the size that it had when it was opened, so one that is written to for ever ends.
 * It gets its name when it is whole: until then it has a temporary one, or is in a directory that has.
 * Owner before mode, because changing the owner clears bits of the mode; times last. Of extended
 * attributes only "user." ones are taken: a security.capability or trusted.* from inside would be rights
 * outside. An access list is not taken either, and the mode is narrowed to what its own group entry said,
 * for with the list gone the group bits would mean the owning group instead of the list's mask.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "copy/child.h"
#include "sys/sys.h"

enum method { COPY_RANGE, SEND_FILE, READ_WRITE };

static int reopen(const struct copy_worker *w, int pin_fd, int flags)
{
	char name[32];

	copy_fd_name(pin_fd, name);
	return openat(w->job->proc_fd, name, flags | O_CLOEXEC);
}

static ssize_t read_write(struct copy_worker *w, int in_fd, int out_fd, off_t at, size_t size)
{
	ssize_t n = pread(in_fd, w->value, MIN(size, sizeof(w->value)), at);

	return n <= 0 ? n : pwrite(out_fd, w->value, (size_t)n, at);
}

static ssize_t copy_piece(struct copy_worker *w, enum method *m, int in_fd, int out_fd, off_t at, size_t size)
{
	for (;;) {
		off_t from = at, to = at;
		ssize_t n;

		switch (*m) {
		case COPY_RANGE:
			n = copy_file_range(in_fd, &from, out_fd, &to, size, 0);
			break;
		case SEND_FILE:
			n = lseek(out_fd, at, SEEK_SET) < 0 ? -1 : sendfile(out_fd, in_fd, &from, size);
			break;
		default:
			return read_write(w, in_fd, out_fd, at, size);
		}
		if (n >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP &&
			       errno != EPERM))
			return n;
		(*m)++; /* between these two file systems this one does not work */
	}
}

/* Bytes from..to; *ret_end is less than to where the file has become shorter. */
static int copy_range(struct copy_worker *w, enum method *m, int fds[2], off_t from, off_t to, off_t *ret_end,
		      const char *name)
{
	while (from < to) {
		ssize_t n = copy_piece(w, m, fds[0], fds[1], from, (size_t)MIN(to - from, (off_t)COPY_CHUNK));

		if (n < 0)
			return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
		if (n == 0)
			break;
		from += n;
		if (copy_check_stop(w) < 0)
			return -1;
	}
	*ret_end = from;
	return 0;
}

static int copy_data(struct copy_worker *w, int in_fd, int out_fd, off_t size, const char *name)
{
	enum method m = COPY_RANGE;
	int fds[2] = { in_fd, out_fd };

	for (off_t at = 0; at < size;) {
		off_t data = lseek(in_fd, at, SEEK_DATA), hole, end = at;

		if (data < 0 && errno == ENXIO) /* nothing but a hole up to the end */
			break;
		hole = data < at ? -1 : lseek(in_fd, data, SEEK_HOLE);
		if (hole <= data) { /* a file system without holes, or one that lies */
			data = at;
			hole = size;
		}
		if (data >= size)
			break;
		hole = MIN(hole, size);
		if (copy_range(w, &m, fds, data, hole, &end, name) < 0)
			return -1;
		if (end < hole) {
			size = end;
			break;
		}
		at = hole;
	}
	return ftruncate(out_fd, size) < 0 ? copy_fail(w, COPY_STEP_TARGET_WRITE, name) : 0;
}

/*
 * A size of 0 may only mean that it is not known before (FUSE with direct_io): what can be read is taken,
 * within reason.
 */
static int copy_unsized(struct copy_worker *w, int in_fd, int out_fd, const char *name)
{
	for (off_t at = 0;;) {
		ssize_t n = read_write(w, in_fd, out_fd, at, sizeof(w->value));

		if (n < 0)
			return copy_fail(w, COPY_STEP_SOURCE_READ, name);
		if (n == 0)
			return 0;
		at += n;
		if (at >= (off_t)COPY_ENDLESS_MAX)
			return copy_fail(w, COPY_STEP_SOURCE_ENDLESS, name);
		if (copy_check_stop(w) < 0)
			return -1;
	}
}

static bool is_wanted_xattr(const char *name)
{
	/* user.overlay.* are orders to an overlay that is laid over the target one day. */
	return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0;
}

static int copy_xattrs(struct copy_worker *w, int src_fd, int dst_fd, const char *name)
{
	ssize_t size = flistxattr(src_fd, w->names, sizeof(w->names));

	for (ssize_t i = 0; i < size; i += (ssize_t)strlen(w->names + i) + 1) {
		const char *key = w->names + i;

		if (!is_wanted_xattr(key))
			continue;
		ssize_t n = fgetxattr(src_fd, key, w->value, sizeof(w->value));
		if (n < 0 && errno == ENODATA) /* taken away meanwhile */
			continue;
		if (n < 0)
			return copy_fail(w, COPY_STEP_SOURCE_READ, name);
		if (fsetxattr(dst_fd, key, w->value, (size_t)n, 0) < 0) {
			if (errno == EOPNOTSUPP) /* the target has no such thing: as cp -a, without it */
				return 0;
			return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
		}
	}
	return 0;
}

/* What the owning group may do where there is an access list; 7 where there is none. */
static unsigned acl_group_bits(struct copy_worker *w, int fd)
{
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e;
	const ssize_t head = 4; /* the version */
	ssize_t n = fgetxattr(fd, "system.posix_acl_access", w->value, sizeof(w->value));

	for (ssize_t at = head; at + (ssize_t)sizeof(e) <= n; at += (ssize_t)sizeof(e)) {
		memcpy(&e, w->value + at, sizeof(e));
		if (le16toh(e.tag) == 0x04) /* ACL_GROUP_OBJ */
			return le16toh(e.perm) & 7;
	}
	return 7;
}

static mode_t target_mode(struct copy_worker *w, int src_fd, const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;

	if (!w->job->target.inside)
		mode &= S_ISDIR(st->st_mode) ? 01777 : 00777;
	if (mode & 070)
		mode &= ~(mode_t)070 | acl_group_bits(w, src_fd) << 3;
	return mode;
}

int copy_attributes(struct copy_worker *w, int src_fd, int dst_fd, const struct stat *st, const char *name)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (copy_xattrs(w, src_fd, dst_fd, name) < 0)
		return -1;
	/* EINVAL: an id that does not exist here; EPERM: a file system without owners. It stays ours then. */
	bool ours = !w->job->owners;
	if (!ours && fchown(dst_fd, copy_map_id(w, st->st_uid), copy_map_id(w, st->st_gid)) < 0) {
		if (errno != EINVAL && errno != EPERM)
			return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
		ours = true;
	}
	mode_t mode = target_mode(w, src_fd, st);
	if (ours)
		mode &= ~(mode_t)06000; /* not meant for this owner */
	if (fchmod(dst_fd, mode) < 0 || futimens(dst_fd, times) < 0)
		return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
	return 0;
}

int copy_put_in_place(struct copy_worker *w, int dst_fd, const char *staged, const char *name, bool is_dir)
{
	int r = is_dir ? sys_renameat2(dst_fd, staged, dst_fd, name, 1 /* RENAME_NOREPLACE */) : -1;

	/*
	 * Some file systems do not know the flag; rename() itself replaces no directory that has something
	 * in it.
	 */
	if (r < 0 && (!is_dir || errno == EINVAL))
		r = renameat(dst_fd, staged, dst_fd, name);
	if (r < 0)
		return copy_fail(w, errno == EISDIR ? COPY_STEP_TARGET_IS_DIR : COPY_STEP_TARGET_WRITE, name);
	if (!is_dir)
		(void)!unlinkat(dst_fd, staged, 0); /* two links of one file: rename() does nothing then */
	return 0;
}

static int refuse_directory(struct copy_worker *w, int dst_fd, const char *name)
{
	struct stat st;

	if (fstatat(dst_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return copy_fail(w, COPY_STEP_TARGET_IS_DIR, name);
	return 0;
}

static int fill(struct copy_worker *w, int in_fd, int out_fd, struct stat *st, const char *name)
{
	if (fstat(in_fd, st) < 0) /* the size now, not when its name was read */
		return copy_fail(w, COPY_STEP_SOURCE_READ, name);
	int r = st->st_size > 0 ? copy_data(w, in_fd, out_fd, st->st_size, name) :
				  copy_unsized(w, in_fd, out_fd, name);
	return r < 0 ? -1 : copy_attributes(w, in_fd, out_fd, st, name);
}

/* A further name for a file that is only there to be copied. Return: 1, 0 it can't be had, or -1. */
static int link_new(struct copy_worker *w, int pin_fd, int dst_fd, const char *staged, const struct stat *st,
		    const char *name)
{
	char from[32];

	copy_fd_name(pin_fd, from);
	if (!w->job->links || linkat(w->job->proc_fd, from, dst_fd, staged, AT_SYMLINK_FOLLOW) < 0)
		return 0;
	if (st->st_nlink > 1 && copy_links_add(w, st, st, name) < 0) {
		(void)!unlinkat(dst_fd, staged, 0);
		return -1;
	}
	return 1;
}

static int copy_new(struct copy_worker *w, int pin_fd, int dst_fd, const char *staged, const char *name)
{
	_cleanup_close_ int in_fd = reopen(w, pin_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st, made;

	if (in_fd < 0)
		return copy_fail(w, errno == EMFILE ? COPY_STEP_DEEP : COPY_STEP_SOURCE_READ, name);
	_cleanup_close_ int out_fd =
		openat(dst_fd, staged, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out_fd < 0)
		return copy_fail(w, errno == EMFILE ? COPY_STEP_DEEP : COPY_STEP_TARGET_WRITE, name);
	int r = fill(w, in_fd, out_fd, &st, name);
	if (r == 0 && st.st_nlink > 1)
		r = fstat(out_fd, &made) < 0 ? copy_fail(w, COPY_STEP_TARGET_WRITE, name) :
					       copy_links_add(w, &st, &made, name);
	if (r < 0)
		(void)!unlinkat(dst_fd, staged, 0);
	return r;
}

int copy_file(struct copy_worker *w, int pin_fd, const struct stat *st, int dst_fd, const char *name,
	      bool unseen)
{
	char temp[COPY_TEMP_SIZE];
	const char *staged = unseen ? name : temp;

	copy_random_name(temp);
	if (!unseen && refuse_directory(w, dst_fd, name) < 0)
		return -1;
	int r = st->st_nlink > 1 ? copy_links_try(w, st, dst_fd, staged, name) : 0;
	if (r == 0)
		r = link_new(w, pin_fd, dst_fd, staged, st, name);
	if (r == 0)
		r = copy_new(w, pin_fd, dst_fd, staged, name);
	if (r < 0 || unseen)
		return MIN(r, 0);
	r = copy_put_in_place(w, dst_fd, staged, name, false);
	if (r < 0)
		(void)!unlinkat(dst_fd, staged, 0);
	return r;
}

/*
 * Only a link that is new and ours gets another owner: something else may have been put in its place (see
 * copy_check_target_dir).
 */
static int own_symlink(struct copy_worker *w, int fd, const struct stat *st, const char *name)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	struct stat made;

	if (fd < 0 || fstat(fd, &made) < 0)
		return copy_fail(w, COPY_STEP_TARGET_CHANGED, name);
	uint32_t ours = w->job->mapped && w->job->target.inside && w->job->owners ? w->job->map.base :
										    geteuid();
	if (!S_ISLNK(made.st_mode) || made.st_nlink != 1 || made.st_uid != ours) {
		errno = EBUSY;
		return copy_fail(w, COPY_STEP_TARGET_CHANGED, name);
	}
	if (w->job->owners &&
	    fchownat(fd, "", copy_map_id(w, st->st_uid), copy_map_id(w, st->st_gid), AT_EMPTY_PATH) < 0 &&
	    errno != EINVAL && errno != EPERM)
		return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
	/* Not every file system keeps the times of a link. */
	(void)!utimensat(fd, "", times, AT_EMPTY_PATH);
	return 0;
}

int copy_symlink(struct copy_worker *w, int pin_fd, const struct stat *st, int dst_fd, const char *name,
		 bool unseen)
{
	char temp[COPY_TEMP_SIZE];
	const char *staged = unseen ? name : temp;

	copy_random_name(temp);
	if (!unseen && refuse_directory(w, dst_fd, name) < 0)
		return -1;
	ssize_t n = readlinkat(pin_fd, "", w->text, sizeof(w->text) - 1);
	if (n < 0)
		return copy_fail(w, COPY_STEP_SOURCE_READ, name);
	w->text[n] = '\0';
	if (symlinkat(w->text, dst_fd, staged) < 0)
		return copy_fail(w, COPY_STEP_TARGET_WRITE, name);
	_cleanup_close_ int fd = openat(dst_fd, staged, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r = own_symlink(w, fd, st, name);
	if (r == 0 && !unseen)
		r = copy_put_in_place(w, dst_fd, staged, name, false);
	if (r < 0)
		(void)!unlinkat(dst_fd, staged, 0);
	return r;
}
