/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-keep.c - a throwaway that is kept after all: its changes are copied out of memory into a container that
 * has no name before everything is in it.
 *
 * The copy is made mount by mount, so that the manifest of the start stays true but for what a throwaway does
 * not need: which base it was. What a guest has changed lies over that, and is put
 * into it before anybody sees it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "api-delta.h"
#include "api-sandbox.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "container/container.h"
#include "container/tidy.h"
#include "delta/apply.h"
#include "delta/layout.h"
#include "delta/manifest.h"
#include "path/remove.h"
#include "run/keep.h"
#include "run/sandbox.h"
#include "ship/tree.h"
#include "ship/walk.h"
#include "ship/worker.h"

#define GUEST_DIR ".guest"

struct keeping {
	const struct sandbox *sb;
	const struct spec *spec;
	const struct ship_watch *watch;
	struct manifest manifest;
	const struct delta_tree *guest; /* what a guest that runs has changed over all this; or NULL */
	int dir_fd, data_fd; /* of the container that is filled */
};

/* The ids of the tree in memory as root sees it from outside; an ordinary user's are read from inside. */
static uint32_t shift_of(const struct sandbox *sb)
{
	return sb->shifted && !sb->rootless ? sb->map.count : 0;
}

static uint32_t unshift(const struct sandbox *sb, uint32_t id)
{
	return shift_of(sb) && id - sb->map.base < sb->map.count ? id - sb->map.base : id;
}

/* The sink gives the upper its attributes with the first entry, so there it only has to be. */
static int copy_upper(const struct keeping *k, int from_fd, int to_fd, struct ship_progress *p,
		      struct kennel_error **err)
{
	const struct ship_part part = { from_fd, "" };
	const struct ship_walk walk = {
		.parts = &part,
		.n_parts = 1,
		.deletions = true,
		.shift_from = k->sb->map.base,
		.shift_count = shift_of(k->sb),
		.progress = p,
	};
	const struct ship_tree_options options = {
		.top_fd = to_fd,
		.deletions = true,
		.owners = true,
		.progress = p,
		.counts = true,
	};
	struct ship_sink *sink = NULL;

	int r = ship_tree_sink(&options, &sink, err);
	if (r == 0)
		r = ship_walk(&walk, sink, err);
	if (r == 0)
		r = sink->finish(sink, err);
	if (sink)
		sink->free(sink);
	return r;
}

static int copy_mount(const struct keeping *k, int delta_fd, unsigned index, struct ship_progress *p,
		      struct kennel_error **err)
{
	_cleanup_close_ int upper_fd = -EBADF, work_fd = -EBADF;
	struct stat st;

	_cleanup_close_ int from_fd = delta_open_place(k->sb->delta_fd, index, "upper", O_RDONLY);
	if (from_fd < 0)
		/* a mount that was left out */
		return errno == ENOENT ? 0 : fail_errno(err, "open the changes of a mount");
	if (fstat(from_fd, &st) < 0)
		return fail_errno(err, "look at the changes of a mount");
	st.st_uid = unshift(k->sb, st.st_uid);
	st.st_gid = unshift(k->sb, st.st_gid);
	int r = delta_add_mount(delta_fd, index, &st, &upper_fd, &work_fd, err);
	if (r < 0)
		return r;
	_cleanup_close_ int to_fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to_fd < 0)
		return fail_errno(err, "open the delta");
	return copy_upper(k, from_fd, to_fd, p, err);
}

/* Only the running system has several mounts. */
static int tell_below(void *data, size_t mount,
		      int (*see)(void *arg, const char *name, struct kennel_error **err), void *arg,
		      struct kennel_error **err)
{
	const struct keeping *k = data;

	return delta_apply_see(open(k->manifest.mounts[mount].target, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
			       see, arg, err);
}

static int copy_guest(const struct keeping *k, int guest_fd, struct ship_progress *p,
		      struct kennel_error **err)
{
	_cleanup_close_ int upper_fd = -EBADF, work_fd = -EBADF;
	struct stat st;

