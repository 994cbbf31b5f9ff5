/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check-judge-machine.c - the lines about the user, packages, devices and limits; check-judge.c has the
 * others and the helpers.
 */
#include "run/check-judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Measured: below the first no start works, below the second pasta does not. */
#define OPEN_FILES_LEAST 40u
#define OPEN_FILES_FEW 256u
#define WATCHES_FEW 8192
#define NAMESPACES_FEW 16

static void advise_range(struct judge *j)
{
	const struct idmap *r = &j->f->free_range;
	unsigned first = r->base, last = r->base + r->count - 1;

	if (r->count)
		judge_remedy(j, CHECK_WEAKER, "usermod --add-subuids %u-%u --add-subgids %u-%u %s (as root)",
			     first, last, first, last, j->f->user);
	else
		judge_remedy(
			j, CHECK_WEAKER,
			"no 65536 ids are free: take a range from another user in /etc/subuid and /etc/subgid");
}

void judge_ids(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct idmap *u = f->root ? &f->root_range : &f->map.uids, *g = f->root ? u : &f->map.gids;

	judge_begin(j, "subordinate ids",
		    f->root ? "level user for root" : "su, chown, daemons with users of their own");
	if (f->range_err)
		judge_lacks(j, CHECK_MISSING, f->range_err, "");
	else if (f->root && !f->shifts)
		judge_found(j, "those of this user namespace: %u", u->count);
	else if (f->root)
		judge_found(j, "%u-%u", u->base, u->base + u->count - 1);
	else if (idmap_user_has_range(&f->map))
		judge_found(j, "users %u-%u, groups %u-%u", u->base, u->base + u->count - 1, g->base,
			    g->base + g->count - 1);
	else {
		judge_found(
			j,
			"no 65536 for %s in /etc/sub%s; weaker: one id alone, su and chown to others fail inside",
			f->user,
			u->count ? "gid" :
			g->count ? "uid" :
				   "uid and /etc/subgid");
		advise_range(j);
	}
}

void judge_map_tools(struct judge *j)
{
	const struct check_facts *f = j->f;
	const struct check_tool *bad = !f->newuidmap.path ? &f->newuidmap :
				       !f->newgidmap.path ? &f->newgidmap :
							    NULL;
	bool needed = idmap_user_has_range(&f->map);

	judge_begin(j, "newuidmap, newgidmap", "mapping the subordinate ids");
	if (bad) {
		judge_found(j, "%s is not installed%s", bad == &f->newuidmap ? "newuidmap" : "newgidmap",
			    needed ? "" : "; weaker: a range could not be used");
		judge_remedy(j, needed ? CHECK_MISSING : CHECK_WEAKER,
			     "install the package uidmap (shadow-utils elsewhere)");
		return;
	}
	judge_found(j, "%s, %s", f->newuidmap.path, f->newgidmap.path);
	bad = !f->newuidmap.privileged ? &f->newuidmap : !f->newgidmap.privileged ? &f->newgidmap : NULL;
	if (bad && !(needed && !f->map_err)) {
		judge_found(j, "%s is neither setuid root nor has it file capabilities%s", bad->path,
			    needed ? "" : "; weaker: a range could not be used");
		judge_remedy(j, needed ? CHECK_MISSING : CHECK_WEAKER,
			     "chmod u+s %s (as root, who must own it)", bad->path);
	} else if (needed && f->map_err) {
		judge_lacks(j, CHECK_MISSING, f->map_err, "");
	}
}

void judge_vm(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "User Mode Linux", "a kernel of its own (--isolate vm)");
	if (f->vm_err)
		judge_lacks(j, CHECK_WEAKER, f->vm_err, "level vm is refused");
	else
		judge_found(j, "Linux %s%s", f->vm_release ? f->vm_release : "",
			    f->vm_remedy ? ", helped with this processor's registers" : "");
}

