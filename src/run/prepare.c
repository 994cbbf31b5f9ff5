/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/prepare.c - the trees of a copy, as descriptors of detached mounts.
 *
 * A lower is a private clone of one mount of the machine, idmapped with the sandbox's user namespace, so that
 * files keep on disk the ids that are seen inside. Overlay, FUSE and some network file systems can't be
 * idmapped: as the root they refuse the isolation level (unless the root is a stack whose layers can be used
 * instead), anywhere else that one mount is left out and `kennel info` says so.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "layer/layer.h"
#include "mount/mount.h"
#include "path/path.h"
#include "run/image-view.h"
#include "run/nest.h"
#include "run/sandbox.h"
#include "run/views.h"
#include "run/vm-layers.h"
#include "sys/sys.h"

/* a single file that is mounted on a file is copied in up to this size */
#define FILE_MOUNT_MAX (16u << 20)
#define SHIFT_PAUSE_MS 1
#define SHIFT_TRIES 2000u /* two seconds */

static int open_given(struct launch *l, const char *path, int *ret_fd, struct kennel_error **err)
{
	_cleanup_free_ char *kind = NULL;

	return l->vm ? image_view_open_lower(l, path, ret_fd, err) : layer_open(path, ret_fd, &kind, err);
}

int prepare_layers(struct launch *l, struct kennel_error **err)
{
	const struct spec *spec = l->spec;

	if (l->sb->rootless)
		return views_open(l, err);
	if (spec->base_kind == SPEC_BASE_PATH) {
		int r = keep_clone_base(l->sb->keep, err);

		if (r > 0)
			l->base_fd = r;
		else if (r == 0)
			r = open_given(l, keep_base_path(l->sb->keep, spec), &l->base_fd, err);
		if (r < 0)
			return hint_default(
				err, wrap(err, r, "open the base"),
				"--base takes system, or the path of a directory or an image file");
	}
	l->layer_fds = calloc(spec->layers.n + 1, sizeof(*l->layer_fds));
	if (!l->layer_fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < spec->layers.n; i++)
		l->layer_fds[i] = -EBADF;
	for (size_t i = 0; i < spec->layers.n; i++) {
		int r = open_given(l, spec->layers.items[i], &l->layer_fds[i], err);

		if (r < 0)
			return hint_default(err, wrap(err, r, "open a layer"),
					    "--layer takes the path of a directory or an image file");
	}
	return 0;
}

/*
 * The stack below a live system's root: used when layers were chosen, or when the root itself can't be
 * idmapped.
 */
static int choose_root_layers(struct launch *l, struct kennel_error **err)
{
	const struct spec *spec = l->spec;
	struct sandbox *sb = l->sb;
	const struct plan_overlay *root = &sb->plan->overlays[0];

	if (!root->from_host)
		return 0;
	bool stack = strcmp(root->fstype, "overlay") == 0 || strcmp(root->fstype, "aufs") == 0;
	if (spec->base_layers.n && !stack)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "the root of this machine is %s and has no layers to choose from",
				 root->fstype),
			    "leave the layers out: --base system");
	if (!stack || (!spec->base_layers.n && (!sb->shifted || !sb->initial_user_ns)))
		return 0;

	_cleanup_strv_ struct strv layers = { 0 };
	int r = system_root_layers(&sb->mounts, &layers, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < spec->base_layers.n; i++)
		if (!strv_has(&layers, spec->base_layers.items[i]))
			return hint(err,
				    fail(err, KENNEL_E_NOTFOUND, "\"%s\" is no layer of this machine's root",
					 spec->base_layers.items[i]),
				    "\"kennel info --base\" lists them");
	l->root_layers = calloc(layers.n + 1, sizeof(*l->root_layers));
	if (!l->root_layers)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < layers.n; i++) {
		if (spec->base_layers.n && !strv_has(&spec->base_layers, layers.items[i]))
			continue;
		l->root_layers[l->n_root_layers++] = take_ptr(&layers.items[i]);
	}
	return 0;
}

