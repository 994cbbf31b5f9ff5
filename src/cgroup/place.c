/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/place.c - where a group can be made.
 *
 * v1: below our own group of each hierarchy, which has no rule against processes beside groups.
 * v2: a group that has processes and is not the root can't hand controllers down (EBUSY), and our own group
 * always has one: us. With threaded controllers alone the kernel would take the write and then refuse every
 * process below, so it isn't tried.
 * The places, in order:
 *   1. our own group, where no controller is needed (a device program) or where it is the root of the
 *      hierarchy;
 *   2. kennel.slice below the root, for who may make it. It hands controllers down itself, so a service
 *      manager that tidies the root's list gets EBUSY instead of silently taking a limit away;
 *   3. the group above ours, where it hands the controllers down already: that is a user's systemd session.
 * kennel.slice is removed with its last group; a start that loses that race makes it again.
 *
 * Only the mount point is a string; the mount id proves it is the mount that mountinfo spoke of. From there
 * on openat2().
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cgroup/group.h"
#include "sys/sys.h"

#define SLICE_TRIES 16

/* linux/stat.h; newer than the libc headers of some */
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000u
#endif

void cgroup_texts_done(struct cgroup_texts *t)
{
	free(t->mountinfo);
	free(t->self);
}

static int read_whole(const char *path, size_t max, char **ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	if (fd < 0)
		return fail_errno(err, "open \"%s\"", path);
	r = buf_read_fd(&b, fd, max, err);
	if (r < 0)
		return wrap(err, r, "read \"%s\"", path);
	*ret = b.data ? take_ptr(&b.data) : strdup("");
	b = (struct buf){ 0 };
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

int cgroup_layout_read(const char *mountinfo, struct cgroup_texts *texts, struct cgroup_layout *ret,
		       struct kennel_error **err)
{
	int r;

	if (!mountinfo) {
		r = read_whole("/proc/self/mountinfo", 64u << 20, &texts->mountinfo, err);
		if (r < 0)
			return r;
		mountinfo = texts->mountinfo;
	}
	r = read_whole("/proc/self/cgroup", 1u << 20, &texts->self, err);
	if (r < 0)
		return r;
	cgroup_layout_parse(mountinfo, texts->self, ret);
	return 0;
}

int cgroup_write(int dir_fd, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

void cgroup_dir_close(struct cgroup_dir *d)
{
	close_fd(d->top_fd);
	close_fd(d->parent_fd);
	close_fd(d->fd);
	close_fd(d->entry_fd);
	d->top_fd = d->parent_fd = d->fd = d->entry_fd = -EBADF;
}

int cgroup_mount_open(const struct cgroup_mount *m)
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];
	struct statx sx;

	if (cgroup_unescape(m->point, path, sizeof(path)) < 0) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0)
		return -1;
	if (!(sx.stx_mask & STATX_MNT_ID) || sx.stx_mnt_id != m->mount_id) {
		errno = ESTALE;
		return -1;
	}
	return take_fd(&fd);
}

static int open_below(int root_fd, struct cgroup_slice path)
{
	const struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	char text[PATH_MAX];

	if (cgroup_copy(path, text, sizeof(text)) < 0) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return sys_openat2(root_fd, text, &how);
}

static int refuse_read_only(const char *what, struct kennel_error **err)
{
	int r = fail(err, KENNEL_E_UNSUPPORTED,
		     "make a control group for %s: the cgroup file system is mounted read-only here", what);

	return hint(err, r,
		    "inside a container or another sandbox leave limits to the outer one, or have it mount "
		    "cgroups read-write");
}

/*
 * Finds the mount to work in: one of v2, or one of v1 that has one of ctls. 1 and both descriptors (own_fd is
 * our own group), 0 none is mounted, or the code of why what is mounted won't do.
 */
static int find_mount(const struct cgroup_layout *l, bool v2, unsigned ctls, const char *what,
		      const struct cgroup_mount **ret, int *ret_root_fd, int *ret_own_fd,
		      struct kennel_error **err)
{
	bool any = false, read_only = false;

	for (unsigned i = l->n; i-- > 0;) { /* the last one mounted is the one on top */
		const struct cgroup_mount *m = &l->mounts[i];
		_cleanup_close_ int root_fd = -EBADF, own_fd = -EBADF;

		if (m->v2 != v2 || (!v2 && !(m->ctls & ctls)))
			continue;
		any = true;
		read_only |= m->read_only;
		if (m->read_only || !m->visible)
			continue;
		root_fd = cgroup_mount_open(m);
		own_fd = root_fd < 0 ? -1 : open_below(root_fd, m->own);
		if (own_fd < 0)
			continue;
		*ret = m;
		*ret_root_fd = take_fd(&root_fd);
		*ret_own_fd = take_fd(&own_fd);
		return 1;
	}
	if (!any)
		return 0;
	if (read_only)
		return refuse_read_only(what, err);
	int r = fail(err, KENNEL_E_UNSUPPORTED,
		     "make a control group for %s: our own group can't be reached through any mount", what);

