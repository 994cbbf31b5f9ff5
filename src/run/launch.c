/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/launch.c - the order of a start.
 *
 *   1 plan, open images and layers       all that a person can get wrong is found before anything is made
 *   2 janitor, control group, clone3()   from here on the death of this process ends and removes everything
 *   3 id maps, trees, delta              while the child makes its network and mount namespaces
 *   4 go                                 the child builds the root and becomes init
 *   5 wait for init's word               the command runs, or (step, errno) say why not
 *
 * Child and parent share one table of descriptors until the go, so nothing has to be sent over a socket.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "base/cleanup.h"
#include "caps/caps.h"
#include "device/device.h"
#include "ns/ns.h"
#include "path/path.h"
#include "run/file.h"
#include "run/hooks.h"
#include "run/image-view.h"
#include "run/init.h"
#include "run/limits.h"
#include "run/masks.h"
#include "run/nest.h"
#include "run/report.h"
#include "run/rootless.h"
#include "run/sandbox.h"
#include "run/sockets.h"
#include "run/unreadable.h"
#include "run/views.h"
#include "run/vm.h"
#include "seccomp/filter.h"
#include "sys/sys.h"
#include "view/view.h"

#define NAT_TIMEOUT_MS 10000
#define CALL_OFF_MS 1000

/* Memory that nobody has emptied reads as descriptor 0, which is not ours to close. */
static void close_slots(struct launch *l)
{
	struct child_shared *s = l->shared;

	if (!l->slots_are_empty) {
		if (l->sb->rootless && l->sb->init_pidfd >= 0)
			close_fd(s->fuse_fds[0]); /* of clone_early() */
		return;
	}
	for (unsigned i = 0; i < l->child.n_overlays; i++) {
		const struct child_overlay *o = &l->child_overlays[i];

		for (unsigned k = 0; k < o->n_lowers; k++)
			close_fd(s->lower_fds[o->first_lower + k]);
		close_fd(s->upper_fds[i]);
		close_fd(s->work_fds[i]);
	}
	for (unsigned i = 0; l->vm && i < l->vm->n_places; i++)
		close_fd(s->place_fds[i]);
	for (unsigned i = 0; i < l->n_views; i++) {
		close_fd(s->fuse_fds[i]);
		if (i >= l->child_overlays[0].n_lowers - l->child_overlays[0].n_frozen)
			close_fd(s->view_fds[i]);
	}
}

static void launch_done(struct launch *l)
{
	close_fd(l->base_fd);
	for (size_t i = 0; l->layer_fds && i < l->spec->layers.n; i++)
		close_fd(l->layer_fds[i]);
	free(l->layer_fds);
	for (size_t i = 0; l->share_fds && i < l->spec->n_mounts; i++)
		close_fd(l->share_fds[i]);
	free(l->share_fds);
	for (size_t i = 0; i < l->n_root_layers; i++)
		free(l->root_layers[i]);
	free(l->root_layers);
	for (size_t i = 0; i < l->n_child_strings; i++)
		free(l->child_strings[i]);
	free(l->child_strings);
	if (l->shared) {
		close_slots(l);
		close_fd(l->shared->tap_fd);
		close_fd(l->shared->second_tap_fd);
		/* An ordinary user's, of a start that failed before they became the sandbox's. */
		if (l->shared->scratch_fd != l->shared->delta_fd &&
		    l->shared->scratch_fd != l->sb->scratch_fd)
			close_fd(l->shared->scratch_fd);
		if (l->shared->delta_fd != l->sb->delta_fd)
			close_fd(l->shared->delta_fd);
		close_fd(l->shared->init_fd);
		munmap(l->shared, l->shared_size);
	}
	free(l->child_overlays);
	free(l->delta_index);
	free(l->child_binds);
	free(l->cgroup_fds);
	free(l->dev_binds);
	views_done(l);
	image_views_done(l);
	unreadable_end(l);
	idmap_writing_free(l->id_writing);
	close_fd(l->user_ns_fd);
	close_fd(l->nat_user_ns_fd);
	close_fd(l->net_ns_fd);
	close_fd(l->join_ns_fd);
	network_unlock(l);
	free(l->interfaces);
	buf_done(&l->dns);
	close_fd(l->go_fd);
	close_fd(l->report_fd);
	close_fd(l->child.go_fd);
	close_fd(l->child.report_fd);
}

