/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/child.c - the child between clone3() and exec: see child.h. Only system calls here (tools/check-child
 * looks at the symbols): the library's caller may have threads, so a malloc or a lock could be held for ever
 * in this copy of its memory.
 *
 * Order and reasons:
 *   namespaces    first and at once: a network namespace takes the kernel longer than all the parent's
 *                 preparations
 *   ids           after the parent wrote the maps; before any mount, whose owner is who we are then
 *   death signal  after the ids, because changing them clears it; then a look whether the parent is there
 *   terminal      its master goes to the parent, so it comes before
 *   own table     of descriptors: nothing that is opened from here on stays with the parent
 *   mounts        overlay takes only layers that are attached in the mounter's own mount namespace (EPERM
 *                 otherwise), so lowers and delta are attached over a directory of the host's tree that goes
 *                 away with it
 *   pivot         before dropping rights
 *   files, seccomp, caps, exec   in this order: without no_new_privs a filter needs CAP_SYS_ADMIN, which
 *                 goes last
 */
#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps/caps.h"
#include "mount/mount.h"
#include "net/nat.h"
#include "net/tap.h"
#include "run/child-guest.h"
#include "run/child-pin.h"
#include "run/init.h"
#include "run/nest.h"
#include "sys/sys.h"

#define PTY_MAX "1024"          /* ptys of one sandbox; the machine has 4096 in all (kernel.pty.max) */

_Noreturn void child_die(struct child_at *at, enum child_step step)
{
	at->report.step = step;
	at->report.errnum = errno;
	(void)!write(at->p->report_fd, &at->report, sizeof(at->report));
	_exit(126);
}

static bool parent_is_gone(const struct child_plan *p)
{
	struct pollfd fd = { .fd = p->parent_pidfd, .events = POLLIN };

	return poll(&fd, 1, 0) > 0;
}

static void wait_for_go(struct child_at *at)
{
	struct pollfd fds[2] = {
		{ .fd = at->p->go_fd, .events = POLLIN },
		{ .fd = at->p->parent_pidfd, .events = POLLIN },
	};
	char go;

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	/* Our own table keeps the pipe's other end open, so a dead parent shows only in its pidfd. */
	if (!(fds[0].revents & POLLIN) || read(at->p->go_fd, &go, 1) != 1 || go != 'g')
		_exit(126);
}

static void say(struct child_at *at, int32_t step)
{
	const struct child_report word = { .step = step };

	if (write(at->p->report_fd, &word, sizeof(word)) != (ssize_t)sizeof(word))
		_exit(126);
}

/*
 * Only who opened it in the namespace that mounts may mount it. First of all: the parent starts the servers
 * meanwhile.
 */
static void open_fuse(struct child_at *at)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; i < p->n_views; i++) {
		p->shared->fuse_fds[i] = open("/dev/fuse", O_RDWR | O_CLOEXEC);
		if (p->shared->fuse_fds[i] < 0)
			child_die(at, CHILD_STEP_FUSE);
	}
	say(at, CHILD_OPENED);
}

static void early(struct child_at *at)
{
	const struct child_plan *p = at->p;

	if (p->rootless)
		open_fuse(at);
	if (sys_setsid() < 0 && errno != EPERM)
		child_die(at, CHILD_STEP_SESSION);
	if (sys_keyctl_join_session(NULL) < 0 && errno != ENOSYS && errno != EDQUOT && errno != EPERM)
		child_die(at, CHILD_STEP_SESSION);
	for (unsigned i = 0; i < p->n_cgroup_fds; i++)
		if (write(p->cgroup_fds[i], "0", 1) != 1)
			child_die(at, CHILD_STEP_CGROUP);
	/*
	 * The working directory goes along into the new mount namespace: the delta's place in our own copy
	 * of the mounts, found without looking up a name.
	 */
	if (p->rootless && p->keep_fd >= 0 && fchdir(p->keep_fd) < 0)
		child_die(at, CHILD_STEP_DELTA);
	if (sys_unshare(p->unshare_flags) < 0 ||
	    (p->net_ns_fd >= 0 && sys_setns(p->net_ns_fd, CLONE_NEWNET) < 0))
		child_die(at, CHILD_STEP_NAMESPACES);
	/* Whether that ends the start depends on whether nat was asked for: the parent knows. */
	if (p->rootless && p->tap) {
		p->shared->tap_fd = net_tap_new(NET_TAP_NAME);
		if (p->shared->tap_fd < 0)
			p->shared->tap_errno = errno;
	}
	if (p->rootless && p->second_tap && !p->shared->tap_errno) {
		p->shared->second_tap_fd = net_tap_new(NET_TAP_SECOND);
		if (p->shared->second_tap_fd < 0)
			p->shared->tap_errno = errno;
	}
	if (p->loopback && net_loopback_up() < 0)
		child_die(at, CHILD_STEP_LOOPBACK);
	if (p->hostname && sys_sethostname(p->hostname, p->hostname_len) < 0)
		child_die(at, CHILD_STEP_HOSTNAME);
}

