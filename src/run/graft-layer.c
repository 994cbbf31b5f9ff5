/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/graft-layer.c - one more layer for a guest that runs: see graft.h.
 *
 * An overlay gets no layer while it is mounted. But the guest's has the tree of the copy through hostfs,
 * which asks this machine for each path anew: so on this side another overlay is put over that tree, of the
 * same changes, the layers that came since the start and, below them, the copy as it was. It is put together
 * aside, with all that is mounted in the tree, and put there by one call. What the guest remembers it is
 * told to forget.
 *
 *   /live/N       layers that came, in their order, and which they are
 *   /live/stage   where the overlay is made
 *   /copy         the tree as it was, /upper/N the changes in it (child.h)
 *
 * The processes there have no right over mounts, so nothing has to be locked against them. An ordinary
 * user's layer is a view, as at a start, and so is root's image; its server is nobody's child and ends with
 * its mount.
 */
#include "run/graft.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "layer/layer.h"
#include "mount/mount.h"
#include "path/path.h"
#include "run/child.h"
#include "run/errand.h"
#include "run/graft-inside.h"
#include "run/image-view.h"
#include "run/views.h"
#include "run/vm-errand.h"
#include "sys/sys.h"

#define MOUNTINFO_MAX (4u << 20)
#define UPPERS_MAX 65u /* its own, and as many frozen ones as there may be (api-flatten.c) */
#define TREE "/" CHILD_TOP_TREE "/"

struct layer_work {
	const struct graft *g;
	const char *path;
	bool as_user, goes;
	int tree_fd;
};

/* A directory, as its ids are to be inside. */
static int open_tree_of_root(struct layer_work *w, struct kennel_error **err)
{
	_cleanup_close_ int user_ns_fd = -EBADF;
	_cleanup_free_ char *kind = NULL;
	struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_RDONLY,
	};

	int r = layer_open(w->path, &w->tree_fd, &kind, err);
	if (r == 0 && w->g->sb->mapped) {
		user_ns_fd = graft_open_user_ns(w->g, err);
		r = MIN(user_ns_fd, 0);
		attr.attr_set |= SYS_MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)user_ns_fd;
	}
	if (r == 0 && sys_mount_setattr(w->tree_fd, "", AT_EMPTY_PATH, &attr) < 0)
		r = fail_errno(err, "show \"%s\" with the ids inside", w->path);
	return r;
}

