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
 *      Something in the background does without the first of these, as our group may be that of a session;
 *   2. kennel.slice below the root, for who may make it. It hands controllers down itself, so a service
 *      manager that tidies the root's list gets EBUSY instead of silently taking a limit away;
 *   3. the group above ours, where it hands the controllers down already: that is a user's systemd session.
 *   4. our own group, where it was delegated to us (it is ours to write and the one above is not, as with
 * systemd-run --scope -p Delegate=yes): the processes in it, us among them, move to kennel-callers in it,
 * so that it can hand controllers down. The next start finds its place as 3. kennel.slice is removed with
 * its last group; a start that loses that race makes it again.
 *   Where there is none of these, systemd is asked for a scope (scope.c), and our own group is that then.
 *
 * Without root the group is the user's own, and root of the sandbox's namespace, to whom that user's files
 * belong, could lift its limits (a mount option that forbids it, nsdelegate, is not everywhere). So there the
 * sandbox lives in a group inside, which has no limits and is all that its cgroup namespace shows. So it is
 * with a group that is delegated.
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
#define MOVE_TRIES 16

#define CGROUP_REMEDY \
	"run it as root, or in a group that is yours: systemd-run --user --scope -p Delegate=yes kennel run ..."

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

int cgroup_read(int dir_fd, const char *file, char *text, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n < 0)
		return -1;
	if ((size_t)n == size - 1) { /* perhaps not all of it */
		errno = EMSGSIZE;
		return -1;
	}
	n -= n && text[n - 1] == '\n';
	text[n] = '\0';
	return (int)n;
}

void cgroup_dir_close(struct cgroup_dir *d)
{
	close_fd(d->top_fd);
	close_fd(d->parent_fd);
	close_fd(d->fd);
	close_fd(d->inside_fd);
	close_fd(d->entry_fd);
	d->top_fd = d->parent_fd = d->fd = d->inside_fd = d->entry_fd = -EBADF;
}

int cgroup_dir_home(const struct cgroup_dir *d)
{
	return d->inside_fd >= 0 ? d->inside_fd : d->fd;
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

int cgroup_open_below(int root_fd, struct cgroup_slice path)
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
		own_fd = root_fd < 0 ? -1 : cgroup_open_below(root_fd, m->own);
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
		return hint(err, r, CGROUP_REMEDY);
	if (saved == EEXIST)
		return hint(err, r, "a sandbox of this id was not cleaned up: kennel gc");
	return r;
}

static int open_dir(int parent_fd, const char *name)
{
	return openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_inside(int parent_fd, const struct cgroup_plan *plan)
{
	char path[CGROUP_NAME_MAX + sizeof(CGROUP_INSIDE) + 1];

	(void)!snprintf(path, sizeof(path), "%s/" CGROUP_INSIDE, plan->name);
	if (plan->note)
		plan->note(plan->note_data, parent_fd, path);
	return mkdirat(parent_fd, path, 0755) < 0 ? -1 : open_dir(parent_fd, path);
}

/* Makes the group in parent_fd (taken on success) and opens it; -1 and errno, with nothing made. */
static int make_group(int *parent_fd, const struct cgroup_plan *plan, struct cgroup_dir *ret)
{
	_cleanup_close_ int fd = -EBADF, inside_fd = -EBADF;

	if (plan->note)
		plan->note(plan->note_data, *parent_fd, plan->name);
	if (mkdirat(*parent_fd, plan->name, 0755) < 0)
		return -1;
	fd = open_dir(*parent_fd, plan->name);
	const bool inside = geteuid() != 0 || (plan->delegate && ret->v2);
	if (fd >= 0 && inside)
		inside_fd = make_inside(*parent_fd, plan);
	if (fd < 0 || (inside && inside_fd < 0)) {
		int saved = errno;

		if (fd >= 0)
			(void)!unlinkat(fd, CGROUP_INSIDE, AT_REMOVEDIR);
		(void)!unlinkat(*parent_fd, plan->name, AT_REMOVEDIR);
		errno = saved;
		return -1;
	}
	ret->parent_fd = take_fd(parent_fd);
	ret->fd = take_fd(&fd);
	ret->inside_fd = take_fd(&inside_fd);
	return 0;
}

static void unmake_group(struct cgroup_dir *d, const struct cgroup_plan *plan)
{
	if (d->inside_fd >= 0)
		(void)!unlinkat(d->fd, CGROUP_INSIDE, AT_REMOVEDIR);
	(void)!unlinkat(d->parent_fd, plan->name, AT_REMOVEDIR);
	cgroup_dir_close(d);
}

static struct cgroup_dir no_dir(bool v2, unsigned ctls)
{
	return (struct cgroup_dir){ .v2 = v2,
				    .ctls = ctls,
				    .top_fd = -EBADF,
				    .parent_fd = -EBADF,
				    .fd = -EBADF,
				    .inside_fd = -EBADF,
				    .entry_fd = -EBADF };
}

int cgroup_place_v1(const struct cgroup_layout *l, unsigned ctls, const struct cgroup_plan *plan,
		    struct cgroup_dir *ret, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = -EBADF, own_fd = -EBADF;
	const struct cgroup_mount *m = NULL;
	const char *what = cgroup_ctl_name(ctls);
	int r = find_mount(l, false, ctls, what, &m, &root_fd, &own_fd, err);
	if (r <= 0)
		return r;
	*ret = no_dir(false, m->ctls);
	if (make_group(&own_fd, plan, ret) < 0)
		return fail_make(what, err);
	if (m->ctls & CGROUP_CPUSET && (cgroup_cpuset_inherit(ret->fd) < 0 ||
					(ret->inside_fd >= 0 && cgroup_cpuset_inherit(ret->inside_fd) < 0))) {
		r = fail_errno(err, "give the control group the processors of the one above");
		unmake_group(ret, plan);
		return r;
	}
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
	for (unsigned ctl = 1; ctl <= CGROUP_CTL_LAST; ctl <<= 1)
		if ((ctls & ctl) && !(ctl & CGROUP_NO_V2_CTL))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s+%s", n ? " " : "",
					      cgroup_ctl_name(ctl));
	return cgroup_write(dir_fd, "cgroup.subtree_control", text);
}

