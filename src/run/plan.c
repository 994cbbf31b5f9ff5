/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/plan.c - see plan.h.
 *
 * The mounts of the machine come classified (layer/system.c); here they become overlays, and what is to be
 * hidden is assigned to the overlay in which it lies. A hidden place is an entry in the delta rather than a
 * mount on top, so root inside can't unmount it to see what is below.
 */
#include "run/plan.h"

#include <assert.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "caps/caps.h"
#include "path/path.h"
#include "run/init.h"
#include "run/limits.h"
#include "run/vm.h"

#define PATH_INSIDE "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct plan *plan_free(struct plan *p)
{
	if (!p)
		return NULL;
	free(p->overlays);
	free(p->hidden);
	free(p->hostname);
	strv_done(&p->details);
	strv_done(&p->view_without);
	strv_done(&p->argv);
	strv_done(&p->env);
	free(p);
	return NULL;
}

static const char *net_words(const struct spec *spec)
{
	return spec->net == SPEC_NET_INTERFACES ? network_link_name(spec->interfaces[0].kind) :
						  spec_net_name(spec->net);
}

static int plan_level(struct plan *p, const struct spec *spec, const struct plan_facts *facts,
		      enum spec_isolate level, struct kennel_error **err)
{
	const unsigned long ns_flags = PLAN_NS_FLAGS;

	p->isolate = spec->isolate != SPEC_ISOLATE_AUTO ? spec->isolate :
							  /* the strongest one without shifted ids */
			     spec->idmap == SPEC_IDMAP_NO ? SPEC_ISOLATE_NS :
							    level;
	p->net = spec->net;
	p->filter = p->isolate != SPEC_ISOLATE_FS;
	switch (p->isolate) {
	case SPEC_ISOLATE_VM:
		p->vm = true;
		/* fall through */
	case SPEC_ISOLATE_USER:
		p->clone_flags = ns_flags | CLONE_NEWUSER;
		break;
	case SPEC_ISOLATE_NS:
		p->clone_flags = ns_flags;
		p->device_policy = true;
		break;
	case SPEC_ISOLATE_FS:
		p->net = SPEC_NET_HOST;
		break;
	default:
		assert(!"spec_check() has refused the others");
	}
	if (spec->nest && p->isolate != SPEC_ISOLATE_USER)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "--nest needs isolation \"user\""),
			    "\"kennel check\" says what it lacks here");
	if (!facts->privileged && !(p->clone_flags & CLONE_NEWUSER) && facts->initial_user_ns)
		return hint(err,
			    fail(err, KENNEL_E_PERM, "isolation %s needs root",
				 spec_isolate_name(p->isolate)),
			    "run kennel as root, or use --isolate user");
	if (!facts->privileged &&
	    (p->net == SPEC_NET_INTERFACES || p->net == SPEC_NET_NS || p->net == SPEC_NET_CONTAINER))
		return hint(
			err, fail(err, KENNEL_E_PERM, "net \"%s\" needs root", net_words(spec)),
			"run kennel as root, or use --net nat, with --publish for ports that lead inside; "
			"sandboxes of yours reach each other on --net private:NAME");
	if (facts->privileged && p->net != SPEC_NET_HOST && network_private(spec))
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "net \"private:%s\" is for ordinary users",
				 spec->net_where),
			    "root has bridges: --net bridge, or bridge:NAME");
	/* Root inside may do anything with a node that it sees: only a policy can hold back half of "rw". */
	for (size_t i = 0; i < spec->n_devices; i++)
		p->device_policy |= !spec->devices[i].read || !spec->devices[i].write;
	if (p->net == SPEC_NET_AUTO) {
		p->net = SPEC_NET_NAT;
		p->net_optional = !spec->n_ports;
	}
	p->new_net = p->net != SPEC_NET_HOST && p->net != SPEC_NET_NS && p->net != SPEC_NET_CONTAINER;
	/* A sysfs shows the network devices of a namespace and can only be mounted by that one's owner. */
	p->new_sys = p->new_net || !(p->clone_flags & CLONE_NEWUSER);
	return 0;
}

