/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-clone.c - the public face of clones: a container out of another one.
 *
 * Which way it goes depends on what is asked for and on what the store can: blocks that are shared, layers
 * that are shared, or a copy. One that runs stands still meanwhile; its changes are copied then, for it
 * goes on writing to them.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-clone.h"
#include "api-guest.h"
#include "api-duplicate.h"
#include "api-standstill.h"
#include "api-storage.h"
#include "base/cleanup.h"
#include "conf/config.h"
#include "container/changes.h"
#include "container/layers.h"
#include "container/origin.h"
#include "container/tidy.h"
#include "run/keep.h"
#include "run/vm-disk.h"
#include "ship/identity.h"

#define FLAGS \
	(KENNEL_CLONE_SNAPSHOT | KENNEL_CLONE_WHOLE | KENNEL_CLONE_FRESH_IDENTITY | \
	 KENNEL_CLONE_SAME_IDENTITY | KENNEL_CLONE_EPHEMERAL | KENNEL_CLONE_TMPFS)

#define CLOSE_WAIT_MS 5000u /* for our own mounts, which go when their last use does */

struct cloning {
	const struct kennel_clone_options *o;
	const char *new_name;
	struct clone_source s;
	struct store to;
	struct storage_wish wish, in_memory;
	bool whole, runs, shares, stacks;
	bool far; /* in another store than its origin */
	int far_hold_fd; /* of that one's layers */
	int disk_fd; /* what its guest has changed, vm_disk_put(); or -EBADF */
	char origin[ORIGIN_ID_SIZE]; /* "": they have nothing in common */
	bool no_keys, announced;
};

static bool is_set(const struct buf *config, const char *key, const char *value)
{
	_cleanup_config_ struct config c = { 0 };

	if (config_parse("", buf_str(config), config->len, &c, NULL) < 0)
		return false;
	const char *is = config_get(&c, key);
	return is && strcmp(is, value) == 0;
}

/* What this container is, its own init and all, so that it is a machine of its own on a network. */
static bool is_system(const struct buf *config)
{
	return is_set(config, "base", "own") || is_set(config, "boot", "yes");
}

