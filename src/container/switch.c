/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/switch.c - see switch.h. */
#include "container/switch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "conf/name.h"
#include "container/layers.h"
#include "delta/layout.h"
#include "delta/manifest.h"
#include "storage/storage.h"
#include "sys/sys.h"

#define PREPARED ".next"
#define DECIDED "next"
#define OLD_DELTA ".old-delta"
#define OLD_BASE ".old-base"
#define OLD_VOLUME ".old-volume"
#define SMALL 256u

static bool is_there(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_dir(int at_fd, const char *name)
{
	return openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Whatever it is, gone. */
static int clear(int dir_fd, const char *name, container_wipe_fn wipe, const char *shown,
		 struct kennel_error **err)
{
	_cleanup_close_ int fd = open_dir(dir_fd, name);

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s/%s\"", shown, name);
	int r = wipe(NULL, fd, shown, err);
	if (r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
		r = fail_errno(err, "remove \"%s/%s\"", shown, name);
	return r;
}

int switch_begin(const struct container *c, container_wipe_fn wipe, struct kennel_error **err)
{
	int r = clear(c->dir_fd, PREPARED, wipe, c->path, err);

	if (r < 0)
		return r;
	/* The group: see container.c. */
	if (mkdirat(c->dir_fd, PREPARED, 0700) < 0 ||
	    fchownat(c->dir_fd, PREPARED, (uid_t)-1, getegid(), AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "make \"%s/" PREPARED "\"", c->path);
	int fd = open_dir(c->dir_fd, PREPARED);
	return fd < 0 ? fail_errno(err, "open \"%s/" PREPARED "\"", c->path) : fd;
}

int switch_decide(const struct container *c, struct kennel_error **err)
{
	_cleanup_close_ int fd = open_dir(c->dir_fd, PREPARED);

	int r = fd < 0 ? fail_errno(err, "open \"%s/" PREPARED "\"", c->path) :
			 container_sync(fd, c->path, err);
	if (r == 0 && (renameat(c->dir_fd, PREPARED, c->dir_fd, DECIDED) < 0 || fsync(c->dir_fd) < 0))
		r = fail_errno(err, "change \"%s\"", c->path);
	return r;
}

void switch_drop(const struct container *c, container_wipe_fn wipe)
{
	(void)!clear(c->dir_fd, PREPARED, wipe, c->path, NULL);
}

bool switch_is_pending(const struct container *c)
{
	return is_there(c->dir_fd, DECIDED);
}

static int read_text(int dir_fd, const char *name, struct buf *ret, size_t max, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s\"", name);
	int r = buf_read_fd(ret, fd, max, err);
	return r < 0 ? wrap(err, r, "read \"%s\"", name) : 1;
}

/* What kennel itself put in stays kennel's: it is no part of what others stand on. */
int switch_unplant(int layer_fd, int delta_fd, struct kennel_error **err)
{
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	const struct manifest_plants none = { .sorted = true };

	int r = read_text(layer_fd, CONTAINER_MANIFEST, &text, MANIFEST_TEXT_MAX, err);
	if (r > 0)
		r = manifest_parse(buf_str(&text), &m, err);
	for (size_t i = 0; i < m.n_mounts && r >= 0; i++) {
		_cleanup_close_ int upper_fd = delta_open_place(delta_fd, m.mounts[i].index, "upper", O_PATH);

		if (upper_fd >= 0)
			r = delta_unplant(upper_fd, m.mounts[i].index, m.user_xattr, &m.planted, &none,
					  DELTA_STAY_OPAQUE, err);
	}
	return MIN(r, 0);
}

/* One that was never started has no place in its delta yet: who starts over it looks for the first one. */
static int make_first_place(int delta_fd, int base_fd, struct kennel_error **err)
{
	_cleanup_close_ int upper_fd = -EBADF, work_fd = -EBADF;
	struct stat st;

	if (base_fd < 0 || is_there(delta_fd, "0"))
		return 0;
	if (fstat(base_fd, &st) < 0)
		return fail_errno(err, "look at the base");
	return delta_add_mount(delta_fd, 0, &st, &upper_fd, &work_fd, err);
}

static int freeze(int dir_fd, int layer_fd, struct kennel_error **err)
{
	_cleanup_close_ int delta_fd = open_dir(dir_fd, "delta"), base_fd = open_dir(dir_fd, "base");

	if (is_there(layer_fd, "delta"))
		return 0;
	int r = delta_fd < 0 ? fail_errno(err, "open the delta") : switch_unplant(layer_fd, delta_fd, err);
	if (r == 0)
		r = make_first_place(delta_fd, base_fd, err);
	/* The base first: with the delta in its place this is not done again. */
	if (r == 0 && base_fd >= 0 && renameat(dir_fd, "base", layer_fd, "base") < 0)
		r = fail_errno(err, "freeze the base");
	if (r == 0 && renameat(dir_fd, "delta", layer_fd, "delta") < 0)
		r = fail_errno(err, "freeze the changes");
	return r;
}

static int freeze_into(int dir_fd, int store_fd, const char *id, struct kennel_error **err)
{
	_cleanup_close_ int layer_fd = -EBADF;
	char name[SMALL + sizeof(LAYERS_DIR) + 2];

	if (!manifest_is_layer_id(id))
		return fail(err, KENNEL_E_CORRUPT, "\"%s\" is no id of a layer", id);
	snprintf(name, sizeof(name), LAYERS_DIR "/%s", id);
	layer_fd = open_dir(store_fd, name);
	return layer_fd < 0 ? fail_errno(err, "open the layer %s", id) : freeze(dir_fd, layer_fd, err);
}

/* next/NAME takes the place of NAME, which is OLD meanwhile. */
static int replace_dir(int dir_fd, int next_fd, const char *name, const char *old, struct kennel_error **err)
{
	if (!is_there(next_fd, name))
		return 0;
	if (is_there(dir_fd, name) && renameat(dir_fd, name, dir_fd, old) < 0)
		return fail_errno(err, "put the old %s away", name);
	if (renameat(next_fd, name, dir_fd, name) < 0)
		return fail_errno(err, "put the new %s in its place", name);
	return 0;
}

static int replace_file(int dir_fd, int next_fd, const char *name, struct kennel_error **err)
{
	if (renameat(next_fd, name, dir_fd, name) < 0 && errno != ENOENT)
		return fail_errno(err, "replace the %s", name);
	return 0;
}

static int wipe_here(void *data, int dir_fd, const char *shown, struct kennel_error **err)
{
	(void)data;
	return container_wipe(dir_fd, shown, err);
}

static bool is_of_volume(const char *name)
{
	return strncmp(name, "volume", strlen("volume")) == 0;
}

/* The files of a volume: all that begin like that. */
static int move_volume(int from_fd, int to_fd, struct kennel_error **err)
{
	int own_fd = open_dir(from_fd, ".");
	_cleanup_closedir_ DIR *d = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (!d)
		return fail_errno(err, "read the volume's directory");
	for (const struct dirent *e; (e = readdir(d));)
		if (is_of_volume(e->d_name) && renameat(from_fd, e->d_name, to_fd, e->d_name) < 0)
			return fail_errno(err, "move \"%s\"", e->d_name);
	return 0;
}

/*
 * A volume instead of another one. The old one's files are put away whole before the new one's come, and of
 * each the file that names it last: so what is there tells how far it got.
 */
static int replace_volume(int dir_fd, int next_fd, struct kennel_error **err)
{
	if (!is_there(next_fd, STORAGE_FILE) || is_there(next_fd, "delta"))
		return 0;
	if (mkdirat(dir_fd, OLD_VOLUME, 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make a directory for the old volume");
	_cleanup_close_ int old_fd = open_dir(dir_fd, OLD_VOLUME);
	int r = old_fd < 0 ? fail_errno(err, "open the old volume's directory") : 0;
	if (r == 0 && !is_there(old_fd, STORAGE_FILE)) {
		r = move_volume(dir_fd, old_fd, err);
		if (r == 0 && renameat(dir_fd, STORAGE_FILE, old_fd, STORAGE_FILE) < 0)
			r = fail_errno(err, "put the old volume away");
	}
	if (r == 0)
		r = move_volume(next_fd, dir_fd, err);
	if (r == 0 && renameat(next_fd, STORAGE_FILE, dir_fd, STORAGE_FILE) < 0)
		r = fail_errno(err, "put the new volume in its place");
	return r;
}

static int clear_volume(int dir_fd, int store_fd, const char *shown, struct kennel_error **err)
{
	_cleanup_close_ int old_fd = open_dir(dir_fd, OLD_VOLUME);
	const struct storage_at at = { .store_fd = store_fd, .dir_fd = old_fd, .shown = shown };

	if (old_fd < 0)
		return errno == ENOENT ? 0 : fail_errno(err, "open \"%s/" OLD_VOLUME "\"", shown);
	int r = storage_destroy(&at, err);
	return r < 0 ? r : clear(dir_fd, OLD_VOLUME, wipe_here, shown, err);
}

static int publish(int dir_fd, int next_fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf name = { 0 };

	if (!is_there(next_fd, SWITCH_SNAPSHOT))
		return 0;
	int r = read_text(next_fd, SWITCH_SNAPSHOT_NAME, &name, SMALL, err);
	if (r >= 0)
		r = name_check(buf_str(&name), err);
	if (r < 0)
		return r;
	if (mkdirat(dir_fd, "snapshots", 0700) < 0 && errno != EEXIST)
		return fail_errno(err, "make the directory of snapshots");
	_cleanup_close_ int fd = open_dir(dir_fd, "snapshots");
	if (fd < 0 || sys_renameat2(next_fd, SWITCH_SNAPSHOT, fd, buf_str(&name), RENAME_NOREPLACE) < 0 ||
	    fsync(fd) < 0)
		return fail_errno(err, "name the snapshot");
	return 0;
}

static int complete(int dir_fd, int next_fd, int store_fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf layer = { 0 };

	int r = read_text(next_fd, SWITCH_LAYER, &layer, SMALL, err);
	if (r > 0)
		r = freeze_into(dir_fd, store_fd, buf_str(&layer), err);
	if (r >= 0)
		r = replace_dir(dir_fd, next_fd, "delta", OLD_DELTA, err);
	if (r == 0)
		r = replace_dir(dir_fd, next_fd, "base", OLD_BASE, err);
	if (r == 0)
		r = replace_volume(dir_fd, next_fd, err);
	if (r == 0)
		r = publish(dir_fd, next_fd, err);
	if (r == 0)
		r = replace_file(dir_fd, next_fd, CONTAINER_CONFIG, err);
	if (r == 0)
		r = replace_file(dir_fd, next_fd, CONTAINER_MANIFEST, err);
	if (r == 0 && is_there(next_fd, SWITCH_NO_MANIFEST) && unlinkat(dir_fd, CONTAINER_MANIFEST, 0) < 0 &&
	    errno != ENOENT)
		r = fail_errno(err, "remove the manifest");
	/* A start that was killed is forgotten with what it was killed over. */
	if (r == 0)
		(void)!unlinkat(dir_fd, "starting", 0);
	return r;
}

int switch_complete(int dir_fd, int store_fd, const char *shown, struct kennel_error **err)
{
	_cleanup_close_ int next_fd = open_dir(dir_fd, DECIDED);
	int r = 0;

	if (next_fd < 0 && errno != ENOENT)
		return fail_errno(err, "open \"%s/" DECIDED "\"", shown);
	if (next_fd >= 0)
		r = complete(dir_fd, next_fd, store_fd, err);
	if (r == 0 && next_fd >= 0 && fsync(dir_fd) < 0)
		r = fail_errno(err, "write \"%s\"", shown);
	if (r == 0)
		r = clear(dir_fd, OLD_DELTA, wipe_here, shown, err);
	if (r == 0)
		r = clear(dir_fd, OLD_BASE, wipe_here, shown, err);
	if (r == 0)
		r = clear_volume(dir_fd, store_fd, shown, err);
	/* Last: as long as it is there, all of this is done again. */
	if (r == 0)
		r = clear(dir_fd, DECIDED, wipe_here, shown, err);
	return r < 0 ? wrap(err, r, "complete the change of \"%s\"", shown) : 0;
}