static void plan_caps(struct plan *p, const struct spec *spec, const struct plan_facts *facts)
{
	uint64_t base = p->isolate == SPEC_ISOLATE_NS ? caps_default_ns() : facts->all_caps;

	/*
	 * By RAWIO systemd knows that the kernel's own file systems are somebody else's to mount. BOOT is for
	 * reboot(2), which in a pid namespace ends that; what else it is for the filter refuses.
	 */
	if (spec->boot) {
		base &= ~(UINT64_C(1) << CAP_SYS_RAWIO);
		base |= UINT64_C(1) << CAP_SYS_BOOT;
	}
	p->caps = caps_combine(base, spec->cap_add & facts->all_caps, spec->cap_drop);
	if (p->vm)
		p->caps = vm_caps();
	p->set_caps = p->caps != facts->all_caps;
}

static int add_detail(struct plan *p, const char *verdict, const struct mount_entry *e, const char *reason,
		      struct kennel_error **err)
{
	return strv_addf(&p->details, err, "%s\t%s\t%s%s%s", verdict, e->target, e->fstype,
			 reason ? "\t" : "", reason ? reason : "");
}

static bool hidden_mount(const struct spec *spec, const char *target)
{
	for (size_t i = 0; i < spec->hide.n; i++)
		if (path_is_below(target, spec->hide.items[i]) && strcmp(target, "/") != 0)
			return true;
	return false;
}

static const char *const made_new[] = { "/proc", "/sys", "/dev", "/run", "/tmp" };

static int plan_system(struct plan *p, const struct spec *spec, const struct plan_facts *facts,
		       struct kennel_error **err)
{
	_cleanup_free_ struct system_mount *m = NULL;
	int r = system_classify(facts->mounts, &spec->without, &m, err);

	if (r < 0)
		return r;
	p->overlays = calloc(facts->mounts->n + 1, sizeof(*p->overlays));
	if (!p->overlays)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < facts->mounts->n && r == 0; i++) {
		const struct mount_entry *e = m[i].entry;

		switch (m[i].verdict) {
		case SYSTEM_COPY:
		case SYSTEM_COPY_FILE:
			if (hidden_mount(spec, e->target)) {
				r = add_detail(p, "left-out", e, "hidden by --hide", err);
				break;
			}
			/* The view crosses mounts by itself, so only the root of it gets an overlay. */
			if (!p->view || strcmp(e->target, "/") == 0)
				p->overlays[p->n_overlays++] =
					(struct plan_overlay){ e->target, e->fstype, true };
			r = add_detail(p, "copied", e, NULL, err);
			break;
		case SYSTEM_NEW:
			r = add_detail(p, "new", e, NULL, err);
			break;
		case SYSTEM_SKIP:
			r = add_detail(p, "left-out", e, m[i].reason, err);
			if (r == 0 && !e->hidden)
				r = strv_add(&p->view_without, e->target, err);
			break;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(made_new) && r == 0; i++)
		r = strv_add(&p->view_without, made_new[i], err);
	if (r < 0)
		return r;
	if (!p->n_overlays || strcmp(p->overlays[0].target, "/") != 0)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "the root of this machine can't be copied"),
			    "see \"kennel info --base\" for what its mounts are");
	return 0;
}

static int plan_base(struct plan *p, const struct spec *spec, const struct plan_facts *facts,
		     struct kennel_error **err)
{
	if (spec->base_kind == SPEC_BASE_SYSTEM)
		return plan_system(p, spec, facts, err);
	p->overlays = calloc(1, sizeof(*p->overlays));
	if (!p->overlays)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	p->overlays[p->n_overlays++] = (struct plan_overlay){ "/", "base", false };
	return strv_addf(&p->details, err, "copied\t/\t%s", spec->base_path);
}

/* The overlay whose target is the longest beginning of path. */
static unsigned overlay_of(const struct plan *p, const char *path)
{
	unsigned best = 0;

	for (unsigned i = 0; i < p->n_overlays; i++)
		if (path_is_below(path, p->overlays[i].target) &&
		    strlen(p->overlays[i].target) >= strlen(p->overlays[best].target))
			best = i;
	return best;
}

/*
 * These are mounted over the copy, so an entry in the delta would hide nothing there. (/tmp and /run are new
 * too, but empty.)
 */
