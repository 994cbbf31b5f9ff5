/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/layout.h - which cgroup hierarchies this process can see, and where in them it is. Pure: text in,
 * slices out.
 *
 * A hierarchy may be mounted several times, from any of its directories, and a later mount may hide an
 * earlier one. So every mount is kept; who opens one compares the mount id, and takes the next where it
 * differs.
 */
#ifndef KENNEL_CGROUP_LAYOUT_H
#define KENNEL_CGROUP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

enum cgroup_ctl {
	CGROUP_PIDS = 1 << 0,
	CGROUP_DEVICES = 1 << 1,
	CGROUP_MEMORY = 1 << 2,
	CGROUP_CPU = 1 << 3,
	CGROUP_FREEZER = 1 << 4, /* a controller in v1 alone; every v2 group has it */
	CGROUP_CPUSET = 1 << 5,
	CGROUP_IO = 1 << 6, /* "blkio" in v1 */
};
#define CGROUP_CTL_LAST CGROUP_IO

struct cgroup_slice {
	const char *text; /* into the parsed text, not terminated */
	size_t len;
};

struct cgroup_mount {
	bool v2, read_only;
	bool visible; /* our own group is at or below the mounted directory */
	unsigned ctls; /* v1: those of ours that live here; v2: 0, its files tell */
	uint64_t mount_id;
	struct cgroup_slice point; /* mount point, escaped as mountinfo does */
	struct cgroup_slice
		own; /* our group below the mounted directory, without a first "/"; empty is that directory */
};

#define CGROUP_MOUNTS_MAX 48

struct cgroup_layout {
	struct cgroup_mount mounts[CGROUP_MOUNTS_MAX]; /* further ones are left out */
	unsigned n;
};

/*
 * Texts of /proc/self/mountinfo and /proc/self/cgroup; both must outlive *ret. Lines that make no sense are
 * left out.
 */
void cgroup_layout_parse(const char *mountinfo, const char *self_cgroup, struct cgroup_layout *ret);

/* Does a later mount of the same hierarchy lie on top of the i-th one? */
bool cgroup_layout_is_hidden(const struct cgroup_layout *l, unsigned i);

/* Writes a slice as a string, taking mountinfo's \ooo back. -1 where size is too small. */
int cgroup_unescape(struct cgroup_slice s, char *text, size_t size) MUST_CHECK;
/* Writes a slice as it is; an empty one as ".". -1 where size is too small. */
int cgroup_copy(struct cgroup_slice s, char *text, size_t size) MUST_CHECK;

/*
 * Does a list of words (separated by spaces, commas or newlines) name every controller of ctls? Those that v2
 * needs none for count as named.
 */
bool cgroup_names_all(struct cgroup_slice words, unsigned ctls);
/* Those for which v2 has no controller. */
#define CGROUP_NO_V2_CTL ((unsigned)CGROUP_DEVICES | CGROUP_FREEZER)
/* The controller's name in v2, one bit of enum cgroup_ctl. */
const char *cgroup_ctl_name(unsigned ctl);

#endif
