/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/dependants.c - who stands on whom. A driver tells numbers of volumes; the names of the containers
 * and snapshots that have them are in the files of the store, which are all read: this is for removing, not
 * for starting.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "storage/driver.h"

struct search {
	const struct strv *volumes;
	struct strv *names;
};

static int look(struct search *s, int store_fd, int dir_fd, const char *name, struct kennel_error **err)
{
	_cleanup_storage_ struct storage one = STORAGE_NONE;
	const struct storage_at at = { .store_fd = store_fd, .dir_fd = dir_fd, .shown = name };

	/* What can't be read has no volume that we could name. */
	if (storage_load(&at, &one, NULL) < 0 || !one.keys.volume[0] ||
	    !strv_has(s->volumes, one.keys.volume))
		return 0;
	return strv_add(s->names, name, err);
}

/* Each directory of this one; of a container, those of its snapshots too. */
static int look_in(struct search *s, int store_fd, int list_fd, const char *prefix, struct kennel_error **err)
{
	int own_fd = openat(list_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = own_fd < 0 ? NULL : fdopendir(own_fd);
	int r = 0;

	if (!dir) {
		r = fail_errno(err, "read the store");
		close_fd(own_fd);
		return r;
	}
	for (const struct dirent *d; r == 0 && (d = readdir(dir));) {
		_cleanup_buf_ struct buf name = { 0 };

		if (d->d_name[0] == '.')
			continue;
		_cleanup_close_ int fd =
			openat(list_fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		_cleanup_close_ int snapshots_fd =
			fd < 0 || *prefix ?
				-EBADF :
				openat(fd, "snapshots", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		buf_printf(&name, "%s%s", prefix, d->d_name);
		r = buf_check(&name, err);
		if (r == 0 && fd >= 0)
			r = look(s, store_fd, fd, buf_str(&name), err);
		buf_puts(&name, "/snapshots/");
		if (r == 0 && snapshots_fd >= 0)
			r = look_in(s, store_fd, snapshots_fd, buf_str(&name), err);
	}
	return r;
}

static int note_own(const struct storage_at *at, void *data, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;

	if (storage_load(at, &s, NULL) < 0 || !s.keys.volume[0])
		return 0;
	return strv_add(data, s.keys.volume, err);
}

/* Its own snapshots go with it, so they count for nothing. */
static int others_of(const struct storage_at *at, const struct storage *s, struct strv *ret,
		     struct kennel_error **err)
{
	_cleanup_strv_ struct strv all = { 0 }, own = { 0 };

	if (!s->driver->dependants)
		return 0;
	int r = s->driver->dependants(s, &all, err);
	if (r == 0 && all.n)
		r = storage_each_snapshot(at, note_own, &own, err);
	for (size_t i = 0; i < all.n && r == 0; i++)
		r = strv_has(&own, all.items[i]) ? 0 : strv_add(ret, all.items[i], err);
	return r;
}

int storage_dependants(const struct storage_at *at, struct strv *ret, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	_cleanup_strv_ struct strv volumes = { 0 };

	int r = storage_load(at, &s, err);
	if (r == 0)
		r = others_of(at, &s, &volumes, err);
	if (r < 0 || !volumes.n)
		return r;
	return look_in(&(struct search){ &volumes, ret }, at->store_fd, at->store_fd, "", err);
}

int storage_promote(const struct storage_at *at, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	_cleanup_strv_ struct strv volumes = { 0 };

	int r = storage_load(at, &s, err);
	if (r == 0)
		r = others_of(at, &s, &volumes, err);
	return r < 0 || !volumes.n ? r : s.driver->promote(&s, &volumes, err);
}