static int plan_facts_read(struct launch *l, struct plan_facts *f, char *cwd, size_t cwd_size,
			   struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	struct sysinfo info;

	int r = mount_table_read(&sb->mounts, err);
	if (r < 0)
		return r;
	sysinfo(&info);
	*f = (struct plan_facts){
		.mounts = &sb->mounts,
		.id = sb->id,
		.cwd = getcwd(cwd, cwd_size),
		.term = getenv("TERM"),
		.lang = getenv("LANG"),
		.initial_user_ns = sb->initial_user_ns,
		.privileged = geteuid() == 0,
		.view = sb->rootless,
		.stdin_is_tty = isatty(STDIN_FILENO),
		.total_memory = (uint64_t)info.totalram * info.mem_unit,
		.all_caps = caps_all(),
	};
	return 0;
}

/* Whether there is a map, and what of it was asked for; which ids it has is found while the child works. */
static void choose_map(struct launch *l)
{
	struct sandbox *sb = l->sb;
	const struct spec *spec = l->spec;

	sb->mapped = sb->plan->clone_flags & CLONE_NEWUSER;
	if (!sb->mapped || sb->rootless)
		return;
	if (spec->idmap == SPEC_IDMAP_RANGE)
		sb->map = (struct idmap){ spec->idmap_base, spec->idmap_count };
	/*
	 * Inside of a sandbox the root is an overlay, which can't be idmapped: the ids stay, the namespace is
	 * still a new one.
	 */
	sb->shifted = spec->idmap == SPEC_IDMAP_RANGE ||
		      (spec->idmap != SPEC_IDMAP_NO && sb->initial_user_ns);
}

static int find_map(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	if (l->spec->idmap == SPEC_IDMAP_RANGE || sb->map.count) /* image_view_open_lower() needs it before */
		return 0;
	return sb->shifted ? idmap_pick_root(&sb->map, err) : idmap_identity(&sb->map, err);
}

static int child_string(struct launch *l, const char **ret, struct kennel_error **err, const char *fmt,
			unsigned n)
{
	char *s;

	if (asprintf(&s, fmt, l->child.stage, n) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->child_strings[l->n_child_strings++] = s;
	*ret = s;
	return 0;
}

static int plan_binds(struct launch *l, struct kennel_error **err)
{
	const struct spec *spec = l->spec;

	l->child_binds = calloc(spec->n_mounts + 1, sizeof(*l->child_binds));
	l->child_strings = calloc(spec->n_mounts + 1, sizeof(*l->child_strings));
	l->share_fds = calloc(spec->n_mounts + 1, sizeof(*l->share_fds));
	if (!l->child_binds || !l->child_strings || !l->share_fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < spec->n_mounts; i++)
		l->share_fds[i] = -EBADF;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct stat st;

		if (stat(spec->mounts[i].source, &st) < 0)
			return hint(err, fail_errno(err, "share \"%s\"", spec->mounts[i].source),
				    "it names a file or directory of the machine");
		l->child_binds[i].target = spec->mounts[i].target + 1;
		l->child_binds[i].is_dir = S_ISDIR(st.st_mode);
		views_choose_bind(l, i);
		/*
		 * An ordinary user's child takes the source itself: it has a copy of our mounts, already
		 * locked.
		 */
		l->child_binds[i].staged = spec->mounts[i].source;
		int r = l->sb->rootless ?
				0 :
				child_string(l, &l->child_binds[i].staged, err, "%s/%u", (unsigned)i);
		if (r < 0)
			return r;
		if (!*l->child_binds[i].target)
			return hint(err,
				    fail(err, KENNEL_E_INVALID, "\"%s\" can't be mounted over the whole root",
					 spec->mounts[i].source),
				    "name a directory inside, or use --base");
	}
	l->child.binds = l->child_binds;
	l->child.n_binds = (unsigned)spec->n_mounts;
	return 0;
}