static bool is_mount(int root_fd, const char *name)
{
	struct statx stx;

	return statx(root_fd, name, AT_SYMLINK_NOFOLLOW, 0, &stx) == 0 &&
	       (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int open_dir(int root_fd, const char *name, struct kennel_error **err)
{
	int fd = openat(root_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open \"/%s\" of the sandbox", name) : fd;
}

/*
 * Beside each layer a directory tells which one it is, by a number made of its path: the guest's root may
 * look there, too.
 */
static void mark_of(unsigned slot, const char *path, char ret[48])
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
	snprintf(ret, 48, CHILD_TOP_LIVE "/%u-%016" PRIx64, slot, hash);
}

static bool is_live(int root_fd, unsigned slot)
{
	char name[32];

	snprintf(name, sizeof(name), CHILD_TOP_LIVE "/%u", slot);
	return is_mount(root_fd, name);
}

/* What its kernel has by itself lies over the tree, or there is no tree in its root. */
static int check_tree(int root_fd, struct kennel_error **err)
{
	return faccessat(root_fd, "layers", F_OK, 0) == 0 ?
		       fail(err, KENNEL_E_UNSUPPORTED, "its kernel reads other layers by itself") :
		       0;
}

/* Above all that came before. */
static int next_slot(int root_fd, unsigned *ret, struct kennel_error **err)
{
	*ret = CHILD_TOP_LIVE_MAX;
	while (*ret && !is_live(root_fd, *ret - 1))
		--*ret;
	if (*ret < CHILD_TOP_LIVE_MAX)
		return 0;
	return fail(err, KENNEL_E_LIMIT, "%u came already since it was started", CHILD_TOP_LIVE_MAX);
}

static int find_slot(int root_fd, const char *path, unsigned *ret, struct kennel_error **err)
{
	char mark[48];

	for (*ret = CHILD_TOP_LIVE_MAX; *ret > 0;) {
		mark_of(--*ret, path, mark);
		if (is_live(root_fd, *ret) && faccessat(root_fd, mark, F_OK, 0) == 0)
			return 0;
	}
	return fail(err, KENNEL_E_UNSUPPORTED, "it did not come while it runs");
}

struct lowers {
	int fds[UPPERS_MAX + CHILD_TOP_LIVE_MAX + 1];
	unsigned n;
};

static void lowers_done(struct lowers *l)
{
	for (unsigned i = 0; i < l->n; i++)
		close_fd(l->fds[i]);
}

static int add_lower(struct lowers *l, int root_fd, const char *name, struct kennel_error **err)
{
	int fd = open_dir(root_fd, name, err);

	if (fd >= 0)
		l->fds[l->n++] = fd;
	return MIN(fd, 0);
}

/* All but the layer that goes, which is none of the slots where none does. */
static int find_lowers(struct lowers *l, int root_fd, unsigned goes, struct kennel_error **err)
{
	char name[32];
	int r = 0;

	for (unsigned i = 0; i < UPPERS_MAX && r == 0; i++) {
		snprintf(name, sizeof(name), CHILD_TOP_UPPER "/%02u", i);
		if (!is_mount(root_fd, name))
			break;
		r = add_lower(l, root_fd, name, err);
	}
	for (unsigned i = CHILD_TOP_LIVE_MAX; i > 0 && r == 0; i--) {
		snprintf(name, sizeof(name), CHILD_TOP_LIVE "/%u", i - 1);
		if (i - 1 != goes && is_mount(root_fd, name))
			r = add_lower(l, root_fd, name, err);
	}
	return r < 0 ? r : add_lower(l, root_fd, CHILD_TOP_COPY, err);
}

/* The new one, over the stage. */
static int make_overlay(int root_fd, unsigned goes, struct kennel_error **err)
{
	struct lowers l = { 0 };
	char words[CHILD_TEXT_SIZE] = "";

	int r = find_lowers(&l, root_fd, goes, err);
	const struct mount_overlay m = {
		.lower_fds = l.fds,
		.n_lowers = l.n,
		.upper_fd = -1,
		.user_xattr = true,
		.attr_flags = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV,
		.log = words,
		.log_size = sizeof(words),
	};
	_cleanup_close_ int fd = r < 0 ? -EBADF : mount_overlay(&m);
	if (r == 0 && fd < 0)
		r = errno == EINVAL && !*words ? /* the kernel's only word for that */
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "the copy is a stack of overlays already, which bears no further one") :
			    fail_errno(err, "put it over the copy%s%s", *words ? ": " : "", words);
	lowers_done(&l);
	_cleanup_close_ int stage_fd = r < 0 ? -EBADF : open_dir(root_fd, CHILD_TOP_STAGE, err);
	if (r == 0)
		r = MIN(stage_fd, 0);
	if (r == 0 && mount_attach(fd, stage_fd) < 0)
		r = fail_errno(err, "put it over the copy");
	return r;
}

static int compare_targets(const void *a, const void *b)
{
	const size_t x = strlen(*(const char *const *)a), y = strlen(*(const char *const *)b);

	return x < y ? -1 : x > y;
}

