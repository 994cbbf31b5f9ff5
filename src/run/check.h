/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/check.h - what this kernel, this user and the installed packages allow: facts, then lines made of them.
 *
 * check_probe() tries things out and leaves nothing behind; check_judge() is pure and says what the facts
 * mean for a start. An error among the facts is why something can't be had, NULL that it can; its hint is the
 * remedy.
 */
#ifndef KENNEL_RUN_CHECK_H
#define KENNEL_RUN_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "cgroup/layout.h"
#include "idmap/user.h"
#include "run/check-child.h"

enum check_state {
	CHECK_OK,
	CHECK_WEAKER, /* the default run works without it, with less */
	CHECK_MISSING, /* the default run fails */
};

#define CHECK_LINES_MAX 40u

struct check_line {
	const char *name, *needed_for; /* static */
	enum check_state state;
	char *found;
	char *remedy; /* NULL where nothing is to be done */
};

struct check {
	struct check_line lines[CHECK_LINES_MAX];
	size_t n;
	bool nomem;
};

#define CHECK_CGROUP_CTLS 4u /* bits of enum cgroup_ctl, in order */
#define CHECK_CGROUP_DEVICES 1u /* the place of CGROUP_DEVICES among them */
#define CHECK_NS_LIMITS 7u

struct check_tool {
	char *path; /* NULL: not installed */
	bool privileged; /* setuid root, or with file capabilities */
};

struct check_facts {
	bool root; /* effective user id 0 */
	bool initial_user_ns;
	bool chrooted;
	const char *container; /* static: what we are in, or NULL */
	char *user; /* login name, or the id in decimal */

	/* level user */
	struct kennel_error *clone_err, *map_err;
	struct kennel_error *stage_err; /* inside of a user namespace: its mount namespace is not its own */
	struct check_shared user_ns;
	bool single_id; /* tried with one id, because the map of the range failed */
	/* root only: what takes the place of the level that fails */
	struct kennel_error *ns_clone_err;
	struct check_shared ns;

	/* root only: ids shifted by the mount */
	char *root_fstype;
	bool shifts; /* idmapped mounts are needed at all */
	bool stacked; /* the layers of the root were tried, not "/" itself */
	int lower_errnum, idmap_root_errnum, idmap_tmpfs_errnum;

	struct idmap_user map; /* of an ordinary user */
	struct kennel_error *range_err;
	struct idmap free_range; /* count 0: none was found */
	struct idmap root_range;
	struct check_tool newuidmap, newgidmap;

	struct kennel_error *view_err, *runtime_err;
	char *view_path, *runtime_dir;

	bool cgroup_v1, cgroup_v2;
	struct kennel_error *cgroup_err[CHECK_CGROUP_CTLS];

	struct kennel_error *pasta_err;
	struct kennel_error *vm_err; /* why there is no kernel of its own */
	char *vm_release; /* of that kernel */
	bool vm_remedy; /* it has to be helped with this processor's registers */
	char *pasta_version; /* first line of its own words */
	long ip_forward; /* sysctl: -1 where there is none */
	bool forward_drops; /* a firewall of the machine, by default */
	struct kennel_error *loop_err;
	bool has_blkid, erofs_from_file;
	/* an ordinary user's images */
	struct kennel_error *image_err;
	bool has_squashfs, has_ext2fs;
	int squashfs_errnum, erofs_errnum;

	bool filter_built;
	long memfd_noexec; /* sysctls: -1 where there is none */
	bool apparmor, selinux_enforcing;
	long apparmor_restricts; /* kernel.apparmor_restrict_unprivileged_userns */
	char *label; /* of this process, by the security module; NULL: none */
	bool profile_installed;

	uint64_t open_files, open_files_hard;
	long mount_max, ns_limits[CHECK_NS_LIMITS], watches;
	size_t n_mounts;
};

/* The namespaces that /proc/sys/user/max_NAME_namespaces limits, in the order of ns_limits. */
extern const char *const check_ns_names[CHECK_NS_LIMITS];

/* Tries everything. Failures of what is tried are facts; the return value is about the trying itself. */
int check_probe(struct check_facts *ret, struct kennel_error **err) MUST_CHECK;
void check_facts_done(struct check_facts *f);

/* The part that needs processes in namespaces of their own; run/check-namespaces.c. */
int check_probe_namespaces(struct check_facts *f, struct kennel_error **err) MUST_CHECK;
/* Packages, devices, control groups, limits; run/check-machine.c. */
int check_probe_machine(struct check_facts *f, struct kennel_error **err) MUST_CHECK;

/* Facts to lines. *ret starts as zeros. Pure. */
int check_judge(const struct check_facts *f, struct check *ret, struct kennel_error **err) MUST_CHECK;
/* How many lines are CHECK_MISSING. */
size_t check_missing(const struct check *c);
void check_done(struct check *c);
const char *check_state_name(enum check_state state);

#endif