	return hint(err, r,
		    "mount the cgroup file system of this cgroup namespace (see /proc/self/cgroup), or leave "
		    "the limit out");
}

static int fail_make(const char *what, struct kennel_error **err)
{
	int saved = errno, r;

	if (saved == EROFS)
		return refuse_read_only(what, err);
	r = fail_errno(err, "make a control group for %s", what);
	if (saved == EACCES || saved == EPERM)
		return hint(err, r,
			    "run it as root, or in a group of your own: systemd-run --user --scope "
			    "kennel run ...");
	if (saved == EEXIST)
		return hint(err, r, "a sandbox of this id was not cleaned up: kennel gc");
	return r;
}

/* Makes the group and opens it; -1 and errno, with nothing made. */
static int make_group(int parent_fd, const struct cgroup_plan *plan)
{
	int fd;

	if (plan->note)
		plan->note(plan->note_data, parent_fd, plan->name);
	if (mkdirat(parent_fd, plan->name, 0755) < 0)
		return -1;
	fd = openat(parent_fd, plan->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		int saved = errno;

		(void)!unlinkat(parent_fd, plan->name, AT_REMOVEDIR);
		errno = saved;
	}
	return fd;
}

int cgroup_place_v1(const struct cgroup_layout *l, unsigned ctls, const struct cgroup_plan *plan,
		    struct cgroup_dir *ret, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = -EBADF, own_fd = -EBADF;
	const struct cgroup_mount *m = NULL;
	const char *what = cgroup_ctl_name(ctls);
	int fd, r;

	r = find_mount(l, false, ctls, what, &m, &root_fd, &own_fd, err);
	if (r <= 0)
		return r;
	fd = make_group(own_fd, plan);
	if (fd < 0)
		return fail_make(what, err);
	*ret = (struct cgroup_dir){
		.ctls = m->ctls, .top_fd = -EBADF, .parent_fd = take_fd(&own_fd), .fd = fd, .entry_fd = -EBADF
	};
	return 1;
}

/* Has the kernel's control file all of ctls? -1 where it can't be read. */
static int list_has(int dir_fd, const char *file, unsigned ctls)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[256]; /* all controllers there are take a third of it */
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -1;
	return cgroup_names_all((struct cgroup_slice){ text, (size_t)n }, ctls);
}

/* Lets dir hand the controllers down. */
static int enable(int dir_fd, unsigned ctls)
{
	char text[64];
	size_t n = 0;

	if (list_has(dir_fd, "cgroup.subtree_control", ctls) > 0)
		return 0;
	for (unsigned ctl = 1; ctl <= CGROUP_CPU; ctl <<= 1)
		if ((ctls & ctl) && ctl != CGROUP_DEVICES)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s+%s", n ? " " : "",
					      cgroup_ctl_name(ctl));
	return cgroup_write(dir_fd, "cgroup.subtree_control", text);
}

/* Only the root of the hierarchy has no type. */
static bool is_hierarchy_root(int dir_fd)
{
	return faccessat(dir_fd, "cgroup.type", F_OK, 0) < 0 && errno == ENOENT;
}

static int make_in_root(int own_fd, unsigned ctls, const struct cgroup_plan *plan)
{
	return enable(own_fd, ctls) < 0 ? -1 : make_group(own_fd, plan);
}