static int check_place(const char *path, struct kennel_error **err)
{
	static const char *const always[] = { "/proc", "/sys", "/dev" };

	if (strcmp(path, "/") == 0)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "\"/\" can't be left out or hidden: it is the root of the copy"),
			    "name directories below it");
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (path_is_below(path, always[i]))
			return hint(err,
				    fail(err, KENNEL_E_INVALID,
					 "\"%s\" can't be left out or hidden: %s is made new inside", path,
					 always[i]),
				    "files and directories of the base can be");
	return 0;
}

static void add_hidden(struct plan *p, const char *path, bool absent)
{
	unsigned o = overlay_of(p, path);
	size_t skip = o == 0 ? 0 : strlen(p->overlays[o].target);

	p->hidden[p->n_hidden++] = (struct plan_hidden){ o, path + skip + 1, absent };
}

/* A mount that is left out leaves its empty mount point; anything else disappears. */
static bool leaves_mount_point(const struct spec *spec, const struct plan_facts *facts, const char *path)
{
	for (size_t i = 0; spec->base_kind == SPEC_BASE_SYSTEM && i < facts->mounts->n; i++)
		if (!facts->mounts->entries[i].hidden && strcmp(facts->mounts->entries[i].target, path) == 0)
			return true;
	return false;
}

static int plan_hide(struct plan *p, const struct spec *spec, const struct plan_facts *facts,
		     struct kennel_error **err)
{
	int r = 0;

	p->hidden = calloc(spec->hide.n + spec->without.n + 1, sizeof(*p->hidden));
	if (!p->hidden)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < spec->hide.n && r == 0; i++) {
		r = check_place(spec->hide.items[i], err);
		if (r == 0)
			add_hidden(p, spec->hide.items[i], false);
	}
	for (size_t i = 0; i < spec->without.n && r == 0; i++) {
		r = check_place(spec->without.items[i], err);
		if (r == 0 && !leaves_mount_point(spec, facts, spec->without.items[i]))
			add_hidden(p, spec->without.items[i], true);
	}
	return r;
}

/* The name of a container is one of a host, but for its underscores and the length of a label. */
void plan_default_hostname(const struct spec *spec, const char *id, char ret[PLAN_HOSTNAME_SIZE])
{
	if (spec->hostname)
		snprintf(ret, PLAN_HOSTNAME_SIZE, "%s", spec->hostname);
	else if (spec->keep)
		snprintf(ret, PLAN_HOSTNAME_SIZE, "%.63s", spec->keep);
	else
		snprintf(ret, PLAN_HOSTNAME_SIZE, "kennel-%s", id);
	for (char *p = ret; spec->keep && !spec->hostname && *p; p++)
		if (*p == '_')
			*p = '-';
}

static int plan_hostname(struct plan *p, const struct spec *spec, const struct plan_facts *facts,
			 struct kennel_error **err)
{
	char name[PLAN_HOSTNAME_SIZE];

	if (p->isolate == SPEC_ISOLATE_FS)
		return 0;
	plan_default_hostname(spec, facts->id, name);
	p->hostname = strdup(name);
	return p->hostname ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

/* One value a name, the last one said: getenv() would find the first of two, a shell the last. */
int plan_set_env(struct strv *env, const char *line, struct kennel_error **err)
{
	size_t name = strcspn(line, "=") + 1;

	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->items[i], line, name) != 0)
			continue;
		char *copy = strdup(line);
		if (!copy)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		free(env->items[i]);
		env->items[i] = copy;
		return 0;
	}
	return strv_add(env, line, err);
}

