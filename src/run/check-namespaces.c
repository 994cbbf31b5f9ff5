/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check-namespaces.c - starts the processes of check-child.h and does for them what a start does from
 * outside: id maps, idmapped trees.
 *
 * root is tried at both levels, because the weaker one takes the stronger one's place. An ordinary user whose
 * range can't be mapped is tried again with one id, so that the lines about mounts say something.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "caps/caps.h"
#include "layer/layer.h"
#include "mount/mount.h"
#include "ns/ns.h"
#include "run/check.h"
#include "run/sandbox.h"
#include "seccomp/filter.h"
#include "sys/sys.h"

#define CHILD_MS 5000

struct trial {
	struct check_facts *facts;
	bool user_ns, single_id;
	struct check_shared *shared; /* a shared mapping */
	int go_fd, pidfd, user_ns_fd;
	pid_t pid;
};

static void shared_init(struct check_shared *s)
{
	for (unsigned i = 0; i < CHECK_TRIES; i++)
		s->errnum[i] = CHECK_NOT_TRIED;
	for (unsigned i = 0; i < CHECK_LOWERS_MAX; i++)
		s->lower_fds[i] = -EBADF;
	s->n_lowers = 0;
	s->delta_fd = -EBADF;
}

static void shared_close(struct check_shared *s)
{
	for (unsigned i = 0; i < s->n_lowers; i++)
		close_fd(s->lower_fds[i]);
	close_fd(s->delta_fd);
	s->n_lowers = 0;
	s->delta_fd = -EBADF;
}

/* Return: 1 it waits for the go, 0 the kernel refused (*ret_why), or a negative code. */
static int start(struct trial *t, const struct check_child *plan, struct kennel_error **ret_why)
{
	int pidfd = -EBADF;
	sigset_t all, old;
	struct clone_args args = {
		/* No exit signal: a caller's wait() for any child can't take this one. */
		.flags = CLONE_PIDFD | CLONE_FILES | CLONE_NEWPID | (t->user_ns ? CLONE_NEWUSER : 0),
		.pidfd = (uintptr_t)&pidfd,
	};

	sigfillset(&all); /* no handler of the caller may run in the child */
	sigprocmask(SIG_SETMASK, &all, &old);
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		check_child_main(plan);
	int saved = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0) {
		(void)ns_explain_failure(args.flags, saved, ret_why);
		return 0;
	}
	t->pid = pid;
	t->pidfd = pidfd;
	return 1;
}

