/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-snapshot.c - the public face of container/snapshot.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kennel/kennel.h>

#include "api-clone.h"
#include "api-list.h"
#include "base/cleanup.h"
#include "conf/name.h"
#include "container/layers.h"
#include "container/switch.h"
#include "run/keep.h"

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

int kennel_snapshot_take(const char *store, const char *name, const char *snapshot, const char *comment,
			 char **ret_name, struct kennel_error **err)
{
	_cleanup_clone_source_ struct clone_source s = CLONE_SOURCE_NONE;
	_cleanup_free_ char *called = NULL;

	int r = clone_source_open(store, name, &s, NULL, err);
	if (r == 0)
		r = choose_name(&s.c, snapshot, &called, err);
	const struct clone_moment moment = { called, comment };
	if (r == 0)
		r = clone_freeze(&s, &moment, err);
	if (r < 0)
		return wrap(err, r, "take a snapshot of \"%s\"", name);
	if (ret_name)
		*ret_name = take_ptr(&called);
	return 0;
}

static int add_snapshot(struct kennel_list *l, const struct snapshot *s, struct kennel_error **err)
{
	struct registry_entry *grown = reallocarray(l->entries, l->n + 1, sizeof(*grown));
	char taken[24];

	if (!grown)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->entries = grown;
	struct registry_entry *e = &grown[l->n++];
	*e = (struct registry_entry){ .id = strdup(s->name) };
	snprintf(taken, sizeof(taken), "%lld", (long long)(s->taken_ns / 1000000000));
	int r = e->id ? list_put(e, "name", s->name, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
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

/* What the container will be; it is still what it was. */
static int prepare(const struct container *snap, int next_fd, struct kennel_error **err)
{
	int r = copy_file(snap, CONTAINER_CONFIG, next_fd, err);
	if (r >= 0)
		r = copy_file(snap, CONTAINER_MANIFEST, next_fd, err);
	if (r == 0)
		r = container_write_file(next_fd, SWITCH_NO_MANIFEST, &(struct buf){ 0 }, snap->path, err);
	if (r >= 0 && (mkdirat(next_fd, "delta", 0700) < 0 ||
		       fchownat(next_fd, "delta", (uid_t)-1, getegid(), AT_SYMLINK_NOFOLLOW) < 0))
		r = fail_errno(err, "make the new delta");
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
	r = keep_settle(&s->c, err);
	return r < 0 ? r : layers_sweep(&s->store, keep_wipe, NULL, err);
}

static int fill_from(void *data, int dir_fd, struct buf *config, struct kennel_error **err)
{
	const struct container *snap = data;

	(void)config; /* it is the snapshot's already */
	int r = copy_file(snap, CONTAINER_MANIFEST, dir_fd, err);
	return MIN(r, 0);
}

static int restore_as(struct clone_source *s, struct container *snap, const char *as,
		      struct kennel_error **err)
{
	_cleanup_buf_ struct buf config = { 0 };

	int r = container_read(snap, CONTAINER_CONFIG, &config, err);
	if (r > 0)
		r = layers_hold(&s->store, &s->hold_fd, err);
	if (r == 0)
		r = container_create_filled(&s->store, as, &config, fill_from, snap, keep_wipe, err);
	return r;
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