static int find_stage(struct launch *l, struct kennel_error **err)
{
	static const char *const dirs[] = { "/tmp", "/mnt", "/srv", "/run", "/var" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (lstat(dirs[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			l->child.stage = dirs[i];
			return 0;
		}
	return fail(err, KENNEL_E_UNSUPPORTED, "this machine has no /tmp, /mnt, /srv, /run or /var");
}

/* Only the slots of the plan are touched: a page that nobody writes is never made. */
static void empty_slots(struct launch *l)
{
	unsigned slots = 0;

	for (unsigned i = 0; i < l->child.n_overlays; i++) {
		slots += l->child_overlays[i].n_lowers;
		l->shared->upper_fds[i] = l->shared->work_fds[i] = -EBADF;
	}
	for (unsigned i = 0; i < slots; i++)
		l->shared->lower_fds[i] = -EBADF;
	for (unsigned i = 0; i < l->n_views; i++) {
		/* Its child may have opened the device by now. */
		if (l->sb->init_pidfd < 0)
			l->shared->fuse_fds[i] = -EBADF;
		l->shared->view_fds[i] = -EBADF;
	}
	for (unsigned i = 0; i < CHILD_MAX_PLACES; i++)
		l->shared->place_fds[i] = -EBADF;
	l->slots_are_empty = true;
}

/*
 * The host's nodes that are bound where this process can make none, with what an ordinary user asks for
 * behind them.
 */
static int plan_devices(struct launch *l, struct kennel_error **err)
{
	size_t n = device_nodes_n;

	l->dev_binds = calloc(n + l->spec->n_devices, sizeof(*l->dev_binds));
	if (!l->dev_binds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		l->dev_binds[i] = device_nodes[i].name;
	const bool binds = l->sb->rootless || !l->sb->initial_user_ns;
	for (size_t i = 0; binds && i < l->spec->n_devices; i++) {
		const char *path = l->spec->devices[i].path;
		struct stat st;

		if (stat(path, &st) < 0)
			return hint(err, fail_errno(err, "use the device \"%s\"", path),
				    "it names a device of the machine");
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			return hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is not a device", path),
				    "use --share for files and directories");
		if (!path_is_below(path, "/dev"))
			return hint(err,
				    fail(err, KENNEL_E_UNSUPPORTED,
					 "a device outside of /dev needs root: \"%s\"", path),
				    "name it by its path below /dev, or run kennel as root");
		if (access(path, R_OK) < 0)
			return hint(err, fail_errno(err, "use the device \"%s\"", path),
				    "without root a device must be yours to open: see its group with ls -l");
		l->dev_binds[n++] = path + strlen("/dev/");
	}
	l->child.dev_binds = l->dev_binds;
	l->child.n_dev_binds = (unsigned)n;
	return 0;
}

static int plan_child(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	const struct plan *p = sb->plan;
	struct child_plan *c = &l->child;
	bool walled = p->isolate != SPEC_ISOLATE_FS;
	char fd_text[16];
	int r;

	snprintf(fd_text, sizeof(fd_text), "%d", c->report_fd);
	free(sb->plan->argv.items[INIT_ARG_REPORT_FD]);
	sb->plan->argv.items[INIT_ARG_REPORT_FD] = strdup(fd_text);
	if (!sb->plan->argv.items[INIT_ARG_REPORT_FD])
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	c->argv = p->argv.items;
	c->envp = p->env.items;
	c->parent_pidfd = sb->work.monitor_pidfd;
	c->late_mount_ns = stage_is_needed(l);
	/*
	 * pasta and interfaces must find the network namespace at once, so there it is made by clone3()
	 * itself, or beforehand.
	 */
	c->unshare_flags = (c->late_mount_ns ? 0 : CLONE_NEWNS) | (walled ? CLONE_NEWCGROUP : 0) |
			   (p->new_net && !network_is_early(p) ? CLONE_NEWNET : 0);
	c->net_ns_fd = l->net_ns_fd;
	c->user_ns = sb->mapped;
	c->rootless = sb->rootless;
	c->keeps_groups = sb->rootless || (!sb->initial_user_ns && idmap_denies_groups());
	c->n_views = l->n_views;
	r = keep_tell_child(l, err);
	if (r < 0)
		return r;
	c->keep_fd = sb->rootless && sb->keep ? keep_dir(sb->keep) : -EBADF;
	c->tap = sb->rootless && !sb->deep &&
		 (p->net == SPEC_NET_PRIVATE || (p->net == SPEC_NET_NAT && net_nat_available()));
	c->second_tap = c->tap && p->net == SPEC_NET_NAT && network_private(l->spec);
	snprintf(l->delta_size, sizeof(l->delta_size), "%llu", (unsigned long long)p->size_bytes);
	snprintf(l->delta_inodes, sizeof(l->delta_inodes), "%llu", (unsigned long long)p->inodes);
	c->delta_size = l->delta_size;
	c->delta_inodes = l->delta_inodes;
	c->pid_ns = p->clone_flags & CLONE_NEWPID;
	c->death_signal = c->pid_ns ? SIGKILL : SIGTERM;
	c->loopback = p->new_net;
	c->hostname = p->hostname;
	c->hostname_len = p->hostname ? strlen(p->hostname) : 0;
	c->attr_flags = sb->mapped ? 0 : SYS_MOUNT_ATTR_NODEV;
	r = plan_devices(l, err);
	if (r < 0)
		return r;
	c->new_sys = p->new_sys;
	c->masks = masks;
	c->n_masks = walled && !l->spec->nest ? masks_n : 0;
	c->nest = nest_places;
	c->n_nest = l->spec->nest ? nest_places_n : 0;
	c->read_only = read_only_paths;
	c->n_read_only = p->isolate == SPEC_ISOLATE_NS ? read_only_paths_n : 0;
	c->vm = p->vm;
	if (l->vm) {
		c->places = l->vm->places;
		c->n_places = l->vm->n_places;
	}
	c->tty = p->tty;
	c->n_ttys = p->n_ttys;
	if (p->tty)
		tty_start_read(&c->tty_start, STDIN_FILENO, STDOUT_FILENO);
	c->set_caps = p->set_caps;
	c->caps = p->caps;
	c->last_cap = 63 - (unsigned)__builtin_clzll(caps_all());
	c->no_new_privs = l->spec->no_new_privs;
	c->becomes = l->spec->boot;
	c->held = sb->keep && hooks_has(sb->keep->hooks, SPEC_HOOK_START_HOST);
	if (p->filter) {
		c->filter = seccomp_filter(p->caps);
		if (!c->filter)
			return hint(err,
				    fail(err, KENNEL_E_UNSUPPORTED,
					 "kennel was built without a system call filter for this processor"),
				    "--isolate fs needs none");
	}
	return 0;
}

/* Who enters it. */
static int use_cgroup(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	unsigned entries = cgroup_entries(sb->cgroup);

	l->cgroup_fds = calloc(entries + 1, sizeof(*l->cgroup_fds));
	if (!l->cgroup_fds)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (unsigned i = 0; i < entries; i++)
		l->cgroup_fds[i] = cgroup_entry_fd(sb->cgroup, i);
	l->child.cgroup_fds = l->cgroup_fds;
	l->child.n_cgroup_fds = entries;
	return 0;
}

static bool wants_cgroup(const struct launch *l)
{
	const struct spec *s = l->spec;

	return run_limits_any(s) || s->background || s->boot || s->nest || l->sb->plan->device_policy;
}

/* The janitor removes it after us, also if we are killed before we know that it is there. */
static void note_group(void *data, int parent_fd, const char *name)
{
	janitor_note_dir(data, parent_fd, name);
}

static int make_cgroup(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	struct device_policy *devices = NULL;
	int r = 0;

	if (!wants_cgroup(l))
		return 0;
	if (sb->plan->device_policy) {
		r = device_policy_new(&devices, err);
		for (size_t i = 0; i < l->spec->n_devices && r == 0; i++) {
			const struct spec_device *d = &l->spec->devices[i];

			r = device_policy_allow(devices, d->path, d->read, d->write, d->make, err);
		}
	}
	struct cgroup_io io;
	struct cgroup_wish wish = {
		.devices = devices,
		.background = l->spec->background,
		.delegate = l->spec->boot || l->spec->nest,
		.note = note_group,
		.note_data = &sb->work,
	};
	if (r == 0)
		r = run_limits_wish(l->spec, sb->keep ? sb->keep->c.dir_fd : -EBADF, &io, &wish, err);
	/* Shared with other starts, against the collector: our group is empty and our entry not there yet. */
	if (r == 0 && flock(sb->registry_fd, LOCK_SH) < 0)
		r = fail_errno(err, "lock the runtime directory");
	if (r == 0)
		r = cgroup_new(sb->id, &wish, &sb->cgroup, err);
	device_policy_free(devices);
	if (r < 0)
		sb->work.n_dirs = 0; /* gone already, and their parents closed */
	if (r < 0)
		return wrap(err, r, "limit the sandbox");
	sb->work.thaw_fd = cgroup_thaw_fd(sb->cgroup);
	return sb->cgroup ? use_cgroup(l, err) : 0;
}

/* A service manager keeps its services in groups of its own. */
static int delegate(struct launch *l, struct kennel_error **err)
{
	const struct sandbox *sb = l->sb;
	const bool own = sb->rootless || !sb->mapped;
	const uid_t uid = own ? geteuid() : sb->shifted ? sb->map.base : 0;

	int r = cgroup_delegate(sb->cgroup, uid, own ? getegid() : uid, err);
	if (r == 0)
		log_warn(&sb->log, "no control group could be delegated: %s",
			 l->spec->boot ? "systemd will not boot inside, others may" :
					 "containers inside have none");
	/* A system that boots mounts it by itself, at the place and in the way that it wants. */
	l->shared->mount_cgroup = l->spec->nest && !l->spec->boot;
	l->shared->handed_over = r > 0;
	return MIN(r, 0);
}

static int hint_too_small(int r, struct kennel_error **err)
{
	if (err && *err && kennel_error_errno(*err) == ENOSPC)
		hint(err, r, "the delta in memory is too small for the copy: give it more with --size");
	return r;
}

/* Step 3: everything that needs the child's user namespace, while the child makes its other ones. */
static int equip(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	_cleanup_error_ struct kennel_error *nat_err = NULL;
	_cleanup_close_ int proc_fd = clone_open_proc(l, err);

	if (proc_fd < 0)
		return proc_fd;
	int packed = pack_plan(l, err);
	if (packed < 0)
		return packed;
	if (sb->rootless) {
		int r = rootless_equip(l, proc_fd, err);
		if (r < 0)
			return hint_too_small(r, err);
	} else if (sb->mapped) {
		int r = find_map(l, err);
		if (r == 0)
			r = idmap_write(proc_fd, &sb->map, err);
		if (r < 0)
			return report_explain(l, wrap(err, r, "shift the ids"), err);
		l->user_ns_fd = openat(proc_fd, "ns/user", O_RDONLY | O_CLOEXEC);
		if (l->user_ns_fd < 0)
			return fail_errno(err, "open the user namespace");
	}
	if (l->spec->boot || l->spec->nest) {
		int r = delegate(l, err);
		if (r < 0)
			return r;
	}
	int nat = network_start(l, proc_fd, &nat_err);
	int r = clone_init_file(l, err);
	if (r == 0 && !sb->rootless)
		r = prepare_trees(l, err);
	if (r == 0 && !sb->rootless)
		r = stage_mounts(l, err);
	if (r == 0 && !sb->rootless && l->vm)
		r = vm_open_places(l, err);
	if (r < 0)
		return hint_too_small(r, err);
	r = network_finish(l, nat, &nat_err);
	if (r < 0) {
		if (err)
			*err = take_ptr(&nat_err);
		return r;
	}
	return keep_note(l, err);
}

/*
 * Killed now, the child would leave the descriptor of the moment in the table that we share; so it is told to
 * leave.
 */
static void call_off(struct launch *l)
{
	struct pollfd fd = { .fd = l->sb->init_pidfd, .events = POLLIN };

	if (l->sb->init_pidfd >= 0 && write(l->go_fd, "x", 1) == 1)
		(void)!poll(&fd, 1, CALL_OFF_MS);
}

static int attempt(struct launch *l, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	choose_map(l);
	int r = sb->rootless && !l->mapping ? rootless_pick_ids(l, err) : 0;
	if (r == 0 && sb->rootless)
		r = rootless_check(l, err);
	if (r == 0 && l->vm && !sb->rootless)
		r = find_map(l, err);
	if (r == 0)
		r = prepare_layers(l, err);
	if (r == 0 && !l->shared)
		r = clone_pipes(l, err);
	if (r == 0)
		r = prepare_slots(l, err);
	if (r == 0)
		empty_slots(l); /* at once: what is not empty is closed in the end */
	if (r == 0)
		r = find_stage(l, err);
	if (r == 0)
		r = plan_binds(l, err);
	if (r == 0)
		r = network_prepare(l, err);
	if (r == 0)
		r = plan_child(l, err);
	/*
	 * What must come before the clone can't come after it: pack_can_clone_early() has to know of all
	 * that.
	 */
	if (r == 0 && sb->init_pidfd >= 0 && (wants_cgroup(l) || stage_is_needed(l)))
		r = fail(err, KENNEL_E_UNSUPPORTED, "the sandbox was begun before its walls were planned");
	/* Where there is nothing with a name yet, the janitor can wait until the child works. */
	bool early = wants_cgroup(l);
	if (r == 0 && early)
		r = janitor_new(&sb->work, &sb->janitor, err);
	if (r == 0)
		r = make_cgroup(l, err);
	if (r == 0 && stage_is_needed(l))
		r = stage_enter(l, err);
	if (r == 0 && sb->init_pidfd < 0)
		r = clone_planned(l, err);
	if (r == 0 && !early)
		r = janitor_new(&sb->work, &sb->janitor, err);
	if (r == 0)
		r = equip(l, err);
	if (r == 0 && write(l->go_fd, "g", 1) != 1)
		r = fail_errno(err, "tell the sandbox to go on");
	else if (r < 0)
		call_off(l);
	if (r == 0)
		r = register_sandbox(l, err);
	if (r == 0)
		r = hooks_start_host(l, err);
	if (r == 0)
		r = report_wait(l, err);
	if (r == 0 && sb->plan->lingers) {
		sb->word_fd = l->report_fd;
		l->report_fd = -EBADF;
	}
	int left = stage_leave(l, r < 0 ? NULL : err);
	if (r == 0)
		r = left;
	if (l->shared) {
		sb->master_fd = l->shared->master_fd;
		memcpy(sb->tty_fds, l->shared->tty_fds, sizeof(sb->tty_fds));
		sb->mount_ns_fd = l->shared->mount_ns_fd;
		close_fd(l->shared->pts_fd);
	}
	return r;
}

static struct sandbox *sandbox_new(const struct log_sink *log, struct kennel_error **err)
{
	struct sandbox *sb = calloc(1, sizeof(*sb));

	if (!sb) {
		fail(err, KENNEL_E_NOMEM, "out of memory");
		return NULL;
	}
	sb->log = log ? *log : (struct log_sink){ 0 };
	sb->registry_fd = sb->entry_fd = sb->delta_fd = sb->init_pidfd = sb->master_fd = -EBADF;
	sb->scratch_fd = sb->word_fd = sb->names_pidfd = sb->bus_pidfd = sb->lender_pidfd = -EBADF;
	for (unsigned i = 0; i < SPEC_TTYS_MAX; i++)
		sb->tty_fds[i] = -EBADF;
	sb->user_ns_fd = sb->mount_ns_fd = sb->view_hold_fd = -EBADF;
	sb->work.monitor_pidfd = sb->work.init_pidfd = sb->work.nat_pidfd = -EBADF;
	sb->work.lock_fd = sb->work.thaw_fd = -EBADF;
	return sb;
}

enum refusal { REFUSED_LEVEL = 1 << 0, REFUSED_STACK = 1 << 1 };

static int start_at(const struct spec *spec, const struct vm *vm, const struct log_sink *log,
		    struct keep *keep, enum spec_isolate level, bool deep, unsigned *ret_refused,
		    struct sandbox **ret, struct kennel_error **err)
{
	char cwd[4096];
	struct plan_facts facts;
	struct sandbox *sb = sandbox_new(log, err);

	if (!sb)
		return -KENNEL_E_NOMEM;
	if (keep && keep->box && keep->box->for_guest) {
		sb->held = keep;
		keep = NULL;
	}
	sb->keep = keep;
	sb->work.lock_fd = keep ? keep->c.lock_fd : -EBADF;
	sb->work.hooks = keep ? keep->hooks : NULL;
	sb->work.mount_ns_fd = &sb->mount_ns_fd;
	struct launch l = {
		.sb = sb,
		.spec = spec,
		.vm = vm,
		.base_fd = -EBADF,
		.user_ns_fd = -EBADF,
		.go_fd = -EBADF,
		.report_fd = -EBADF,
		.nat_user_ns_fd = -EBADF,
		.net_ns_fd = -EBADF,
		.join_ns_fd = -EBADF,
		.view_death_fd = -EBADF,
		.old_ns_fd = -EBADF,
		.old_cwd_fd = -EBADF,
		.child = { .go_fd = -EBADF, .report_fd = -EBADF, .parent_pidfd = -EBADF },
	};
	sb->registry_fd = sb->work.registry_fd = registry_open(err);
	int r = sb->registry_fd < 0 ? sb->registry_fd : registry_make_id(sb->registry_fd, sb->id, err);
	if (r == 0)
		keep_say(keep, sb->id, 0);
	if (r == 0 && keep)
		r = hooks_begin(keep->hooks, sb->id, err);
	sb->deep = deep;
	sb->rootless = geteuid() != 0 || deep;
	if (r == 0)
		r = idmap_is_initial(&sb->initial_user_ns, err);
	if (r == 0) {
		sb->work.monitor_pidfd = sys_pidfd_open(getpid(), 0);
		if (sb->work.monitor_pidfd < 0)
			r = fail_errno(err, "open a descriptor of this process");
	}
	/*
	 * Before this thread is in another mount namespace (stage.c), in which the delta's mount is a
	 * foreign one.
	 */
	if (r == 0 && keep && !sb->rootless) {
		sb->delta_fd = keep_clone_delta(keep, err);
		r = MIN(sb->delta_fd, 0);
	}
	if (r == 0 && pack_can_clone_early(&l, level)) {
		r = clone_early(&l, err);
		if (r == 0 && sb->rootless)
			r = rootless_begin(&l, err);
	}
	if (r == 0)
		r = plan_facts_read(&l, &facts, cwd, sizeof(cwd), err);
	if (r == 0)
		r = plan_new(spec, &facts, level, &sb->plan, err);
	if (r == 0 && vm)
		r = vm_tell(vm, sb->plan, err);
	if (r == 0)
		r = attempt(&l, err);
	else
		call_off(&l);
	/* In a user namespace ns is no weaker level to fall back to: the device policy can't be had there. */
	*ret_refused = (l.level_refused && sb->initial_user_ns ? REFUSED_LEVEL : 0) |
		       (l.stack_is_full && !sb->initial_user_ns && !sb->rootless ? REFUSED_STACK : 0);
	if (l.stack_is_full && keep && keep_again(keep, &sb->planted, NULL) < 0)
		*ret_refused = 0;
	launch_done(&l);
	if (r < 0) {
		sb->keep = sb->held = NULL; /* the caller's: there may be a second attempt */
		sandbox_free(sb);
		return r;
	}
	*ret = sb;
	return 0;
}

/* Descriptors can run out at any step, and always for the same reason. */
static int hint_at_limit(int r, struct kennel_error **err)
{
	if (r == 0 || !err || !*err)
		return r;
	if (kennel_error_errno(*err) == EMFILE)
		return hint(err, r, "raise ulimit -n");
	if (kennel_error_errno(*err) == ENFILE)
		return hint(err, r, "raise sysctl fs.file-max");
	return r;
}

static int start(const struct spec *spec, const struct vm *vm, const struct log_sink *log, struct keep *keep,
		 struct sandbox **ret, struct kennel_error **err)
{
	unsigned refused = 0;

	int r = start_at(spec, vm, log, keep, SPEC_ISOLATE_USER, false, &refused, ret, err);
	if (r < 0 && (refused & REFUSED_STACK)) {
		error_clear(err);
		r = start_at(spec, vm, log, keep, SPEC_ISOLATE_USER, true, &refused, ret, err);
	}
	r = hint_at_limit(r, err);
	if (r == 0 || !(refused & REFUSED_LEVEL) || spec->isolate != SPEC_ISOLATE_AUTO || geteuid() != 0)
		return r;
	/* Nobody asked for a level: the strongest one that works, and one line that says so. */
	log_warn(log, "isolation ns instead of user: %s%s",
		 err && *err ? kennel_error_message(*err) : "the kernel refused",
		 spec->boot ? "; systemd, which has to mount, does not boot there" : "");
	error_clear(err);
	r = start_at(spec, vm, log, keep, SPEC_ISOLATE_NS, false, &refused, ret, err);
	return hint_at_limit(r, err);
}

int sandbox_start(const struct spec *spec, const struct log_sink *log, struct sandbox **ret,
		  struct kennel_error **err)
{
	struct keep *keep = NULL;

	int r = spec_check(spec, err);
	if (r == 0 && !spec->keep && spec_has_hooks(spec))
		r = fail(err, KENNEL_E_INVALID, "hooks need a container that is kept by name");
	if (r == 0 && (spec->keep || spec->file))
		r = keep_open(spec, log, &keep, err);
	const struct spec *use = keep ? keep->spec : spec;
	struct sockets sockets = { 0 };
	if (r == 0 && use->sockets.n) {
		r = sockets_find(use, &sockets, err);
		use = &sockets.spec;
	}
	struct nest nest = { 0 };
	if (r == 0 && use->nest) {
		r = nest_equip(use, log, &nest, err);
		use = &nest.spec;
	}
	struct vm vm = { 0 };
	const bool guest = r == 0 && use->isolate == SPEC_ISOLATE_VM;
	if (guest) {
		r = vm_equip(use, keep, &vm, err);
		use = &vm.spec;
	}
	if (r == 0)
		r = start(use, guest ? &vm : NULL, log, keep, ret, err);
	vm_done(&vm);
	nest_done(&nest);
	if (r == 0)
		sockets_settle(&sockets, &(*ret)->bus_pidfd, &(*ret)->lender_pidfd);
	sockets_done(&sockets);
	if (r < 0 && keep)
		hooks_end(keep->hooks, "failed", 125);
	if (r < 0)
		keep_free(keep, true);
	return r;
}
