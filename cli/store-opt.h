/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/store-opt.h - the options that say on which backing store a container is made. */
#ifndef KENNEL_CLI_STORE_OPT_H
#define KENNEL_CLI_STORE_OPT_H

#include <kennel/kennel.h>

#include "cli/opt.h"

struct store_args {
	const char *backing, *fs, *vg, *thin_pool, *zfs_root;
};

#define STORE_OPT_WORDS "best dir overlay btrfs loop lvm nbd zfs"

/* clang-format off */
/* In the table of a command with a struct TYPE that has a struct store_args MEMBER. */
#define STORE_OPT_ROWS(type, member) \
	{ 'B', "backing", "STORE", OPT_STRING, offsetof(type, member.backing), \
	  "on what its files lie: dir, overlay, btrfs, loop, lvm, nbd, zfs, or best", STORE_OPT_WORDS }, \
	{ 0, "fs", "TYPE", OPT_STRING, offsetof(type, member.fs), \
	  "the file system of its volume: ext4 (default), xfs or btrfs", "ext4 xfs btrfs" }, \
	{ 0, "vg", "NAME", OPT_STRING, offsetof(type, member.vg), "with lvm, the volume group", NULL }, \
	{ 0, "thin-pool", "NAME", OPT_STRING, offsetof(type, member.thin_pool), \
	  "with lvm, the thin pool in it (default: volumes that are not thin)", NULL }, \
	{ 0, "zfs-root", "DATASET", OPT_STRING, offsetof(type, member.zfs_root), \
	  "with zfs, where new datasets are made (default: the one that the store is on)", NULL }
/* clang-format on */

static inline void store_opt_fill(const struct store_args *a, struct kennel_storage_options *ret)
{
	*ret = (struct kennel_storage_options){
		.size = sizeof(*ret),
		.store = a->backing,
		.fs = a->fs,
		.vg = a->vg,
		.thin_pool = a->thin_pool,
		.zfs_root = a->zfs_root,
	};
}

#endif