int prepare_slots(struct launch *l, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	unsigned next = 0;

	int r = choose_root_layers(l, err);
	if (r == 0)
		r = keep_number_mounts(l, err);
	if (r < 0)
		return r;
	l->child_overlays = calloc(p->n_overlays, sizeof(*l->child_overlays));
	if (!l->child_overlays)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < p->n_overlays; i++) {
		struct child_overlay *o = &l->child_overlays[i];
		unsigned bottom = i == 0 && l->n_root_layers ? (unsigned)l->n_root_layers : 1;

		o->target = i == 0 ? "" : p->overlays[i].target + 1;
		o->first_lower = next;
		o->n_frozen = keep_count_frozen(l, i);
		o->n_lowers = o->n_frozen + bottom + (i == 0 ? (unsigned)l->spec->layers.n : 0);
		next += o->n_lowers;
	}
	if (next + 64 + l->spec->n_mounts > CHILD_MAX_FDS)
		return hint(err,
			    fail(err, KENNEL_E_LIMIT,
				 "%u mounts and layers are more than one sandbox can have", next),
			    "leave some out with --without");
	l->child.overlays = l->child_overlays;
	l->child.n_overlays = (unsigned)p->n_overlays;
	return 0;
}

/* EINVAL is the kernel's word for a file system that can't be idmapped. */
static int shift_ids(struct launch *l, int tree_fd)
{
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV |
			    (l->sb->shifted ? SYS_MOUNT_ATTR_IDMAP : 0),
		.userns_fd = l->sb->shifted ? (uint64_t)l->user_ns_fd : 0,
	};

	return sys_mount_setattr(tree_fd, "", AT_EMPTY_PATH, &attr);
}

static int leave_out(struct launch *l, size_t i, const char *reason, struct kennel_error **err)
{
	struct plan *p = l->sb->plan;
	const struct plan_overlay *o = &p->overlays[i];
	_cleanup_free_ char *old = NULL;
	char *line;

	replace_fd(&l->shared->lower_fds[l->child_overlays[i].first_lower], -EBADF);
	log_info(&l->sb->log, "left out %s (%s): %s", o->target, o->fstype, reason);
	if (asprintf(&old, "copied\t%s\t%s", o->target, o->fstype) < 0 ||
	    asprintf(&line, "left-out\t%s\t%s\t%s", o->target, o->fstype, reason) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t k = 0; k < p->details.n; k++)
		if (strcmp(p->details.items[k], old) == 0) {
			free(p->details.items[k]);
			p->details.items[k] = line;
			return 0;
		}
	free(line);
	return 0;
}

/*
 * A file mounted on a file, as container engines do with resolv.conf: its content goes into the copy of what
 * it is mounted on.
 */
static int plant_file_mount(struct launch *l, size_t i, int file_fd, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	_cleanup_buf_ struct buf content = { 0 };
	size_t under = 0;
	struct stat st;

	for (size_t k = 0; k < i; k++)
		if (path_is_below(p->overlays[i].target, p->overlays[k].target) &&
		    l->shared->upper_fds[k] >= 0)
			under = k;
	_cleanup_close_ int fd = path_reopen(file_fd, O_RDONLY, err);
	if (fd < 0)
		return wrap(err, fd, "read \"%s\"", p->overlays[i].target);
	if (fstat(fd, &st) < 0)
		return fail_errno(err, "look at \"%s\"", p->overlays[i].target);
	int r = buf_read_fd(&content, fd, FILE_MOUNT_MAX, err);
	if (r < 0) {
		error_clear(err);
		return leave_out(l, i, "a mounted file that is too large to be copied", err);
	}
	const struct child_overlay *o = &l->child_overlays[under];
	size_t skip = strlen(p->overlays[under].target);
	const struct delta_spot spot = {
		.upper_fd = l->shared->upper_fds[under],
		.lower_fd = l->shared->lower_fds[o->first_lower + o->n_lowers - 1],
		.over_fds = l->shared->lower_fds + o->first_lower,
		.n_over = o->n_frozen,
		.rel = p->overlays[i].target + (under ? skip + 1 : 1),
		.user_xattr = l->shared->user_xattr,
		.mount = l->delta_index[under],
		.planted = &l->sb->planted,
		.before = launch_before(l),
	};
	r = delta_plant_file(&spot, buf_str(&content), content.len, st.st_mode & 0777, err);
	replace_fd(&l->shared->lower_fds[l->child_overlays[i].first_lower], -EBADF);
	return r < 0 ? r : 0;
}

/* Is the directory at path the one that st is of, or in it? As the names say; "don't know" is no. */
static bool lies_in(const char *path, const struct stat *st)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat now, before = { 0 };

	for (; fd >= 0 && fstat(fd, &now) == 0; before = now) {
		if (now.st_dev == st->st_dev && now.st_ino == st->st_ino)
			return true;
		if (now.st_dev == before.st_dev && now.st_ino == before.st_ino)
			return false;
		replace_fd(&fd, openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
	}
	return false;
}

