/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/layer.h - the base: what lies read-only underneath, as descriptors.
 *
 * mountinfo.c turns the bytes of /proc/self/mountinfo into a table (pure, fuzzed). system.c decides which of
 * those mounts hold files of the machine (pure). stack.c finds the layers of a live system's root. layer.c
 * opens a directory, image.c (with format.c and loop.c) an image file, as a detached read-only mount.
 */
#ifndef KENNEL_LAYER_LAYER_H
#define KENNEL_LAYER_LAYER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/strv.h"

struct mount_entry {
	unsigned id, parent_id;
	unsigned dev_major, dev_minor;
	char *root;             /* the part of the file system that is mounted here: "/", "/sub" */
	char *target;           /* unescaped, absolute */
	char *fstype, *source;  /* unescaped */
	char *options;          /* per mount: "rw,nosuid,..." */
	char *super_options;    /* per file system, still escaped as the kernel has them */
	bool hidden; /* another mount covers its target (same or higher path), so no path leads to it */
};

struct mount_table {
	struct mount_entry *entries;    /* in the kernel's order */
	size_t n;
	char *storage;                  /* the strings live here */
};

/* Parses bytes of mountinfo; a malformed line is KENNEL_E_CORRUPT with its number. */
int mount_table_parse(const char *data, size_t len, struct mount_table *ret, struct kennel_error **err)
	MUST_CHECK;
/* Reads /proc/self/mountinfo. */
int mount_table_read(struct mount_table *ret, struct kennel_error **err) MUST_CHECK;
void mount_table_done(struct mount_table *t);
/*
 * The visible entry whose target is path, or that path lies on; path is clean and absolute. NULL in an empty
 * table, and where the process has a root directory that is not a mount (a plain chroot): the kernel then
 * leaves out the mount it lies on.
 */
const struct mount_entry *mount_table_find(const struct mount_table *t, const char *path);

enum system_verdict {
	SYSTEM_COPY,            /* an overlay of its own */
	SYSTEM_COPY_FILE,       /* a file mounted on a file: decided later, by looking; system.c says COPY */
	SYSTEM_NEW,             /* made new inside: /proc /sys /dev /run /tmp and what lies below them */
	SYSTEM_SKIP,            /* left out; see reason */
};

struct system_mount {
	const struct mount_entry *entry;        /* borrowed from the table */
	enum system_verdict verdict;
	/* Static text for people, "" for COPY: "a kernel interface", "mounted over", ... */
	const char *reason;
};

/*
 * Says of every mount of the table what becomes of it, in an order in which they can be mounted (parents
 * first). *ret is an array of t->n elements, the caller's to free. without: clean absolute paths.
 */
int system_classify(const struct mount_table *t, const struct strv *without, struct system_mount **ret,
		    struct kennel_error **err) MUST_CHECK;

/*
 * The layers of a live system's root that is itself a stack: upper first. overlay: upperdir and lowerdir of
 * the super options (with their escapes undone: "\," "\:" and octal); aufs: the br: list, or
 * /sys/fs/aufs/si_ID/br* when it is not in the options. Empty where the root is not a stack. Names are paths
 * as the mounter wrote them, relative ones included. Reads no file but aufs's.
 */
int system_root_layers(const struct mount_table *t, struct strv *ret, struct kennel_error **err) MUST_CHECK;
/* The branches of one aufs stack, top first, from SYSFS/si_ID/br0, br1, ... */
int layer_aufs_branches(const char *sysfs, const char *id, struct strv *ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * Opens an image file (squashfs, erofs, ext2/3/4, btrfs, xfs) or a block device that holds one, read-only,
 * as a detached mount: nodev, nosuid. The format is told by its superblock; libblkid is loaded only for what
 * that leaves open (no format of ours, or several). erofs is mounted from the file itself where the kernel
 * can, all others over an autoclear loop device, so that nothing stays when the last descriptor is gone,
 * however that happens. Never replays a journal. *ret_fstype: "squashfs", "ext4", ...; the caller's.
 * Return: descriptor of the mount (the caller's), or a negative code: NOTFOUND, TYPE (a directory, a fifo),
 * CORRUPT (damaged or unknown, with what was found), UNSUPPORTED (the kernel lacks it), PERM, BUSY (mounted
 * writable elsewhere).
 */
int image_open(const char *path, char **ret_fstype, struct kennel_error **err) MUST_CHECK;

/*
 * Opens a directory as a base. Return: O_PATH descriptor, or NOTFOUND, TYPE (not a directory), PERM (not
 * readable).
 */
int layer_open_dir(const char *path, struct kennel_error **err) MUST_CHECK;

/*
 * Opens a directory or an image and mounts nothing, for who may not. A directory: O_PATH, *ret_format NULL.
 * An image: readable, *ret_format is constant text.
 */
int layer_open_plain(const char *path, int *ret_fd, const char **ret_format, struct kennel_error **err)
	MUST_CHECK;

/*
 * Opens a directory or an image as one layer: a detached read-only mount that the caller may still idmap
 * (mount_setattr), attach or give to an overlay. Of a directory it is a clone without the mounts below.
 * *ret_kind is "directory" or the image's format, the caller's.
 */
int layer_open(const char *path, int *ret_tree_fd, char **ret_kind, struct kennel_error **err) MUST_CHECK;

#endif
