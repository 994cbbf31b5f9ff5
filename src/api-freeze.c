/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-freeze.c - see api-clone.h: a container's changes become a layer, which is never written again. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api-clone.h"
#include "base/cleanup.h"
#include "conf/config.h"
#include "container/layers.h"
#include "container/switch.h"
#include "container/tidy.h"
#include "idmap/user.h"
#include "run/errand.h"
#include "run/keep.h"

static int read_state(struct clone_source *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	int r = container_read(&s->c, CONTAINER_CONFIG, &s->config, err);
	if (r >= 0)
		r = container_read(&s->c, CONTAINER_MANIFEST, &text, err);
	if (r > 0)
		r = manifest_parse(buf_str(&text), &s->manifest, err);
	return r < 0 ? wrap(err, r, "read the container \"%s\"", s->c.name) : 0;
}

int clone_source_open(const char *path, const char *name, struct clone_source *ret,
		      struct container_holder *ret_running, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	_cleanup_clone_source_ struct clone_source s = CLONE_SOURCE_NONE;
	struct container_holder h = { 0 };

	int r = store_open(path, false, &s.store, err);
	if (r > 0)
		store_tidy(&s.store, keep_wipe);
	if (r >= 0)
		r = container_open(&s.store, name, &s.c, err);
	if (r < 0)
		return r;
	int busy = container_lock(&s.c, &h, &why);
	bool runs = busy == -KENNEL_E_BUSY && h.id[0] && ret_running;
	if (busy < 0 && !runs) {
		if (err)
			*err = take_ptr(&why);
		return busy;
	}
	r = container_begin_change(&s.c, err);
	if (r == 0 && !runs)
		r = keep_settle(&s.c, NULL, err);
	if (r == 0)
		r = read_state(&s, err);
	if (r < 0)
		return r;
	if (ret_running)
		*ret_running = h;
	*ret = s;
	s = (struct clone_source)CLONE_SOURCE_NONE;
	return runs ? -KENNEL_E_BUSY : 0;
}

int clone_source_look(const char *path, const char *name, struct clone_source *ret, struct kennel_error **err)
{
	_cleanup_clone_source_ struct clone_source s = CLONE_SOURCE_NONE;

	int r = store_open(path, false, &s.store, err);
	if (r >= 0)
		r = container_open(&s.store, name, &s.c, err);
	if (r == 0)
		r = read_state(&s, err);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct clone_source)CLONE_SOURCE_NONE;
	return 0;
}

void clone_source_done(struct clone_source *s)
{
	close_fd(s->hold_fd);
	container_done(&s->c);
	store_done(&s->store);
	buf_done(&s->config);
	manifest_done(&s->manifest);
	*s = (struct clone_source)CLONE_SOURCE_NONE;
}