void judge_fuse(struct judge *j)
{
	const struct check_shared *s = &j->f->user_ns;
	int open_errnum = s->errnum[CHECK_TRY_FUSE_OPEN], mount_errnum = s->errnum[CHECK_TRY_FUSE_MOUNT];

	judge_begin(j, "/dev/fuse", "the copy without root");
	judge_found(j, "opened, and mounted in a user namespace");
	if (open_errnum == 0 && mount_errnum == 0)
		return;
	if (open_errnum == CHECK_NOT_TRIED) {
		judge_drop(j);
	} else if (open_errnum == ENOENT || open_errnum == ENODEV || open_errnum == ENXIO) {
		judge_found(j, "not there");
		judge_remedy(j, CHECK_MISSING, "modprobe fuse");
	} else if (open_errnum) {
		judge_found(j, "not to be opened: %s", strerror(open_errnum));
		judge_remedy(j, CHECK_MISSING, "chmod 0666 /dev/fuse, as udev does");
	} else {
		judge_found(j, "opened, but not to be mounted: %s", strerror(mount_errnum));
		judge_remedy(j, CHECK_MISSING,
			     "Linux 4.18 or later with CONFIG_FUSE_FS, outside of containers that forbid it");
	}
}

void judge_view(struct judge *j)
{
	judge_begin(j, "kennel-view", "the copy without root");
	if (j->f->view_err)
		judge_lacks(j, CHECK_MISSING, j->f->view_err, "");
	else
		judge_found(j, "%s", j->f->view_path);
}

void judge_runtime(struct judge *j)
{
	judge_begin(j, "runtime directory", "the state of what runs");
	if (j->f->runtime_err)
		judge_lacks(j, CHECK_MISSING, j->f->runtime_err, "");
	else
		judge_found(j, "%s", j->f->runtime_dir);
}

void judge_cgroups(struct judge *j)
{
	const struct check_facts *f = j->f;
	const char *kind = f->cgroup_v1 && f->cgroup_v2 ? "hybrid" :
			   f->cgroup_v2			? "v2" :
			   f->cgroup_v1			? "v1" :
							  "not mounted";
	const struct kennel_error *first = NULL;
	char had[64] = "", not_had[64] = "";
	bool devices = false;

	judge_begin(j, "control groups",
		    f->root ? "limits, devices at level ns" : "--memory, --pids, --cpus");
	for (unsigned i = 0; i < CHECK_CGROUP_CTLS; i++) {
		bool is_devices = 1u << i == CGROUP_DEVICES;

		if (is_devices && !f->root)
			continue;
		char *list = f->cgroup_err[i] ? not_had : had;
		size_t n = strlen(list);
		snprintf(list + n, sizeof(had) - n, "%s%s", n ? ", " : "", cgroup_ctl_name(1u << i));
		if (f->cgroup_err[i] && !first)
			first = f->cgroup_err[i];
		devices |= is_devices && f->cgroup_err[i];
	}
	judge_found(j, "%s: %s", kind, had);
	if (!first)
		return;
	judge_found(j, "%s: %s%snot %s; weaker: %s", kind, had, *had ? ", " : "", not_had,
		    devices ? "such limits, and level ns, are refused" : "such limits are refused");
	judge_remedy(j, CHECK_WEAKER, "%s", judge_advice(first));
}

void judge_net(struct judge *j)
{
	const struct check_facts *f = j->f;
	int tap = f->root ? f->ns.errnum[CHECK_TRY_TAP] : f->user_ns.errnum[CHECK_TRY_TAP];

	judge_begin(j, "pasta", "the network (--net nat)");
	if (f->pasta_err)
		judge_lacks(j, CHECK_WEAKER, f->pasta_err,
			    "sandboxes have no network but their own loopback");
	else
		judge_found(j, "%s", f->pasta_version);
	judge_begin(j, "/dev/net/tun", "the network (--net nat)");
	judge_found(j, "a tap device was made");
	if (tap == CHECK_NOT_TRIED) {
		judge_drop(j);
	} else if (tap) {
		judge_found(j, "no tap device can be made: %s; weaker: no network", strerror(tap));
		judge_remedy(j, CHECK_WEAKER,
			     tap == ENOENT || tap == ENODEV ? "modprobe tun" :
							      "chmod 0666 /dev/net/tun, as udev does");
	}
}

