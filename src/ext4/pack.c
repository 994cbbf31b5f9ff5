/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ext4/pack.c - see pack.h.
 *
 * Each thing is pinned first, then asked what it is, and only a regular file or a directory is opened. All
 * that is told waits in one buffer, since a system call is dear in a guest. A file of several names is known
 * again by more than its number: in a guest's view of a machine's tree files of two file systems may have the
 * same one.
 */
#include "ext4/pack.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "ext4/stream.h"

#define DEPTH_MAX 4000
#define NAMES_MAX 65536 /* of the attributes of a file */

struct link {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	uint32_t number;
};

struct pack_state {
	void *links; /* tree of struct link */
	uint32_t n_links;
	unsigned depth;
	size_t path_len; /* of where; it may be more than has room there */
	size_t used;
	char names[NAMES_MAX], value[NAMES_MAX];
	char data[EXT4_DATA_MAX];
	char out[2 * EXT4_RECORD_MAX];
};

static int failed(struct pack *p, enum pack_problem problem)
{
	if (!p->problem) {
		p->problem = problem;
		p->errnum = errno;
	}
	return -1;
}

static int get_state(struct pack *p)
{
	if (!p->state)
		p->state = calloc(1, sizeof(*p->state));
	return p->state ? 0 : failed(p, PACK_MEMORY);
}

/* --- the path, for words about it --- */

static size_t go_down(struct pack *p, const char *name)
{
	struct pack_state *s = p->state;
	const size_t before = s->path_len, n = strlen(name);

	if (p->problem)
		return before;
	if (before + n + 2 <= sizeof(p->where)) {
		if (before)
			p->where[before] = '/';
		memcpy(p->where + before + (before > 0), name, n + 1);
	}
	s->path_len += n + (before > 0);
	return before;
}

/* After a problem it stays as it was there. */
static void go_up(struct pack *p, size_t before)
{
	if (p->problem)
		return;
	p->state->path_len = before;
	if (before < sizeof(p->where))
		p->where[before] = '\0';
}

static void leave_out(struct pack *p)
{
	if (!p->left_out++)
		memcpy(p->first_left_out, p->where, sizeof(p->first_left_out));
}

/* --- records --- */

static int flush(struct pack *p)
{
	struct pack_state *s = p->state;

	for (size_t at = 0; at < s->used;) {
		ssize_t n = write(p->out_fd, s->out + at, s->used - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(p, PACK_WRITE);
		at += (size_t)n;
	}
	s->used = 0;
	return 0;
}

struct part {
	const void *data;
	size_t len;
};

static int put(struct pack *p, enum ext4_kind kind, const struct part *parts, size_t n)
{
	struct pack_state *s = p->state;
	struct ext4_record record = { .kind = kind };

	for (size_t i = 0; i < n; i++)
		record.len += (uint32_t)parts[i].len;
	if (s->used + sizeof(record) + record.len > sizeof(s->out) && flush(p) < 0)
		return -1;
	memcpy(s->out + s->used, &record, sizeof(record));
	s->used += sizeof(record);
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len)
			memcpy(s->out + s->used, parts[i].data, parts[i].len);
		s->used += parts[i].len;
	}
	return 0;
}

/* --- files of several names --- */

static int compare_links(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct link, number));
}

/* *ret_number: of this file. Return: 1 it has come before, 0, or -1. */
static int find_link(struct pack *p, const struct stat *st, uint32_t *ret_number)
{
	struct link *l = calloc(1, sizeof(*l)); /* padding counts, too */

	if (!l)
		return failed(p, PACK_MEMORY);
	l->dev = st->st_dev;
	l->ino = st->st_ino;
	l->size = st->st_size;
	l->mtime = st->st_mtim;
	l->ctime = st->st_ctim;
	struct link **found = tsearch(l, &p->state->links, compare_links);
	if (!found || *found != l) {
		free(l);
		*ret_number = found ? (*found)->number : 0;
		return found ? 1 : failed(p, PACK_MEMORY);
	}
	*ret_number = l->number = ++p->state->n_links;
	return 0;
}

/* --- one file --- */

/*
 * What the owning group may do where there is an access list, which is not told: without it these bits of the
 * mode would mean the group and not the list's mask.
 */
static mode_t group_bits(struct pack *p, int fd)
{
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} e;
	char *value = p->state->value;
	const ssize_t n = fgetxattr(fd, "system.posix_acl_access", value, sizeof(p->state->value));

	for (ssize_t at = 4; at + (ssize_t)sizeof(e) <= n;
	     at += (ssize_t)sizeof(e)) { /* behind the version */
		memcpy(&e, value + at, sizeof(e));
		if (le16toh(e.tag) == 0x04) /* ACL_GROUP_OBJ */
			return (le16toh(e.perm) & 7u) << 3;
	}
	return 070;
}