static int refuse_pair(const char *inner, const char *outer, struct kennel_error **err)
{
	return hint(err,
		    fail(err, KENNEL_E_INVALID,
			 "the layer \"%s\" lies in the layer \"%s\", so they can't be put together", inner,
			 outer),
		    "make an image of one of them, or copy it to another place");
}

/* The kernel refuses them in one overlay, and in an overlay of its own a layer would lose what it deletes. */
static int refuse_nested(const struct launch *l, struct kennel_error **err)
{
	const struct strv *layers = &l->spec->layers;
	const int *fds = l->shared->lower_fds + l->child_overlays[0].n_frozen;
	struct stat st;

	/* given lowest first, opened uppermost first */
	for (size_t i = 0; i < layers->n; i++)
		for (size_t k = 0; k < layers->n; k++) {
			const char *outer = layers->items[layers->n - 1 - i];
			const char *inner = layers->items[layers->n - 1 - k];

			if (i == k || fstat(fds[i], &st) < 0 || !S_ISDIR(st.st_mode) || !lies_in(inner, &st))
				continue;
			return refuse_pair(inner, outer, err);
		}
	return 0;
}

/*
 * A layer on the file system of the base may lie inside of it, as one of the machine does in a copy of the
 * machine, and overlay refuses that. So the base, with all layers that it has itself, is wrapped into an
 * overlay of its own: a wrapped layer would lose what it deletes.
 */
static int mark_wrapped(struct launch *l, size_t i, struct kennel_error **err)
{
	const struct child_overlay *o = &l->child_overlays[i];
	const unsigned n = o->n_frozen + (i == 0 ? (unsigned)l->spec->layers.n : 0);
	const int *fds = l->shared->lower_fds + o->first_lower;
	struct stat base, layer;

	for (unsigned k = 0; k < n; k++)
		for (unsigned m = n; m < o->n_lowers; m++)
			if (fstat(fds[k], &layer) == 0 && fstat(fds[m], &base) == 0 &&
			    layer.st_dev == base.st_dev)
				l->shared->wrapped_from[i] = (uint16_t)n;
	return i == 0 && l->spec->layers.n > 1 ? refuse_nested(l, err) : 0;
}

/*
 * Of a live system, whose root can't be shown with shifted ids itself. In a container of others or in a guest
 * the root is an overlay, too, but of layers that are elsewhere.
 */
static int open_root_layers(struct launch *l, int *fds, struct kennel_error **err)
{
	for (size_t k = 0; k < l->n_root_layers; k++) {
		_cleanup_free_ char *kind = NULL;
		int r = layer_open(l->root_layers[k], &fds[k], &kind, err);

		if (r == -KENNEL_E_NOTFOUND && !l->spec->base_layers.n) {
			error_clear(err);
			l->level_refused = true;
			return hint(err,
				    fail(err, KENNEL_E_UNSUPPORTED,
					 "the root of this machine is a stack whose layers are out of reach, "
					 "and can't show its files with shifted ids"),
				    "use --isolate ns, or another --base");
		}
		if (r < 0)
			return wrap(err, r, "open a layer of this machine's root");
	}
	return 1;
}

/* Opens the lowers of one overlay. Return: 1, 0 left out, or a negative code. */
static int open_lowers(struct launch *l, size_t i, struct kennel_error **err)
{
	const struct plan_overlay *po = &l->sb->plan->overlays[i];
	int *fds = l->shared->lower_fds + l->child_overlays[i].first_lower;
	unsigned n = 0;

	int r = keep_open_frozen(l, i, fds, &n, err);
	if (r < 0)
		return r;
	for (size_t k = i == 0 ? l->spec->layers.n : 0; k > 0; k--) /* given lowest first */
		fds[n++] = take_fd(&l->layer_fds[k - 1]);
	if (!po->from_host) {
		fds[n] = take_fd(&l->base_fd);
		return 1;
	}
	if (i == 0 && l->n_root_layers)
		return open_root_layers(l, fds + n, err);
	fds[n] = sys_open_tree(AT_FDCWD, po->target, SYS_OPEN_TREE_CLONE);
	if (fds[n] >= 0)
		return 1;
	if (i == 0)
		return hint(
			err, fail_errno(err, "clone the mount of \"/\""),
			errno == EINVAL ?
				"inside of a sandbox that has --share or --mount no other one can be made" :
				"kennel needs root, or a user namespace of its own");
	r = leave_out(l, i, errno == EACCES ? "not reachable" : strerror(errno), err);
	return r < 0 ? r : 0;
}

