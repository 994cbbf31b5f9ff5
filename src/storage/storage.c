/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* storage/storage.c - see storage.h: the rules that hold for all drivers. */
#include "storage/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "storage/driver.h"
#include "storage/keys.h"
#include "sys/sys.h"

#define FILE_MAX (64u << 10)
#define STEP_MS 10u
#define BEST "best"

static const struct storage_driver *const drivers[] = {
	&storage_dir, &storage_overlay, &storage_btrfs, &storage_loop,
	&storage_lvm, &storage_nbd,	&storage_zfs,	&storage_tmpfs,
};

const struct storage_driver *storage_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

const char *storage_name(const struct storage *s)
{
	return s->driver->name;
}

bool storage_is_plain(const char *name)
{
	const struct storage_driver *d = storage_find(name);

	return d && !d->caps;
}

unsigned storage_caps(const struct storage *s)
{
	return s->driver->caps & ~(s->driver->stands_alone && s->driver->stands_alone(s) ? STORAGE_PINS : 0u);
}

/* --- what a new one gets */

static int read_conf(int store_fd, char **ret_store, struct storage_keys *keys, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(store_fd, STORAGE_CONF, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_buf_ struct buf text = { 0 };
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"" STORAGE_CONF "\" of the store");
	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"" STORAGE_CONF "\" of the store");
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return hint(err, fail(err, KENNEL_E_PERM, "\"" STORAGE_CONF "\" belongs to another user"),
			    "look at what it says; then chown it");
	int r = buf_read_fd(&text, fd, FILE_MAX, err);
	return r < 0 ? r : storage_conf_parse(STORAGE_CONF, buf_str(&text), ret_store, keys, err);
}

static int set_wish(const struct storage_wish *w, struct storage_keys *keys, struct kennel_error **err)
{
	const char *const words[][2] = {
		{ "fs", w->fs },
		{ "vg", w->vg },
		{ "thin-pool", w->thin_pool },
		{ "zfs-root", w->zfs_root },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
		if (words[i][1])
			r = storage_set_key(keys, words[i][0], words[i][1], err);
	if (w->size_bytes)
		keys->size_bytes = w->size_bytes;
	return r;
}

/* The first whose file system the store is on; else plain directories. */
static int detect(int store_fd, struct storage_keys *keys, const struct storage_driver **ret,
		  struct kennel_error **err)
{
	*ret = &storage_dir;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		int r = drivers[i]->detect ? drivers[i]->detect(store_fd, keys, err) : 0;

		if (r > 0)
			*ret = drivers[i];
		if (r != 0)
			return MIN(r, 0);
	}
	return 0;
}

/* What shares blocks by itself, where it was set up for that; a volume that nobody spoke of is not made. */
static int find_best(int store_fd, struct storage_keys *keys, const struct storage_driver **ret,
		     struct kennel_error **err)
{
	int r = detect(store_fd, keys, ret, err);

	for (size_t i = 0; i < ARRAY_SIZE(drivers) && r == 0 && *ret == &storage_dir; i++) {
		struct storage_keys tried = *keys;

		if (drivers[i]->is_set_up && drivers[i]->is_set_up(keys) &&
		    drivers[i]->probe(store_fd, &tried, NULL) == 0)
			*ret = drivers[i];
	}
	return r;
}

static int find_named(const char *name, const struct storage_driver **ret, struct kennel_error **err)
{
	*ret = storage_find(name);
	return *ret ? 0 :
		      hint(err, fail(err, KENNEL_E_INVALID, "there is no store \"%s\"", name),
			   "one of: best " STORAGE_NAMES);
}

static int check(const struct storage_driver *d, int store_fd, struct storage_keys *keys,
		 struct kennel_error **err)
{
	if ((d->caps & STORAGE_ROOT) && geteuid() != 0)
		return hint(err, fail(err, KENNEL_E_PERM, "the store %s is for root alone", d->name),
			    "an ordinary user's containers lie in directories, or on btrfs");
	if (!(d->caps & STORAGE_VOLUME))
		keys->size_bytes = 0;
	return d->probe ? d->probe(store_fd, keys, err) : 0;
}