void judge_bridge(struct judge *j)
{
	const struct check_facts *f = j->f;

	if (!f->root)
		return;
	judge_begin(j, "forwarding", "the way out of a bridge (--net bridge)");
	judge_found(j, "this machine forwards");
	if (f->ip_forward <= 0) {
		judge_found(
			j,
			"this machine does not forward; weaker: a bridge leads to neighbours and the machine");
		judge_remedy(j, CHECK_WEAKER, "sysctl net.ipv4.ip_forward=1");
	} else if (f->forward_drops) {
		judge_found(j, "a firewall of this machine drops what it does not know; weaker: as without");
		judge_remedy(j, CHECK_WEAKER,
			     "Docker: iptables -I DOCKER-USER -i kennel0 -j ACCEPT, and -o; "
			     "ufw: ufw route allow in on kennel0");
	}
}

static void judge_filesystem(struct judge *j, const char *type, const char *needed_for, int errnum,
			     const char *fine)
{
	judge_begin(j, type, needed_for);
	judge_found(j, "%s", fine);
	if (errnum == ENODEV) {
		judge_found(j, "not in this kernel; weaker: such images are refused");
		judge_remedy(j, CHECK_WEAKER, "modprobe %s, or a kernel that has it", type);
	} else if (errnum) {
		judge_found(j, "not to be mounted: %s; weaker: such images are refused", strerror(errnum));
		judge_remedy(j, CHECK_WEAKER, "run kennel as root of the machine itself");
	}
}

void judge_images(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "loop devices", "--base IMAGE, --layer IMAGE");
	judge_found(j, "one was set up");
	if (f->loop_err)
		judge_lacks(j, CHECK_WEAKER, f->loop_err, "images other than erofs are refused");
	judge_begin(j, "libblkid", "telling unusual images apart");
	judge_found(j, "installed");
	if (!f->has_blkid) {
		judge_found(j,
			    "not installed; weaker: an image of an unknown kind is refused without its name");
		judge_remedy(j, CHECK_WEAKER, "install the package libblkid1 (libblkid elsewhere)");
	}
	judge_filesystem(j, "squashfs", "squashfs images", f->squashfs_errnum, "in this kernel");
	judge_filesystem(j, "erofs", "erofs images", f->erofs_errnum,
			 f->erofs_from_file ? "in this kernel, from files" :
					      "in this kernel, over loop devices (Linux 6.12 needs none)");
}

static void judge_library(struct judge *j, const char *name, const char *needed_for, bool there,
			  const char *package)
{
	judge_begin(j, name, needed_for);
	judge_found(j, "installed");
	if (there)
		return;
	judge_found(j, "not installed; weaker: such images are refused");
	judge_remedy(j, CHECK_WEAKER, "install the package %s", package);
}

void judge_user_images(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "kennel-image",
		    f->root ? "the same with --isolate vm" : "--base IMAGE, --layer IMAGE");
	judge_found(j, "installed: erofs images");
	if (f->image_err)
		judge_lacks(j, CHECK_WEAKER, f->image_err, "images are refused");
	judge_library(j, "libsquashfs", "squashfs images", f->has_squashfs, "libsquashfs1");
	judge_library(j, "libext2fs", "ext2, ext3 and ext4 images", f->has_ext2fs,
		      "libext2fs2 (e2fsprogs-libs elsewhere)");
}