void cgroup_enable_all(int dir_fd)
{
	for (unsigned ctl = 1; ctl <= CGROUP_CTL_LAST; ctl <<= 1)
		if (!(ctl & CGROUP_NO_V2_CTL) && list_has(dir_fd, "cgroup.controllers", ctl) > 0)
			(void)!enable(dir_fd, ctl);
}

/* Only the root of the hierarchy has no type. */
static bool is_hierarchy_root(int dir_fd)
{
	return faccessat(dir_fd, "cgroup.type", F_OK, 0) < 0 && errno == ENOENT;
}

static int make_in_root(int *own_fd, unsigned ctls, const struct cgroup_plan *plan, struct cgroup_dir *ret)
{
	return enable(*own_fd, ctls) < 0 ? -1 : make_group(own_fd, plan, ret);
}

/* kennel.slice; -1 and errno, ENOENT or ENODEV also where it vanished under us. */
static int make_in_slice(int root_fd, unsigned ctls, const struct cgroup_plan *plan, struct cgroup_dir *ret)
{
	_cleanup_close_ int slice_fd = -EBADF;

	if (mkdirat(root_fd, CGROUP_SLICE, 0755) < 0 && errno != EEXIST)
		return -1;
	slice_fd = open_dir(root_fd, CGROUP_SLICE);
	if (slice_fd < 0)
		return -1;
	if (enable(root_fd, ctls) < 0 || enable(slice_fd, ctls) < 0 || make_group(&slice_fd, plan, ret) < 0) {
		int saved = errno;

		(void)!unlinkat(root_fd, CGROUP_SLICE, AT_REMOVEDIR); /* stays where others use it */
		errno = saved;
		return -1;
	}
	ret->top_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	return 0;
}

static int place_in_slice(int root_fd, unsigned ctls, const struct cgroup_plan *plan, struct cgroup_dir *ret)
{
	for (unsigned i = 0; i < SLICE_TRIES; i++) {
		if (make_in_slice(root_fd, ctls, plan, ret) == 0)
			return 0;
		if (errno != ENOENT && errno != ENODEV)
			break;
	}
	return -1;
}

/* May we make groups in it, and move processes between those? */
static bool is_ours(int dir_fd)
{
	return faccessat(dir_fd, ".", W_OK, AT_EACCESS) == 0 &&
	       faccessat(dir_fd, "cgroup.procs", W_OK, AT_EACCESS) == 0;
}

