/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/layers.c - see layers.h. */
#include "container/layers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "conf/name.h"

#define TRIES 16u
#define TAKEN_AWAY ".rm-"
#define MAKING ".making"

int layers_path(const char *store_path, const char *name, char **ret, struct kennel_error **err)
{
	char *path = NULL;
	int n = name[0] == '/' ? asprintf(&path, "%s", name) :
				 asprintf(&path, "%s/" LAYERS_DIR "/%s", store_path, name);

	if (n < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*ret = path;
	return 0;
}

int layers_find_base(const char *store_path, const struct manifest *m, char **ret, struct kennel_error **err)
{
	_cleanup_free_ char *layer = NULL;
	char *path = NULL;
	struct stat st;

	*ret = NULL;
	if (!m->below.n)
		return 0;
	int r = layers_path(store_path, m->below.items[0], &layer, err);
	if (r < 0)
		return r;
	if (asprintf(&path, "%s/base", layer) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		free(path);
		return 0;
	}
	*ret = path;
	return 0;
}

static int open_dir(int at_fd, const char *name)
{
	return openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * Shared: many may make some at once. Exclusive, and not waited for: nobody does. Return: 1, 0 there are
 * none or somebody is at it, or a negative code.
 */
static int lock(const struct store *s, bool make, int how, int *ret_fd, struct kennel_error **err)
{
	*ret_fd = -EBADF;
	for (;;) {
		struct stat st;

		if (s->fd < 0)
			return 0;
		if (make && mkdirat(s->fd, LAYERS_DIR, 0700) < 0 && errno != EEXIST)
			return fail_errno(err, "make \"%s/" LAYERS_DIR "\"", s->path);
		_cleanup_close_ int fd = open_dir(s->fd, LAYERS_DIR);
		if (fd < 0 && errno == ENOENT && make)
			continue; /* the last one who left has just removed it */
		if (fd < 0)
			return errno == ENOENT ? 0 : fail_errno(err, "open \"%s/" LAYERS_DIR "\"", s->path);
		if (flock(fd, how) < 0 && errno == EWOULDBLOCK)
			return 0;
		if (fstat(fd, &st) < 0 || (make && fchown(fd, (uid_t)-1, getegid()) < 0))
			return fail_errno(err, "look at \"%s/" LAYERS_DIR "\"", s->path);
		if (!st.st_nlink)
			continue;
		*ret_fd = take_fd(&fd);
		return 1;
	}
}

int layers_hold(const struct store *s, int *ret_hold, struct kennel_error **err)
{
	int r = lock(s, false, LOCK_SH, ret_hold, err);

	return MIN(r, 0);
}

/* Before the first of it: who is killed then is noticed. */
static int note_making(int dir_fd, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, MAKING, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? fail_errno(err, "note that a layer is made") : 0;
}

static int make_one(int dir_fd, char ret_id[static LAYERS_ID_SIZE], struct kennel_error **err)
{
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t v;

		if (getrandom(&v, sizeof(v), 0) != sizeof(v))
			return fail_errno(err, "get random bytes");
		snprintf(ret_id, LAYERS_ID_SIZE, "%016llx", (unsigned long long)v);
		if (mkdirat(dir_fd, ret_id, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			return fail_errno(err, "make a layer");
	}
	return fail(err, KENNEL_E_EXISTS, "%u random names in a row were taken", TRIES);
}

int layers_make(const struct store *s, const struct buf *manifest, char ret_id[static LAYERS_ID_SIZE],
		int *ret_hold, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = -EBADF;

	*ret_hold = -EBADF;
	int r = lock(s, true, LOCK_SH, &dir_fd, err);
	if (r >= 0)
		r = note_making(dir_fd, err);
	if (r == 0)
		r = make_one(dir_fd, ret_id, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_dir(dir_fd, ret_id);
	if (fd < 0 || fchown(fd, (uid_t)-1, getegid()) < 0)
		r = fail_errno(err, "open a layer");
	if (r == 0)
		r = container_write_file(fd, CONTAINER_MANIFEST, manifest, s->path, err);
	if (r == 0)
		r = container_sync(fd, s->path, err);
	if (r == 0 && fsync(dir_fd) < 0)
		r = fail_errno(err, "write a layer");
	if (r == 0)
		*ret_hold = take_fd(&dir_fd);
	return r;
}

/* A manifest in a directory; one that is not there says nothing. */
static int see_one(int at_fd, const char *dir, const char *owner, layers_see_fn see, void *data,
		   struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_close_ int dir_fd = open_dir(at_fd, dir);
	_cleanup_close_ int fd = dir_fd < 0 ? -1 :
					      openat(dir_fd, CONTAINER_MANIFEST,
						     O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       fail_errno(err, "open the manifest of \"%s\"", owner);
	int r = buf_read_fd(&text, fd, MANIFEST_TEXT_MAX, err);
	if (r == 0)
		r = manifest_parse(buf_str(&text), &m, err);
	if (r == 0)
		r = see(data, owner, &m, err);
	return r < 0 ? wrap(err, r, "the manifest of \"%s\"", owner) : r;
}

static int see_snapshots(int dir_fd, const char *name, layers_see_fn see, void *data,
			 struct kennel_error **err)
{
	int fd = open_dir(dir_fd, "snapshots");
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!d)
		return 0;
	for (const struct dirent *e; r == 0 && (e = readdir(d));) {
		char owner[2 * NAME_MAX_LENGTH + 32];

		if (name_check(e->d_name, NULL) < 0)
			continue;
		snprintf(owner, sizeof(owner), "%.*s/snapshots/%.*s", NAME_MAX_LENGTH, name, NAME_MAX_LENGTH,
			 e->d_name);
		r = see_one(fd, e->d_name, owner, see, data, err);
	}
	return r;
}

static int see_container(const struct store *s, const char *name, layers_see_fn see, void *data,
			 struct kennel_error **err)
{
	_cleanup_close_ int dir_fd = open_dir(s->fd, name);

	if (dir_fd < 0) /* gone meanwhile */
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s/%s\"", s->path, name);
	int r = see_one(s->fd, name, name, see, data, err);
	if (r == 0) /* decided, not completed */
		r = see_one(dir_fd, "next", name, see, data, err);
	return r < 0 ? r : see_snapshots(dir_fd, name, see, data, err);
}

int layers_each_manifest(const struct store *s, layers_see_fn see, void *data, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };

	int r = store_names(s, &names, err);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = see_container(s, names.items[i], see, data, err);
	return r;
}

static int note(void *data, const char *owner, const struct manifest *m, struct kennel_error **err)
{
	struct strv *used = data;
	int r = 0;

	(void)owner;
	for (size_t i = 0; i < m->below.n && r == 0; i++)
		if (!strv_has(used, m->below.items[i]))
			r = strv_add(used, m->below.items[i], err);
	return r;
}

/* Renamed first: half a layer must not look like one. */
static int remove_one(int dir_fd, const char *id, container_wipe_fn wipe, const char *shown,
		      struct kennel_error **err)
{
	char name[LAYERS_ID_SIZE + 8];

	snprintf(name, sizeof(name), "%s%s", id[0] == '.' ? "" : TAKEN_AWAY, id);
	if (id[0] != '.' && renameat(dir_fd, id, dir_fd, name) < 0)
		return fail_errno(err, "remove the layer %s", id);
	_cleanup_close_ int fd = open_dir(dir_fd, name);
	int r = fd < 0 ? fail_errno(err, "open the layer %s", id) : wipe(NULL, fd, shown, err);
	if (r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
		r = fail_errno(err, "remove the layer %s", id);
	return r;
}

static bool is_left(const char *name)
{
	return strncmp(name, TAKEN_AWAY, strlen(TAKEN_AWAY)) == 0 &&
	       manifest_is_layer_id(name + strlen(TAKEN_AWAY));
}

static int find_unused(int dir_fd, const struct strv *used, struct strv *ret, struct kennel_error **err)
{
	int own_fd = open_dir(dir_fd, ".");
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);
	int r = 0;

	if (!d)
		return fail_errno(err, "read the layers");
	for (const struct dirent *e; r == 0 && (e = readdir(d));)
		if (is_left(e->d_name) || (manifest_is_layer_id(e->d_name) && !strv_has(used, e->d_name)))
			r = strv_add(ret, e->d_name, err);
	return r;
}

int layers_sweep(const struct store *s, container_wipe_fn wipe, size_t *ret_removed,
		 struct kennel_error **err)
{
	_cleanup_strv_ struct strv used = { 0 }, unused = { 0 };
	_cleanup_free_ char *shown = NULL;
	_cleanup_close_ int dir_fd = -EBADF;
	size_t removed = 0;

	if (ret_removed)
		*ret_removed = 0;
	int r = lock(s, false, LOCK_EX | LOCK_NB, &dir_fd, err);
	if (r <= 0)
		return r;
	if (asprintf(&shown, "%s/" LAYERS_DIR, s->path) < 0) {
		shown = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	r = layers_each_manifest(s, note, &used, err);
	if (r == 0)
		r = find_unused(dir_fd, &used, &unused, err);
	for (size_t i = 0; i < unused.n && r == 0; i++) {
		r = remove_one(dir_fd, unused.items[i], wipe, shown, err);
		removed += r == 0;
	}
	if (r == 0) {
		(void)!unlinkat(dir_fd, MAKING, 0);
		(void)!unlinkat(s->fd, LAYERS_DIR, AT_REMOVEDIR); /* if it is empty */
	}
	if (ret_removed)
		*ret_removed = removed;
	return r;
}

void layers_made(int *hold_fd)
{
	/* Whoever else is at it goes on: the last one takes it away, or the next sweep. */
	if (*hold_fd >= 0 && flock(*hold_fd, LOCK_EX | LOCK_NB) == 0)
		(void)!unlinkat(*hold_fd, MAKING, 0);
	close_fd(*hold_fd);
	*hold_fd = -EBADF;
}

void layers_tidy(const struct store *s, container_wipe_fn wipe)
{
	if (s->fd >= 0 && faccessat(s->fd, LAYERS_DIR "/" MAKING, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		(void)!layers_sweep(s, wipe, NULL, NULL);
}

struct missing {
	const struct store *store;
	struct strv *ret;
};

static int note_missing(void *data, const char *owner, const struct manifest *m, struct kennel_error **err)
{
	const struct missing *w = data;
	int r = 0;

	for (size_t i = 0; i < m->below.n && r == 0; i++) {
		_cleanup_free_ char *path = NULL;
		struct stat st;

		r = layers_path(w->store->path, m->below.items[i], &path, err);
		if (r == 0 && lstat(path, &st) < 0)
			r = strv_addf(w->ret, err, "%s\t%s", owner, path);
	}
	return r;
}

int layers_missing(const struct store *s, struct strv *ret, struct kennel_error **err)
{
	struct missing w = { s, ret };

	return s->fd < 0 ? 0 : layers_each_manifest(s, note_missing, &w, err);
}