void judge_security(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "security module", "user namespaces without root");
	if (judge_apparmor(f)) {
		judge_found(j, "AppArmor: %s; kernel.apparmor_restrict_unprivileged_userns is 1",
			    f->label ? f->label : "unknown");
		judge_profile(j);
	} else if (f->apparmor) {
		judge_found(j, "AppArmor: %s%s", f->label ? f->label : "unknown",
			    f->apparmor_restricts == 1 ? "; user namespaces are restricted, but not here" :
							 "");
	} else if (f->label && *f->label) {
		judge_found(j, "%s: %s", f->selinux_enforcing ? "SELinux, enforcing" : "a label", f->label);
	} else {
		judge_found(j, "none");
	}
}

static void judge_ns_limits(struct judge *j)
{
	const struct check_facts *f = j->f;
	unsigned least = CHECK_NS_LIMITS;

	for (unsigned i = 0; i < CHECK_NS_LIMITS; i++)
		if (f->ns_limits[i] >= 0 &&
		    (least == CHECK_NS_LIMITS || f->ns_limits[i] < f->ns_limits[least]))
			least = i;
	judge_begin(j, "user.max_*_namespaces", "one of each kind a sandbox");
	if (least == CHECK_NS_LIMITS) {
		judge_found(j, "not shown here");
		return;
	}
	judge_found(j, "at least %ld of each", f->ns_limits[least]);
	if (f->ns_limits[least] >= NAMESPACES_FEW)
		return;
	bool optional = f->ns_limits[least] > 0 || (least == 0 && judge_without_user(f) == CHECK_WEAKER);
	judge_found(j, "%ld of %s%s", f->ns_limits[least], check_ns_names[least],
		    !optional		? "" :
		    f->ns_limits[least] ? "; weaker: few sandboxes at a time" :
					  "; weaker: level ns is taken");
	judge_remedy(j, optional ? CHECK_WEAKER : CHECK_MISSING, "sysctl user.max_%s_namespaces=15000",
		     check_ns_names[least]);
}

void judge_limits(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "open files", "ulimit -n");
	judge_found(j, "%llu", (unsigned long long)f->open_files);
	if (f->open_files < OPEN_FILES_FEW) {
		bool least = f->open_files < OPEN_FILES_LEAST;

		judge_found(j, "%llu%s", (unsigned long long)f->open_files,
			    least ? "" : "; weaker: no network, and few mounts can be copied");
		judge_remedy(j, least ? CHECK_MISSING : CHECK_WEAKER, "%s",
			     f->open_files_hard >= 1024 ?
				     "ulimit -n 1024" :
				     "raise nofile in /etc/security/limits.conf, then log in again");
	}
	judge_begin(j, "fs.mount-max", "a mount for each that is copied");
	judge_found(j, "%ld, %zu in use", f->mount_max, f->n_mounts);
	if (f->mount_max < 0)
		judge_found(j, "not shown here");
	else if ((size_t)f->mount_max < 3 * f->n_mounts + 64) {
		judge_found(j, "%ld, %zu in use; weaker: not all mounts may fit into a copy", f->mount_max,
			    f->n_mounts);
		judge_remedy(j, CHECK_WEAKER, "sysctl fs.mount-max=100000");
	}
	judge_ns_limits(j);
	if (f->root)
		return;
	judge_begin(j, "inotify watches", "seeing the machine's changes at once");
	judge_found(j, "%ld", f->watches);
	if (f->watches >= 0 && f->watches < WATCHES_FEW) {
		judge_found(
			j, "%ld; weaker: the machine's changes are seen after a second, and reads are slower",
			f->watches);
		judge_remedy(j, CHECK_WEAKER, "sysctl fs.inotify.max_user_watches=65536");
	}
}

void judge_place(struct judge *j)
{
	const struct check_facts *f = j->f;

	judge_begin(j, "nesting", "what may be in the way");
	judge_found(j, "in %s%s",
		    f->container       ? f->container :
		    f->initial_user_ns ? "no container" :
					 "a user namespace",
		    f->container && !f->initial_user_ns ? ", in a user namespace" : "");
	if (f->stage_err)
		judge_lacks(j, CHECK_MISSING, f->stage_err, "");
	if (f->chrooted)
		judge_found(j, "in a chroot, where no user namespace may be made");
}