static int carry_one(int root_fd, int stage_fd, const char *target, struct kennel_error **err)
{
	const char *rel = target + strlen(TREE);

	_cleanup_close_ int from_fd = openat(root_fd, target + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd =
		from_fd < 0 ? -EBADF : sys_open_tree(from_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (fd < 0)
		return fail_errno(err, "take over what is mounted at \"/%s\"", rel);
	_cleanup_close_ int target_fd = path_pin_plain(stage_fd, rel, 0, err);
	if (target_fd < 0)
		return wrap(err, target_fd, "take over what is mounted at \"/%s\"", rel);
	return mount_attach(fd, target_fd) < 0 ?
		       fail_errno(err, "take over what is mounted at \"/%s\"", rel) :
		       0;
}

/*
 * What is mounted in the tree, parents first, to the same places of the new one. proc_fd: our own, the
 * machine's.
 */
static int carry_mounts(int root_fd, int stage_fd, int proc_fd, struct kennel_error **err)
{
	struct mount_table t = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	_cleanup_close_ int fd = openat(proc_fd, "mountinfo", O_RDONLY | O_CLOEXEC);
	size_t n = 0;

	int r = fd < 0 ? fail_errno(err, "read its mounts") : buf_read_fd(&text, fd, MOUNTINFO_MAX, err);
	if (r == 0)
		r = mount_table_parse(buf_str(&text), text.len, &t, err);
	_cleanup_free_ const char **targets = r < 0 ? NULL : calloc(t.n + 1, sizeof(*targets));
	if (r == 0 && !targets)
		r = fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < t.n && r == 0; i++)
		if (!t.entries[i].hidden && strncmp(t.entries[i].target, TREE, strlen(TREE)) == 0)
			targets[n++] = t.entries[i].target;
	if (r == 0)
		qsort(targets, n, sizeof(*targets), compare_targets);
	for (size_t i = 0; i < n && r == 0; i++)
		r = carry_one(root_fd, stage_fd, targets[i], err);
	mount_table_done(&t);
	return r;
}

/* A mount of this namespace, with what is mounted in it, for another one. */
static int take_along(int root_fd, const char *name, struct kennel_error **err)
{
	int fd = sys_open_tree(root_fd, name, SYS_OPEN_TREE_CLONE | SYS_AT_RECURSIVE);

	return fd < 0 ? fail_errno(err, "put it over the copy") : fd;
}

#define NONE CHILD_TOP_LIVE_MAX

struct building {
	int proc_fd; /* our own, the machine's */
	int tree_fd; /* of the layer that comes, at slot; or -EBADF */
	unsigned slot, goes;
};

/*
 * In a copy of the sandbox's mounts that goes with this process: until all is in its place, the overlay
 * shows what the base has in /tmp and its like, which a guest is not to see. ret_fds: the layer that comes,
 * the overlay.
 */
static int build(const struct building *b, int ret_fds[2], struct kennel_error **err)
{
	char live[32];

	if (sys_unshare(CLONE_NEWNS) < 0)
		return fail_errno(err, "copy the sandbox's mounts");
	snprintf(live, sizeof(live), CHILD_TOP_LIVE "/%u", b->slot);
	_cleanup_close_ int root_fd = open_dir(AT_FDCWD, "/", err);
	_cleanup_close_ int live_fd = root_fd < 0 ? root_fd : open_dir(root_fd, live, err);
	if (live_fd < 0)
		return live_fd;
	if (b->tree_fd >= 0 && mount_attach(b->tree_fd, live_fd) < 0)
		return fail_errno(err, "mount it in the sandbox");
	int r = make_overlay(root_fd, b->goes, err);
	_cleanup_close_ int stage_fd = r < 0 ? -EBADF : open_dir(root_fd, CHILD_TOP_STAGE, err);
	if (r == 0)
		r = stage_fd < 0 ? stage_fd : carry_mounts(root_fd, stage_fd, b->proc_fd, err);
	_cleanup_close_ int layer_fd = r < 0 || b->tree_fd < 0 ? -EBADF : take_along(root_fd, live, err);
	if (r == 0 && b->tree_fd >= 0)
		r = MIN(layer_fd, 0);
	_cleanup_close_ int over_fd = r < 0 ? -EBADF : take_along(root_fd, CHILD_TOP_STAGE, err);
	if (r == 0)
		r = MIN(over_fd, 0);
	if (r < 0)
		return r;
	ret_fds[0] = take_fd(&layer_fd);
	ret_fds[1] = take_fd(&over_fd);
	return 0;
}

static int attach(int root_fd, const char *name, int fd, struct kennel_error **err)
{
	_cleanup_close_ int target_fd = open_dir(root_fd, name, err);

	if (target_fd < 0)
		return target_fd;
	return mount_attach(fd, target_fd) < 0 ? fail_errno(err, "put it over the copy") : 0;
}

/* Nobody else writes in that root. */
static int set_mark(int root_fd, unsigned slot, const char *path, bool on, struct kennel_error **err)
{
	const struct sys_mount_attr writable = { .attr_clr = SYS_MOUNT_ATTR_RDONLY };
	char mark[48];

	mark_of(slot, path, mark);
	_cleanup_close_ int fd = sys_open_tree(root_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &writable) < 0 ||
	    (on ? mkdirat(fd, mark, 0700) : unlinkat(fd, mark, AT_REMOVEDIR)) < 0)
		return on && errno == EEXIST ? 0 : fail_errno(err, "note which layer it is");
	return 0;
}