/* kennel.slice; -1 and errno, ENOENT or ENODEV also where it vanished under us. */
static int make_in_slice(int root_fd, unsigned ctls, const struct cgroup_plan *plan, int *ret_slice_fd)
{
	_cleanup_close_ int slice_fd = -EBADF;
	int fd;

	if (mkdirat(root_fd, CGROUP_SLICE, 0755) < 0 && errno != EEXIST)
		return -1;
	slice_fd = openat(root_fd, CGROUP_SLICE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (slice_fd < 0)
		return -1;
	fd = enable(root_fd, ctls) < 0 || enable(slice_fd, ctls) < 0 ? -1 : make_group(slice_fd, plan);
	if (fd < 0) {
		int saved = errno;

		(void)!unlinkat(root_fd, CGROUP_SLICE, AT_REMOVEDIR); /* stays where others use it */
		errno = saved;
		return -1;
	}
	*ret_slice_fd = take_fd(&slice_fd);
	return fd;
}

static int place_in_slice(int root_fd, unsigned ctls, const struct cgroup_plan *plan, struct cgroup_dir *ret)
{
	for (unsigned i = 0; i < SLICE_TRIES; i++) {
		int slice_fd = -EBADF, fd = make_in_slice(root_fd, ctls, plan, &slice_fd);

		if (fd >= 0) {
			*ret = (struct cgroup_dir){ .v2 = true,
						    .ctls = ctls,
						    .parent_fd = slice_fd,
						    .fd = fd,
						    .top_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3),
						    .entry_fd = -EBADF };
			return 0;
		}
		if (errno != ENOENT && errno != ENODEV)
			break;
	}
	return -1;
}

/* The group above ours; -1 where that is outside of what is mounted. */
static int open_above(int root_fd, struct cgroup_slice own)
{
	if (!own.len) {
		errno = ENOENT;
		return -1;
	}
	while (own.len && own.text[own.len - 1] != '/')
		own.len--;
	while (own.len && own.text[own.len - 1] == '/')
		own.len--;
	return open_below(root_fd, own);
}

static int refuse_controllers(unsigned ctls, const char *what, struct kennel_error **err)
{
	int r = fail(err, KENNEL_E_UNSUPPORTED,
		     "make a control group for %s: no place was found that hands %s down to us", what,
		     ctls & (ctls - 1) ? "these controllers" : "this controller");

	return hint(err, r,
		    "as a user: systemd-run --user --scope kennel run ..., and for cpu a drop-in of "
		    "user@.service with Delegate=cpu memory pids; in a container: leave limits to it");
}

static void list_names(unsigned ctls, char *text, size_t size)
{
	size_t n = 0;

	for (unsigned ctl = 1; ctl <= CGROUP_CPU; ctl <<= 1)
		if ((ctls & ctl) && n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "",
					      cgroup_ctl_name(ctl));
}

int cgroup_place_v2(const struct cgroup_layout *l, unsigned ctls, const struct cgroup_plan *plan,
		    struct cgroup_dir *ret, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = -EBADF, own_fd = -EBADF, above_fd = -EBADF;
	const unsigned needed = ctls & ~(unsigned)CGROUP_DEVICES;
	const struct cgroup_mount *m = NULL;
	char what[64];
	bool own_is_root;
	int fd, r;

	list_names(ctls, what, sizeof(what));
	r = find_mount(l, true, 0, what, &m, &root_fd, &own_fd, err);
	if (r < 0)
		return r;
	if (r == 0) {
		r = fail(err, KENNEL_E_UNSUPPORTED,
			 "make a control group for %s: no cgroup file system that has it is mounted here",
			 what);
		return hint(err, r,
			    "mount -t cgroup2 cgroup2 /sys/fs/cgroup, or leave limits to the outer container "
			    "or sandbox");
	}
	own_is_root = needed && is_hierarchy_root(own_fd);
	if (needed && list_has(own_is_root ? own_fd : root_fd, "cgroup.controllers", needed) == 0) {
		r = fail(err, KENNEL_E_UNSUPPORTED,
			 "make a control group for %s: this kernel or machine does not offer it", what);
		return hint(err, r,
			    "see cgroup.controllers at the top of the cgroup mount; \"memory\" may need the "
			    "kernel parameter cgroup_enable=memory");
	}
	*ret = (struct cgroup_dir){ .v2 = true, .ctls = ctls, .top_fd = -EBADF, .entry_fd = -EBADF };
	if (!needed || own_is_root) {
		fd = make_in_root(own_fd, needed, plan);
		if (fd < 0)
			return fail_make(what, err);
		ret->parent_fd = take_fd(&own_fd);
		ret->fd = fd;
		return 0;
	}
	if (is_hierarchy_root(root_fd) && place_in_slice(root_fd, ctls, plan, ret) == 0)
		return 0;
	above_fd = open_above(root_fd, m->own);
	if (above_fd < 0 || list_has(above_fd, "cgroup.subtree_control", needed) <= 0)
		return refuse_controllers(needed, what, err);
	fd = make_group(above_fd, plan);
	if (fd < 0)
		return fail_make(what, err);
	*ret = (struct cgroup_dir){ .v2 = true,
				    .ctls = ctls,
				    .top_fd = -EBADF,
				    .parent_fd = take_fd(&above_fd),
				    .fd = fd,
				    .entry_fd = -EBADF };
	return 0;
}
