/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/container.c - see container.h. Every multi-step change stands here. */
#include "container/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "conf/config.h"
#include "conf/name.h"
#include "container/layers.h"
#include "delta/manifest.h"
#include "sys/sys.h"

#define CLOSE_WAIT_MS 5000u /* for our own mounts, which go when their last use does */

static int fill_names(const struct store *s, const char *name, struct container *c, struct kennel_error **err)
{
	c->name = strdup(name);
	if (asprintf(&c->path, "%s/%s", s->path, name) < 0)
		c->path = NULL;
	return c->name && c->path ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int fail_not_there(const struct store *s, const char *name, struct kennel_error **err)
{
	return hint(err,
		    fail(err, KENNEL_E_NOTFOUND, "there is no container \"%s\" in \"%s\"", name, s->path),
		    "\"kennel list\" shows those that are there; \"kennel run -k %s\" makes it", name);
}

static int check_private(const struct container *c, uid_t owner, struct kennel_error **err)
{
	struct stat st;

	if (fstat(c->dir_fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", c->path);
	if (st.st_uid != owner || (st.st_mode & 077))
		return hint(err, fail(err, KENNEL_E_PERM, "\"%s\" is open to other users", c->path),
			    "look at what it holds; then chmod 700 it if all is well");
	return 0;
}

int container_open(const struct store *s, const char *name, struct container *ret, struct kennel_error **err)
{
	_cleanup_container_ struct container c = CONTAINER_NONE;
	struct stat st;

	int r = name_check(name, err);
	if (r < 0)
		return r;
	if (s->fd < 0)
		return fail_not_there(s, name, err);
	r = fill_names(s, name, &c, err);
	if (r < 0)
		return r;
	c.store_fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
	if (c.store_fd < 0)
		return fail_errno(err, "duplicate a descriptor");
	c.dir_fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c.dir_fd < 0 && errno == ENOENT)
		return fail_not_there(s, name, err);
	if (c.dir_fd < 0)
		return fail_errno(err, "open the container \"%s\"", name);
	r = check_private(&c, s->owner, err);
	if (r < 0)
		return r;
	if (fstatat(c.dir_fd, CONTAINER_CONFIG, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return hint(err, fail_errno(err, "\"%s\" is no container: its configuration", c.path),
			    "remove it by hand if you don't know what it is");
	*ret = c;
	c = (struct container)CONTAINER_NONE;
	return 0;
}

void container_done(struct container *c)
{
	free(c->name);
	free(c->path);
	close_fd(c->store_fd);
	storage_close(&c->storage, 0);
	close_fd(c->dir_fd);
	close_fd(c->lock_fd);
	*c = (struct container)CONTAINER_NONE;
}

static int write_all(int fd, const struct buf *text)
{
	for (size_t at = 0; at < text->len;) {
		ssize_t n = write(fd, text->data + at, text->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

int container_write_file(int dir_fd, const char *name, const struct buf *text, const char *shown,
			 struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || write_all(fd, text) < 0)
		return fail_errno(err, "write \"%s/%s\"", shown, name);
	/* Begins now, so that who waits for all of them waits for one. */
	(void)!sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int sync_one(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

int container_sync(int dir_fd, const char *shown, struct kennel_error **err)
{
	int own_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (!d)
		return fail_errno(err, "read \"%s\"", shown);
	for (const struct dirent *e; (e = readdir(d));) {
		if (e->d_type != DT_REG && e->d_type != DT_UNKNOWN)
			continue;
		if (sync_one(dir_fd, e->d_name) < 0)
			return fail_errno(err, "write \"%s/%s\"", shown, e->d_name);
	}
	return fsync(dir_fd) < 0 ? fail_errno(err, "write \"%s\"", shown) : 0;
}

/*
 * A directory that sweepers keep their hands off. Between its making and its locking one may have removed
 * it, for it looked like one that somebody left: then another try.
 */
static int make_locked(const struct store *s, char name[STORE_TEMP_SIZE], struct kennel_error **err)
{
	for (;;) {
		int r = store_temp_name(s, STORE_NEW, name, err);
		if (r < 0)
			return r;
		if (mkdirat(s->fd, name, 0700) < 0)
			return fail_errno(err, "make a directory in \"%s\"", s->path);
		_cleanup_close_ int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || flock(fd, LOCK_EX) < 0 || fstat(fd, &st) < 0)
			return fail_errno(err, "lock a directory in \"%s\"", s->path);
		if (!st.st_nlink)
			continue;
		/*
		 * Else root inside could not work in it: a parent may hand on a group that is not there
		 * inside.
		 */
		if (fchown(fd, (uid_t)-1, getegid()) < 0)
			return fail_errno(err, "make a directory in \"%s\"", s->path);
		return take_fd(&fd);
	}
}

/* What is beside the delta. */
static int fill_rest(int dir_fd, const char *shown, const struct buf *config, struct kennel_error **err)
{
	int r = container_write_file(dir_fd, "lock", &(struct buf){ 0 }, shown, err);

	if (r == 0)
		r = container_write_file(dir_fd, CONTAINER_CONFIG, config, shown, err);
	return r < 0 ? r : container_sync(dir_fd, shown, err);
}

/* Inside of an image that is one container: all of it in plain directories. */
int container_fill(int dir_fd, const char *shown, const struct buf *config, struct kennel_error **err)
{
	int r = storage_make_dir(dir_fd, "delta", err);

	return r < 0 ? r : fill_rest(dir_fd, shown, config, err);
}

static int fill(const struct storage_at *at, struct storage *storage, struct buf *config,
		const struct container_making *m, struct kennel_error **err)
{
	static const struct config_change no_size = { CONFIG_UNSET, "size", NULL };
	struct container_room room = { .dir_fd = at->dir_fd, .data_fd = at->dir_fd };
	int r = m->bare ? 0 : storage_create(storage, at, err);

	if (r == 0 && !m->bare) {
		room.data_fd = storage->data_fd;
		room.storage = storage;
	}
	if (r == 0 && m->fill)
		r = m->fill(m->data, &room, config, err);
	/* A volume's size is its own, and written down there. */
	if (r == 0 && !m->bare && (storage_caps(storage) & STORAGE_VOLUME))
		r = config_edit("the new configuration", config, &no_size, NULL, err);
	if (r == 0 && storage->mount_fd >= 0 && syncfs(storage->data_fd) < 0)
		r = fail_errno(err, "write the volume");
	return r < 0 ? r : fill_rest(at->dir_fd, at->shown, config, err);
}

static int fail_exists(const struct store *s, const char *name, struct kennel_error **err)
{
	return hint(err,
		    fail(err, KENNEL_E_EXISTS, "there is a container \"%s\" in \"%s\" already", name,
			 s->path),
		    "choose another name, or remove that one with \"kennel rm %s\"", name);
}

static void remove_half(const struct storage_at *at, const char *temp, const struct container_making *m)
{
	/* What can't be removed is swept another time. */
	if (m->wipe)
		(void)!m->wipe(NULL, at->dir_fd, at->shown, NULL);
	else if (storage_destroy(at, NULL) == 0)
		(void)!container_wipe(at->dir_fd, at->shown, NULL);
	(void)!unlinkat(at->store_fd, temp, AT_REMOVEDIR);
}

int container_create_by(const struct store *s, const char *name, struct buf *config,
			const struct container_making *m, struct kennel_error **err)
{
	_cleanup_storage_ struct storage storage = STORAGE_NONE;
	char temp[STORE_TEMP_SIZE];
	struct stat st;

	int r = name_check(name, err);
	if (r == 0 && !m->bare)
		r = storage_choose(s->fd, m->wish, &storage, err);
	if (r < 0)
		return r;
	/* Filling it may take long; whether the name is free then, is seen at the end. */
	if (m->fill && fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return fail_exists(s, name, err);
	_cleanup_close_ int fd = make_locked(s, temp, err);
	if (fd < 0)
		return fd;
	const struct storage_at at = { .store_fd = s->fd, .dir_fd = fd, .shown = s->path };
	r = fill(&at, &storage, config, m, err);
	storage_close(&storage, CLOSE_WAIT_MS);
	if (r == 0 && sys_renameat2(s->fd, temp, s->fd, name, RENAME_NOREPLACE) < 0) {
		r = errno == EEXIST ? fail_exists(s, name, err) :
				      fail_errno(err, "name the container \"%s\"", name);
	}
	if (r < 0) {
		remove_half(&at, temp, m);
		return r;
	}
	/* It is there in any case; on a disk that fails now it may be gone after a crash. */
	return fsync(s->fd) < 0 ? fail_errno(err, "write \"%s\"", s->path) : 0;
}

int container_create(const struct store *s, const char *name, const struct buf *config,
		     const struct storage_wish *wish, struct kennel_error **err)
{
	_cleanup_buf_ struct buf own = { 0 };

	buf_add(&own, buf_str(config), config->len);
	const struct container_making m = { .wish = wish };
	int r = buf_check(&own, err);
	return r < 0 ? r : container_create_by(s, name, &own, &m, err);
}

struct plain {
	container_fill_fn fill;
	void *data;
};

static int fill_plain(void *data, const struct container_room *room, struct buf *config,
		      struct kennel_error **err)
{
	const struct plain *p = data;

	return p->fill(p->data, room->dir_fd, config, err);
}

int container_create_filled(const struct store *s, const char *name, struct buf *config,
			    container_fill_fn fill_fn, void *data, container_wipe_fn wipe,
			    struct kennel_error **err)
{
	static const struct storage_wish wish = { .store = "dir" };
	struct plain p = { fill_fn, data };
	const struct container_making m = { .fill = fill_plain, .data = &p, .wipe = wipe, .wish = &wish };

	return container_create_by(s, name, config, &m, err);
}

int container_begin_change(struct container *c, struct kennel_error **err)
{
	struct stat there, ours;

	if (flock(c->dir_fd, LOCK_EX) < 0)
		return fail_errno(err, "lock the container \"%s\"", c->name);
	if (fstat(c->dir_fd, &ours) == 0 && fstatat(c->store_fd, c->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    there.st_ino == ours.st_ino && there.st_dev == ours.st_dev)
		return 0;
	return fail(err, KENNEL_E_NOTFOUND, "the container \"%s\" was removed or renamed meanwhile", c->name);
}

int container_read(const struct container *c, const char *file, struct buf *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(c->dir_fd, file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s/%s\"", c->path, file);
	int r = buf_read_fd(ret, fd, MANIFEST_TEXT_MAX, err);
	return r < 0 ? wrap(err, r, "read \"%s/%s\"", c->path, file) : 1;
}

int container_write(const struct container *c, const char *file, const struct buf *text,
		    struct kennel_error **err)
{
	char temp[32];

	snprintf(temp, sizeof(temp), ".%s-new", file);
	int r = container_write_file(c->dir_fd, temp, text, c->path, err);
	if (r == 0 && sync_one(c->dir_fd, temp) < 0)
		r = fail_errno(err, "write \"%s/%s\"", c->path, file);
	if (r == 0 && renameat(c->dir_fd, temp, c->dir_fd, file) < 0)
		r = fail_errno(err, "replace \"%s/%s\"", c->path, file);
	if (r < 0) {
		(void)!unlinkat(c->dir_fd, temp, 0);
		return r;
	}
	return fsync(c->dir_fd) < 0 ? fail_errno(err, "write \"%s\"", c->path) : 0;
}

int container_open_data(struct container *c, struct kennel_error **err)
{
	const struct storage_at at = { .store_fd = c->store_fd, .dir_fd = c->dir_fd, .shown = c->path };

	/* What is in one file has its trees there, whatever else the file may say. */
	if (c->store_fd < 0)
		return c->dir_fd;
	int r = c->storage.driver ? 0 : storage_load(&at, &c->storage, err);
	if (r == 0)
		r = storage_open(&c->storage, err);
	return r < 0 ? r : c->storage.data_fd;
}

void container_close_data(struct container *c, unsigned wait_ms)
{
	storage_close(&c->storage, wait_ms);
}

int container_take_data(struct container *c, void **ret, struct kennel_error **err)
{
	struct storage *s;

	*ret = NULL;
	if (container_volume_fd(c) < 0)
		return 0;
	s = malloc(sizeof(*s));
	if (!s)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*s = c->storage;
	c->storage = (struct storage)STORAGE_NONE;
	*ret = s;
	return 0;
}

void container_let_go(void *held)
{
	if (held)
		storage_close(held, CLOSE_WAIT_MS);
	free(held);
}

int container_open_delta(struct container *c, struct kennel_error **err)
{
	int data_fd = container_open_data(c, err);
	if (data_fd < 0)
		return data_fd;
	int fd = openat(data_fd, "delta", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open \"%s/delta\"", c->path) : fd;
}

int container_base_path(struct container *c, char **ret, struct kennel_error **err)
{
	int fd = container_open_data(c, err);

	if (fd < 0)
		return fd;
	if ((container_volume_fd(c) >= 0 ? asprintf(ret, "/proc/self/fd/%d/base", fd) :
					   asprintf(ret, "%s/base", c->path)) >= 0)
		return 0;
	*ret = NULL;
	return fail(err, KENNEL_E_NOMEM, "out of memory");
}

int container_find_base(struct container *c, struct manifest *m, struct kennel_error **err)
{
	_cleanup_free_ char *store = strndup(c->path, (size_t)(strrchr(c->path, '/') - c->path));
	char *path = NULL;
	struct stat st;

	if (!m->base || strcmp(m->base, "system") == 0)
		return 0;
	if (!store)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int r = layers_find_base(store, m, &path, err);
	if (r == 0 && !path) {
		int fd = container_open_data(c, err);

		if (fd < 0 || fstatat(fd, "base", &st, AT_SYMLINK_NOFOLLOW) < 0)
			return MIN(fd, 0);
		r = container_base_path(c, &path, err);
	}
	if (r < 0)
		return r;
	free(m->base);
	m->base = path;
	return 0;
}

int container_retire(struct container *c, const struct store *s, char ret_temp[STORE_TEMP_SIZE],
		     struct kennel_error **err)
{
	int r = container_begin_change(c, err);
	if (r == 0)
		r = store_temp_name(s, STORE_REMOVED, ret_temp, err);
	if (r < 0)
		return r;
	if (sys_renameat2(s->fd, c->name, s->fd, ret_temp, RENAME_NOREPLACE) < 0)
		return fail_errno(err, "remove the container \"%s\"", c->name);
	/* Before anything in it goes: after a crash it is there with all of its files, or not at all. */
	return fsync(s->fd) < 0 ? fail_errno(err, "write \"%s\"", s->path) : 0;
}

int container_rename(struct container *c, const struct store *s, const char *new_name,
		     struct kennel_error **err)
{
	int r = name_check(new_name, err);

	if (r == 0)
		r = container_begin_change(c, err);
	if (r < 0)
		return r;
	if (sys_renameat2(s->fd, c->name, s->fd, new_name, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return fail_exists(s, new_name, err);
		return fail_errno(err, "rename the container \"%s\"", c->name);
	}
	return fsync(s->fd) < 0 ? fail_errno(err, "write \"%s\"", s->path) : 0;
}
