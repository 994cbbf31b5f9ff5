/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/graft.c - see graft.h.
 *
 * A mount on its way inside, where inside has a user namespace: cloned in the machine's mount namespace with
 * its flags and id map; attached in a mount namespace of the process alone; that one copied by root of the
 * sandbox's user namespace, which is when the kernel locks the flags (stage.c says why they must be); cloned
 * out of the copy, and attached inside. An ordinary user may do none of this before the user namespace is
 * joined, so the copy comes first, and what is locked is what the machine's mounts have.
 */
#include "run/graft.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/prctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "mount/mount.h"
#include "path/path.h"
#include "run/child.h"
#include "run/errand.h"
#include "run/graft-inside.h"
#include "run/interfaces.h"
#include "run/sandbox.h"
#include "run/views.h"
#include "sys/sys.h"

#define STAGE "/tmp" /* covered in a mount namespace of the process alone */

struct work;
typedef int (*work_fn)(struct work *w, struct kennel_error **err);

/* In the process: what it is to do, and where. */
struct work {
	work_fn fn;
	const struct graft *g;
	const struct spec_mount *mount;
	const struct spec_device *device;
	const char *target;
	struct stat st; /* of the source, or of the device */
	bool as_user, plain; /* plain: its ids could not be shifted */
	int view_fd; /* an ordinary user's read-only one, as a view, or -EBADF */
	const char *only; /* the one file of that, or NULL */
};

int graft_join_mounts(const struct graft *g, struct kennel_error **err)
{
	if (sys_setns(g->init_pidfd, CLONE_NEWNS) < 0)
		return fail_errno(err, "join the sandbox's mounts");
	return 0;
}

int graft_become_root(const struct graft *g, struct kennel_error **err)
{
	if (sys_setns(g->init_pidfd, CLONE_NEWUSER) < 0)
		return fail_errno(err, "join the sandbox's user namespace");
	(void)!sys_setgroups(0,
			     NULL); /* denied where there is one id only, and then there are none to drop */
	if (sys_setresgid(0, 0, 0) < 0 || sys_setresuid(0, 0, 0) < 0)
		return fail_errno(err, "become root of the sandbox");
	/* the change of ids may have set it */
	return sys_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? fail_errno(err, "hide from the sandbox") : 0;
}

static int own_mounts(struct kennel_error **err)
{
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };

	if (sys_unshare(CLONE_NEWNS) < 0 || sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
		return fail_errno(err, "make a mount namespace");
	return 0;
}

static int clone_tree(struct work *w, int user_ns_fd, struct kennel_error **err)
{
	const uint64_t of_device = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC;

	return stage_clone(w->mount ? w->mount->source : w->device->path,
			   w->mount ? stage_flags(w->mount) : of_device, user_ns_fd, &w->plain, err);
}

