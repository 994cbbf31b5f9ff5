/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/rootless.c - a start without privilege.
 *
 * An ordinary user's user namespace may not mount an overlay over the host's "/" (its mounts are locked), and
 * root's files would be nobody's in it. So a server outside of the namespace, with just the user's own
 * rights, shows "/" through FUSE: the numbers that it gives as owners are read as ids of the namespace, root
 * is root, and a kernel overlay goes on top.
 *
 *   parent  starts newuidmap and newgidmap, looks up what the user can't read
 *   child   opens /dev/fuse                       opened
 *   parent  starts the view server, which waits (the device can't be read before it is mounted); then waits
 *           for the first two
 *   child   makes its namespaces, the tap device
 *   parent                                        go
 *   child   mounts view and delta                 ready
 *   parent  lets the server go; meanwhile an errand as inner root fills the delta: what the user can't read,
 *           /dev, resolv.conf
 *   then    as for root
 *
 * What the user can't read is put into the delta as it would look, but empty: dpkg's locks and shadow must be
 * usable by root inside. Nothing that is secret is ever read, let alone copied.
 */
#include "run/rootless.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "path/path.h"
#include "run/errand.h"
#include "run/nest.h"
#include "run/report.h"
#include "run/unreadable.h"
#include "run/viewer.h"
#include "run/vm-layers.h"
#include "sys/sys.h"

int rootless_pick_ids(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	if (!sb->deep)
		return idmap_pick_user(&sb->user_map, err);
	int r = idmap_identity(&sb->map, err);
	sb->user_map = (struct idmap_user){ .uids = sb->map, .gids = sb->map };
	return r;
}

int rootless_check(struct launch *l, struct kennel_error **err)
{
	const struct sandbox *sb = l->sb;

	if (l->spec->base_layers.n)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "choosing layers of this machine's root needs root"),
			    "leave them out: --base system; or give directories of your own with --layer");
	if (!idmap_user_has_range(&sb->user_map))
		log_warn(
			&sb->log,
			"no subordinate ids: su, chown to others and daemons with users of their own will not work (give a range: "
			"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER)");
	return 0;
}

/* Waits for that word of the child, or turns what it says instead into an error. */
static int wait_word(struct launch *l, int32_t word, struct kennel_error **err)
{
	struct child_report r = { .index = -1 };

	int n = report_read(l, &r, err);
	if (n < 0)
		return n;
	return r.step == word ? 0 : report_failed(l, &r, err);
}

/*
 * apt downloads as the user _apt, whom a sandbox of one id does not have. Named so that it is read
 * last, and not where the base has no apt.
 */
static int help_apt(struct launch *l, struct kennel_error **err)
{
	static const char text[] = "APT::Sandbox::User \"root\";\n";
	const struct delta_spot spot = {
		.upper_fd = l->shared->upper_fds[0],
		.lower_fd = l->shared->lower_fds[l->child_overlays[0].n_lowers - 1],
		.over_fds = l->shared->lower_fds,
		.n_over = l->child_overlays[0].n_frozen,
		.rel = "etc/apt/apt.conf.d/zz-kennel",
		.user_xattr = true,
		.planted = &l->sb->planted,
		.before = launch_before(l),
	};

	if (idmap_user_has_range(&l->sb->user_map))
		return 0;
	int r = delta_plant_file(&spot, text, sizeof(text) - 1, 0644,
				 err); /* 0: there is no such directory */
	return r < 0 ? wrap(err, r, "make apt-get work with one id") : 0;
}

/* Runs as root of the sandbox's user namespace: see errand.h. */
static int fill_delta(void *data, struct buf *out, struct kennel_error **err)
{
	struct launch *l = data;
	struct child_shared *s = l->shared;
	int delta_fd = s->delta_fd;
	struct stat st = l->base_stat;

	/* Of a new container it is still the user's own. */
	if (l->sb->keep && fchownat(delta_fd, "", 0, 0, AT_EMPTY_PATH) < 0)
		return fail_errno(err, "give the delta to the root of the inside");
	s->user_xattr = delta_has_user_xattr(delta_fd);
	if (!s->user_xattr && l->sb->keep)
		return keep_fail_xattr(l->sb->keep, err);
	if (!s->user_xattr)
		return hint(
			err,
			fail(err, KENNEL_E_UNSUPPORTED,
			     "this kernel's tmpfs keeps no user xattrs, which an overlay in a user namespace needs"),
			"Linux 6.6 or later has them");
	if (l->base_fd < 0 && fstat(s->lower_fds[l->child_overlays[0].n_lowers - 1], &st) < 0)
		return hint(err, fail_errno(err, "look at the view of the base"), "its server has ended");
	int r = l->spec->nest ? nest_make_places(delta_fd, err) : 0;
	if (r == 0)
		r = keep_join_mounts(l, err);
	if (r == 0)
		r = delta_add_mount(delta_fd, 0, &st, &s->upper_fds[0], &s->work_fds[0], err);
	if (r == 0)
		r = prepare_hidden(l, err);
	if (r == 0)
		r = unreadable_plant(l, err);           /* after --hide, which may name the same places */
	if (r == 0)
		r = furnish_scratch(l, s->scratch_fd, err);
	if (r == 0)
		r = furnish_files(l, s->scratch_fd, err);
	if (r == 0)
		r = help_apt(l, err);
	if (r == 0)
		r = keep_unplant(l, err);
	if (r == 0)
		vm_layers_judge(l);
	s->upper_fds[0] = s->work_fds[0] = -EBADF;      /* numbers of this process: the child opens its own */
	for (size_t i = 0; out && r == 0 && i < l->sb->planted.n; i++)
		manifest_put_planted(out, &l->sb->planted.items[i]);
	return r < 0 || !out ? r : buf_check(out, err);
}

