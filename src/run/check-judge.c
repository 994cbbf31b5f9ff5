/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check-judge.c - what the facts of check.h mean for "kennel run". Pure, so that machines which nobody
 * has at hand can be tested.
 *
 * A lack is MISSING where the default run would fail and WEAKER where it does without. root whose user
 * namespace can't be had still gets level ns, so all that only the level user needs is WEAKER there, as long
 * as level ns works.
 */
#include "run/check-judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *check_state_name(enum check_state state)
{
	static const char *const names[] = {
		[CHECK_OK] = "ok",
		[CHECK_WEAKER] = "optional-missing",
		[CHECK_MISSING] = "missing",
	};

	return names[state];
}

static char *format(struct judge *j, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static char *format(struct judge *j, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) >= 0)
		return text;
	j->c->nomem = true;
	return NULL;
}

void judge_begin(struct judge *j, const char *name, const char *needed_for)
{
	j->at = &j->c->lines[j->c->n++];
	*j->at = (struct check_line){ .name = name, .needed_for = needed_for };
}

void judge_found(struct judge *j, const char *fmt, ...)
{
	va_list ap;

	free(j->at->found);
	va_start(ap, fmt);
	j->at->found = format(j, fmt, ap);
	va_end(ap);
}

void judge_remedy(struct judge *j, enum check_state state, const char *fmt, ...)
{
	va_list ap;

	j->at->state = state;
	free(j->at->remedy);
	va_start(ap, fmt);
	j->at->remedy = format(j, fmt, ap);
	va_end(ap);
}

/* What could not be tried, for want of something above, says nothing: no line. */
void judge_drop(struct judge *j)
{
	free(j->at->found);
	free(j->at->remedy);
	*j->at = (struct check_line){ 0 };
	j->c->n--;
}

const char *judge_advice(const struct kennel_error *err)
{
	const char *text = kennel_error_hint(err);

	return text ? text : "run kennel outside of the container, sandbox or filter that forbids it";
}

/* An error as a line's words; weaker: what happens without, for an optional thing. */
void judge_lacks(struct judge *j, enum check_state state, const struct kennel_error *err, const char *weaker)
{
	if (state == CHECK_WEAKER)
		judge_found(j, "%s; weaker: %s", kennel_error_message(err), weaker);
	else
		judge_found(j, "%s", kennel_error_message(err));
	judge_remedy(j, state, "%s", judge_advice(err));
}

bool judge_worked(const struct check_shared *s, enum check_try what)
{
	return s->errnum[what] == 0;
}

static bool spaces_work(const struct check_shared *s)
{
	static const enum check_try needed[] = {
		CHECK_TRY_MOUNT_NS, CHECK_TRY_IPC_NS, CHECK_TRY_UTS_NS, CHECK_TRY_CGROUP_NS, CHECK_TRY_NET_NS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!judge_worked(s, needed[i]))
			return false;
	return true;
}

/* Level ns takes the place of level user only for root. */
static bool ns_works(const struct check_facts *f)
{
	return f->root && !f->ns_clone_err && spaces_work(&f->ns) && !f->lower_errnum &&
	       judge_worked(&f->ns, CHECK_TRY_OVERLAY) && judge_worked(&f->ns, CHECK_TRY_WRITE) &&
	       judge_worked(&f->ns, CHECK_TRY_PROC) && !f->cgroup_err[CHECK_CGROUP_DEVICES];
}

/* What a lack of something that only level user needs comes to. */
enum check_state judge_without_user(const struct check_facts *f)
{
	return ns_works(f) ? CHECK_WEAKER : CHECK_MISSING;
}

const char *const judge_level_ns =
	"level ns is taken: root inside is root of the machine, held back by capabilities, "
	"devices and a filter";

/* AppArmor lets the namespace be made, but gives no right in it. */
bool judge_apparmor(const struct check_facts *f)
{
	return !f->root && f->apparmor_restricts == 1 && !f->clone_err &&
	       !judge_worked(&f->user_ns, CHECK_TRY_MOUNT_NS);
}

void judge_profile(struct judge *j)
{
	if (j->f->profile_installed)
		judge_remedy(j, CHECK_MISSING,
			     "apparmor_parser -r %s (as root; the profile names the program's full path)",
			     KENNEL_APPARMOR_PROFILE);
	else
		judge_remedy(
			j, CHECK_MISSING,
			"install kennel's profile share/apparmor/kennel as %s, then apparmor_parser -r %s",
			KENNEL_APPARMOR_PROFILE, KENNEL_APPARMOR_PROFILE);
}

