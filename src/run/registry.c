/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/registry.c - see registry.h. */
#include "run/registry.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/line.h"
#include "sys/sys.h"

#define ID_TRIES 16u
#define ENTRY_MAX (8u << 20)    /* a machine may have a thousand mounts with long names */

static int open_private_dir(int parent_fd, const char *name, const char *shown, struct kennel_error **err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int fd = openat(parent_fd, name, flags);
	struct stat st;

	if (fd < 0 && errno == ENOENT) {        /* the first time */
		if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make \"%s\"", shown);
		replace_fd(&fd, openat(parent_fd, name, flags));
	}
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is not a directory", shown),
			    "somebody else made it: look at what it is, then remove it");
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, "open \"%s\"", shown);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return hint(err, fail(err, KENNEL_E_PERM, "\"%s\" is open to other users", shown),
			    "somebody else made it: look at what it holds, then remove it");
	return take_fd(&fd);
}

const char *registry_parent(void)
{
	const char *dir = geteuid() == 0 ? "/run" : secure_getenv("XDG_RUNTIME_DIR");

	return dir && dir[0] == '/' ? dir : NULL;
}

int registry_open(struct kennel_error **err)
{
	const char *base = registry_parent();

	if (!base)
		return hint(
			err, fail(err, KENNEL_E_NOTFOUND, "XDG_RUNTIME_DIR is not set"),
			"log in with a session (pam_systemd), or set XDG_RUNTIME_DIR to a directory of your own");
	_cleanup_close_ int parent_fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0)
		return hint(err, fail_errno(err, "open \"%s\"", base),
			    geteuid() == 0 ? "kennel notes there what runs" :
					     "XDG_RUNTIME_DIR says so: it has to be a directory of your own");
	char shown[256];
	snprintf(shown, sizeof(shown), "%s/kennel", base);
	int fd = open_private_dir(parent_fd, "kennel", shown, err);
	if (fd >= 0 || (err && *err && kennel_error_code(*err) == KENNEL_E_LIMIT))
		return fd;
	return hint_default(err, fd,
			    "kennel notes there what runs; it has to be a directory that you can write");
}

int registry_make_id(int dir_fd, char ret[REGISTRY_ID_SIZE], struct kennel_error **err)
{
	for (unsigned i = 0; i < ID_TRIES; i++) {
		char id[REGISTRY_ID_SIZE];
		struct stat st;
		uint32_t v;

		if (getrandom(&v, sizeof(v), 0) != sizeof(v))
			return fail_errno(err, "get random bytes");
		snprintf(id, sizeof(id), "%08x", v);
		if (fstatat(dir_fd, id, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (errno != ENOENT)
			return fail_errno(err, "look at the runtime directory");
		memcpy(ret, id, sizeof(id));
		return 0;
	}
	return fail(err, KENNEL_E_EXISTS, "%u random ids in a row were taken", ID_TRIES);
}

void registry_put(struct buf *b, const char *key, const char *value)
{
	buf_puts(b, key);
	buf_puts(b, "\t");
	line_put(b, value);
	buf_puts(b, "\n");
}

int registry_add(int dir_fd, const char *id, const struct buf *content, struct kennel_error **err)
{
	char name[64];
	_cleanup_close_ int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_errno(err, "make an entry in the runtime directory");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return fail_errno(err, "lock an entry of the runtime directory");
	if (content->len > ENTRY_MAX)   /* it could never be read again */
		return fail(err, KENNEL_E_LIMIT, "an entry of the runtime directory would have %zu bytes",
			    content->len);
	ssize_t n = write(fd, buf_str(content), content->len);
	if (n >= 0 && n < (ssize_t)content->len) {      /* full in the middle of it */
		n = -1;
		errno = ENOSPC;
	}
	if (n < 0)
		return fail_errno(err, "write an entry of the runtime directory");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, name, dir_fd, id, AT_SYMLINK_FOLLOW) < 0)
		return fail_errno(err, "name an entry of the runtime directory");
	return take_fd(&fd);
}

static const char *const suffixes[] = { REGISTRY_SOCKET, REGISTRY_STATE, REGISTRY_LOG, REGISTRY_LOG_OLD };

void registry_beside(const char *id, const char *suffix, char ret[REGISTRY_BESIDE_SIZE])
{
	snprintf(ret, REGISTRY_BESIDE_SIZE, "%.8s%s", id, suffix);
}

void registry_remove(int dir_fd, const char *id, bool beside)
{
	char name[REGISTRY_BESIDE_SIZE];

	for (size_t i = 0; beside && i < ARRAY_SIZE(suffixes); i++) {
		registry_beside(id, suffixes[i], name);
		(void)!unlinkat(dir_fd, name, 0);
	}
	(void)!unlinkat(dir_fd, id, 0);         /* whoever finds a dead one removes it, so it may be gone */
}

