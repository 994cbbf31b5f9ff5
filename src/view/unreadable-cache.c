/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view/unreadable-cache.c - keeps what the walk found, and finds out cheaply whether it still holds.
 *
 * Two kinds of witnesses stand in the file with the time of their last change. Directories that hold
 * something unreadable: where one changed, it alone is looked through again. Databases of packages: an
 * installation may bring unreadable files anywhere, so the list is stale then, as it is after a day. What
 * else may happen (somebody's chmod in a directory that had nothing unreadable) is noticed within that day;
 * until then the file answers EACCES inside. Every entry is tested again at every start. One call each: 65
 * entries took 0.2 ms where the walk takes a second.
 *
 * The file: a line with the version and whom it holds for, then records that end with NUL: a kind (f, d, l,
 * or w and s for witnesses), for witnesses the time and a space, the path. It is replaced by rename only.
 */
#include "view/unreadable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CACHE_MAX (16u << 20)
#define HOLDS_S (24 * 3600)
#define GROUPS_MAX 256

static const char *const databases[] = { "/var/lib/dpkg/status", "/var/lib/rpm", "/usr/lib/sysimage/rpm",
					 "/lib/apk/db/installed", "/var/lib/pacman/local" };

/* Below a root descriptor; "/" itself is ".". */
static const char *relative(const char *path)
{
	return path[1] ? path + 1 : ".";
}

static int changed_at(int root_fd, const char *path, struct timespec *ret)
{
	struct stat st;

	if (fstatat(root_fd, relative(path), &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return -1;
	*ret = st.st_ctim;
	return 0;
}

/* Whom and what the list holds for: ids, the root, what was left out. */
static int put_header(const struct unreadable_query *q, struct buf *b, struct kennel_error **err)
{
	gid_t groups[GROUPS_MAX];
	struct statx st;
	int n = getgroups(GROUPS_MAX, groups);

	if (statx(q->root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0)
		return fail_errno(err, "look at the root");
	/* A directory that took the number of one that is gone was born at another time. */
	const struct statx_timestamp born = st.stx_mask & STATX_BTIME ? st.stx_btime : st.stx_ctime;

	buf_printf(b, "kennel unreadable 2 root %x:%x:%llx born %lld.%u system %d ids %u %u",
		   st.stx_dev_major, st.stx_dev_minor, (unsigned long long)st.stx_ino, (long long)born.tv_sec,
		   born.tv_nsec, q->is_system, geteuid(), getegid());
	for (int i = 0; i < n; i++)
		buf_printf(b, " %u", groups[i]);
	for (const char *const *s = q->skip; s && *s; s++) {
		buf_puts(b, " ");
		buf_json(b, *s);
	}
	buf_puts(b, "\n");
	return buf_check(b, err);
}

static void put_witness(struct buf *b, char kind, int root_fd, const char *path, size_t len)
{
	_cleanup_free_ char *copy = strndup(len ? path : "/", len ? len : 1);
	struct timespec t;

	if (!copy) {
		b->nomem = true;
		return;
	}
	if (changed_at(root_fd, copy, &t) < 0)
		return;
	buf_printf(b, "%c%lld.%09ld %s", kind, (long long)t.tv_sec, t.tv_nsec, copy);
	buf_add(b, "", 1);
}

static size_t parent_len(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

/*
 * Takes the records of the entries; adds the witnesses, each directory once (entries of one stand together).
 */
static int put_all(const struct unreadable_query *q, const struct buf *entries, struct buf *ret,
		   struct kennel_error **err)
{
	int r = put_header(q, ret, err);
	const char *last = NULL;

	if (r < 0)
		return r;
	buf_add(ret, entries->data, entries->len);
	for (size_t i = 0; i < ARRAY_SIZE(databases); i++)
		put_witness(ret, 's', q->root_fd, databases[i], strlen(databases[i]));
	for (const char *e = entries->data; e && e < entries->data + entries->len; e += strlen(e) + 1) {
		const char *path = e + 1;
		size_t len = parent_len(path);

		if (!last || parent_len(last) != len || strncmp(last, path, len))
			put_witness(ret, 'w', q->root_fd, path, len);
		last = path;
	}
	return buf_check(ret, err);
}

static int file_name(const struct unreadable_query *q, const char *end, char ret[static 128],
		     struct kennel_error **err)
{
	if (!q->key[0] ||
	    strspn(q->key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		    strlen(q->key) ||
	    strlen(q->key) > 80)
		return fail(err, KENNEL_E_INVALID, "\"%s\" can't name a cache file", q->key);
	snprintf(ret, 128, "unreadable-%s%s", q->key, end);
	return 0;
}

/* A cache that can't be written is none: a full disk is no reason not to start. */
static void save(const struct unreadable_query *q, const struct buf *all)
{
	char name[128], temporary[128], end[32];
	size_t done = 0;

	snprintf(end, sizeof(end), ".%d", (int)getpid());
	if (q->cache_fd < 0 || file_name(q, "", name, NULL) < 0 || file_name(q, end, temporary, NULL) < 0)
		return;
	_cleanup_close_ int fd =
		openat(q->cache_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	while (done < all->len) {
		ssize_t n = write(fd, all->data + done, all->len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done < all->len || renameat(q->cache_fd, temporary, q->cache_fd, name) < 0)
		(void)!unlinkat(q->cache_fd, temporary, 0);
}

/* What the file says is planted in a delta: only what the walk could have written is taken. */
static bool is_plain_path(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (!len || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		path += len;
	}
	return true;
}

static bool still_unreadable(int root_fd, enum unreadable_kind kind, const char *path)
{
	int mode = kind == UNREADABLE_FILE ? R_OK : R_OK | X_OK;

	return faccessat(root_fd, relative(path), mode, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == EACCES;
}

static bool is_kind(char c)
{
	return c == UNREADABLE_FILE || c == UNREADABLE_DIR || c == UNREADABLE_LIST;
}

/* Has the witness (after its kind byte: time, space, path) changed? *ret_path is NULL if it is nonsense. */
static bool witness_changed(int root_fd, const char *text, const char **ret_path)
{
	char *end;
	struct timespec t;
	long long sec = strtoll(text, &end, 10);
	long nsec = *end == '.' ? strtol(end + 1, &end, 10) : -1;

	*ret_path = *end == ' ' && (!strcmp(end + 1, "/") || is_plain_path(end + 1)) ? end + 1 : NULL;
	return !*ret_path || changed_at(root_fd, *ret_path, &t) < 0 || t.tv_sec != sec || t.tv_nsec != nsec;
}

struct load {
	struct buf entries; /* records */
	struct strv again; /* directories to look through again */
	bool stale;
};

/* Directories that changed first: their entries come from a new look. */
static int load_witnesses(const struct unreadable_query *q, const char *text, const char *end, struct load *l,
			  struct kennel_error **err)
{
	for (const char *e = text; e < end; e += strlen(e) + 1) {
		const char *path;

		if ((*e != 'w' && *e != 's') || !witness_changed(q->root_fd, e + 1, &path))
			continue;
		if (*e == 's' || !path)
			l->stale = true;
		int r = *e == 'w' && path ? strv_add(&l->again, path, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_looked_through_again(const struct load *l, const char *path)
{
	size_t len = parent_len(path);

	for (size_t i = 0; i < l->again.n; i++) {
		const char *dir = l->again.items[i];

		if (len ? strlen(dir) == len && !strncmp(dir, path, len) : !strcmp(dir, "/"))
			return true;
	}
	return false;
}

static int look_again(const struct unreadable_query *q, struct load *l, struct kennel_error **err)
{
	for (size_t i = 0; i < l->again.n; i++) {
		int r = unreadable_look(q, l->again.items[i], &l->entries, err);

		if (r < 0)
			return r;
	}
	return buf_check(&l->entries, err);
}

/* Return: 1 loaded, 0 there is no list for this user and base. */
static int load(const struct unreadable_query *q, struct load *l, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 }, header = { 0 };
	char name[128];
	struct stat st;

	if (q->cache_fd < 0)
		return 0;
	int r = file_name(q, "", name, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(q->cache_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    buf_read_fd(&text, fd, CACHE_MAX, NULL) < 0)
		return 0;
	r = put_header(q, &header, err);
	if (r < 0)
		return r;
	if (text.len < header.len || memcmp(text.data, header.data, header.len))
		return 0;
	const char *from = text.data + header.len, *end = text.data + text.len;
	l->stale = time(NULL) - st.st_mtime > HOLDS_S || st.st_mtime > time(NULL);
	r = load_witnesses(q, from, end, l, err);
	if (r < 0)
		return r;
	for (const char *e = from; e < end; e += strlen(e) + 1)
		if (is_kind(*e) && is_plain_path(e + 1) && !is_looked_through_again(l, e + 1) &&
		    still_unreadable(q->root_fd, (enum unreadable_kind) * e, e + 1))
			buf_add(&l->entries, e, strlen(e) + 1);
	r = look_again(q, l, err);
	return r < 0 ? r : 1;
}

/* Records into entries; takes the buffer. */
static int give(struct buf *records, bool stale, struct unreadable *ret, struct kennel_error **err)
{
	size_t n = 0;

	for (size_t i = 0; i < records->len; i++)
		n += !records->data[i];
	struct unreadable_entry *items = calloc(n ? n : 1, sizeof(*items));
	if (!items)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	const char *e = records->data;
	for (size_t i = 0; i < n; i++, e += strlen(e) + 1)
		items[i] = (struct unreadable_entry){ .path = e + 1, .kind = (enum unreadable_kind) * e };
	*ret = (struct unreadable){
		.items = items,
		.n = n,
		.text = take_ptr(&records->data),
		.stale = stale,
	};
	return 0;
}

static int walk_and_save(const struct unreadable_query *q, struct buf *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf all = { 0 };
	int r = unreadable_walk(q, ret, err);

	if (r == 0 && q->cache_fd >= 0)
		r = put_all(q, ret, &all, err);
	if (r == 0)
		save(q, &all);
	return r;
}

static void load_done(struct load *l)
{
	buf_done(&l->entries);
	strv_done(&l->again);
}

int unreadable_get(const struct unreadable_query *q, struct unreadable *ret, struct kennel_error **err)
{
	__attribute__((cleanup(load_done))) struct load l = { 0 };
	int r = load(q, &l, err);

	if (r == 0)
		r = walk_and_save(q, &l.entries, err);
	if (r < 0)
		return wrap(err, r, "find out which files can't be read");
	return give(&l.entries, l.stale, ret, err);
}

int unreadable_refresh(const struct unreadable_query *q, struct kennel_error **err)
{
	_cleanup_buf_ struct buf entries = { 0 };
	char name[128];
	int r = file_name(q, ".lock", name, err);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(q->cache_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(err, "create \"%s\" in the cache directory", name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : fail_errno(err, "lock \"%s\"", name);
	r = walk_and_save(q, &entries, err);
	return r < 0 ? wrap(err, r, "find out which files can't be read") : 1;
}

void unreadable_done(struct unreadable *u)
{
	free(u->items);
	free(u->text);
	*u = (struct unreadable){ 0 };
}