static void judge_user_ns(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "user namespaces", "root inside is nobody outside");
	judge_found(j, "one was made and entered");
	if (f->clone_err) {
		judge_lacks(j, judge_without_user(f), f->clone_err, judge_level_ns);
	} else if (judge_apparmor(f)) {
		judge_found(j, "made, but AppArmor gives no right in it");
		judge_profile(j);
	} else if (f->map_err && (f->root || !f->single_id || !judge_worked(&f->user_ns, CHECK_TRY_IDS))) {
		judge_lacks(j, CHECK_MISSING, f->map_err, "");
	} else if (!judge_worked(&f->user_ns, CHECK_TRY_IDS)) {
		judge_found(j, "made, but not to be entered: %s", strerror(f->user_ns.errnum[CHECK_TRY_IDS]));
		judge_remedy(j, judge_without_user(f),
			     "run kennel outside of the container or seccomp filter that forbids it");
	}
}

static void name_failed_spaces(const struct check_shared *s, char *text, size_t size)
{
	static const struct {
		enum check_try what;
		const char *name;
	} spaces[] = {
		{ CHECK_TRY_MOUNT_NS, "mnt" },	   { CHECK_TRY_IPC_NS, "ipc" }, { CHECK_TRY_UTS_NS, "uts" },
		{ CHECK_TRY_CGROUP_NS, "cgroup" }, { CHECK_TRY_NET_NS, "net" },
	};
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (!judge_worked(s, spaces[i].what) && n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "", spaces[i].name);
}

static void judge_spaces(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct check_shared *s = &f->user_ns;
	enum check_state state = CHECK_OK;
	char failed[64];

	judge_begin(j, "namespaces", "files, processes, network of its own");
	judge_found(j, "mnt pid ipc uts net cgroup");
	if (f->root && !spaces_work(&f->user_ns))
		s = &f->ns;
	if (f->root && s == &f->ns && f->ns_clone_err) {
		judge_lacks(j, CHECK_MISSING, f->ns_clone_err, "");
		return;
	}
	if (!spaces_work(s))
		state = CHECK_MISSING;
	if (state == CHECK_OK)
		return;
	name_failed_spaces(s, failed, sizeof(failed));
	judge_found(j, "not to be had: %s", failed);
	if (judge_apparmor(f))
		judge_profile(j);
	else
		judge_remedy(j, state,
			     "a kernel with these namespaces (CONFIG_NAMESPACES, CONFIG_NET_NS, ...), and "
			     "sysctl user.max_mnt_namespaces=15000 user.max_net_namespaces=15000");
}

/* Root's mounts without the shift are no trial of level user. */
static bool user_was_tried(const struct check_facts *f)
{
	return f->user_ns.errnum[CHECK_TRY_OVERLAY] != CHECK_NOT_TRIED && !f->idmap_root_errnum &&
	       !f->idmap_tmpfs_errnum;
}

static void explain_overlay(struct judge *j, const struct check_shared *s, enum check_state state)
{
	int errnum = s->errnum[CHECK_TRY_OVERLAY];
	const char *weaker = state == CHECK_WEAKER ? "; weaker: " : "",
		   *then = state == CHECK_WEAKER ? judge_level_ns : "";

	if (errnum == 0) {
		judge_found(j, "mounted, but not to be written to: %s%s%s",
			    strerror(s->errnum[CHECK_TRY_WRITE]), weaker, then);
		judge_remedy(j, state, "dmesg says why");
	} else if (errnum == ENODEV) {
		judge_found(j, "this kernel has no overlay file system");
		judge_remedy(j, CHECK_MISSING, "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS");
	} else {
		judge_found(j, "refused: %s%s%s", strerror(errnum), weaker, then);
		judge_remedy(j, state, "%s",
			     errnum == EPERM ?
				     "Linux 5.11 or later has it in user namespaces" :
			     j->f->root && j->f->shifts ?
				     "Linux 5.19 or later has it over idmapped layers; dmesg says more" :
				     "overlays can be stacked twice at most; dmesg says more");
	}
}