int plan_make_env(struct strv *env, const char *id, const char *term, const char *lang,
		  const struct strv *more, struct kennel_error **err)
{
	static const char *const fixed[] = { PATH_INSIDE,    "HOME=/root",	 "USER=root",
					     "LOGNAME=root", "container=kennel", "debian_chroot=kennel" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
		r = strv_add(env, fixed[i], err);
	if (r == 0)
		r = strv_addf(env, err, "KENNEL_ID=%s", id);
	if (r == 0 && term)
		r = strv_addf(env, err, "TERM=%s", term);
	if (r == 0 && lang)
		r = strv_addf(env, err, "LANG=%s", lang);
	for (size_t i = 0; i < more->n && r == 0; i++)
		r = plan_set_env(env, more->items[i], err);
	return r;
}

int plan_make_argv(struct strv *argv, const struct spec *spec, const struct plan_words *w,
		   struct kennel_error **err)
{
	unsigned flags = w->flags;
	const bool boots = spec->boot && !spec->command.n;

	if (spec->boot)
		flags |= INIT_BECOME;
	if (!spec->workdir)
		flags |= INIT_WORKDIR_OPTIONAL;
	if (spec->no_new_privs)
		flags |= INIT_NO_NEW_PRIVS;
	if (!spec->command.n)
		flags |= boots ? 0 : spec->background ? INIT_IDLE : INIT_LOGIN_SHELL;
	int r = strv_add(argv, w->name, err);
	if (r == 0)
		r = strv_addf(argv, err, "%d", w->report_fd);
	if (r == 0)
		r = strv_add(argv, w->tty ? "0" : "-1", err);
	if (r == 0)
		r = strv_addf(argv, err, "%u", flags);
	if (r == 0)
		r = strv_add(argv, spec->user ? spec->user : "", err);
	if (r == 0)
		r = strv_add(argv,
			     spec->workdir ? spec->workdir :
			     spec->boot	   ? "/" :
			     w->cwd	   ? w->cwd :
					     "",
			     err);
	if (r == 0 && !spec->command.n)
		r = strv_add(argv, boots ? PLAN_INIT : "", err);
	for (size_t i = 0; i < spec->command.n && r == 0; i++)
		r = strv_add(argv, spec->command.items[i], err);
	return r;
}

/* Its report descriptor is known only later, so that slot is filled by the launcher. */
static int plan_argv(struct plan *p, const struct spec *spec, const struct plan_facts *facts,
		     struct kennel_error **err)
{
	const struct plan_words w = {
		.name = "kennel-init",
		.report_fd = -1,
		.tty = p->tty,
		.flags = p->isolate == SPEC_ISOLATE_FS ? INIT_SUBREAPER : 0,
		.cwd = spec->background ? NULL : facts->cwd,
	};

	return plan_make_argv(&p->argv, spec, &w, err);
}

/* As systemd's "Container Interface" has it: it starts a getty on each. */
static int name_ttys(struct plan *p, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, "container_ttys=");
	for (unsigned i = 1; i <= p->n_ttys; i++)
		buf_printf(&b, "%spts/%u", i > 1 ? " " : "", i);
	int r = buf_check(&b, err);
	return r < 0 ? r : plan_set_env(&p->env, buf_str(&b), err);
}

int plan_new(const struct spec *spec, const struct plan_facts *facts, enum spec_isolate level,
	     struct plan **ret, struct kennel_error **err)
{
	_cleanup_plan_ struct plan *p = calloc(1, sizeof(*p));

	if (!p)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	p->n_ttys = spec->background ? (unsigned)spec->ttys : 0;
	p->tty = spec->tty == SPEC_TTY_YES || (spec->tty == SPEC_TTY_AUTO && facts->stdin_is_tty);
	p->view = facts->view;
	p->size_bytes = run_limits_room(spec, facts->total_memory);
	p->inodes = run_limits_inodes(p->size_bytes);
	p->room_bytes = p->size_bytes;
	p->boots = spec->boot;
	int r = plan_level(p, spec, facts, level, err);
	if (r == 0) {
		plan_caps(p, spec, facts);
		r = plan_base(p, spec, facts, err);
	}
	if (r == 0)
		r = plan_hide(p, spec, facts, err);
	if (r == 0)
		r = plan_hostname(p, spec, facts, err);
	if (r == 0)
		r = plan_make_env(&p->env, facts->id, p->tty ? facts->term : NULL, facts->lang, &spec->env,
				  err);
	if (r == 0 && p->n_ttys)
		r = name_ttys(p, err);
	if (r == 0)
		r = plan_argv(p, spec, facts, err);
	if (r < 0)
		return r;
	*ret = take_ptr(&p);
	return 0;
}