static uint32_t told_id(const struct pack *p, uint32_t id)
{
	return p->id_count && id >= p->id_count ? 0 : id;
}

/* fd: the file or directory opened, or below 0. */
static int put_entry(struct pack *p, const struct stat *st, int fd, const char *name, const char *target,
		     uint32_t number, bool again)
{
	const struct ext4_entry e = {
		.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
		.atime_s = st->st_atim.tv_sec,
		.mtime_s = st->st_mtim.tv_sec,
		.atime_ns = (uint32_t)st->st_atim.tv_nsec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.mode = st->st_mode & ~(p->plain && fd >= 0 ? 070 & ~group_bits(p, fd) : 0),
		.uid = told_id(p, st->st_uid),
		.gid = told_id(p, st->st_gid),
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.number = number,
		.again = again,
		.name_len = (uint32_t)strlen(name),
		.target_len = (uint32_t)strlen(target),
	};
	const struct part parts[] = { { &e, sizeof(e) }, { name, e.name_len }, { target, e.target_len } };

	return put(p, EXT4_ENTRY, parts, ARRAY_SIZE(parts));
}

static bool is_zero(const char *data, size_t len)
{
	return !len || (!data[0] && memcmp(data, data + 1, len - 1) == 0);
}

/* *ret_at: how far it came, less than to where the file has become shorter. */
static int put_range(struct pack *p, int fd, off_t from, off_t to, off_t *ret_at)
{
	struct pack_state *s = p->state;

	for (*ret_at = from; *ret_at < to;) {
		const size_t room = (size_t)MIN(to - *ret_at, (off_t)sizeof(s->data));
		const struct ext4_data head = { (uint64_t)*ret_at };
		ssize_t n = pread(fd, s->data, room, *ret_at);

		if (n < 0)
			return failed(p, PACK_READ);
		if (n == 0)
			return 0;
		const struct part parts[] = { { &head, sizeof(head) }, { s->data, (size_t)n } };
		if (!is_zero(s->data, (size_t)n) && put(p, EXT4_DATA, parts, ARRAY_SIZE(parts)) < 0)
			return -1;
		*ret_at += n;
	}
	return 0;
}

static int put_content(struct pack *p, int fd, off_t size)
{
	for (off_t at = 0; at < size;) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return 0; /* a hole up to the end */
		hole = data < at ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole <= data) { /* a file system without holes */
			data = at;
			hole = size;
		}
		if (data >= size)
			return 0;
		hole = MIN(hole, size);
		if (put_range(p, fd, data, hole, &at) < 0)
			return -1;
		if (at < hole)
			return 0;
	}
	return 0;
}

#define OVERLAY_HERE "user.overlay."
#define OVERLAY_ROOTS "trusted.overlay."

static bool is_told(const struct pack *p, const char *name)
{
	if (p->plain) /* marks of an overlay are orders to one that is laid over the copy one day */
		return !strncmp(name, "user.", 5) && strncmp(name, OVERLAY_HERE, strlen(OVERLAY_HERE)) != 0;
	/* labels of a security module are the machine's own business */
	return strncmp(name, "security.", strlen("security.")) != 0 || !strcmp(name, "security.capability");
}

static int put_xattr(struct pack *p, int fd, const char *name)
{
	char told[256 + 8];
	const ssize_t n = fgetxattr(fd, name, p->state->value, sizeof(p->state->value));

	if (n < 0)
		return errno == ENODATA ? 0 : failed(p, PACK_READ);
	if (!strncmp(name, OVERLAY_ROOTS, strlen(OVERLAY_ROOTS)))
		snprintf(told, sizeof(told), OVERLAY_HERE "%.200s", name + strlen(OVERLAY_ROOTS));
	else
		snprintf(told, sizeof(told), "%.255s", name);
	const struct ext4_xattr head = { (uint32_t)strlen(told) };
	const struct part parts[] = { { &head, sizeof(head) },
				      { told, head.name_len },
				      { p->state->value, (size_t)n } };
	return put(p, EXT4_XATTR, parts, ARRAY_SIZE(parts));
}

static int put_xattrs(struct pack *p, int fd)
{
	const char *names = p->state->names;
	const ssize_t n = flistxattr(fd, p->state->names, sizeof(p->state->names));

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : failed(p, PACK_READ);
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (is_told(p, name) && put_xattr(p, fd, name) < 0)
			return -1;
	return 0;
}