static void judge_overlay(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct check_shared *s = user_was_tried(f) || !f->root ? &f->user_ns : &f->ns;
	bool fine = judge_worked(s, CHECK_TRY_OVERLAY) && judge_worked(s, CHECK_TRY_WRITE);

	judge_begin(j, "overlay", "the copy itself");
	if (f->root && f->lower_errnum) {
		judge_found(j, "\"/\" can't be cloned: %s", strerror(f->lower_errnum));
		judge_remedy(j, CHECK_MISSING, "%s",
			     f->chrooted ? "run kennel outside of the chroot" :
					   "run kennel outside of a sandbox that has --share or --mount");
	} else if (s->errnum[CHECK_TRY_TMPFS] > 0) {
		judge_found(j, "no tmpfs for the changes: %s", strerror(s->errnum[CHECK_TRY_TMPFS]));
		judge_remedy(j, CHECK_MISSING, "a kernel with CONFIG_TMPFS");
	} else if (s->errnum[CHECK_TRY_OVERLAY] == CHECK_NOT_TRIED) {
		judge_drop(j);
	} else if (fine) {
		judge_found(j, "one was mounted and written to%s",
			    s == &f->ns ? ", at level ns" : " in a user namespace");
	} else {
		explain_overlay(j, s, s == &f->user_ns ? judge_without_user(f) : CHECK_MISSING);
	}
}

static void judge_xattrs(struct judge *j)
{
	int errnum = j->f->user_ns.errnum[CHECK_TRY_USER_XATTR];
	bool weaker = judge_without_user(j->f) == CHECK_WEAKER;

	if (!user_was_tried(j->f) || errnum == CHECK_NOT_TRIED)
		return;
	judge_begin(j, "user xattrs on tmpfs", "an overlay in a user namespace");
	judge_found(j, "kept");
	if (errnum == 0)
		return;
	judge_found(j, "refused: %s%s%s", strerror(errnum), weaker ? "; weaker: " : "",
		    weaker ? judge_level_ns : "");
	judge_remedy(j, judge_without_user(j->f), "Linux 6.6 or later, with CONFIG_TMPFS_XATTR");
}

static void judge_layer_fd(struct judge *j)
{
	const struct check_facts *f = j->f;

	if (f->user_ns.errnum[CHECK_TRY_LAYER_FD] == CHECK_NOT_TRIED &&
	    f->ns.errnum[CHECK_TRY_LAYER_FD] == CHECK_NOT_TRIED)
		return;
	judge_begin(j, "layers by descriptor", "faster and safer mounts");
	if (judge_worked(&f->user_ns, CHECK_TRY_LAYER_FD) || judge_worked(&f->ns, CHECK_TRY_LAYER_FD))
		judge_found(j, "taken");
	else
		judge_found(
			j,
			"not taken: names below /proc/self/fd are used, which is fine (Linux 6.13 takes descriptors)");
}

static void judge_idmapped(struct judge *j)
{
	const struct check_facts *f = j->f;
	const char *type = f->root_fstype ? f->root_fstype : "an unknown file system";

	if (!f->shifts || f->clone_err ||
	    f->map_err) /* not needed inside of a user namespace, or not tried */
		return;
	judge_begin(j, "idmapped mounts of \"/\"", "level user for root");
	judge_found(j, "%s%s", type, f->stacked ? ", by its layers" : "");
	if (f->idmap_root_errnum) {
		judge_found(j, "%s can't: %s; weaker: %s", type, strerror(f->idmap_root_errnum),
			    judge_level_ns);
		judge_remedy(
			j, judge_without_user(f), "%s",
			f->idmap_root_errnum == ENOSYS ?
				"Linux 5.12 or later" :
				"a root file system that can: ext4, btrfs, xfs, tmpfs, ...; or another --base");
	}
	judge_begin(j, "idmapped tmpfs", "level user for root");
	judge_found(j, "made");
	if (f->idmap_tmpfs_errnum) {
		judge_found(j, "can't: %s; weaker: %s", strerror(f->idmap_tmpfs_errnum), judge_level_ns);
		judge_remedy(j, judge_without_user(f), "Linux 6.3 or later");
	}
}