static int put_over(const struct layer_work *w, int proc_fd, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = open_dir(AT_FDCWD, "/", err);
	struct building b = { .proc_fd = proc_fd, .tree_fd = w->tree_fd, .goes = NONE };
	int fds[2] = { -EBADF, -EBADF };
	char live[32];

	int r = root_fd < 0 ? root_fd : check_tree(root_fd, err);
	if (r == 0)
		r = w->goes ? find_slot(root_fd, w->path, &b.slot, err) : next_slot(root_fd, &b.slot, err);
	if (r < 0)
		return r;
	b.goes = w->goes ? b.slot : NONE;
	snprintf(live, sizeof(live), CHILD_TOP_LIVE "/%u", b.slot);
	r = build(&b, fds, err);
	_cleanup_close_ int layer_fd = fds[0];
	_cleanup_close_ int over_fd = fds[1];
	if (r == 0)
		r = graft_join_mounts(w->g, err);
	if (r == 0 && !w->goes) /* killed after that, it comes with the next one */
		r = attach(root_fd, live, layer_fd, err);
	if (r == 0 && !w->goes)
		r = set_mark(root_fd, b.slot, w->path, true, err);
	if (r == 0)
		r = attach(root_fd, CHILD_TOP_TREE, over_fd, err);
	if (r < 0 || !w->goes)
		return r;
	if (fchdir(root_fd) < 0 || sys_umount2(live, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return fail_errno(err, "take it away");
	return set_mark(root_fd, b.slot, w->path, false, err);
}

static int put_in(void *data, struct buf *out, struct kennel_error **err)
{
	struct layer_work *w = data;
	_cleanup_close_ int proc_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)out;
	(void)!sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	umask(0);
	int r = proc_fd < 0		   ? fail_errno(err, "open /proc") :
		w->tree_fd >= 0 || w->goes ? 0 :
					     open_tree_of_root(w, err);
	if (r == 0 && (w->as_user || w->g->sb->mapped))
		r = graft_become_root(w->g, err);
	if (r == 0)
		r = graft_join_mounts(w->g, err);
	return r < 0 ? r : put_over(w, proc_fd, err);
}

int graft_errand(const struct graft *g, const char *const *words, struct kennel_error **err)
{
	const struct vm_guest guest = { .init_pidfd = g->init_pidfd, .init = g->sb->init, .id = g->id };
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct vm_errand e;
	int status = 0;

	if (null_fd < 0)
		return fail_errno(err, "open /dev/null");
	int r = vm_errand_start(&guest, words, (const int[]){ null_fd, null_fd, null_fd }, &e, err);
	if (r == 0)
		r = vm_errand_wait(&e, &status, err);
	return r < 0 ? r : status;
}

static void forget(const struct layer_work *w)
{
	_cleanup_error_ struct kennel_error *why = NULL;

	if (graft_errand(w->g, (const char *const[]){ "forget", NULL }, &why) < 0)
		log_warn(&w->g->log,
			 "what was looked up inside before is seen in \"%s\" at the next start: %s", w->path,
			 kennel_error_message(why));
}

int graft_layer(const struct graft *g, const char *path, struct kennel_error **err)
{
	struct layer_work w = { .g = g, .path = path, .as_user = geteuid() != 0, .tree_fd = -EBADF };
	struct view_plan view = { .kind = VIEW_LAYER, .name = path, .fd = -EBADF };
	const struct idmap no_ids = { 0 };

	int r = layer_open_plain(path, &view.fd, &view.format, err);
	_cleanup_close_ int source_fd = view.fd;
	if (r == 0 && w.as_user)
		r = graft_make_view(g, &view, &w.tree_fd, err);
	else if (r == 0 && view.format)
		r = image_view_open(&view, g->sb->mapped ? &g->sb->map : &no_ids, g->init_pidfd, &w.tree_fd,
				    err);
	_cleanup_close_ int tree_fd = w.tree_fd;
	if (r == 0)
		r = errand_run(-EBADF, put_in, &w, NULL, err);
	if (r == 0)
		forget(&w);
	return r;
}

int graft_remove_layer(const struct graft *g, const char *path, struct kennel_error **err)
{
	struct layer_work w = {
		.g = g,
		.path = path,
		.as_user = geteuid() != 0,
		.goes = true,
		.tree_fd = -EBADF,
	};

	int r = errand_run(-EBADF, put_in, &w, NULL, err);
	if (r == 0)
		forget(&w);
	return r;
}