	_cleanup_close_ int from_fd = delta_open_place(k->guest->root_fd, 0, "upper", O_RDONLY);
	if (from_fd < 0 || fstat(from_fd, &st) < 0)
		return fail_errno(err, "open the changes of the guest");
	st.st_uid = unshift(k->sb, st.st_uid);
	st.st_gid = unshift(k->sb, st.st_gid);
	int r = delta_add_mount(guest_fd, 0, &st, &upper_fd, &work_fd, err);
	if (r < 0)
		return r;
	_cleanup_close_ int to_fd = openat(upper_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return to_fd < 0 ? fail_errno(err, "open the delta") : copy_upper(k, from_fd, to_fd, p, err);
}

/* In the delta, for on its file system it has to be. */
static int put_guest(struct keeping *k, int delta_fd, struct ship_progress *p, struct kennel_error **err)
{
	if (mkdirat(delta_fd, GUEST_DIR, 0700) < 0)
		return fail_errno(err, "make room in the delta");
	_cleanup_close_ int guest_fd =
		openat(delta_fd, GUEST_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = guest_fd < 0 ? fail_errno(err, "open the delta") : copy_guest(k, guest_fd, p, err);
	const struct delta_apply a = {
		.from_fd = guest_fd,
		.delta_fd = delta_fd,
		.manifest = &k->manifest,
		.below = tell_below,
		.data = k,
	};
	if (r == 0)
		r = delta_apply(&a, NULL, err);
	return r < 0 ? r : path_remove_tree(delta_fd, GUEST_DIR, err);
}

static int work(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	struct keeping *k = data;
	_cleanup_close_ int delta_fd =
		openat(k->data_fd, "delta", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = delta_fd < 0 ? fail_errno(err, "open the delta") : 0;

	(void)out;
	for (size_t i = 0; i < k->manifest.n_mounts && r == 0; i++)
		r = copy_mount(k, delta_fd, k->manifest.mounts[i].index, p, err);
	return r == 0 && k->guest ? put_guest(k, delta_fd, p, err) : r;
}

static int write_manifest(const struct keeping *k, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };

	manifest_format(&k->manifest, &text);
	int r = buf_check(&text, err);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = openat(k->dir_fd, CONTAINER_MANIFEST,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = fd < 0 ? -1 : write(fd, buf_str(&text), text.len);
	if (n >= 0 && (size_t)n < text.len) {
		n = -1;
		errno = ENOSPC;
	}
	return n < 0 ? fail_errno(err, "write the manifest") : 0;
}

static int fill(void *data, const struct container_room *room, struct buf *config, struct kennel_error **err)
{
	struct keeping *k = data;
	uint64_t left_out = 0;

	(void)config;
	k->dir_fd = room->dir_fd;
	k->data_fd = room->data_fd;
	int r = ship_work(work, k, k->watch, NULL, &left_out, err);
	if (r == 0 && left_out)
		r = hint(err,
			 fail(err, KENNEL_E_UNSUPPORTED,
			      "%llu files or attributes can't be kept in this store",
			      (unsigned long long)left_out),
			 "export the changes to an archive instead, or name a store on another file system");
	k->manifest.copied_ns = manifest_made_until_now();
	if (r == 0)
		r = write_manifest(k, err);
	if (r == 0 && (syncfs(room->data_fd) < 0 || syncfs(room->dir_fd) < 0))
		r = fail_errno(err, "write what is kept");
	return r;
}

/* What the start told about itself. */
static int read_manifest(struct keeping *k, struct kennel_error **err)
{
	struct registry_entry *entries = NULL;
	size_t n = 0, removed = 0;

	int r = registry_list(k->sb->registry_fd, k->sb->id, &entries, &n, &removed, err);
	if (r < 0)
		return r;
	const char *text = n == 1 ? registry_get(&entries[0], "manifest", 0) : NULL;
	r = text ? manifest_parse(text, &k->manifest, err) :
		   fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended and its changes are gone");
	registry_entries_free(entries, n);
	if (r == 0 && !k->manifest.base_id)
		r = keep_base_id(k->spec, k->spec->base_path, false, &k->manifest.base_id, err);
	/* In memory an ordinary user's ids are those inside; in a directory they are not. */
	if (r == 0 && k->sb->rootless && !k->sb->deep) {
		k->manifest.shifted = true;
		k->manifest.ids = k->sb->user_map;
	}
	return r;
}

static int keep(struct keeping *k, const char *name, struct kennel_error **err)
{
	_cleanup_store_ struct store store = STORE_NONE;
	_cleanup_buf_ struct buf config = { 0 };

	int r = read_manifest(k, err);
	if (r == 0)
		r = container_new_config(k->spec, &config, err);
	if (r == 0)
		r = store_open(NULL, true, &store, err);
	if (r >= 0)
		store_tidy(&store, keep_wipe);
	if (r >= 0)
		r = store_check_file_system(&store, err);
	const struct container_making making = { .fill = fill, .data = k, .wipe = keep_wipe };
	return r < 0 ? r : container_create_by(&store, name, &config, &making, err);
}

int kennel_sandbox_keep(struct kennel_sandbox *sb, const struct kennel_spec *spec, const char *name,
			int (*tick)(void *data, uint64_t done, uint64_t total), void *data,
			struct kennel_error **err)
{
	const struct ship_watch watch = { tick, data };
	struct keeping k = { .sb = sb->sb, .spec = spec->spec, .watch = &watch, .dir_fd = -EBADF };

	if (!sb->sb->ended && !sb->sb->lingers)
		return fail(err, KENNEL_E_BUSY, "sandbox %s still runs", sb->sb->id);
	const char *kept = kennel_sandbox_container(sb);
	if (kept)
		return fail(err, KENNEL_E_INVALID, "what \"%s\" changed is kept already", kept);
	struct kennel_delta *guest = NULL;
	int r = sb->sb->lingers ? kennel_delta_open(sb->sb->id, &guest, err) : 0;
	k.guest = guest ? guest->tree : NULL;
	if (r == 0)
		r = keep(&k, name, err);
	kennel_delta_free(guest);
	manifest_done(&k.manifest);
	return r < 0 ? wrap(err, r, "keep the changes") : 0;
}