/* Moves every process out of own into a group in it. -1 and errno. */
static int move_callers(int own_fd)
{
	_cleanup_close_ int callers_fd = -EBADF;
	_cleanup_buf_ struct buf pids = { 0 };
	_cleanup_close_ int procs_fd = openat(own_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (procs_fd < 0 || buf_read_fd(&pids, procs_fd, 1u << 20, NULL) < 0)
		return -1;
	if (!pids.len)
		return 0;
	if (mkdirat(own_fd, CGROUP_CALLERS, 0755) < 0 && errno != EEXIST)
		return -1;
	callers_fd = open_dir(own_fd, CGROUP_CALLERS);
	if (callers_fd < 0)
		return -1;
	char *rest = pids.data, *pid;
	while (rest && (pid = strsep(&rest, "\n")))
		/* ESRCH: it has ended */
		if (*pid && cgroup_write(callers_fd, "cgroup.procs", pid) < 0 && errno != ESRCH)
			return -1;
	return 0;
}

/* Place 4. -1 and errno. */
static int place_in_own(int *own_fd, unsigned ctls, const struct cgroup_plan *plan, struct cgroup_dir *ret)
{
	unsigned all =
		ctls; /* that there are: the next start comes from kennel-callers, and may want others */

	if (list_has(*own_fd, "cgroup.controllers", ctls) <= 0 || !is_ours(*own_fd) ||
	    faccessat(*own_fd, "cgroup.subtree_control", W_OK, AT_EACCESS) < 0) {
		errno = EACCES;
		return -1;
	}
	for (unsigned ctl = 1; ctl <= CGROUP_CTL_LAST; ctl <<= 1)
		if (!(ctl & CGROUP_NO_V2_CTL) && list_has(*own_fd, "cgroup.controllers", ctl) > 0)
			all |= ctl;
	/*
	 * First out, then down: with pids and cpu the kernel would take the other order too, and then refuse
	 * processes. Who is born meanwhile (EBUSY) moves the next time; ENODEV: gc took the place away.
	 */
	for (unsigned i = 0; i < MOVE_TRIES; i++) {
		int r = move_callers(*own_fd);

		if (r == 0 && enable(*own_fd, all) == 0)
			return make_group(own_fd, plan, ret);
		if (errno != EBUSY && (r == 0 || (errno != ENODEV && errno != ENOENT)))
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
	return cgroup_open_below(root_fd, own);
}

static int refuse_controllers(unsigned ctls, const char *what, struct kennel_error **err)
{
	int r = fail(err, KENNEL_E_UNSUPPORTED,
		     "make a control group for %s: no place was found that hands %s down to us", what,
		     ctls & (ctls - 1) ? "these controllers" : "this controller");

	return hint(err, r,
		    CGROUP_REMEDY
		    "; for cpu also a drop-in of user@.service with Delegate=cpu memory pids; in a "
		    "container leave limits to it");
}

static void list_names(unsigned ctls, char *text, size_t size)
{
	size_t n = 0;

	for (unsigned ctl = 1; ctl <= CGROUP_CTL_LAST; ctl <<= 1)
		if ((ctls & ctl) && n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "",
					      cgroup_ctl_name(ctl));
}

bool cgroup_can_have_v2(const struct cgroup_layout *l)
{
	for (unsigned i = 0; i < l->n; i++)
		if (l->mounts[i].v2 && !l->mounts[i].read_only)
			return true;
	return false;
}

int cgroup_place_v2(const struct cgroup_layout *l, unsigned ctls, const struct cgroup_plan *plan,
		    struct cgroup_dir *ret, struct kennel_error **err)
{
	_cleanup_close_ int root_fd = -EBADF, own_fd = -EBADF, above_fd = -EBADF;
	const unsigned needed = ctls & ~CGROUP_NO_V2_CTL;
	const struct cgroup_mount *m = NULL;
	char what[96];
	bool own_is_root;
	int r;

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
	own_is_root = (needed || plan->background) && is_hierarchy_root(own_fd);
	if (needed && list_has(own_is_root ? own_fd : root_fd, "cgroup.controllers", needed) == 0) {
		r = fail(err, KENNEL_E_UNSUPPORTED,
			 "make a control group for %s: this kernel or machine does not offer it", what);
		return hint(err, r,
			    "see cgroup.controllers at the top of the cgroup mount; \"memory\" may need the "
			    "kernel parameter cgroup_enable=memory");
	}
	*ret = no_dir(true, ctls);
	if ((!needed && !plan->background) || own_is_root)
		return make_in_root(&own_fd, needed, plan, ret) < 0 ? fail_make(what, err) : 0;
	if (is_hierarchy_root(root_fd) && place_in_slice(root_fd, ctls, plan, ret) == 0)
		return 0;
	above_fd = open_above(root_fd, m->own);
	bool hands_down = above_fd >= 0 && list_has(above_fd, "cgroup.subtree_control", needed) > 0;
	if (hands_down && is_ours(above_fd) && make_group(&above_fd, plan, ret) == 0)
		return 0;
	if (place_in_own(&own_fd, needed, plan, ret) == 0)
		return 0;
	return hands_down ? fail_make(what, err) : refuse_controllers(needed, what, err);
}