static void finish(struct trial *t)
{
	struct pollfd fd = { .fd = t->pidfd, .events = POLLIN };
	siginfo_t info;

	if (t->pidfd < 0)
		return;
	(void)!poll(&fd, 1, CHILD_MS);
	(void)!sys_pidfd_send_signal(t->pidfd, SIGKILL, 0); /* ESRCH: it has ended, as it should */
	while (sys_waitid_pidfd(t->pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	close_fd(t->pidfd);
}

static int map_ids(struct trial *t, int proc_fd, struct kennel_error **err)
{
	struct check_facts *f = t->facts;
	struct idmap_user one = { .uid = f->map.uid, .gid = f->map.gid };

	if (f->root)
		return idmap_write(proc_fd, &f->root_range, err);
	return idmap_user_write(t->pid, proc_fd, t->single_id ? &one : &f->map, err);
}

static int shift(const struct trial *t, int fd)
{
	const struct sys_mount_attr attr = {
		.attr_set = SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV | SYS_MOUNT_ATTR_IDMAP,
		.userns_fd = (uint64_t)t->user_ns_fd,
	};

	return sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0 ? errno : 0;
}

static void open_layers(struct trial *t, const struct mount_table *mounts)
{
	struct check_shared *s = t->shared;
	_cleanup_strv_ struct strv layers = { 0 };

	if (system_root_layers(mounts, &layers, NULL) < 0)
		return;
	for (size_t i = 0; i < layers.n && s->n_lowers < CHECK_LOWERS_MAX; i++) {
		_cleanup_free_ char *kind = NULL;
		int fd = -EBADF;

		if (layer_open(layers.items[i], &fd, &kind, NULL) == 0)
			s->lower_fds[s->n_lowers++] = fd;
	}
	t->facts->stacked = s->n_lowers > 0;
}

/*
 * Root's trees: the real "/" below, a delta in memory on top, both with shifted ids where the level does
 * that.
 */
static void open_trees(struct trial *t, const struct mount_table *mounts)
{
	struct check_facts *f = t->facts;
	struct check_shared *s = t->shared;
	bool shifts = t->user_ns && f->shifts;

	if (shifts && f->root_fstype &&
	    (strcmp(f->root_fstype, "overlay") == 0 || strcmp(f->root_fstype, "aufs") == 0))
		open_layers(t, mounts);
	if (!s->n_lowers) {
		int fd = sys_open_tree(AT_FDCWD, "/", SYS_OPEN_TREE_CLONE);

		f->lower_errnum = fd < 0 ? errno : 0;
		if (fd >= 0)
			s->lower_fds[s->n_lowers++] = fd;
	}
	s->delta_fd = mount_new_tmpfs("1048576", "64");
	if (!shifts)
		return;
	f->idmap_root_errnum = f->lower_errnum;
	for (unsigned i = 0; i < s->n_lowers && !f->idmap_root_errnum; i++)
		f->idmap_root_errnum = shift(t, s->lower_fds[i]);
	f->idmap_tmpfs_errnum = s->delta_fd < 0 ? EINVAL : shift(t, s->delta_fd);
}

static int equip(struct trial *t, struct kennel_error **ret_why)
{
	_cleanup_close_ int proc_fd = -EBADF;
	struct mount_table mounts = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d",
		 t->pid); /* ours, and unreaped: the number can't have been reused */
	proc_fd = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0)
		return fail_errno(ret_why, "open \"%s\"", name);
	if (t->user_ns) {
		int r = map_ids(t, proc_fd, ret_why);
		if (r < 0)
			return r;
		t->user_ns_fd = openat(proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
	}
	if (t->facts->root && mount_table_read(&mounts, ret_why) == 0)
		open_trees(t, &mounts);
	mount_table_done(&mounts);
	return 0;
}

/* Return: 0 tried (*ret_tries), 1 refused by the kernel or at the map (*ret_why), or a negative code. */
static int try_level(struct check_facts *f, bool user_ns, bool single_id, struct check_shared *ret_tries,
		     struct kennel_error **ret_clone_why, struct kennel_error **ret_map_why,
		     struct kennel_error **err)
{
	struct trial t = {
		.facts = f,
		.user_ns = user_ns,
		.single_id = single_id,
		.go_fd = -EBADF,
		.pidfd = -EBADF,
		.user_ns_fd = -EBADF,
	};
	_cleanup_close_ int parent_pidfd = sys_pidfd_open(getpid(), 0);
	int go[2];

	if (parent_pidfd < 0)
		return fail_errno(err, "open a descriptor of this process");
	if (pipe2(go, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = go[0];
	_cleanup_close_ int write_fd = go[1];
	t.shared = mmap(NULL, sizeof(*t.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t.shared == MAP_FAILED)
		return fail_errno(err, "make a shared page");
	shared_init(t.shared);
	const struct check_child plan = {
		.shared = t.shared,
		.go_fd = read_fd,
		.parent_pidfd = parent_pidfd,
		.user_ns = user_ns,
		.fuse = !f->root,
		.tap = !f->root || !user_ns, /* root's pasta has the machine's own rights to the device */
		.filter = seccomp_filter(user_ns ? caps_all() : caps_default_ns()),
	};
	int r = start(&t, &plan, ret_clone_why);
	if (r > 0) {
		r = equip(&t, ret_map_why) < 0 ? 1 : 0;
		/*
		 * The child has a copy of its own from the start on; what is opened later it gets from the
		 * shared table.
		 */
		(void)!write(write_fd, r == 0 ? "g" : "x", 1);
		finish(&t);
	} else if (r == 0) {
		r = 1;
	}
	shared_close(t.shared);
	close_fd(t.user_ns_fd);
	*ret_tries = *t.shared;
	munmap(t.shared, sizeof(*t.shared));
	return r;
}

static int try_user(struct check_facts *f, struct kennel_error **err)
{
	int r = try_level(f, true, false, &f->user_ns, &f->clone_err, &f->map_err, err);

	if (r != 1 || f->root || f->clone_err || !idmap_user_has_range(&f->map))
		return MIN(r, 0);
	f->single_id = true;
	r = try_level(f, true, true, &f->user_ns, &f->clone_err, NULL, err);
	return MIN(r, 0);
}

/*
 * A start inside of a user namespace works in a mount namespace of its own for a while. To come back it needs
 * rights over the one where it was, which are lacking after "unshare -Ur". Going to where we are asks for the
 * same rights.
 */
static int try_return(struct kennel_error **err)
{
	_cleanup_close_ int ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (ns_fd >= 0 && cwd_fd >= 0 && sys_setns(ns_fd, CLONE_NEWNS) == 0 && fchdir(cwd_fd) == 0)
		return 0;
	return hint(
		err, fail_errno(err, "go back to the mount namespace"),
		"this user namespace has no mount namespace of its own: unshare --user --mount --map-root-user");
}

int check_probe_namespaces(struct check_facts *f, struct kennel_error **err)
{
	struct sandbox sb = { .initial_user_ns = f->initial_user_ns };
	struct launch stage = { .sb = &sb, .old_ns_fd = -EBADF, .old_cwd_fd = -EBADF };

	shared_init(&f->user_ns);
	shared_init(&f->ns);
	f->filter_built = seccomp_filter(caps_default_ns()) != NULL;
	/*
	 * Inside of a sandbox a start takes the masks off /proc first, in a mount namespace of this thread.
	 */
	if (f->root && !f->initial_user_ns && try_return(&f->stage_err) == 0)
		(void)!stage_enter(&stage, NULL); /* where it can't, the tries say what is lacking */
	int r = try_user(f, err);
	if (r == 0 && f->root) {
		r = try_level(f, false, false, &f->ns, &f->ns_clone_err, NULL, err);
		r = MIN(r, 0);
	}
	int left = stage_leave(&stage, r < 0 ? NULL : err);
	return r < 0 ? r : left;
}