static int put_file(struct pack *p, int pin_fd, const char *name)
{
	char path[32];
	struct stat st;
	uint32_t number = 0;
	int again = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", pin_fd);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(p, PACK_READ);
	if (st.st_nlink > 1)
		again = find_link(p, &st, &number);
	if (again < 0 || put_entry(p, &st, fd, name, "", number, again) < 0)
		return -1;
	if (again)
		return 0;
	return put_content(p, fd, st.st_size) < 0 || put_xattrs(p, fd) < 0 ? -1 : 0;
}

static int put_link(struct pack *p, int pin_fd, const struct stat *st, const char *name)
{
	char target[4097];
	ssize_t n = readlinkat(pin_fd, "", target, sizeof(target) - 1);

	if (n <= 0)
		return failed(p, PACK_READ);
	target[n] = '\0';
	return put_entry(p, st, -1, name, target, 0, false);
}

/* Sockets, devices and pipes; of a link and of these there is no attribute that could be told. */
static int put_node(struct pack *p, const struct stat *st, const char *name)
{
	if (!p->plain)
		return put_entry(p, st, -1, name, "", 0, false);
	leave_out(p);
	return 0;
}

/* --- a tree --- */

static int put_pinned(struct pack *p, int pin_fd, const char *name);

static int put_name(struct pack *p, int dir_fd, const char *name)
{
	_cleanup_close_ int pin_fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (pin_fd < 0)
		return errno == ENOENT ? 0 : failed(p, errno == EMFILE ? PACK_DEEP : PACK_READ);
	return put_pinned(p, pin_fd, name);
}

static int put_names(struct pack *p, int *dir_fd)
{
	_cleanup_closedir_ DIR *dir = fdopendir(*dir_fd);
	int r = 0;

	if (!dir)
		return failed(p, PACK_READ);
	take_fd(dir_fd);
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(dir);
		if (!e)
			return errno ? failed(p, PACK_READ) : 0;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		const size_t before = go_down(p, e->d_name);
		r = put_name(p, dirfd(dir), e->d_name);
		go_up(p, before);
		if (r < 0)
			return -1;
	}
}

/* name: "" for the root of the stream, which nothing leaves. */
static int put_directory(struct pack *p, int pin_fd, const char *name)
{
	_cleanup_close_ int fd = openat(pin_fd, ".", O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	const int closed = fd >= 0 && p->is_closed ? p->is_closed(fd) : 0;
	struct stat st;

	if (fd < 0 || closed < 0 || fstat(fd, &st) < 0)
		return failed(p, errno == EMFILE ? PACK_DEEP : PACK_READ);
	if (p->state->depth++ > DEPTH_MAX) {
		errno = ELOOP;
		return failed(p, PACK_DEEP);
	}
	if (put_entry(p, &st, fd, name, "", 0, false) < 0 || put_xattrs(p, fd) < 0 ||
	    (!closed && put_names(p, &fd) < 0))
		return -1;
	p->state->depth--;
	return *name ? put(p, EXT4_LEAVE, NULL, 0) : 0;
}

static int put_pinned(struct pack *p, int pin_fd, const char *name)
{
	struct stat st;

	if (fstat(pin_fd, &st) < 0)
		return failed(p, PACK_READ);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return put_directory(p, pin_fd, name);
	case S_IFREG: {
		const int closed = p->is_closed ? p->is_closed(pin_fd) : 0;
		if (closed < 0)
			return failed(p, PACK_READ);
		if (!closed)
			return put_file(p, pin_fd, name);
		leave_out(p);
		return 0;
	}
	case S_IFLNK:
		return put_link(p, pin_fd, &st, name);
	default:
		return put_node(p, &st, name);
	}
}

int pack_entry(struct pack *p, int pin_fd, const char *name)
{
	return get_state(p) < 0 ? -1 : put_pinned(p, pin_fd, name);
}

int pack_top(struct pack *p, int pin_fd)
{
	return get_state(p) < 0 ? -1 : put_directory(p, pin_fd, "");
}

int pack_end(struct pack *p)
{
	static const char text[] = "it could not be read to its end";
	const struct part part = { text, sizeof(text) - 1 };
	const bool whole = !p->problem;

	if (!p->state)
		return -1;
	if (whole ? put(p, EXT4_END, NULL, 0) == 0 : p->problem != PACK_WRITE)
		(void)!(whole || put(p, EXT4_FAILED, &part, 1) == 0);
	int r = p->problem == PACK_WRITE ? -1 : flush(p);
	tdestroy(p->state->links, free);
	free(p->state);
	p->state = NULL;
	return whole ? r : -1;
}