/* With a kept delta there is more to open and close than another table of descriptors could bear. */
static int run_fill_delta(struct launch *l, struct kennel_error **err)
{
	_cleanup_buf_ struct buf planted = { 0 };

	if (!l->sb->keep)
		return errand_share(l->user_ns_fd, fill_delta, l, err);
	int r = errand_run(l->user_ns_fd, fill_delta, l, &planted, err);
	return r < 0 ? r : manifest_plants_parse(buf_str(&planted), &l->sb->planted, err);
}

static int go(struct launch *l, struct kennel_error **err)
{
	return write(l->go_fd, "g", 1) == 1 ? 0 : fail_errno(err, "tell the sandbox to go on");
}

static int begin_map(struct launch *l, int proc_fd, struct kennel_error **err)
{
	const struct sandbox *sb = l->sb;

	l->mapping = true;
	int r = sb->deep ? idmap_write(proc_fd, &sb->map, err) :
			   idmap_user_begin(sb->init_pid, proc_fd, &sb->user_map, &l->id_writing, err);
	return r < 0 ? report_explain(l, r, err) : 0;
}

int rootless_begin(struct launch *l, struct kennel_error **err)
{
	_cleanup_close_ int proc_fd = clone_open_proc(l, err);

	if (proc_fd < 0)
		return proc_fd;
	int r = rootless_pick_ids(l, err);
	return r < 0 ? r : begin_map(l, proc_fd, err);
}

/* Does what can be done until the child has its ids. */
static int map_ids(struct launch *l, int proc_fd, struct kennel_error **err)
{
	int r = l->mapping ? 0 : begin_map(l, proc_fd, err);

	if (r == 0)
		r = unreadable_find(l, err);
	if (r == 0)
		r = wait_word(l, CHILD_OPENED, err);
	if (r == 0)
		r = viewer_start(l, err);
	if (r < 0)
		return r;
	r = idmap_user_end(l->id_writing, err);
	return r < 0 ? report_explain(l, r, err) : 0;
}

int rootless_equip(struct launch *l, int proc_fd, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	int r = map_ids(l, proc_fd, err);
	if (r < 0)
		return r;
	l->user_ns_fd = openat(proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
	if (l->user_ns_fd < 0)
		return fail_errno(err, "open the user namespace");
	/* Now: once the child has changed its ids, /proc refuses these to us. */
	if (network_is_early(sb->plan))
		l->net_ns_fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);
	r = go(l, err);
	if (r == 0)
		r = wait_word(l, CHILD_READY, err);
	if (r == 0)
		r = viewer_go(l, err);
	/* whoever else holds them makes requests hang when a server dies */
	for (unsigned i = 0; i < l->n_views && r == 0; i++)
		replace_fd(&l->shared->fuse_fds[i], -EBADF);
	if (r == 0)
		r = keep_place_mounts(l, err);
	if (r == 0)
		r = keep_begin(l, err);
	if (r == 0)
		r = run_fill_delta(l, err);
	if (r == 0)
		r = viewer_check(l, err);
	if (r < 0)
		return viewer_explain(l, r, err);
	sb->n_mounts = 1;
	sb->delta_fd = l->shared->delta_fd;
	if (sb->keep)
		sb->scratch_fd = l->shared->scratch_fd;
	sb->user_ns_fd = fcntl(l->user_ns_fd, F_DUPFD_CLOEXEC, 3);
	return sb->user_ns_fd < 0 ? fail_errno(err, "duplicate a descriptor") : 0;
}

static int count(void *data, struct buf *out, struct kennel_error **err)
{
	struct sandbox *sb = data;
	uint64_t n = 0;

	manifest_plants_sort(&sb->planted);
	int r = delta_count(sb->delta_fd, sb->n_mounts, &sb->planted, &n, err);
	buf_add(out, &n, sizeof(n));
	return r < 0 ? r : buf_check(out, err);
}

int rootless_count(struct sandbox *sb, uint64_t *ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf out = { 0 };

	int r = errand_run(sb->user_ns_fd, count, sb, &out, err);
	if (r == 0)
		memcpy(ret, out.data, sizeof(*ret));
	return r;
}