/* A clone of tree_fd with its flags locked, in the user namespace of the sandbox. */
static int lock_tree(const struct work *w, int tree_fd, struct kennel_error **err)
{
	static const char name[] = STAGE "/0";

	int r = own_mounts(err);
	if (r < 0)
		return r;
	_cleanup_close_ int tmp_fd = mount_new_tmpfs("64k", "16");
	if (tmp_fd < 0 || sys_move_mount(tmp_fd, "", AT_FDCWD, STAGE, SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail_errno(err, "stage the mount");
	r = S_ISDIR(w->st.st_mode) ? mkdirat(tmp_fd, "0", 0700) : mknodat(tmp_fd, "0", S_IFREG | 0600, 0);
	if (r < 0 || sys_move_mount(tree_fd, "", tmp_fd, "0", SYS_MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail_errno(err, "stage the mount");
	r = graft_become_root(w->g, err);
	if (r == 0 && sys_unshare(CLONE_NEWNS) < 0)
		r = fail_errno(err, "lock the mount");
	if (r < 0)
		return r;
	int fd = sys_open_tree(AT_FDCWD, name, SYS_OPEN_TREE_CLONE | SYS_AT_RECURSIVE);
	return fd < 0 ? fail_errno(err, "clone the mount") : fd;
}

int graft_open_user_ns(const struct graft *g, struct kennel_error **err)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", g->sb->init);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail_errno(err, "open the sandbox's user namespace") : fd;
}

static int take_view(const struct work *w, struct kennel_error **err)
{
	int r = graft_become_root(w->g, err);
	int fd = -EBADF;

	if (r == 0 && w->only) /* only what is attached can be cloned */
		r = own_mounts(err);
	if (r < 0)
		return r;
	if (!w->only)
		fd = fcntl(w->view_fd, F_DUPFD_CLOEXEC, 3);
	else if (sys_move_mount(w->view_fd, "", AT_FDCWD, STAGE, SYS_MOVE_MOUNT_F_EMPTY_PATH) == 0)
		fd = sys_open_tree(w->view_fd, w->only, SYS_OPEN_TREE_CLONE);
	return fd < 0 ? fail_errno(err, "stage the mount") : fd;
}

/* As its own flags and ids are to be inside; the process is then where it may attach it. */
static int prepare_tree(struct work *w, struct kennel_error **err)
{
	if (w->view_fd >= 0)
		return take_view(w, err);
	if (w->as_user) {
		int r = graft_become_root(w->g, err);

		if (r == 0)
			r = own_mounts(err);
		return r < 0 ? r : clone_tree(w, -EBADF, err);
	}
	if (!w->g->sb->mapped)
		return clone_tree(w, -EBADF, err);
	_cleanup_close_ int user_ns_fd = graft_open_user_ns(w->g, err);
	if (user_ns_fd < 0)
		return user_ns_fd;
	_cleanup_close_ int tree_fd = clone_tree(w, user_ns_fd, err);
	return tree_fd < 0 ? tree_fd : lock_tree(w, tree_fd, err);
}

static int make_file(int root_fd, const char *target, struct kennel_error **err)
{
	const char *slash = strrchr(target, '/');
	_cleanup_free_ char *dir = strndup(target, (size_t)(slash - target));
	_cleanup_close_ int dir_fd = -EBADF;

	if (!dir)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	dir_fd = path_make_dirs(root_fd, *dir ? dir : "/", 0755, err);
	if (dir_fd < 0)
		return dir_fd;
	if (mknodat(dir_fd, slash + 1, S_IFREG | 0644, 0) < 0 && errno != EEXIST)
		return fail_errno(err, "make \"%s\" inside", target);
	return path_pin_plain(dir_fd, slash + 1, 0, err);
}

static int open_inside(const struct work *w, struct kennel_error **err)
{
	int fd = open(w->g->guest ? "/" CHILD_TOP_TREE : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fail_errno(err, "open the sandbox's root") : fd;
}

/*
 * What a guest sees is read-only here, but for who makes a place in it. That can't be had once a layer lies
 * over it.
 */
static int make_place_for_guest(int tree_fd, const char *target, struct kennel_error **err)
{
	const struct sys_mount_attr writable = { .attr_clr = SYS_MOUNT_ATTR_RDONLY };
	_cleanup_close_ int there_fd = path_pin_plain(tree_fd, target, O_DIRECTORY, NULL);
	_cleanup_close_ int made_fd = -EBADF;

	if (there_fd >= 0)
		return take_fd(&there_fd);
	_cleanup_close_ int fd = sys_open_tree(tree_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &writable) < 0)
		return fail_errno(err, "open the tree of the guest");
	made_fd = path_make_dirs(fd, target, 0755, err);
	return made_fd < 0 ? made_fd : path_pin_plain(tree_fd, target, O_DIRECTORY, err);
}

static int do_mount(struct work *w, struct kennel_error **err)
{
	_cleanup_close_ int tree_fd = prepare_tree(w, err);
	if (tree_fd < 0)
		return tree_fd;
	int r = graft_join_mounts(w->g, err);
	if (r < 0)
		return r;
	_cleanup_close_ int root_fd = open_inside(w, err);
	if (root_fd < 0)
		return root_fd;
	_cleanup_close_ int target_fd = w->g->guest ? make_place_for_guest(root_fd, w->target, err) :
					S_ISDIR(w->st.st_mode) ?
						      path_make_dirs(root_fd, w->target, 0755, err) :
						      make_file(root_fd, w->target, err);
	if (target_fd < 0)
		return wrap(err, target_fd, "make the place \"%s\" inside", w->target);
	if (mount_attach(tree_fd, target_fd) < 0)
		return fail_errno(err, "mount it at \"%s\" inside", w->target);
	return 0;
}

/* Inside, with the rights over what is mounted there. */
static int enter(const struct work *w, struct kennel_error **err)
{
	int r = w->as_user || w->g->sb->mapped ? graft_become_root(w->g, err) : 0;

	return r < 0 ? r : graft_join_mounts(w->g, err);
}

/*
 * A mount of the source has its root for its root. A view of an ordinary user has numbers of its own; there
 * is no other file system of that kind at a place of its configuration.
 */
static bool is_of_source(const struct work *w, int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct statx stx;
	struct stat st;

	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, 0, &stx) < 0 || fstat(fd, &st) < 0 ||
	    fstatfs(fd, &fs) < 0 || !(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return false;
	if (w->as_user && w->mount && w->mount->read_only)
		return fs.f_type == FUSE_SUPER_MAGIC;
	return st.st_dev == w->st.st_dev && st.st_ino == w->st.st_ino;
}

/*
 * Looked at and then taken away by name in a pinned directory: between the two only root inside could put
 * another mount there, and that would be its own.
 */
static int do_unmount(struct work *w, struct kennel_error **err)
{
	const char *slash = strrchr(w->target, '/');
	_cleanup_free_ char *dir = strndup(w->target, (size_t)(slash - w->target));

	int r = dir ? enter(w, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r < 0)
		return r;
	_cleanup_close_ int root_fd = open_inside(w, err);
	if (root_fd < 0)
		return root_fd;
	_cleanup_close_ int dir_fd = path_pin_plain(root_fd, *dir ? dir : "/", O_DIRECTORY, err);
	if (dir_fd < 0)
		return dir_fd;
	if (!is_of_source(w, dir_fd, slash + 1))
		return fail(err, KENNEL_E_NOTFOUND, "it is not mounted at \"%s\" any more", w->target);
	if (fchdir(dir_fd) < 0 || sys_umount2(slash + 1, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return fail_errno(err, "take the mount at \"%s\" away", w->target);
	return 0;
}

/* The ids that root inside has on the file system of its /dev, with our own rights. */
static int borrow_ids(const struct work *w, struct kennel_error **err)
{
	struct sys_cap_data caps[2];

	if (!w->g->sb->mapped)
		return 0;
	if (sys_capget(caps) < 0)
		return fail_errno(err, "take the ids of the sandbox");
	sys_setfsgid(w->g->sb->map.base);
	sys_setfsuid(w->g->sb->map.base);
	return sys_capset(caps) < 0 ? fail_errno(err, "take the ids of the sandbox") : 0;
}

/* The directory of the node, and its name in that. */
static int open_node_dir(const struct work *w, bool make, const char **ret_name, struct kennel_error **err)
{
	const char *slash = strrchr(w->target, '/');
	_cleanup_free_ char *dir = strndup(w->target, (size_t)(slash - w->target));

	int r = dir ? graft_join_mounts(w->g, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
	if (r == 0)
		r = borrow_ids(w, err);
	if (r < 0)
		return r;
	_cleanup_close_ int root_fd = open_inside(w, err);
	if (root_fd < 0)
		return root_fd;
	*ret_name = slash + 1;
	return make ? path_make_dirs(root_fd, dir, 0755, err) :
		      path_pin_plain(root_fd, dir, O_DIRECTORY, err);
}

static int do_device(struct work *w, struct kennel_error **err)
{
	const char *name = NULL;
	struct stat st;

	_cleanup_close_ int dir_fd = open_node_dir(w, true, &name, err);
	if (dir_fd < 0)
		return dir_fd;
	if (mknodat(dir_fd, name, w->st.st_mode & (S_IFMT | 0777), w->st.st_rdev) == 0)
		return 0;
	if (errno != EEXIST)
		return fail_errno(err, "make the device \"%s\" inside", w->target);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) && st.st_rdev == w->st.st_rdev)
		return 0;
	return fail(err, KENNEL_E_EXISTS, "there is another \"%s\" inside", w->target);
}

static int do_remove_device(struct work *w, struct kennel_error **err)
{
	const char *name = NULL;
	struct stat st;

	_cleanup_close_ int dir_fd = open_node_dir(w, false, &name, err);
	if (dir_fd < 0)
		return dir_fd;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (st.st_mode & S_IFMT) != (w->st.st_mode & S_IFMT) || st.st_rdev != w->st.st_rdev)
		return fail(err, KENNEL_E_NOTFOUND, "\"%s\" is not that device inside any more", w->target);
	if (unlinkat(dir_fd, name, 0) < 0)
		return fail_errno(err, "remove \"%s\" inside", w->target);
	return 0;
}

static int run_work(void *data, struct buf *out, struct kennel_error **err)
{
	struct work *w = data;

	(void)!sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	umask(0);
	int r = w->fn(w, err);
	buf_puts(out, w->plain ? "p" : "");
	return r;
}

/*
 * In a process of its own: what it joins it can't leave again. A file system that root inside has made may
 * let it wait; then a signal to us ends both.
 */
static int in_process(struct work *w, work_fn fn, struct kennel_error **err)
{
	_cleanup_buf_ struct buf bytes = { 0 };

	w->fn = fn;
	w->as_user = geteuid() != 0;
	int r = errand_run(-EBADF, run_work, w, &bytes, err);
	if (r == 0 && bytes.len)
		stage_say_plain(&w->g->log, w->mount ? w->mount->source : w->target);
	return r;
}

/* Nobody could lock the flag of a mount for an ordinary user: views.c. */
static int make_view(const struct graft *g, struct view_plan *v, int *ret_fd, const struct spec_mount *m,
		     struct kennel_error **err)
{
	int r = views_open_share(m, v, err);

	return r <= 0 ? r : graft_make_view(g, v, ret_fd, err);
}

static int tell_guest(const struct graft *g, const char *errand, const char *target,
		      struct kennel_error **err)
{
	const int r = graft_errand(g, (const char *const[]){ errand, target, NULL }, err);

	if (r <= 0)
		return r;
	errno = r;
	return strcmp(errand, "share") == 0 ?
		       fail_errno(err, "have the guest mount it at \"%s\"", target) :
		       fail(err, KENNEL_E_NOTFOUND, "it is not mounted at \"%s\" any more", target);
}

int graft_mount(const struct graft *g, const struct spec_mount *m, struct kennel_error **err)
{
	struct work w = { .g = g, .mount = m, .target = m->target, .view_fd = -EBADF };
	struct view_plan view = { .fd = -EBADF };

	if (stat(m->source, &w.st) < 0)
		return fail_errno(err, "share \"%s\"", m->source);
	if (g->guest && !S_ISDIR(w.st.st_mode))
		return fail(err, KENNEL_E_UNSUPPORTED, "a running guest gets directories alone");
	int r = m->read_only && geteuid() != 0 ? make_view(g, &view, &w.view_fd, m, err) : 0;
	_cleanup_close_ int source_fd = view.fd;
	_cleanup_close_ int view_fd = w.view_fd;
	_cleanup_free_ char *only = view.only;
	w.only = only;
	if (r == 0)
		r = in_process(&w, do_mount, err);
	if (r < 0 || !g->guest)
		return r;
	r = tell_guest(g, "share", m->target, err);
	if (r < 0)
		(void)!in_process(&w, do_unmount, NULL);
	return r;
}

int graft_unmount(const struct graft *g, const struct spec_mount *m, struct kennel_error **err)
{
	struct work w = { .g = g, .mount = m, .target = m->target, .view_fd = -EBADF };

	if (stat(m->source, &w.st) < 0)
		return fail_errno(err, "look at \"%s\"", m->source);
	int r = g->guest ? tell_guest(g, "unshare", m->target, err) : 0;
	/* through its tree it would see it also where somebody inside has unmounted it */
	int here = in_process(&w, do_unmount, r < 0 ? NULL : err);
	if (g->guest) /* how the place looked with that: nothing is lost without */
		(void)!graft_errand(g, (const char *const[]){ "forget", NULL }, NULL);
	return r < 0 ? r : here;
}

static int look_at_device(struct work *w, struct kennel_error **err)
{
	if (!path_is_below(w->target, "/dev"))
		return fail(err, KENNEL_E_INVALID, "the device \"%s\" is not below /dev", w->target);
	if (stat(w->target, &w->st) < 0)
		return fail_errno(err, "use the device \"%s\"", w->target);
	if (!S_ISCHR(w->st.st_mode) && !S_ISBLK(w->st.st_mode))
		return fail(err, KENNEL_E_TYPE, "\"%s\" is not a device", w->target);
	return 0;
}

int graft_device(const struct graft *g, const struct spec_device *d, struct kennel_error **err)
{
	struct work w = { .g = g, .device = d, .target = d->path, .view_fd = -EBADF };

	int r = look_at_device(&w, err);
	if (r < 0)
		return r;
	/* It may make no nodes, but show those of the machine. */
	return in_process(&w, geteuid() != 0 ? do_mount : do_device, err);
}

int graft_remove_device(const struct graft *g, const struct spec_device *d, struct kennel_error **err)
{
	struct work w = { .g = g, .device = d, .target = d->path, .view_fd = -EBADF };

	int r = look_at_device(&w, err);
	return r < 0 ? r : in_process(&w, geteuid() != 0 ? do_unmount : do_remove_device, err);
}

struct net_work {
	const struct graft *g;
	const struct spec_interface *in;
	int netns_fd;
	bool add;
};

static int run_net_work(void *data, struct buf *out, struct kennel_error **err)
{
	const struct net_work *w = data;

	(void)out;
	return w->add ? interfaces_add(w->g->id, w->in, w->netns_fd, err) :
			interfaces_remove(w->in->name, w->netns_fd, err);
}

static int change_net(const struct graft *g, const struct spec_interface *in, bool add,
		      struct kennel_error **err)
{
	struct pollfd ended = { .fd = g->init_pidfd, .events = POLLIN };
	struct stat theirs, ours;
	char path[32];

	if (geteuid() != 0)
		return fail(err, KENNEL_E_PERM, "only root may change its network");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", g->sb->init);
	_cleanup_close_ int netns_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (netns_fd < 0 || poll(&ended, 1, 0) != 0)
		return fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended");
	if (fstat(netns_fd, &theirs) < 0 || stat("/proc/self/ns/net", &ours) < 0)
		return fail_errno(err, "compare the sandbox's network with ours");
	if (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev)
		return fail(err, KENNEL_E_PERM, "its network is this machine's");
	struct net_work w = { .g = g, .in = in, .netns_fd = netns_fd, .add = add };
	return errand_run(-EBADF, run_net_work, &w, NULL, err);
}

int graft_interface(const struct graft *g, const struct spec_interface *in, struct kennel_error **err)
{
	return change_net(g, in, true, err);
}

int graft_remove_interface(const struct graft *g, const struct spec_interface *in, struct kennel_error **err)
{
	return change_net(g, in, false, err);
}