static void judge_proc(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct check_shared *s = &f->user_ns;

	judge_begin(j, "/proc and /sys", "new ones inside");
	judge_found(j, "mounted anew");
	if (!judge_worked(s, CHECK_TRY_MOUNT_NS) && ns_works(f))
		s = &f->ns;
	if (judge_worked(s, CHECK_TRY_PROC) && judge_worked(s, CHECK_TRY_SYS) &&
	    judge_worked(s, CHECK_TRY_DEVPTS))
		return;
	int errnum = !judge_worked(s, CHECK_TRY_PROC) ? s->errnum[CHECK_TRY_PROC] :
		     !judge_worked(s, CHECK_TRY_SYS)  ? s->errnum[CHECK_TRY_SYS] :
							s->errnum[CHECK_TRY_DEVPTS];
	const char *what = !judge_worked(s, CHECK_TRY_PROC) ? "/proc" :
			   !judge_worked(s, CHECK_TRY_SYS)  ? "/sys" :
							      "/dev/pts";
	if (errnum == CHECK_NOT_TRIED) {
		judge_drop(j);
		return;
	}
	judge_found(j, "%s: %s%s", what, strerror(errnum),
		    errnum == EPERM ? " (the old one is not fully visible)" : "");
	judge_remedy(
		j, CHECK_MISSING,
		"in a container have nothing mounted over /proc and /sys (podman: --security-opt unmask=ALL; "
		"docker: --security-opt systempaths=unconfined)");
}

static void judge_memory_file(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct check_shared *s =
		f->user_ns.errnum[CHECK_TRY_MEMORY_FILE] == CHECK_NOT_TRIED ? &f->ns : &f->user_ns;
	int errnum = s->errnum[CHECK_TRY_MEMORY_FILE];

	judge_begin(j, "programs in memory files", "the first process inside");
	judge_found(j, "executable");
	if (errnum == CHECK_NOT_TRIED && f->memfd_noexec != 2) {
		judge_drop(j);
	} else if (errnum && f->memfd_noexec == 2) {
		judge_found(j, "forbidden (vm.memfd_noexec is 2)");
		judge_remedy(j, CHECK_MISSING, "sysctl vm.memfd_noexec=1");
	} else if (errnum) {
		judge_found(j, "not executable: %s", strerror(errnum));
		judge_remedy(j, CHECK_MISSING,
			     "a security module forbids it: see its log (dmesg, ausearch -m avc)");
	}
}

static void judge_filter(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct check_shared *s = f->user_ns.errnum[CHECK_TRY_FILTER] == CHECK_NOT_TRIED ? &f->ns :
												&f->user_ns;
	int errnum = s->errnum[CHECK_TRY_FILTER];

	judge_begin(j, "system call filter", "levels user and ns");
	if (!f->filter_built) {
		judge_found(j, "none was built for this processor");
		judge_remedy(j, CHECK_MISSING, "x86-64 and 64-bit ARM have one; --isolate fs needs none");
	} else if (errnum == CHECK_NOT_TRIED) {
		judge_found(j, "built for this processor");
	} else if (errnum) {
		judge_found(j, "not to be loaded: %s", strerror(errnum));
		judge_remedy(j, CHECK_MISSING, "a kernel with CONFIG_SECCOMP_FILTER");
	} else {
		judge_found(j, "built for this processor, and loaded");
	}
}

int check_judge(const struct check_facts *f, struct check *ret, struct kennel_error **err)
{
	struct judge j = { .f = f, .c = ret };

	judge_user_ns(&j);
	judge_spaces(&j);
	judge_overlay(&j);
	judge_xattrs(&j);
	judge_layer_fd(&j);
	if (f->root)
		judge_idmapped(&j);
	judge_proc(&j);
	judge_memory_file(&j);
	judge_filter(&j);
	judge_ids(&j);
	if (!f->root) {
		judge_map_tools(&j);
		judge_fuse(&j);
		judge_view(&j);
	}
	judge_runtime(&j);
	judge_vm(&j);
	judge_net(&j);
	judge_bridge(&j);
	judge_cgroups(&j);
	if (f->root)
		judge_images(&j);
	if (!f->root || !f->vm_err) /* root's guests alone */
		judge_user_images(&j);
	judge_security(&j);
	judge_limits(&j);
	judge_place(&j);
	return ret->nomem ? fail(err, KENNEL_E_NOMEM, "out of memory") : 0;
}

size_t check_missing(const struct check *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->lines[i].state == CHECK_MISSING;
	return n;
}

void check_done(struct check *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->lines[i].found);
		free(c->lines[i].remedy);
	}
	*c = (struct check){ 0 };
}