int storage_choose(int store_fd, const struct storage_wish *wish, struct storage *ret,
		   struct kennel_error **err)
{
	static const struct storage_wish none = { 0 };
	const struct storage_wish *w = wish ? wish : &none;
	struct storage s = STORAGE_NONE;
	_cleanup_free_ char *configured = NULL;

	int r = read_conf(store_fd, &configured, &s.keys, err);
	const char *name = w->store ? w->store : configured;
	/* A size of the configuration is for its own store, not for one that somebody named. */
	if (r == 0 && w->store && (!configured || strcmp(w->store, configured) != 0))
		s.keys.size_bytes = 0;
	if (r == 0)
		r = set_wish(w, &s.keys, err);
	if (r == 0)
		r = !name		    ? detect(store_fd, &s.keys, &s.driver, err) :
		    strcmp(name, BEST) == 0 ? find_best(store_fd, &s.keys, &s.driver, err) :
					      find_named(name, &s.driver, err);
	if (r == 0 && (s.driver->caps & STORAGE_MEMORY) && !w->passing)
		r = hint(err, fail(err, KENNEL_E_INVALID, "there is no store \"%s\" for what stays", name),
			 "\"kennel clone --ephemeral --tmpfs\" makes a container in memory");
	if (r == 0)
		r = check(s.driver, store_fd, &s.keys, err);
	if (r == 0)
		*ret = s;
	return r;
}

/* --- the file */

static int set_place(struct storage *s, const struct storage_at *at, struct kennel_error **err)
{
	s->store_fd = at->store_fd >= 0 ? fcntl(at->store_fd, F_DUPFD_CLOEXEC, 3) : -EBADF;
	s->dir_fd = fcntl(at->dir_fd, F_DUPFD_CLOEXEC, 3);
	s->shown = strdup(at->shown);
	if (!s->shown)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	return s->dir_fd < 0 || (at->store_fd >= 0 && s->store_fd < 0) ?
		       fail_errno(err, "duplicate a descriptor") :
		       0;
}

static int new_volume(struct storage *s, struct kennel_error **err)
{
	uint64_t v;

	if (!(s->driver->caps & (STORAGE_VOLUME | STORAGE_MEMORY)))
		return 0;
	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		return fail_errno(err, "get random bytes");
	snprintf(s->keys.volume, sizeof(s->keys.volume), "%016llx", (unsigned long long)v);
	return 0;
}