static int refuse_root(struct launch *l, const char *fstype, struct kennel_error **err)
{
	l->level_refused = true;
	return hint(err,
		    fail(err, KENNEL_E_UNSUPPORTED,
			 "the root of the copy is %s, which can't show its files with shifted ids", fstype),
		    "use --isolate ns, or another --base");
}

static int prepare_overlay(struct launch *l, size_t i, int delta_fd, struct kennel_error **err)
{
	const struct child_overlay *o = &l->child_overlays[i];
	int *lower_fds = l->shared->lower_fds + o->first_lower;
	struct stat st;

	l->shared->upper_fds[i] = l->shared->work_fds[i] = -EBADF;
	int r = open_lowers(l, i, err);
	if (r <= 0)
		return r;
	r = mark_wrapped(l, i, err);
	if (r < 0)
		return r;
	if (fstat(lower_fds[o->n_lowers - 1], &st) < 0)
		return fail_errno(err, "look at \"%s\"", l->sb->plan->overlays[i].target);
	if (S_ISREG(st.st_mode) && i > 0)
		return 0; /* plant_file_mounts() */
	if (!S_ISDIR(st.st_mode) && i > 0)
		return leave_out(l, i, "a mounted device or socket", err);
	r = delta_add_mount(delta_fd, l->delta_index[i], &st, &l->shared->upper_fds[i],
			    &l->shared->work_fds[i], err);
	return r < 0 ? wrap(err, r, "prepare the delta of \"%s\"", l->sb->plan->overlays[i].target) : 0;
}

static int shift_overlay(struct launch *l, size_t i, struct kennel_error **err)
{
	const struct child_overlay *o = &l->child_overlays[i];

	for (unsigned k = 0; k < o->n_lowers; k++) {
		int fd = l->shared->lower_fds[o->first_lower + k];

		if (fd < 0)
			return 0;
		if (image_view_shift(l, &l->shared->lower_fds[o->first_lower + k]) || shift_ids(l, fd) == 0)
			continue;
		if (errno != EINVAL && errno != EPERM)
			return fail_errno(err, "prepare the mount of \"%s\"",
					  l->sb->plan->overlays[i].target);
		return i == 0 ? refuse_root(l, l->sb->plan->overlays[0].fstype, err) :
				leave_out(l, i, "a file system that can't show shifted ids", err);
	}
	return 0;
}

/* A slip of the pen would leave open what was to be hidden. What was planted before is there, too. */
static void say_not_there(struct launch *l, const struct plan_hidden *h)
{
	const struct child_overlay *o = &l->child_overlays[h->overlay];
	const char *target = h->overlay ? l->sb->plan->overlays[h->overlay].target : "";

	for (unsigned k = 0; k < o->n_lowers; k++) {
		_cleanup_close_ int fd =
			path_pin_plain(l->shared->lower_fds[o->first_lower + k], h->rel, O_NOFOLLOW, NULL);

		if (fd >= 0)
			return;
	}
	log_warn(&l->sb->log, "there is no \"%s/%s\" to %s", target, h->rel,
		 h->absent ? "leave out" : "hide");
}

int prepare_hidden(struct launch *l, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;

	for (size_t i = 0; i < p->n_hidden; i++) {
		const struct plan_hidden *h = &p->hidden[i];
		const struct child_overlay *o = &l->child_overlays[h->overlay];
		struct delta_spot spot = {
			.upper_fd = l->shared->upper_fds[h->overlay],
			.over_fds = l->shared->lower_fds + o->first_lower,
			.n_over = o->n_frozen,
			.rel = h->rel,
			.user_xattr = l->shared->user_xattr,
			.mount = l->delta_index[h->overlay],
			.planted = &l->sb->planted,
			.before = launch_before(l),
		};
		int r = 0;

		for (unsigned k = 0; k < o->n_lowers && spot.upper_fd >= 0 && r == 0; k++) {
			spot.lower_fd = l->shared->lower_fds[o->first_lower + k];
			r = h->absent ? delta_plant_absent(&spot, err) : delta_plant_empty(&spot, err);
		}
		if (r < 0) {
			const char *target = h->overlay ? p->overlays[h->overlay].target : "";

			return wrap(err, r, "%s \"%s/%s\"", h->absent ? "leave out" : "hide", target, h->rel);
		}
		if (r == 0)
			say_not_there(l, h);
	}
	return 0;
}

