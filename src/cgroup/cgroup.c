/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/cgroup.c - see cgroup.h: makes the groups, writes the limits, lets processes in.
 *
 * A hierarchy of v1 may hold several controllers (cpu,cpuacct), so groups are counted by directory and each
 * knows which wishes it serves. Controllers on v1 are taken from there, since a controller is on one version
 * only; the rest goes to v2.
 */
#include "cgroup/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cgroup/group.h"
#include "cgroup/scope.h"

#define CPU_MILLI_MIN 10 /* the kernel takes no quota below 1 ms */

static bool id_is_plain(const char *id)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(id);

	return len && len < CGROUP_NAME_MAX - sizeof(CGROUP_PREFIX) && strspn(id, ok) == len;
}

static int check_wish(const char *id, const struct cgroup_wish *w, struct kennel_error **err)
{
	if (!id_is_plain(id))
		return fail(err, KENNEL_E_INVALID, "make a control group: \"%s\" is no plain id", id);
	if (w->cpus_milli && w->cpus_milli < CPU_MILLI_MIN)
		return fail(err, KENNEL_E_INVALID, "limit the cpus: less than 0.01 can't be had");
	if (w->cpus_milli > 1000000)
		return fail(err, KENNEL_E_INVALID, "limit the cpus: more than 1000 can't be had");
	return 0;
}

static unsigned ctls_of_wish(const struct cgroup_wish *w)
{
	return (w->pids ? CGROUP_PIDS : 0u) | (w->devices ? CGROUP_DEVICES : 0u) |
	       (w->memory_bytes || w->has_swap ? CGROUP_MEMORY : 0u) | (w->cpus_milli ? CGROUP_CPU : 0u) |
	       (w->cpuset ? CGROUP_CPUSET : 0u) | (w->io ? CGROUP_IO : 0u);
}

/* What a session of systemd often does not hand down. */
#define SELDOM ((unsigned)CGROUP_CPUSET | CGROUP_IO)

/* Nice to have: what later limits, measuring and freezing need. */
static unsigned soft_ctls(const struct cgroup_wish *w)
{
	return w->background ? CGROUP_PIDS | CGROUP_MEMORY | CGROUP_CPU | CGROUP_FREEZER | SELDOM : 0u;
}

/* With all of left, which would be nice, with most of it, or with what is needed: ctls. */
static int place_v2(struct cgroup *cg, const struct cgroup_layout *l, const struct cgroup_plan *plan,
		    unsigned ctls, unsigned left, struct kennel_error **err)
{
	struct cgroup_dir *d = &cg->dirs[cg->n];
	int r = left & ~ctls ? cgroup_place_v2(l, left, plan, d, NULL) : -1;

	if (r < 0 && left & ~ctls & SELDOM) {
		left &= ctls | ~SELDOM;
		r = left & ~ctls ? cgroup_place_v2(l, left, plan, d, NULL) : -1;
	}
	if (r < 0)
		r = cgroup_place_v2(l, left & (ctls | CGROUP_FREEZER), plan, d, err);
	cg->n += r == 0;
	return r;
}

static int make_dirs(struct cgroup *cg, unsigned ctls, const struct cgroup_wish *w, struct kennel_error **err)
{
	const struct cgroup_plan plan = { cg->name, w->background, w->delegate, w->note, w->note_data };
	_cleanup_error_ struct kennel_error *why = NULL, *refused = NULL;
	_cleanup_cgroup_texts_ struct cgroup_texts texts = { 0 };
	struct cgroup_layout layout;
	unsigned left = ctls | soft_ctls(w);
	int asked = 0, r = cgroup_layout_read(w->mountinfo, &texts, &layout, err);

	if (r < 0)
		return r;
	for (unsigned ctl = 1; ctl <= CGROUP_CTL_LAST; ctl <<= 1) {
		if (!(left & ctl))
			continue;
		bool soft = !(ctl & ctls);
		r = cgroup_place_v1(&layout, ctl, &plan, &cg->dirs[cg->n], soft ? NULL : err);
		if (r < 0 && !soft)
			return r;
		if (r <= 0)
			continue;
		cg->dirs[cg->n].ctls &= left;
		left &= ~cg->dirs[cg->n++].ctls;
	}
	if (!left && !w->delegate)
		return 0;
	r = place_v2(cg, &layout, &plan, ctls, left, left & ctls ? &why : NULL);
	if (r < 0 && !w->no_scope && cgroup_can_have_v2(&layout) &&
	    (asked = cgroup_scope_enter(cg->name, &refused)) > 0) {
		error_clear(&why);
		cgroup_texts_done(&texts);
		texts = (struct cgroup_texts){ 0 };
		r = cgroup_layout_read(w->mountinfo, &texts, &layout, &why);
		if (r == 0)
			r = place_v2(cg, &layout, &plan, ctls, left, left & ctls ? &why : NULL);
	}
	if (r >= 0 || !(left & ctls))
		return 0;
	if (asked < 0)
		r = hint(&why, r, "%s", kennel_error_message(refused));
	if (err)
		*err = take_ptr(&why);
	return r;
}