/* Those of the new one. */
static int open_layers(struct cloning *c, struct delta_layers *ret, struct kennel_error **err)
{
	struct container there = c->s.c;
	_cleanup_free_ char *path = NULL;

	if (!c->far)
		return changes_open_layers(&there, &c->s.manifest, ret, err);
	if (asprintf(&path, "%s/%s", c->to.path, c->new_name) < 0) {
		path = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	there.path = path;
	there.store_fd = c->to.fd;
	return changes_open_layers(&there, &c->s.manifest, ret, err);
}

static int renew_identity(struct cloning *c, const struct container_room *room, struct buf *config,
			  struct kennel_error **err)
{
	struct delta_layers layers = { 0 };
	_cleanup_close_ int base_fd = -EBADF, delta_fd = -EBADF;

	if ((c->o->flags & KENNEL_CLONE_SAME_IDENTITY) ||
	    (!(c->o->flags & KENNEL_CLONE_FRESH_IDENTITY) && !is_system(config)))
		return 0;
	int r = identity_renew_config(config, c->new_name, err);
	if (r < 0 || !c->s.manifest.base) /* the base is not ours: it is the origin's, or the system */
		return r;
	r = open_layers(c, &layers, err);
	delta_fd = r < 0 ? r : openat(room->data_fd, "delta", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0)
		base_fd = openat(room->data_fd, "base", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && base_fd < 0)
		r = clone_open_base(&c->s, &base_fd, err);
	if (r == 0 && delta_fd < 0)
		r = fail_errno(err, "open the new delta");
	const struct duplicate_identity d = {
		.dir_fd = room->dir_fd,
		.delta_fd = delta_fd,
		.manifest = &c->s.manifest,
		.layers = &layers,
		.base_fd = base_fd,
		.hostname = c->new_name,
	};
	if (r == 0)
		r = duplicate_identity(&d, &c->no_keys, err);
	delta_layers_done(&layers);
	return r < 0 ? wrap(err, r, "give the clone an identity of its own") : 0;
}

/* Of its store's own making: the same trees, with shared blocks. ret: where they are. */
static int fill_shared(struct cloning *c, const struct container_room *room, struct storage *ret,
		       struct kennel_error **err)
{
	const struct storage_at from = clone_place(&c->s.c);
	struct storage_at to = from;

	to.store_fd = c->to.fd;
	to.dir_fd = room->dir_fd;
	to.shown = c->to.path;
	int r = storage_snapshot(&from, &to, err);
	if (r == 0)
		r = clone_put_manifest(room->dir_fd, &c->s, err);
	if (r == 0)
		r = storage_load(&to, ret, err);
	return r < 0 ? r : storage_open(ret, err);
}

/* What is on the disk of the origin's guest is the clone's own. */
static int put_disk(struct cloning *c, const struct container_room *room, struct kennel_error **err)
{
	_cleanup_close_ int fd =
		openat(room->data_fd, "delta", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fail_errno(err, "open the new delta");
	int r = vm_disk_put(&c->s.c, c->disk_fd, fd, &c->s.manifest, err);
	return r < 0 ? r : clone_put_manifest(room->dir_fd, &c->s, err);
}

static int fill(void *data, const struct container_room *room, struct buf *config, struct kennel_error **err)
{
	struct cloning *c = data;
	uint64_t left_out = 0;
	const struct clone_copy how = {
		.store = c->o->store,
		.whole = c->whole,
		.changes_only = c->stacks,
		.tick = c->o->tick,
		.data = c->o->data,
		.ret_left_out = c->o->ret_left_out ? c->o->ret_left_out : &left_out,
	};
	_cleanup_storage_ struct storage shared = STORAGE_NONE;
	struct container_room there = *room;
	int r = 0;

	if (c->shares)
		r = fill_shared(c, room, &shared, err);
	else if (c->stacks && !c->runs)
		r = clone_put_manifest(room->dir_fd, &c->s, err);
	else
		r = clone_copy(&c->s, room, &how, config, err);
	if (c->shares)
		there.data_fd = shared.data_fd;
	if (r == 0 && c->disk_fd >= 0)
		r = put_disk(c, &there, err);
	if (r == 0)
		r = renew_identity(c, &there, config, err);
	storage_close(&shared, CLOSE_WAIT_MS);
	if (r == 0 && (c->o->flags & KENNEL_CLONE_EPHEMERAL))
		r = passing_mark(room->dir_fd, err);
	return r < 0 || !c->origin[0] ? r : origin_write(room->dir_fd, c->origin, c->to.path, err);
}

/* Blocks, or layers whose files get one more name: on one file system. A base would be copied. */
static bool can_be_far(const struct cloning *c, unsigned caps)
{
	struct stat here, there;

	if (caps & (STORAGE_SHARES | STORAGE_VOLUME))
		return caps & STORAGE_FAR;
	return !is_set(&c->s.config, "base", "own") && fstat(c->s.store.fd, &here) == 0 &&
	       fstat(c->to.fd, &there) == 0 && here.st_dev == there.st_dev;
}

/* How it is done. */
static int choose(struct cloning *c, struct kennel_error **err)
{
	_cleanup_storage_ struct storage s = STORAGE_NONE;
	const struct storage_at at = clone_place(&c->s.c);

	int r = storage_load(&at, &s, err);
	if (r < 0 || !(c->o->flags & KENNEL_CLONE_SNAPSHOT))
		return r;
	c->far = strcmp(c->to.path, c->s.store.path) != 0;
	if (c->far && !can_be_far(c, storage_caps(&s)))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "what is in \"%s\" can't share with \"%s\"",
				 c->to.path, c->s.c.name),
			    "leave --snapshot out for a full copy");
	if (c->wish.store && strcmp(c->wish.store, storage_name(&s)) != 0 &&
	    strcmp(c->wish.store, "best") != 0 &&
	    ((storage_caps(&s) & STORAGE_SHARES) || !storage_is_plain(c->wish.store)))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "\"%s\" lies in the store %s, and what shares with it does too", c->s.c.name,
				 storage_name(&s)),
			    "leave --snapshot out for a full copy in another store");
	c->shares = storage_caps(&s) & STORAGE_SHARES;
	c->stacks = !c->shares;
	if (!c->stacks && (c->o->flags & KENNEL_CLONE_TMPFS))
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "\"%s\" lies in the store %s, over which no changes can be in memory",
				 c->s.c.name, storage_name(&s)),
			    "leave --tmpfs out: a clone shares its blocks there");
	/* A volume that shares no blocks is not looked into by others. */
	if (c->stacks && (storage_caps(&s) & STORAGE_VOLUME))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "\"%s\" lies in the store %s, which shares no blocks", c->s.c.name,
				 storage_name(&s)),
			    "leave --snapshot out for a full copy");
	/* Only what needs its origin is told of it. */
	if (c->far)
		return 0;
	return c->stacks || (storage_caps(&s) & STORAGE_PINS) ?
		       MIN(origin_id(&c->s.c, true, c->origin, err), 0) :
		       0;
}

static int make(struct cloning *c, const char *holder, struct kennel_error **err)
{
	_cleanup_standstill_ struct standstill still = STANDSTILL_NONE;
	_cleanup_buf_ struct buf config = { 0 };
	int r = choose(c, err);
	const struct container_making m = {
		.fill = fill,
		.data = c,
		.wipe = keep_wipe,
		.wish = c->o->flags & KENNEL_CLONE_TMPFS ? &c->in_memory :
			c->stacks			 ? NULL :
							   &c->wish,
		.bare = c->shares,
	};
	if (r == 0 && c->stacks && !c->runs)
		r = clone_freeze(&c->s, NULL, err);
	if (r == 0 && c->stacks && c->runs)
		r = clone_check_base(&c->s, err);
	/* Nobody's lock is ours: it may end, and go back to where it needs them no more. */
	if (r == 0 && c->runs)
		r = layers_hold(&c->s.store, &c->s.hold_fd, err);
	if (r == 0 && c->runs && !c->whole)
		r = guest_take_disk(&c->s.c, holder, &c->disk_fd, err);
	/* the origin's own changes are not what a guest writes */
	if (r == 0 && c->runs && !c->whole)
		r = standstill_begin(holder, &still, err);
	r = MIN(r, 0);
	if (r == 0 && c->far)
		r = clone_carry(&c->s, &c->to, &c->far_hold_fd, err);
	if (r == 0) {
		buf_add(&config, buf_str(&c->s.config), c->s.config.len);
		r = buf_check(&config, err);
	}
	if (r == 0 && (c->o->flags & KENNEL_CLONE_EPHEMERAL)) {
		r = passing_announce(&c->to, c->new_name, err);
		c->announced = r == 0;
	}
	return r < 0 ? r : container_create_by(&c->to, c->new_name, &config, &m, err);
}