/* A kept delta lies on disk; what is new with each start stays in memory all the same. */
static int open_kept_delta(struct launch *l, int scratch_fd, struct kennel_error **err)
{
	l->sb->scratch_fd = scratch_fd;
	return keep_begin(l, err);
}

static int make_delta(struct launch *l, struct kennel_error **err)
{
	char size[32], inodes[32];

	snprintf(size, sizeof(size), "%llu", (unsigned long long)l->sb->plan->size_bytes);
	snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)l->sb->plan->inodes);
	int fd = mount_new_tmpfs(size, inodes);
	if (fd < 0)
		return fail_errno(err, "make a delta of %s bytes in memory", size);
	if (l->sb->keep)
		return open_kept_delta(l, fd, err);
	l->sb->delta_fd = fd;
	if (delta_has_user_xattr(fd))
		return 0;
	/* Before Linux 6.6: trusted.* needs rights that a user namespace does not give. */
	l->shared->user_xattr = false;
	if (!l->sb->mapped)
		return 0;
	l->level_refused = true;
	return hint(
		err,
		fail(err, KENNEL_E_UNSUPPORTED,
		     "this kernel's tmpfs keeps no user xattrs, which an overlay in a user namespace needs"),
		"Linux 6.6 or later has them; or use --isolate ns");
}

/* After what is hidden and what kennel itself puts in: those win where they are at the same place. */
static int plant_file_mounts(struct launch *l, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 1; i < l->sb->plan->n_overlays && r == 0; i++) {
		int fd = l->shared->lower_fds[l->child_overlays[i].first_lower];

		if (fd >= 0 && l->shared->upper_fds[i] < 0)
			r = plant_file_mount(l, i, fd, err);
	}
	return r;
}

/*
 * The kernel gives no map to a mount with a file open for writing. All of ours are closed; but what another
 * thread of the caller has just forked has them too, until it executes something or closes them.
 */
static int shift_written(int fd, const struct sys_mount_attr *attr)
{
	for (unsigned i = 0; sys_mount_setattr(fd, "", AT_EMPTY_PATH, attr) < 0; i++) {
		if (errno != EBUSY || i == SHIFT_TRIES)
			return -1;
		clock_pause_ms(SHIFT_PAUSE_MS);
	}
	return 0;
}

static int shift_delta(struct launch *l, int scratch_fd, struct kennel_error **err)
{
	const struct sandbox *sb = l->sb;
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_IDMAP,
		.userns_fd = sb->shifted ? (uint64_t)l->user_ns_fd : 0,
	};

	if (!sb->shifted)
		return 0;
	if (shift_written(scratch_fd, &attr) < 0) {
		l->level_refused = true;
		return hint(err, fail_errno(err, "show the delta in memory with shifted ids"),
			    "Linux 6.3 or later can; or use --isolate ns");
	}
	if (sb->keep && shift_written(sb->delta_fd, &attr) < 0) {
		l->level_refused = true;
		return hint(err,
			    fail_errno(err, "show the changes in \"%s\" with shifted ids", sb->keep->c.path),
			    "use --isolate ns, or name a directory on ext4, xfs or btrfs with --path");
	}
	return 0;
}

int prepare_trees(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	struct plan *p = sb->plan;

	int r = make_delta(l, err);
	const int scratch_fd = sb->scratch_fd >= 0 ? sb->scratch_fd : sb->delta_fd;
	if (r == 0 && l->spec->nest)
		r = nest_make_places(sb->delta_fd, err);
	if (r == 0)
		r = keep_place_mounts(l, err);
	for (size_t i = 0; i < p->n_overlays && r == 0; i++)
		r = prepare_overlay(l, i, sb->delta_fd, err);
	if (r == 0)
		r = prepare_hidden(l, err);
	if (r == 0)
		r = furnish_scratch(l, scratch_fd, err);
	if (r == 0)
		r = furnish_files(l, scratch_fd, err);
	if (r == 0)
		r = plant_file_mounts(l, err);
	if (r == 0)
		r = keep_unplant(l, err);
	if (r == 0)
		vm_layers_judge(l);
	for (size_t i = 0; i < p->n_overlays && r == 0; i++)
		r = shift_overlay(l, i, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_overlays; i++)
		sb->n_mounts = MAX(sb->n_mounts, l->delta_index[i] + 1);
	/* Last, for through an idmapped mount we could make no more files: our own ids do not exist in it. */
	r = shift_delta(l, scratch_fd, err);
	l->shared->delta_fd = sb->delta_fd;
	l->shared->scratch_fd = scratch_fd;
	return r;
}
