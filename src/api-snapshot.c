/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-snapshot.c - the public face of container/snapshot.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-clone.h"
#include "api-guest.h"
#include "api-list.h"
#include "api-standstill.h"
#include "base/cleanup.h"
#include "conf/name.h"
#include "container/layers.h"
#include "container/origin.h"
#include "container/switch.h"
#include "run/errand.h"
#include "run/keep.h"
#include "run/vm-disk.h"
#include "ship/duplicate.h"
#include "storage/storage.h"
#include "sys/sys.h"

#define CLOSE_WAIT_MS 5000u /* for our own mounts, which go when their last use does */

static int choose_name(const struct container *c, const char *wanted, char **ret, struct kennel_error **err)
{
	_cleanup_container_ struct container there = CONTAINER_NONE;

	if (!wanted)
		return snapshots_next_name(c, ret, err);
	int r = name_check(wanted, err);
	if (r < 0)
		return r;
	if (snapshot_open(c, wanted, &there, NULL) == 0)
		return hint(err,
			    fail(err, KENNEL_E_EXISTS, "\"%s\" has a snapshot \"%s\" already", c->name,
				 wanted),
			    "choose another name, or remove that one with \"kennel snapshot --remove %s %s\"",
			    wanted, c->name);
	*ret = strdup(wanted);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* A snapshot that is being made; it has no name yet. */
static int open_new(const struct container *c, const char *name, int *ret_dir_fd, char **ret_temp,
		    struct kennel_error **err)
{
	*ret_dir_fd = snapshots_open_dir(c, true, err);
	if (*ret_dir_fd < 0)
		return *ret_dir_fd;
	if (asprintf(ret_temp, SNAPSHOT_NEW "%s", name) < 0) {
		*ret_temp = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	if (mkdirat(*ret_dir_fd, *ret_temp, 0700) < 0)
		return fail_errno(err, "make the snapshot");
	int fd = openat(*ret_dir_fd, *ret_temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open the snapshot") : fd;
}

/* What the store has just made of the container's trees lacks what is on its guest's disk. */
static int put_disk(struct clone_source *s, const struct storage_at *at, int disk_fd,
		    struct kennel_error **err)
{
	_cleanup_storage_ struct storage storage = STORAGE_NONE;

	if (disk_fd < 0)
		return 0;
	int r = storage_load(at, &storage, err);
	if (r == 0)
		r = storage_open(&storage, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd =
		openat(storage.data_fd, "delta", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? fail_errno(err, "open the delta of the snapshot") :
		     vm_disk_put(&s->c, disk_fd, fd, &s->manifest, err);
	close_fd(take_fd(&fd));
	storage_close(&storage, CLOSE_WAIT_MS);
	return r;
}

/*
 * s->manifest: what it remembers. shares: and what the store makes of the container's trees; disk_fd: with
 * what is on that, or below 0.
 */
static int publish(struct clone_source *s, const struct clone_moment *moment, bool shares, int disk_fd,
		   struct kennel_error **err)
{
	const struct storage_at from = clone_place(&s->c);
	_cleanup_close_ int dir_fd = -EBADF;
	_cleanup_free_ char *temp = NULL;
	struct storage_at to = from;

	int r = snapshots_sweep(&s->c, keep_wipe, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_new(&s->c, moment->name, &dir_fd, &temp, err);
	if (fd < 0)
		return fd;
	to.dir_fd = fd;
	r = shares ? storage_snapshot(&from, &to, err) : 0;
	if (r == 0 && shares)
		r = put_disk(s, &to, disk_fd, err);
	if (r == 0)
		r = clone_put_moment(s, fd, moment, err);
	if (r == 0)
		r = container_sync(fd, s->c.path, err);
	if (r == 0 && sys_renameat2(dir_fd, temp, dir_fd, moment->name, RENAME_NOREPLACE) < 0)
		r = fail_errno(err, "name the snapshot");
	if (r < 0) {
		if (keep_wipe(NULL, fd, s->c.path, NULL) == 0)
			(void)!unlinkat(dir_fd, temp, AT_REMOVEDIR);
		return r;
	}
	/* It is there in any case; on a disk that fails now it may be gone after a crash. */
	return fsync(dir_fd) < 0 ? fail_errno(err, "name the snapshot") : 0;
}

static int unplant(void *data, struct buf *out, struct kennel_error **err)
{
	const int *fds = data;

	(void)out;
	return switch_unplant(fds[0], fds[1], err);
}

/* It goes on writing to its changes, so a copy of them becomes the layer. */
static int fill_layer(struct clone_source *s, const char *id, int disk_fd, struct kennel_error **err)
{
	_cleanup_close_ int layer_fd = -EBADF;
	_cleanup_close_ int to_fd = clone_make_layer_delta(&s->store, id, &layer_fd, err);

	if (to_fd < 0)
		return to_fd;
	int from_fd = container_open_delta(&s->c, err);
	if (from_fd < 0)
		return from_fd;
	const struct delta_source source = { from_fd, &s->manifest, true };
	const struct ship_duplicate d = {
		.sources = &source,
		.n = 1,
		.delta_fd = to_fd,
		.base_from_fd = -EBADF,
		.base_to_fd = -EBADF,
	};
	_cleanup_manifest_ struct manifest same = { 0 };
	int r = ship_duplicate(&d, NULL, &same, err);
	close_fd(from_fd);
	if (r == 0 && disk_fd >= 0)
		r = vm_disk_put(&s->c, disk_fd, to_fd, &s->manifest, err);
	int fds[] = { layer_fd, to_fd };
	if (r == 0)
		r = geteuid() == 0 ? unplant(fds, NULL, err) : errand_alone(unplant, fds, NULL, err);
	return r;
}

static int take_running(struct clone_source *s, const char *holder, const struct clone_moment *moment,
			struct kennel_error **err)
{
	_cleanup_standstill_ struct standstill still = STANDSTILL_NONE;
	_cleanup_close_ int disk_fd = -EBADF;
	_cleanup_buf_ struct buf text = { 0 };
	char id[LAYERS_ID_SIZE];

	manifest_format(&s->manifest, &text);
	int r = buf_check(&text, err);
	if (r == 0)
		r = clone_check_base(s, err);
	if (r == 0)
		r = layers_make(&s->store, &text, id, &s->hold_fd, err);
	if (r == 0)
		r = guest_take_disk(&s->c, holder, &disk_fd, err);
	/* the container's own changes are not what a guest writes */
	if (r == 0)
		r = standstill_begin(holder, &still, err);
	if (r >= 0)
		r = fill_layer(s, id, disk_fd, err);
	standstill_end(&still);
	if (r == 0)
		r = clone_stand_on(s, id, err);
	if (r == 0)
		r = publish(s, moment, false, -EBADF, err);
	if (r == 0) {
		layers_made(&s->hold_fd);
		return 0;
	}
	/* Half a layer is one that nobody names. */
	replace_fd(&s->hold_fd, -EBADF);
	(void)!layers_sweep(&s->store, keep_wipe, NULL, NULL);
	return r;
}

static int take_shared(struct clone_source *s, const char *holder, const struct clone_moment *moment,
		       struct kennel_error **err)
{
	_cleanup_standstill_ struct standstill still = STANDSTILL_NONE;
	_cleanup_close_ int disk_fd = -EBADF;
	const int r = holder[0] ? guest_take_disk(&s->c, holder, &disk_fd, err) : 0;

	if (r < 0)
		return r;
	/* What can't stand still is taken as it is at one instant all the same: the store sees to that. */
	if (holder[0] && r == 0)
		(void)!standstill_begin(holder, &still, NULL);
	return publish(s, moment, true, disk_fd, err);
}

static int take(struct clone_source *s, const char *holder, const struct clone_moment *moment,
		struct kennel_error **err)
{
	_cleanup_storage_ struct storage storage = STORAGE_NONE;
	const struct storage_at at = clone_place(&s->c);

	int r = storage_load(&at, &storage, err);
	if (r < 0)
		return r;
	if (storage_caps(&storage) & STORAGE_SHARES)
		return take_shared(s, holder, moment, err);
	if (storage_caps(&storage) & STORAGE_VOLUME)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "\"%s\" lies in the store %s, which shares no blocks", s->c.name,
				 storage_name(&storage)),
			    "\"kennel clone\" makes a copy of it");
	return holder[0] && s->manifest.base ? take_running(s, holder, moment, err) :
	       holder[0]		     ? publish(s, moment, false, -EBADF, err) :
					       clone_freeze(s, moment, err);
}

int kennel_snapshot_take(const char *store, const char *name, const char *snapshot, const char *comment,
			 char **ret_name, struct kennel_error **err)
{
	_cleanup_clone_source_ struct clone_source s = CLONE_SOURCE_NONE;
	_cleanup_free_ char *called = NULL;
	struct container_holder holder = { 0 };

	int r = clone_source_open(store, name, &s, &holder, err);
	if (r == -KENNEL_E_BUSY && holder.id[0])
		r = 0;
	if (r == 0)
		r = choose_name(&s.c, snapshot, &called, err);
	const struct clone_moment moment = { called, comment };
	if (r == 0)
		r = take(&s, holder.id, &moment, err);
	if (r < 0)
		return wrap(err, r, "take a snapshot of \"%s\"", name);
	layers_made(&s.hold_fd);
	if (ret_name)
		*ret_name = take_ptr(&called);
	return 0;
}

static int add_snapshot(struct kennel_list *l, const struct snapshot *s, struct kennel_error **err)
{
	struct registry_entry *e = list_add(l, s->name, err);
	char taken[24];

	if (!e)
		return -KENNEL_E_NOMEM;
	snprintf(taken, sizeof(taken), "%lld", (long long)(s->taken_ns / 1000000000));
	int r = list_put(e, "name", s->name, err);
	if (r == 0)
		r = list_put(e, "taken", taken, err);
	return r < 0 ? r : list_put(e, "comment", s->comment, err);
}

static int open_container(const char *path, const char *name, struct store *store, struct container *c,
			  struct kennel_error **err)
{
	int r = store_open(path, false, store, err);

	return r < 0 ? r : container_open(store, name, c, err);
}

int kennel_snapshot_list(const char *path, const char *name, struct kennel_list **ret,
			 struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_container_ struct container c = CONTAINER_NONE;
	_cleanup_snapshots_ struct snapshots all = { 0 };
	struct kennel_list *l = calloc(1, sizeof(*l));

	if (!l)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->id_is_value = true;
	int r = open_container(path, name, &store, &c, err);
	if (r == 0)
		r = snapshots_read(&c, &all, err);
	for (size_t i = 0; i < all.n && r == 0; i++)
		r = add_snapshot(l, &all.items[i], err);
	if (r < 0) {
		kennel_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Once its name is gone: who is killed then leaves the rest to the next one. */
static int remove_one(const struct container *c, const char *snapshot, struct kennel_error **err)
{
	_cleanup_free_ char *temp = NULL;

	int r = snapshots_sweep(c, keep_wipe, err);
	if (r == 0)
		r = snapshot_retire(c, snapshot, &temp, err);
	return r < 0 ? r : snapshots_sweep(c, keep_wipe, err);
}

int kennel_snapshot_remove(const char *path, const char *name, const char *snapshot,
			   struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_container_ struct container c = CONTAINER_NONE;
	_cleanup_snapshots_ struct snapshots all = { 0 };

	/* While it runs, too: nothing that it stands on is touched. */
	int r = open_container(path, name, &store, &c, err);
	if (r == 0)
		r = container_begin_change(&c, err);
	if (r == 0 && !snapshot)
		r = snapshots_read(&c, &all, err);
	if (r == 0 && snapshot)
		r = remove_one(&c, snapshot, err);
	for (size_t i = 0; i < all.n && r == 0; i++)
		r = remove_one(&c, all.items[i].name, err);
	if (r == 0)
		r = layers_sweep(&store, keep_wipe, NULL, err);
	return r < 0 ? wrap(err, r, "remove snapshots of \"%s\"", name) : 0;
}

static int copy_file(const struct container *from, const char *file, int to_fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = container_read(from, file, &text, err);
	if (r <= 0)
		return r;
	r = container_write_file(to_fd, file, &text, from->path, err);
	return r < 0 ? r : 1;
}

/* Has it trees of its own, which its store shares with others? Return: enum storage_caps, 0 it has not. */
static int caps_of(const struct container *snap, unsigned *ret, struct kennel_error **err)
{
	_cleanup_storage_ struct storage storage = STORAGE_NONE;
	const struct storage_at at = clone_place(snap);

	int r = storage_load(&at, &storage, err);
	*ret = r < 0 ? 0 : storage_caps(&storage);
	if (!(*ret & STORAGE_SHARES))
		*ret = 0;
	return r;
}

/* What the container will be; it is still what it was. */
static int prepare(const struct container *snap, int next_fd, struct kennel_error **err)
{
	struct storage_at from = clone_place(snap), to = from;
	unsigned caps;

	to.dir_fd = next_fd;
	int r = caps_of(snap, &caps, err);
	if (r == 0 && (caps & STORAGE_PINS) && !(caps & STORAGE_TURNS))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "what the container of \"%s\" is now may not go in this store, for "
				 "snapshots stand on it",
				 snap->path),
			    "\"kennel clone -B lvm --thin-pool POOL\" makes a copy of it that can");
	if (r == 0 && caps)
		r = storage_snapshot(&from, &to, err);
	if (r == 0)
		r = copy_file(snap, CONTAINER_CONFIG, next_fd, err);
	if (r >= 0)
		r = copy_file(snap, CONTAINER_MANIFEST, next_fd, err);
	if (r == 0)
		r = container_write_file(next_fd, SWITCH_NO_MANIFEST, &(struct buf){ 0 }, snap->path, err);
	if (r >= 0 && !caps)
		r = storage_make_dir(next_fd, "delta", err);
	return MIN(r, 0);
}

static int restore_here(struct clone_source *s, const struct container *snap, struct kennel_error **err)
{
	_cleanup_close_ int next_fd = switch_begin(&s->c, keep_wipe, err);

	if (next_fd < 0)
		return next_fd;
	int r = prepare(snap, next_fd, err);
	if (r == 0)
		r = switch_decide(&s->c, err);
	if (r < 0) {
		switch_drop(&s->c, keep_wipe);
		return r;
	}
	r = keep_settle(&s->c, NULL, err);
	return r < 0 ? r : layers_sweep(&s->store, keep_wipe, NULL, err);
}

struct restoring {
	const struct container *snap;
	unsigned caps;
	char origin[ORIGIN_ID_SIZE];
};

static int fill_from(void *data, const struct container_room *room, struct buf *config,
		     struct kennel_error **err)
{
	const struct restoring *w = data;
	struct storage_at from = clone_place(w->snap), to = from;

	(void)config; /* it is the snapshot's already */
	to.dir_fd = room->dir_fd;
	int r = w->caps ? storage_snapshot(&from, &to, err) : 0;
	if (r == 0)
		r = copy_file(w->snap, CONTAINER_MANIFEST, room->dir_fd, err);
	return r < 0 || !w->origin[0] ? MIN(r, 0) : origin_write(room->dir_fd, w->origin, w->snap->path, err);
}

static int restore_as(struct clone_source *s, struct container *snap, const char *as,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf config = { 0 };
	struct restoring w = { .snap = snap };

	int r = caps_of(snap, &w.caps, err);
	const struct container_making m = {
		.fill = fill_from,
		.data = &w,
		.wipe = keep_wipe,
		.bare = w.caps != 0,
	};
	/* It shares with the container, as a clone does. */
	if (r == 0 && (!w.caps || (w.caps & STORAGE_PINS)))
		r = origin_id(&s->c, true, w.origin, err);
	if (r >= 0)
		r = container_read(snap, CONTAINER_CONFIG, &config, err);
	if (r > 0)
		r = layers_hold(&s->store, &s->hold_fd, err);
	return r < 0 ? r : container_create_by(&s->store, as, &config, &m, err);
}

int kennel_snapshot_restore(const char *store, const char *name, const char *snapshot, const char *as,
			    struct kennel_error **err)
{
	_cleanup_clone_source_ struct clone_source s = CLONE_SOURCE_NONE;
	_cleanup_container_ struct container snap = CONTAINER_NONE;
	struct container_holder running;

	int r = clone_source_open(store, name, &s, as ? &running : NULL, err);
	if (r == -KENNEL_E_BUSY && as && s.c.dir_fd >= 0)
		r = 0; /* what it was once does not change while it runs */
	if (r == 0)
		r = snapshot_open(&s.c, snapshot, &snap, err);
	if (r == 0)
		r = as ? restore_as(&s, &snap, as, err) : restore_here(&s, &snap, err);
	return r < 0 ? wrap(err, r, "restore \"%s\"", name) : 0;
}