static int clone_it(struct cloning *c, const char *name, struct kennel_error **err)
{
	const struct kennel_clone_options *o = c->o;
	struct container_holder holder = { 0 };

	int r = storage_wish_of(o->storage, &c->wish, err);
	if (r == 0)
		r = store_open(o->to_store ? o->to_store : o->store, true, &c->to, err);
	if (r > 0 && o->to_store)
		store_tidy(&c->to, keep_wipe);
	if (r >= 0)
		r = store_check_file_system(&c->to, err);
	if (r < 0)
		return r;
	c->whole = (o->flags & KENNEL_CLONE_WHOLE) && !(o->flags & KENNEL_CLONE_SNAPSHOT);
	if (c->whole) {
		r = clone_source_look(o->store, name, &c->s, err);
		c->whole = r < 0 || !is_set(&c->s.config, "base", "own");
		if (r == 0 && !c->whole) /* which is whole already */
			clone_source_done(&c->s);
	}
	if (r == 0 && !c->whole)
		r = clone_source_open(o->store, name, &c->s, &holder, err);
	c->runs = r == -KENNEL_E_BUSY && holder.id[0];
	return r < 0 && !c->runs ? r : make(c, holder.id, err);
}

static int try_clone(const char *name, const char *new_name, const struct kennel_clone_options *o,
		     struct kennel_error **err)
{
	struct cloning c = {
		.o = o,
		.new_name = new_name,
		.s = CLONE_SOURCE_NONE,
		.far_hold_fd = -EBADF,
		.disk_fd = -EBADF,
		.in_memory = { .store = "tmpfs", .passing = true },
		.to = STORE_NONE,
	};

	int r = clone_it(&c, name, err);
	if (r == 0 && o->ret_no_keys)
		*o->ret_no_keys = c.no_keys;
	if (r == 0)
		layers_made(&c.s.hold_fd);
	if (r == 0)
		layers_made(&c.far_hold_fd);
	close_fd(c.far_hold_fd);
	close_fd(c.disk_fd);
	if (r < 0 && c.far)
		layers_tidy(&c.to, keep_wipe);
	if (r < 0 && c.announced)
		passing_forget(&c.to, new_name);
	clone_source_done(&c.s);
	store_done(&c.to);
	return r;
}

/* One that goes when it ends is worth a copy where nothing can be shared. */
static int share_or_copy(const char *name, const char *new_name, const struct kennel_clone_options *o,
			 struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	struct kennel_clone_options copy = *o;

	int r = try_clone(name, new_name, o, &why);
	copy.flags &= ~(unsigned)KENNEL_CLONE_SNAPSHOT;
	if (r == -KENNEL_E_UNSUPPORTED && !(o->flags & KENNEL_CLONE_TMPFS))
		return try_clone(name, new_name, &copy, err);
	if (r < 0 && err)
		*err = take_ptr(&why);
	return r;
}

static int check_flags(unsigned flags, struct kennel_error **err)
{
	const unsigned needed = KENNEL_CLONE_EPHEMERAL | KENNEL_CLONE_SNAPSHOT;

	if (flags & ~(unsigned)FLAGS)
		return fail(err, KENNEL_E_INVALID, "unknown options of a clone");
	if ((flags & KENNEL_CLONE_TMPFS) && (flags & needed) != needed)
		return fail(err, KENNEL_E_INVALID, "only what goes when it ends can be in memory");
	return 0;
}

int kennel_clone(const char *name, const char *new_name, const struct kennel_clone_options *options,
		 struct kennel_error **err)
{
	static const struct kennel_clone_options none = { .size = sizeof(none) };
	const struct kennel_clone_options *o = options ? options : &none;

	if (o->size != sizeof(none))
		return fail(err, KENNEL_E_INVALID, "unknown options of a clone");
	int r = check_flags(o->flags, err);
	if (r == 0)
		r = (o->flags & KENNEL_CLONE_EPHEMERAL) && (o->flags & KENNEL_CLONE_SNAPSHOT) ?
			    share_or_copy(name, new_name, o, err) :
			    try_clone(name, new_name, o, err);
	return r < 0 ? wrap(err, r, "clone \"%s\"", name) : 0;
}