static int set_devices_v1(const struct cgroup_dir *d, const struct device_policy *p,
			  struct kennel_error **err)
{
	_cleanup_close_ int allow_fd = openat(d->fd, "devices.allow", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	char line[48];

	if (allow_fd < 0 || cgroup_write(d->fd, "devices.deny", "a") < 0) {
		int r = fail_errno(err, "deny all devices to the control group");

		return hint(err, r,
			    "this takes root of the machine; isolation \"user\" needs no device policy");
	}
	for (size_t i = 0; i < p->n; i++) {
		int n = device_policy_v1(p, i, line, sizeof(line));

		if (n < 0)
			return fail(err, KENNEL_E_INVALID, "device rule %zu does not fit into a line", i);
		if (write(allow_fd, line, (size_t)n) >= 0)
			continue;
		/*
		 * EPERM: the group above has not got it either, as in a container; the sandbox then has one
		 * device less
		 */
		if (errno != EPERM || p->rules[i].asked)
			return fail_errno(err, "allow the device \"%s\" to the control group", line);
	}
	return 0;
}

static int set_limits(const struct cgroup_dir *d, const struct cgroup_wish *w, struct kennel_error **err)
{
	int r = cgroup_set_numbers(d, w, err);

	if (r == 0 && w->devices && (d->ctls & CGROUP_DEVICES))
		r = d->v2 ? device_policy_attach_v2(w->devices, d->fd, err) :
			    set_devices_v1(d, w->devices, err);
	return r;
}

static int fill(struct cgroup *cg, const struct cgroup_wish *w, unsigned ctls, struct kennel_error **err)
{
	int r = make_dirs(cg, ctls, w, err);

	for (unsigned i = 0; r == 0 && i < cg->n; i++) {
		struct cgroup_dir *d = &cg->dirs[i];

		r = set_limits(d, w, err);
		if (r < 0 || d->v2)
			continue;
		d->entry_fd = openat(cgroup_dir_home(d), "tasks", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (d->entry_fd < 0)
			r = fail_errno(err, "open \"tasks\" of the control group");
	}
	return r;
}

int cgroup_new(const char *id, const struct cgroup_wish *wish, struct cgroup **ret, struct kennel_error **err)
{
	const unsigned ctls = ctls_of_wish(wish);
	_cleanup_cgroup_ struct cgroup *cg = NULL;
	int r = check_wish(id, wish, err);

	if (r < 0)
		return r;
	if (!ctls && !wish->delegate && !wish->background) {
		*ret = NULL;
		return 0;
	}
	cg = calloc(1, sizeof(*cg));
	if (!cg)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	(void)!snprintf(cg->name, sizeof(cg->name), CGROUP_PREFIX "%s", id);
	r = fill(cg, wish, ctls, err);
	if (r < 0) {
		(void)!cgroup_destroy(
			cg, NULL); /* empty, so it goes at once; the first failure is the one to tell */
		return r;
	}
	*ret = cg->n ? take_ptr(&cg) : NULL;
	return 0;
}

int cgroup_attach(struct cgroup *cg, pid_t pid, struct kennel_error **err)
{
	char text[16];

	(void)!snprintf(text, sizeof(text), "%d", (int)pid);
	for (unsigned i = 0; i < cg->n; i++)
		if (cgroup_write(cgroup_dir_home(&cg->dirs[i]), "cgroup.procs", text) < 0)
			return fail_errno(err, "move process %d into the control group \"%s\"", (int)pid,
					  cg->name);
	return 0;
}

int cgroup_clone_fd(const struct cgroup *cg)
{
	for (unsigned i = 0; cg && i < cg->n; i++)
		if (cg->dirs[i].v2)
			return cgroup_dir_home(&cg->dirs[i]);
	return -EBADF;
}

unsigned cgroup_entries(const struct cgroup *cg)
{
	unsigned n = 0;

	for (unsigned i = 0; cg && i < cg->n; i++)
		n += !cg->dirs[i].v2;
	return n;
}

/* v1 directories come first, so the i-th entry is the i-th directory. */
int cgroup_entry_fd(const struct cgroup *cg, unsigned i)
{
	return cg->dirs[i].entry_fd;
}

unsigned cgroup_dirs(const struct cgroup *cg)
{
	return cg ? cg->n : 0;
}

int cgroup_dir(const struct cgroup *cg, unsigned i, const char **ret_name)
{
	*ret_name = cg->name;
	return cg->dirs[i].parent_fd;
}

struct cgroup *cgroup_free(struct cgroup *cg)
{
	int saved = errno;

	for (unsigned i = 0; cg && i < cg->n; i++)
		cgroup_dir_close(&cg->dirs[i]);
	free(cg);
	errno = saved;
	return NULL;
}