int registry_parse(const char *text, struct registry_entry *e, struct kennel_error **err)
{
	_cleanup_strv_ struct strv lines = { 0 };

	int r = strv_split(&lines, text, '\n', err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < lines.n; i++) {
		char *tab = strchr(lines.items[i], '\t');

		if (!tab)
			return fail(err, KENNEL_E_CORRUPT, "line %zu has no tab", i + 1);
		*tab = '\0';
		r = strv_add(&e->keys, lines.items[i], err);
		if (r == 0)
			r = strv_add(&e->values, line_undo(tab + 1), err);
		if (r < 0)
			return r;
	}
	return 0;
}

const char *registry_get(const struct registry_entry *e, const char *key, size_t n)
{
	for (size_t i = 0; i < e->values.n; i++)
		if (strcmp(e->keys.items[i], key) == 0 && n-- == 0)
			return e->values.items[i];
	return NULL;
}

static bool is_id(const char *name)
{
	return strlen(name) == 8 && strspn(name, "0123456789abcdef") == 8;
}

int registry_brief(const char *what, char ret[REGISTRY_BRIEF_SIZE], struct kennel_error **err)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return fail_errno(err, "get random bytes");
	snprintf(ret, REGISTRY_BRIEF_SIZE, ".%.16s-%d-%08x", what, getpid(), v);
	return 0;
}

static void sweep_brief(int dir_fd, const char *name)
{
	int pid, end = 0;

	if (sscanf(name, ".%*[a-z]-%d-%*8[0-9a-f]%n", &pid, &end) != 1 || !end || name[end] || pid <= 0)
		return;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		(void)!unlinkat(dir_fd, name, 0);
}

/* What a killed process left beside an entry that is gone. */
static void sweep_beside(int dir_fd, const char *name)
{
	char id[REGISTRY_ID_SIZE];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (strlen(name) != 8 + strlen(suffixes[i]) || strcmp(name + 8, suffixes[i]) != 0)
			continue;
		snprintf(id, sizeof(id), "%.8s", name);
		if (is_id(id) && fstatat(dir_fd, id, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			(void)!unlinkat(dir_fd, name, 0);
	}
}

/* Opens a live entry: 1 and *ret_fd; 0 it is dead (removed now) or gone; or a code. */
static int open_live(int dir_fd, const char *id, int *ret_fd, bool *ret_removed, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, id, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open the entry of \"%s\"", id);
	if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
		registry_remove(dir_fd, id, true);
		*ret_removed = true;
		return 0;
	}
	*ret_fd = take_fd(&fd);
	return 1;
}

static int compare_entries(const void *a, const void *b)
{
	const struct registry_entry *x = a, *y = b;
	const char *cx = registry_get(x, "created", 0), *cy = registry_get(y, "created", 0);
	int c = strcmp(cx ? cx : "", cy ? cy : "");

	return c ? c : strcmp(x->id, y->id);
}

static int add_entry(struct registry_entry **list, size_t *n, const char *id, int fd,
		     struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct registry_entry *grown = reallocarray(*list, *n + 1, sizeof(**list));

	if (!grown)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*list = grown;
	struct registry_entry *e = &grown[*n];
	*e = (struct registry_entry){ .id = strdup(id) };
	(*n)++;
	if (!e->id)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = buf_read_fd(&b, fd, ENTRY_MAX, err);
	if (r == 0)
		r = registry_parse(buf_str(&b), e, err);
	return r < 0 ? wrap(err, r, "the entry of \"%s\"", id) : 0;
}

int registry_list(int dir_fd, const char *prefix, struct registry_entry **ret, size_t *ret_n,
		  size_t *ret_removed, struct kennel_error **err)
{
	struct registry_entry *list = NULL;
	size_t n = 0, removed = 0;
	int own_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (!d) {
		close_fd(own_fd);
		return fail_errno(err, "read the runtime directory");
	}
	int r = 0;
	while (r >= 0) {
		_cleanup_close_ int fd = -EBADF;
		bool gone = false;

		errno = 0;
		const struct dirent *e = readdir(d);
		if (!e) {
			r = errno ? fail_errno(err, "read the runtime directory") : 0;
			break;
		}
		if (!is_id(e->d_name)) {
			sweep_beside(dir_fd, e->d_name);
			sweep_brief(dir_fd, e->d_name);
		}
		if (!is_id(e->d_name) || (prefix && strncmp(e->d_name, prefix, strlen(prefix)) != 0))
			continue;
		r = open_live(dir_fd, e->d_name, &fd, &gone, err);
		removed += gone;
		if (r > 0)
			r = add_entry(&list, &n, e->d_name, fd, err);
	}
	if (r < 0) {
		registry_entries_free(list, n);
		return r;
	}
	if (n)
		qsort(list, n, sizeof(*list), compare_entries);
	*ret = list;
	*ret_n = n;
	if (ret_removed)
		*ret_removed = removed;
	return 0;
}

void registry_entries_free(struct registry_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(entries[i].id);
		strv_done(&entries[i].keys);
		strv_done(&entries[i].values);
	}
	free(entries);
}

bool registry_is_alive(int dir_fd, const char *id)
{
	_cleanup_close_ int fd = -EBADF;
	bool removed;

	return is_id(id) && open_live(dir_fd, id, &fd, &removed, NULL) > 0;
}