int storage_write(const struct storage *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	storage_format(s, &text);
	int r = buf_check(&text, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(s->dir_fd, "." STORAGE_FILE "-new",
					O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len || fsync(fd) < 0 ||
	    renameat(s->dir_fd, "." STORAGE_FILE "-new", s->dir_fd, STORAGE_FILE) < 0 || fsync(s->dir_fd) < 0)
		return fail_errno(err, "write \"%s/" STORAGE_FILE "\"", s->shown);
	return 0;
}

/* What people call dir needs no file. */
static int write_needed(const struct storage *s, struct kennel_error **err)
{
	return s->driver == &storage_dir ? 0 : storage_write(s, err);
}

int storage_load(const struct storage_at *at, struct storage *ret, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	_cleanup_buf_ struct buf text = { 0 };
	struct stat st;

	int r = set_place(&s, at, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd =
		openat(at->dir_fd, STORAGE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return fail_errno(err, "open \"%s/" STORAGE_FILE "\"", at->shown);
	if (fd < 0)
		s.driver = &storage_dir;
	else
		r = buf_read_fd(&text, fd, FILE_MAX, err);
	if (r == 0 && fd >= 0)
		r = storage_parse(buf_str(&text), &s, err);
	if (r < 0)
		return wrap(err, r, "\"%s/" STORAGE_FILE "\"", at->shown);
	/* Its owner could name any volume of the machine, or give us an image to mount. */
	if (fd >= 0 && (s.driver->caps & (STORAGE_VOLUME | STORAGE_MEMORY)) &&
	    (fstat(fd, &st) < 0 || st.st_uid != geteuid()))
		return hint(err, fail(err, KENNEL_E_PERM, "\"%s\" is a volume of another user's", at->shown),
			    "only its owner can open it");
	*ret = s;
	s = (struct storage)STORAGE_NONE;
	return 0;
}

void storage_describe(const struct storage *s, struct buf *text)
{
	const struct storage_keys *k = &s->keys;

	if (k->vg[0])
		buf_printf(text, ", volume group %s", k->vg);
	if (k->thin_pool[0])
		buf_printf(text, ", thin pool %s", k->thin_pool);
	if (k->zfs_root[0])
		buf_printf(text, ", %s/kennel-%s", k->zfs_root, k->volume);
	if (k->fs[0])
		buf_printf(text, ", %s", k->fs);
	if (k->size_bytes)
		buf_printf(text, " of %llu MiB", (unsigned long long)(k->size_bytes >> 20));
}

/* --- making, opening */

int storage_make_dir(int dir_fd, const char *name, struct kennel_error **err)
{
	if (mkdirat(dir_fd, name, 0700) < 0 ||
	    fchownat(dir_fd, name, (uid_t)-1, getegid(), AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	return 0;
}

int storage_make_tree(struct storage *s, const char *name, struct kennel_error **err)
{
	return s->driver->make_tree ? s->driver->make_tree(s, name, err) :
				      storage_make_dir(s->data_fd, name, err);
}

int storage_open(struct storage *s, struct kennel_error **err)
{
	if (s->data_fd >= 0)
		return 0;
	if (s->driver->open)
		return s->driver->open(s, err);
	s->data_fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->data_fd < 0 ? fail_errno(err, "open \"%s\"", s->shown) : 0;
}

static int create(struct storage *s, struct kennel_error **err)
{
	int r = write_needed(s, err);

	if (r == 0 && s->driver->create)
		r = s->driver->create(s, err);
	if (r == 0)
		r = storage_open(s, err);
	if (r == 0 && !s->driver->create)
		r = storage_make_dir(s->data_fd, "delta", err);
	return r;
}

int storage_create(struct storage *s, const struct storage_at *at, struct kennel_error **err)
{
	int r = set_place(s, at, err);

	if (r == 0)
		r = new_volume(s, err);
	if (r == 0)
		r = create(s, err);
	return r < 0 ? wrap(err, r, "make its place in the store %s", s->driver->name) : 0;
}

void storage_close(struct storage *s, unsigned wait_ms)
{
	close_fd(s->data_fd);
	close_fd(s->mount_fd);
	s->data_fd = s->mount_fd = -EBADF;
	if (s->driver && s->driver->let_go && s->device[0])
		for (unsigned waited = 0; !s->driver->let_go(s) && waited < wait_ms; waited += STEP_MS)
			clock_pause_ms(STEP_MS);
	close_fd(s->hold_fd);
	close_fd(s->store_fd);
	close_fd(s->dir_fd);
	free(s->shown);
	*s = (struct storage)STORAGE_NONE;
}

/* --- snapshots, and the end */

int storage_snapshot(const struct storage_at *from, const struct storage_at *to, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE, new = STORAGE_NONE;

	int r = storage_load(from, &s, err);
	if (r < 0)
		return r;
	if (!s.driver->snapshot)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "\"%s\" lies in the store %s, which shares no blocks", from->shown,
				 s.driver->name),
			    "clone it without --snapshot");
	new.driver = s.driver;
	new.keys = s.keys;
	r = set_place(&new, to, err);
	if (r == 0)
		r = new_volume(&new, err);
	if (r == 0)
		r = write_needed(&new, err);
	if (r == 0)
		r = s.driver->snapshot(&s, &new, from, err);
	if (r == 0 && fsync(to->dir_fd) < 0)
		r = fail_errno(err, "write \"%s\"", to->shown);
	return r;
}

/* Each directory in STORE/NAME/snapshots. */
int storage_each_snapshot(const struct storage_at *at, storage_visit_fn visit, void *data,
			  struct kennel_error **err)
{
	int list_fd = openat(at->dir_fd, "snapshots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = list_fd < 0 ? NULL : fdopendir(list_fd);
	int r = 0;

	if (!dir) {
		close_fd(list_fd);
		return errno == ENOENT ? 0 : fail_errno(err, "read \"%s/snapshots\"", at->shown);
	}
	for (const struct dirent *d; r == 0 && (d = readdir(dir));) {
		_cleanup_buf_ struct buf shown = { 0 };
		struct storage_at one = *at;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		_cleanup_close_ int fd =
			openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		buf_printf(&shown, "%s/snapshots/%s", at->shown, d->d_name);
		r = buf_check(&shown, err);
		one.dir_fd = fd;
		one.shown = buf_str(&shown);
		if (r == 0 && fd >= 0)
			r = visit(&one, data, err);
	}
	return r;
}

/*
 * Who removes has a directory, under whatever temporary name, of a container, of a snapshot or of what was
 * to be its next state: the store is some steps up.
 */
static int find_store(const struct storage *s)
{
	static const char *const ups[] = { "..", "../..", "../../..", "../../../.." };

	for (size_t i = 0; i < ARRAY_SIZE(ups); i++) {
		_cleanup_close_ int fd = openat(s->dir_fd, ups[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 &&
		    (storage_is_noted(fd, &s->keys) || (s->driver->is_of && s->driver->is_of(fd, &s->keys))))
			return take_fd(&fd);
	}
	return -EBADF;
}

static int destroy_one(const struct storage_at *at, void *data, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;

	(void)data;
	int r = storage_load(at, &s, err);
	if (r < 0 || !s.driver->destroy)
		return r;
	replace_fd(&s.store_fd, find_store(&s));
	return s.driver->destroy(&s, err);
}

/* What it was to be, or had been, when somebody was killed (container/switch.h). */
static int destroy_beside(const struct storage_at *at, struct kennel_error **err)
{
	static const char *const names[] = { "next", ".next", ".old-volume" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		_cleanup_close_ int fd =
			openat(at->dir_fd, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		struct storage_at one = *at;

		one.dir_fd = fd;
		r = fd < 0 ? 0 : destroy_one(&one, NULL, err);
	}
	return r;
}

int storage_destroy(const struct storage_at *at, struct kennel_error **err)
{
	int r = storage_each_snapshot(at, destroy_one, NULL, err);

	if (r == 0)
		r = destroy_beside(at, err);
	return r < 0 ? r : destroy_one(at, NULL, err);
}

int storage_open_memory(const struct storage_at *at)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;

	if (storage_load(at, &s, NULL) < 0 || !(s.driver->caps & STORAGE_MEMORY) ||
	    storage_open(&s, NULL) < 0)
		return -EBADF;
	return take_fd(&s.data_fd);
}

static int measure_one(const struct storage_at *at, void *data, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	uint64_t *sum = data, n = 0;

	int r = storage_load(at, &s, err);
	if (r == 0 && s.driver->measure)
		r = s.driver->measure(&s, &n, err);
	*sum += n;
	return r;
}

int storage_measure(const struct storage_at *at, uint64_t *ret, struct kennel_error **err)
{
	*ret = 0;
	int r = storage_each_snapshot(at, measure_one, ret, err);
	return r < 0 ? r : measure_one(at, ret, err);
}

int storage_resize(const struct storage_at *at, uint64_t size_bytes, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;

	int r = storage_load(at, &s, err);
	if (r < 0)
		return r;
	if (!s.driver->resize)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "the store %s has no size of its own",
				 s.driver->name),
			    "--disk bounds the changes of a container in it");
	if (size_bytes < s.keys.size_bytes)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "the volume has %llu bytes already, and only grows",
				 (unsigned long long)s.keys.size_bytes),
			    "for a smaller one, make another container with \"kennel clone\"");
	if (size_bytes == s.keys.size_bytes)
		return 0;
	r = s.driver->resize(&s, size_bytes, err);
	s.keys.size_bytes = size_bytes;
	return r < 0 ? wrap(err, r, "grow the volume") : storage_write(&s, err);
}

size_t storage_settle(int store_fd)
{
	return storage_settle_held(store_fd);
}