static bool has_own_base(const struct clone_source *s)
{
	struct stat st;

	return fstatat(s->c.dir_fd, "base", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * The delta of one that was never started since is still an empty directory of ours; of an ordinary user's
 * that was, we may not even look.
 */
static bool is_untouched(const struct clone_source *s)
{
	struct stat st;

	return fstatat(s->c.dir_fd, "delta/0", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* One that was never started has none; a base of its own needs one all the same, for it goes into a layer. */
static int make_manifest(struct clone_source *s, struct kennel_error **err)
{
	struct manifest *m = &s->manifest;
	const bool root = geteuid() == 0;

	if (asprintf(&m->base, "%s/base", s->c.path) < 0) {
		m->base = NULL;
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	}
	m->view = !root;
	m->user_xattr = true;
	int r = root ? 0 : idmap_pick_user(&m->ids, err);
	m->shifted = !root;
	m->squash = !root && r == 0 && !idmap_user_has_range(&m->ids);
	return r < 0 ? r : manifest_add_mount(m, 0, "/", "base", NULL, err);
}

/* What is planted belongs to a start; only places, which are no changes wherever they lie, stay known. */
static int drop_planted(struct manifest *m, struct kennel_error **err)
{
	struct manifest_plants places = { 0 };
	int r = 0;

	for (size_t i = 0; i < m->planted.n && r == 0; i++)
		if (m->planted.items[i].kind == MANIFEST_PLACE)
			r = manifest_plants_add(&places, m->planted.items[i].mount, m->planted.items[i].rel,
						MANIFEST_PLACE, NULL, err);
	manifest_plants_done(&m->planted);
	m->planted = places;
	manifest_plants_sort(&m->planted);
	return r;
}

int clone_stand_on(struct clone_source *s, const char *id, struct kennel_error **err)
{
	int r = strv_add(&s->manifest.below, id, err);

	return r < 0 ? r : drop_planted(&s->manifest, err);
}

struct storage_at clone_place(const struct container *c)
{
	return (struct storage_at){
		.store_fd = c->store_fd,
		.dir_fd = c->dir_fd,
		.shown = c->path,
		.errand = geteuid() == 0 ? NULL : errand_alone,
	};
}

int clone_check_base(const struct clone_source *s, struct kennel_error **err)
{
	if (!has_own_base(s))
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_BUSY,
			 "the base of \"%s\" becomes a layer the first time, which can't be while it runs",
			 s->c.name),
		    "stop it, and take a snapshot: from then on this works while it runs");
}

static int put_text(int dir_fd, const char *name, const char *text, const char *shown,
		    struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, text);
	int r = buf_check(&b, err);
	return r < 0 ? r : container_write_file(dir_fd, name, &b, shown, err);
}

int clone_put_manifest(int dir_fd, const struct clone_source *s, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	if (!s->manifest.base)
		return 0;
	manifest_format(&s->manifest, &text);
	int r = buf_check(&text, err);
	return r < 0 ? r : container_write_file(dir_fd, CONTAINER_MANIFEST, &text, s->c.path, err);
}

int clone_put_moment(const struct clone_source *s, int dir_fd, const struct clone_moment *moment,
		     struct kennel_error **err)
{
	_cleanup_buf_ struct buf taken = { 0 };

	int r = snapshot_describe(moment->comment, &taken, err);
	if (r == 0)
		r = container_write_file(dir_fd, SNAPSHOT_TAKEN, &taken, s->c.path, err);
	if (r == 0)
		r = container_write_file(dir_fd, CONTAINER_CONFIG, &s->config, s->c.path, err);
	return r < 0 ? r : clone_put_manifest(dir_fd, s, err);
}

static int prepare_moment(const struct clone_source *s, int next_fd, const struct clone_moment *moment,
			  struct kennel_error **err)
{
	/* Now, for who completes may be root of other ids. */
	_cleanup_close_ int dir_fd = snapshots_open_dir(&s->c, true, err);

	if (dir_fd < 0)
		return dir_fd;
	if (mkdirat(next_fd, SWITCH_SNAPSHOT, 0700) < 0)
		return fail_errno(err, "make the snapshot");
	_cleanup_close_ int fd = openat(next_fd, SWITCH_SNAPSHOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open the snapshot");
	int r = clone_put_moment(s, fd, moment, err);
	if (r == 0)
		r = container_sync(fd, s->c.path, err);
	return r < 0 ? r : put_text(next_fd, SWITCH_SNAPSHOT_NAME, moment->name, s->c.path, err);
}

int clone_make_layer_delta(const struct store *store, const char *id, int *ret_layer_fd,
			   struct kennel_error **err)
{
	_cleanup_free_ char *path = NULL;

	int r = layers_path(store->path, id, &path, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, "open the layer %s", id);
	r = storage_make_dir(fd, "delta", err);
	int delta_fd = r < 0 ? r : openat(fd, "delta", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && delta_fd < 0)
		return fail_errno(err, "open the layer %s", id);
	if (r == 0 && ret_layer_fd)
		*ret_layer_fd = take_fd(&fd);
	return delta_fd;
}

/* The layer that the changes are to be, and what the container has instead. */
static int prepare_layer(struct clone_source *s, int next_fd, struct kennel_error **err)
{
	_cleanup_buf_ struct buf old = { 0 };
	char id[LAYERS_ID_SIZE];

	manifest_format(&s->manifest, &old);
	int r = buf_check(&old, err);
	if (r == 0)
		r = layers_make(&s->store, &old, id, &s->hold_fd, err);
	if (r == 0)
		r = clone_stand_on(s, id, err);
	if (r == 0)
		r = put_text(next_fd, SWITCH_LAYER, id, s->c.path, err);
	if (r == 0)
		r = clone_put_manifest(next_fd, s, err);
	return r < 0 ? r : storage_make_dir(next_fd, "delta", err);
}

int clone_freeze(struct clone_source *s, const struct clone_moment *moment, struct kennel_error **err)
{
	const bool own = has_own_base(s);
	int r = 0;

	if (!s->manifest.base && own)
		r = make_manifest(s, err);
	const bool layer = s->manifest.base && (own || !is_untouched(s));
	if (r < 0 || (!layer && !moment))
		return r < 0 ? r : layers_hold(&s->store, &s->hold_fd, err);
	_cleanup_close_ int next_fd = switch_begin(&s->c, keep_wipe, err);
	_cleanup_close_ int merged_hold_fd = -EBADF;
	if (next_fd < 0)
		return next_fd;
	if (layer)
		r = clone_flatten(s, &merged_hold_fd, err);
	if (layer && r == 0)
		r = prepare_layer(s, next_fd, err);
	else if (r == 0)
		r = layers_hold(&s->store, &s->hold_fd, err);
	if (r == 0 && moment)
		r = prepare_moment(s, next_fd, moment, err);
	if (r == 0)
		r = switch_decide(&s->c, err);
	if (r < 0) {
		switch_drop(&s->c, keep_wipe);
		return r;
	}
	return keep_settle(&s->c, NULL, err);
}