static void settle(struct child_at *at)
{
	const struct child_plan *p = at->p;
	const struct sys_mount_attr private = { .propagation = MS_PRIVATE };

	if (p->late_mount_ns && sys_unshare(CLONE_NEWNS) < 0)
		child_die(at, CHILD_STEP_NAMESPACES);
	/* Nothing that we mount may show outside, and nothing mounted outside may come in. */
	if (sys_mount_setattr(AT_FDCWD, "/", SYS_AT_RECURSIVE, &private) < 0)
		child_die(at, CHILD_STEP_PRIVATE);
	child_find_places(at);
	if (p->user_ns && ((sys_setgroups(0, NULL) < 0 && !p->keeps_groups) || sys_setresgid(0, 0, 0) < 0 ||
			   sys_setresuid(0, 0, 0) < 0))
		child_die(at, CHILD_STEP_IDS);
	if (sys_prctl(PR_SET_PDEATHSIG, (unsigned long)p->death_signal, 0, 0, 0) < 0)
		child_die(at, CHILD_STEP_PARENT);
	if (parent_is_gone(p))
		_exit(126);
	/*
	 * Held by the parent, it makes the mounts end after pid 1 has been reaped, not before. Without it it
	 * is only slower.
	 */
	p->shared->mount_ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

/* The last one may not be a link: it lies in what is the user's, found by way of the working directory. */
static int clone_kept(const char *path)
{
	return sys_open_tree(AT_FDCWD, path, SYS_OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW);
}

/* one by one: a delta may be anybody's work, and a link in it leads out */
static int open_upper(int delta_fd, const char *name)
{
	int place_fd = openat(delta_fd, "0", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = openat(place_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (place_fd >= 0)
		close(place_fd);
	return fd;
}

static void open_frozen(struct child_at *at)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; i < p->overlays[0].n_frozen; i++) {
		int delta_fd = openat(AT_FDCWD, p->frozen[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int upper_fd = open_upper(delta_fd, "upper");

		at->report.index = (int)i;
		p->shared->lower_fds[i] =
			upper_fd < 0 ? -1 : sys_open_tree(upper_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
		if (p->shared->lower_fds[i] < 0)
			child_die(at, CHILD_STEP_FROZEN);
		close(upper_fd);
		close(delta_fd);
	}
}

/* An ordinary user's view and delta: their superblocks must belong to the user namespace. */
static void make_own_trees(struct child_at *at)
{
	const struct child_plan *p = at->p;
	struct child_shared *s = p->shared;

	open_frozen(at);
	for (unsigned i = 0; i < p->n_views; i++) {
		s->view_fds[i] = p->own_base && p->own_view == i ? clone_kept(p->own_base) :
								   mount_new_view(s->fuse_fds[i]);
		if (s->view_fds[i] < 0)
			child_die(at, CHILD_STEP_VIEW);
		if (i < p->overlays[0].n_lowers - p->overlays[0].n_frozen)
			s->lower_fds[p->overlays[0].n_frozen + i] = s->view_fds[i];
	}
	s->scratch_fd = mount_new_tmpfs(p->delta_size, p->delta_inodes);
	s->delta_fd = p->keep_fd < 0 ? s->scratch_fd : clone_kept("delta");
	if (s->scratch_fd < 0 || s->delta_fd < 0)
		child_die(at, CHILD_STEP_DELTA);
	say(at, CHILD_READY);
	wait_for_go(at);
	s->upper_fds[0] = open_upper(s->delta_fd, "upper");
	s->work_fds[0] = open_upper(s->delta_fd, "work");
	if (s->upper_fds[0] < 0 || s->work_fds[0] < 0)
		child_die(at, CHILD_STEP_DELTA);
}

static int attach_over(struct child_at *at, int mount_fd, const char *path)
{
	return sys_move_mount(mount_fd, "", AT_FDCWD, path, SYS_MOVE_MOUNT_F_EMPTY_PATH);
}

/*
 * Overlay refuses a layer that lies inside of another one (ELOOP), as a directory of the machine does in a
 * copy of it. Below a read-only overlay of its own, over an empty directory, the base is another file system.
 */
static int wrap_lowers(struct child_at *at, const int *fds, unsigned n)
{
	int empty_fd =
		openat(at->p->shared->scratch_fd, "empty", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int lower_fds[CHILD_MAX_FDS];

	for (unsigned k = 0; k < n; k++)
		lower_fds[k] = fds[k];
	lower_fds[n] = empty_fd;
	const struct mount_overlay m = {
		.lower_fds = lower_fds,
		.n_lowers = n + 1,
		.upper_fd = -1,
		.user_xattr = at->p->shared->user_xattr,
		.attr_flags = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOSUID,
		.log = at->report.text,
		.log_size = sizeof(at->report.text),
	};
	int fd = empty_fd < 0 ? -1 : mount_overlay(&m);

	if (fd < 0 || attach_over(at, fd, at->p->stage) < 0)
		child_die(at, CHILD_STEP_LAYER);
	close(empty_fd);
	return fd;
}

/*
 * Before Linux 6.6 changes in memory keep no user xattrs: the overlay's marks are trusted ones then, and
 * those of layers count only in an overlay of their own. Where overlays are two deep already, or a layer lies
 * in the base, there is no way.
 */
static int make_over_marked(struct child_at *at, const int *fds, unsigned n, const struct mount_overlay *over)
{
	const struct mount_overlay marked = {
		.lower_fds = fds,
		.n_lowers = n,
		.upper_fd = -1,
		.user_xattr = true,
		.attr_flags = SYS_MOUNT_ATTR_RDONLY | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOSUID,
	};
	struct mount_overlay o = *over;
	int marked_fd = mount_overlay(&marked), fd = -1;

	if (marked_fd >= 0 && attach_over(at, marked_fd, at->p->stage) == 0) {
		o.lower_fds = &marked_fd;
		o.n_lowers = 1;
		fd = mount_overlay(&o);
	}
	if (marked_fd >= 0)
		close(marked_fd);
	return fd >= 0 ? fd : mount_overlay(over);
}

static int make_overlay(struct child_at *at, unsigned i, int wrapped_fd)
{
	const struct child_plan *p = at->p;
	const struct child_overlay *o = &p->overlays[i];
	struct child_shared *s = p->shared;
	const int *fds = s->lower_fds + o->first_lower;
	unsigned n = s->wrapped_from[i] ? s->wrapped_from[i] : o->n_lowers;
	int lower_fds[CHILD_MAX_FDS];

	for (unsigned k = 0; k < n; k++)
		lower_fds[k] = fds[k];
	if (n < o->n_lowers)
		lower_fds[n++] = wrapped_fd;
	const struct mount_overlay m = {
		.lower_fds = lower_fds,
		.n_lowers = n,
		.upper_fd = s->upper_fds[i],
		.work_fd = s->work_fds[i],
		.user_xattr = s->user_xattr,
		.attr_flags = p->attr_flags,
		.log = at->report.text,
		.log_size = sizeof(at->report.text),
	};
	int fd = i == 0 && n > 1 && !s->user_xattr ? make_over_marked(at, fds, o->n_lowers, &m) :
						     mount_overlay(&m);
	if (fd < 0)
		child_die(at, CHILD_STEP_OVERLAY);
	return fd;
}

/* Returns the root of the copy, attached over the stage. */
static int make_overlays(struct child_at *at)
{
	const struct child_plan *p = at->p;
	struct child_shared *s = p->shared;
	int root_fd = -1, wrapped_fds[CHILD_MAX_FDS];

	if (attach_over(at, s->delta_fd, p->stage) < 0)
		child_die(at, CHILD_STEP_DELTA);
	/* All of them before the root of the copy, which must end up on top of the pile. */
	for (unsigned i = 0; i < p->n_overlays; i++) {
		const struct child_overlay *o = &p->overlays[i];

		at->report.index = (int)i;
		for (unsigned k = 0; k < o->n_lowers; k++)
			if (s->lower_fds[o->first_lower + k] >= 0 &&
			    attach_over(at, s->lower_fds[o->first_lower + k], p->stage) < 0)
				child_die(at, CHILD_STEP_STAGE);
		const unsigned n = s->wrapped_from[i];

		if (n && s->lower_fds[o->first_lower] >= 0)
			wrapped_fds[i] = wrap_lowers(at, s->lower_fds + o->first_lower + n, o->n_lowers - n);
	}
	if (p->vm)
		child_guest_begin(at);
	for (unsigned i = 0; i < p->n_overlays; i++) {
		const struct child_overlay *o = &p->overlays[i];

		at->report.index = (int)i;
		/* the parent found that this one can't be copied, and said so */
		if (s->lower_fds[o->first_lower] < 0)
			continue;
		int fd = make_overlay(at, i, s->wrapped_from[i] ? wrapped_fds[i] : -1);
		if (i == 0) {
			if (p->vm ? child_guest_take_tree(at, fd) < 0 : attach_over(at, fd, p->stage) < 0)
				child_die(at, CHILD_STEP_ATTACH);
			root_fd = fd;
			continue;
		}
		int target_fd = child_pin_made(root_fd, o->target, true, 0755);
		if (target_fd < 0)
			child_die(at, CHILD_STEP_TARGET);
		if (mount_attach(fd, target_fd) < 0)
			child_die(at, CHILD_STEP_ATTACH);
		close(target_fd);
		if (p->vm)
			child_guest_keep(at, fd);
		else
			close(fd);
	}
	return root_fd;
}

/*
 * Binds a directory of the scratch tree below the root; a link in the base at that place is an answer of its
 * own.
 */
static void bind_scratch(struct child_at *at, int root_fd, const char *name, unsigned mode, unsigned attr,
			 bool must, enum child_step step)
{
	const struct sys_mount_attr flags = { .attr_set = attr };
	int target_fd = child_pin_made(root_fd, name, true, mode);

	if (target_fd < 0) {
		if (!must && (errno == ELOOP || errno == ENOTDIR))
			return;
		child_die(at, step);
	}
	int fd = sys_open_tree(at->p->shared->scratch_fd, name, SYS_OPEN_TREE_CLONE);
	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &flags) < 0 || mount_attach(fd, target_fd) < 0)
		child_die(at, step);
	close(fd);
	close(target_fd);
}

static void bind_device(struct child_at *at, int root_fd, int index, const char *name)
{
	char path[PATH_MAX] = "dev/";
	size_t i = 0;

	at->report.index = index;
	for (; name[i] && i < sizeof(path) - 5; i++)
		path[4 + i] = name[i];
	path[4 + i] = '\0';
	int fd = at->p->shared->lower_fds[index];
	int target_fd = child_pin_made(root_fd, path, false, 0);
	if (target_fd < 0 || mount_attach(fd, target_fd) < 0)
		child_die(at, CHILD_STEP_DEV_NODE);
	close(target_fd);
}

static int make_master(struct child_at *at)
{
	int unlock = 0, fd = openat(at->p->shared->pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || sys_ioctl(fd, TIOCSPTLCK, &unlock) < 0)
		child_die(at, CHILD_STEP_PTY);
	return fd;
}

/*
 * The parent needs the terminal's master, so this is the last thing that is opened in the shared table. The
 * devpts itself is attached later.
 */
static void make_terminals(struct child_at *at)
{
	struct child_shared *s = at->p->shared;

	s->pts_fd = mount_new_devpts(PTY_MAX);
	if (s->pts_fd < 0)
		child_die(at, CHILD_STEP_DEVPTS);
	if (!at->p->tty)
		return;
	/* In this order: the numbers of a new devpts begin with 0. */
	s->master_fd = make_master(at);
	for (unsigned i = 0; i < at->p->n_ttys; i++)
		s->tty_fds[i] = make_master(at);
	const struct tty_start *t = &at->p->tty_start;
	if (t->has_size)        /* only cosmetics are lost */
		(void)!sys_ioctl(s->master_fd, TIOCSWINSZ, (void *)&t->size);
	if (t->has_modes)
		(void)!sys_ioctl(s->master_fd, TCSETS, (void *)t->modes);
}

static void make_dev(struct child_at *at, int root_fd, int first_dev_fd)
{
	const struct child_plan *p = at->p;
	int pts_fd = p->shared->pts_fd;

	bind_scratch(at, root_fd, "dev", 0755, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NOEXEC, true,
		     CHILD_STEP_DEV);
	for (unsigned i = 0; p->shared->bind_devices && i < p->n_dev_binds; i++)
		bind_device(at, root_fd, first_dev_fd + (int)i, p->dev_binds[i]);

	int target_fd = child_pin(root_fd, "dev/pts");
	if (target_fd < 0 || mount_attach(pts_fd, target_fd) < 0)
		child_die(at, CHILD_STEP_DEVPTS);
	close(target_fd);
	if (p->tty) {
		int tree_fd = sys_open_tree(pts_fd, "0", SYS_OPEN_TREE_CLONE);
		target_fd = child_pin(root_fd, "dev/console");
		if (tree_fd < 0 || target_fd < 0 || mount_attach(tree_fd, target_fd) < 0)
			child_die(at, CHILD_STEP_PTY);
		close(tree_fd);
		close(target_fd);
	}
	close(pts_fd);
}

static void mount_at(struct child_at *at, int root_fd, int mount_fd, const char *target, enum child_step step)
{
	int target_fd = mount_fd < 0 ? -1 : child_pin_made(root_fd, target, true, 0555);

	if (target_fd < 0 || mount_attach(mount_fd, target_fd) < 0)
		child_die(at, step);
	close(target_fd);
	close(mount_fd);
}

static void make_proc_and_sys(struct child_at *at, int root_fd, int sys_fd)
{
	const unsigned flags = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_NOEXEC;

	mount_at(at, root_fd, mount_new("proc", flags), "proc", CHILD_STEP_PROC);
	if (at->p->vm)
		return;
	if (at->p->new_sys)
		sys_fd = mount_new("sysfs", flags | SYS_MOUNT_ATTR_RDONLY);
	mount_at(at, root_fd, sys_fd, "sys", CHILD_STEP_SYS);
	if (!at->p->shared->mount_cgroup)
		return;
	const bool owns = at->p->shared->handed_over;
	int fd = mount_new("cgroup2", flags | (owns ? 0 : SYS_MOUNT_ATTR_RDONLY));
	if (fd >= 0 || owns)
		mount_at(at, root_fd, fd, "sys/fs/cgroup", CHILD_STEP_CGROUP_MOUNT);
}

/* One by one: the delta may be anybody's work, and a link in it leads out. */
static void bind_nest(struct child_at *at, int root_fd)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	const struct sys_mount_attr attr = { .attr_set = SYS_MOUNT_ATTR_NODEV };
	int nest_fd = openat(at->p->shared->delta_fd, NEST_DIR, flags);

	for (unsigned i = 0; i < at->p->n_nest; i++) {
		const struct nest_place *n = &at->p->nest[i];
		int place_fd = openat(nest_fd, n->name, flags);
		int target_fd = child_pin_made(root_fd, n->target, true, 0755);
		int fd = place_fd < 0 ? -1 : sys_open_tree(place_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);

		if (target_fd < 0 || fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0 ||
		    mount_attach(fd, target_fd) < 0)
			child_die(at, CHILD_STEP_NEST);
		close(place_fd);
		close(target_fd);
		close(fd);
	}
	close(nest_fd);
}

static void cover(struct child_at *at, int root_fd)
{
	const struct child_plan *p = at->p;
	const struct sys_mount_attr ro = { .attr_set = SYS_MOUNT_ATTR_RDONLY };

	for (unsigned i = 0; i < p->n_read_only; i++) {
		at->report.index = (int)i;
		int target_fd = child_pin(root_fd, p->read_only[i]);
		if (target_fd < 0 && errno == ENOENT)
			continue;
		int fd = target_fd < 0 ? -1 :
					 sys_open_tree(target_fd, "", SYS_OPEN_TREE_CLONE | AT_EMPTY_PATH);
		if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &ro) < 0 ||
		    mount_attach(fd, target_fd) < 0)
			child_die(at, CHILD_STEP_MASK);
		close(fd);
		close(target_fd);
	}
	for (unsigned i = 0; i < p->n_masks; i++) {
		at->report.index = (int)i;
		int target_fd = child_pin(root_fd, p->masks[i].path);
		if (target_fd < 0 && (errno == ENOENT || errno == EACCES))
			continue;
		int fd = target_fd < 0 ? -1 :
			 p->masks[i].is_dir ?
					 sys_open_tree(p->shared->scratch_fd, "empty", SYS_OPEN_TREE_CLONE) :
					 sys_open_tree(root_fd, "dev/null", SYS_OPEN_TREE_CLONE);
		if (fd < 0 || mount_attach(fd, target_fd) < 0)
			child_die(at, CHILD_STEP_MASK);
		close(fd);
		close(target_fd);
	}
}

