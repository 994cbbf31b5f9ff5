/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/idmap.h - which ids outside the ids inside stand for.
 *
 * A map is one range: inside 0..count-1 are outside base..base+count-1, the same for users and groups. Files
 * on disk never get shifted ids: the mounts are idmapped with the same map.
 */
#ifndef KENNEL_IDMAP_IDMAP_H
#define KENNEL_IDMAP_IDMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

#define IDMAP_DEFAULT_COUNT 65536u

struct idmap {
	uint32_t base;          /* outside */
	uint32_t count;
};

/* Does this process live in the initial user namespace, where all ids exist? Reads /proc/self/uid_map. */
int idmap_is_initial(bool *ret, struct kennel_error **err) MUST_CHECK;

/*
 * The range for root's sandboxes: what /etc/subuid and /etc/subgid both give "root" (over libsubid where
 * nsswitch.conf names another source), else the first free 65536 ids from 524288 on (the range that systemd
 * sets aside for containers) which nobody has in subuid, subgid, passwd or group. Steady: the same files give
 * the same range.
 */
int idmap_pick_root(struct idmap *ret, struct kennel_error **err) MUST_CHECK;

/* May nobody change supplementary groups here? See "setgroups" in user_namespaces(7). */
bool idmap_denies_groups(void);

/* All ids that this (nested) user namespace has from 0 on, one to one. */
int idmap_identity(struct idmap *ret, struct kennel_error **err) MUST_CHECK;

/*
 * Writes the maps of a process that was just cloned into a new user namespace; proc_pid_fd is its /proc
 * directory.
 */
int idmap_write(int proc_pid_fd, const struct idmap *map, struct kennel_error **err) MUST_CHECK;

/* The pure parts, on the texts of the files. */

/* The first 65536 ids that are root's own (or 0's) in both. Return: 1 found, 0 not. */
int idmap_find_root(const char *subuid, const char *subgid, struct idmap *ret);

struct idmap_files {
	const char *subuid, *subgid, *passwd, *group;
};
/*
 * The lowest 65536 ids of the containers' range that nobody has. Return: 1 found, 0 none is left, or
 * -KENNEL_E_NOMEM.
 */
int idmap_find_free(const struct idmap_files *files, struct idmap *ret, struct kennel_error **err) MUST_CHECK;

/* The same between start and end, in steps of 65536 from start on. */
int idmap_find_free_in(const struct idmap_files *files, uint32_t start, uint32_t end, struct idmap *ret,
		       struct kennel_error **err) MUST_CHECK;

/* Lines of a map that has the first ids of a namespace whose map is own one to one. */
void idmap_put_identity(struct buf *b, const char *own, uint32_t end);
/* How many ids a uid_map has from 0 on without a gap; 0: not even that one. */
uint32_t idmap_count_from_zero(const char *map);

#endif