/* What is shared read-only without root: a view, or the one file that it shows. */
static int take_view(struct child_at *at, int view_fd, const char *only)
{
	if (!only)
		return view_fd;
	/* only what is attached can be cloned */
	return attach_over(at, view_fd, at->p->stage) < 0 ? -1 :
							    sys_open_tree(view_fd, only, SYS_OPEN_TREE_CLONE);
}

/*
 * The mounts that the parent staged were copied, and so locked, when our mount namespace was made: take them
 * before the stage is covered.
 */
static void take_staged(struct child_at *at, int first)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; i < p->n_binds; i++) {
		const struct child_bind *b = &p->binds[i];
		int fd;

		at->report.index = (int)i;
		if (b->view < 0)
			fd = sys_open_tree(AT_FDCWD, b->staged, SYS_OPEN_TREE_CLONE | SYS_AT_RECURSIVE);
		else
			fd = take_view(at, p->shared->view_fds[b->view], b->only);
		if (fd < 0)
			child_die(at, CHILD_STEP_BIND);
		p->shared->lower_fds[first + (int)i] = fd;
	}
}

static void attach_binds(struct child_at *at, int root_fd, int first)
{
	const struct child_plan *p = at->p;

	for (unsigned i = 0; i < p->n_binds; i++) {
		at->report.index = (int)i;
		int target_fd = child_pin_made(root_fd, p->binds[i].target, p->binds[i].is_dir, 0755);
		if (target_fd < 0 || mount_attach(p->shared->lower_fds[first + (int)i], target_fd) < 0)
			child_die(at, CHILD_STEP_BIND);
		close(target_fd);
	}
}

static void build_root(struct child_at *at)
{
	const struct child_plan *p = at->p;
	const struct sys_mount_attr ro = { .attr_set = SYS_MOUNT_ATTR_RDONLY };
	int first_free = 0, sys_fd = -1;

	for (unsigned i = 0; i < p->n_overlays; i++)
		first_free = (int)(p->overlays[i].first_lower + p->overlays[i].n_lowers);
	int first_dev = first_free, first_bind = first_free + (int)p->n_dev_binds;
	for (unsigned i = 0; p->shared->bind_devices && i < p->n_dev_binds; i++) {
		char path[PATH_MAX] = "/dev/";
		size_t k = 0;

		at->report.index = (int)i;
		for (; p->dev_binds[i][k] && k < sizeof(path) - 6; k++)
			path[5 + k] = p->dev_binds[i][k];
		path[5 + k] = '\0';
		p->shared->lower_fds[first_dev + (int)i] = sys_open_tree(AT_FDCWD, path, SYS_OPEN_TREE_CLONE);
		if (p->shared->lower_fds[first_dev + (int)i] < 0)
			child_die(at, CHILD_STEP_DEV_NODE);
	}
	take_staged(at, first_bind);
	child_take_places(at);
	if (!p->new_sys) {
		sys_fd = sys_open_tree(AT_FDCWD, "/sys", SYS_OPEN_TREE_CLONE | SYS_AT_RECURSIVE);
		if (sys_fd < 0 || sys_mount_setattr(sys_fd, "", AT_EMPTY_PATH | SYS_AT_RECURSIVE, &ro) < 0)
			child_die(at, CHILD_STEP_SYS);
	}

	if (p->shared->scratch_fd != p->shared->delta_fd &&
	    attach_over(at, p->shared->scratch_fd, p->stage) < 0)
		child_die(at, CHILD_STEP_TMP);
	int tree_fd = make_overlays(at);
	int root_fd = p->vm ? at->top_fd : tree_fd;
	bind_scratch(at, root_fd, "tmp", 01777, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV, false,
		     CHILD_STEP_TMP);
	bind_scratch(at, root_fd, "run", 0755, SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV, false,
		     CHILD_STEP_TMP);
	make_dev(at, root_fd, first_dev);
	make_proc_and_sys(at, root_fd, sys_fd);
	cover(at, root_fd);
	if (p->vm)
		child_guest_furnish(at, tree_fd);
	if (p->n_nest)
		bind_nest(at, root_fd);
	attach_binds(at, tree_fd, first_bind);
	if (p->vm)
		child_guest_close(at);

	if (fchdir(root_fd) < 0 || sys_pivot_root(".", ".") < 0 || sys_umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		child_die(at, CHILD_STEP_PIVOT);
}

/*
 * The table was shared for what the parent made after the clone. What we open from now on must not stay open
 * there when we fail half-way, or outlive the sandbox: a mount's descriptor keeps its file system.
 */
static void take_own_files(struct child_at *at)
{
	if (sys_unshare(CLONE_FILES) < 0)
		child_die(at, CHILD_STEP_FILES);
}

/* From here on only 0, 1, 2, the report and init itself are open (CVE-2024-21626). */
static void keep_few_files(struct child_at *at)
{
	const struct child_plan *p = at->p;

	if (sys_close_range(3, ~0U, SYS_CLOSE_RANGE_CLOEXEC) < 0)
		child_die(at, CHILD_STEP_FILES);
	if (p->tty) {
		int slave_fd =
			sys_ioctl_int(p->shared->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

		if (slave_fd < 0)
			child_die(at, CHILD_STEP_PTY);
		for (int fd = 0; fd <= 2; fd++)
			if (dup3(slave_fd, fd, 0) < 0)
				child_die(at, CHILD_STEP_FILES);
	}
	if (fcntl(p->report_fd, F_SETFD, 0) < 0)
		child_die(at, CHILD_STEP_FILES);
	if (p->becomes)
		say(at, CHILD_APART);
}

_Noreturn void child_main(const struct child_plan *p)
{
	struct child_at at = { .p = p };

	early(&at);
	wait_for_go(&at);
	at.p = p = p->shared->plan;     /* ours may be from before there was one */
	settle(&at);
	if (p->rootless)
		make_own_trees(&at);
	make_terminals(&at);
	take_own_files(&at);
	build_root(&at);
	keep_few_files(&at);
	if (p->no_new_privs && sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_die(&at, CHILD_STEP_NO_NEW_PRIVS);
	if (p->filter && sys_seccomp_load(p->filter) < 0)
		child_die(&at, CHILD_STEP_SECCOMP);
	if (p->set_caps && caps_apply(p->caps, p->last_cap) < 0)
		child_die(&at, CHILD_STEP_CAPS);
	if (p->held) {
		say(&at, CHILD_HELD);
		wait_for_go(&at);
	}
	sys_execveat(p->shared->init_fd, "", p->argv, p->envp, AT_EMPTY_PATH);
	child_die(&at, CHILD_STEP_INIT);
}
