/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * layer/layer.h - the base: what lies read-only underneath, as descriptors.
 *
 * mountinfo.c turns the bytes of /proc/self/mountinfo into a table (pure, fuzzed). system.c decides which of those mounts hold
 * files of the machine (pure). image.c opens an image file as a detached read-only mount.
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
	char *root;             /* the part of the file system that is mounted here: "/", "/sub", or for a bind mount its path */
	char *target;           /* unescaped, absolute */
	char *fstype, *source;  /* unescaped */
	char *options;          /* per mount: "rw,nosuid,..." */
	char *super_options;    /* per file system, still escaped as the kernel has them */
	bool hidden;            /* a later mount covers its target (same or higher path), so no path leads to it */
};

struct mount_table {
	struct mount_entry *entries;    /* in the kernel's order */
	size_t n;
	char *storage;                  /* the strings live here */
};

/* Parses bytes of mountinfo; a malformed line is KENNEL_E_CORRUPT with its number. */
int mount_table_parse(const char *data, size_t len, struct mount_table *ret, struct kennel_error **err) MUST_CHECK;
/* Reads /proc/self/mountinfo. */
int mount_table_read(struct mount_table *ret, struct kennel_error **err) MUST_CHECK;
void mount_table_done(struct mount_table *t);
/* The visible entry whose target is path, or that path lies on. NULL only in an empty table. */
const struct mount_entry *mount_table_find(const struct mount_table *t, const char *path);

enum system_verdict {
	SYSTEM_COPY,            /* an overlay of its own */
	SYSTEM_COPY_FILE,       /* a single file mounted on a file: its content is copied in (decided later, by looking: system.c says COPY) */
	SYSTEM_NEW,             /* made new inside: /proc /sys /dev /run /tmp and what lies below them */
	SYSTEM_SKIP,            /* left out; see reason */
};

struct system_mount {
	const struct mount_entry *entry;        /* borrowed from the table */
	enum system_verdict verdict;
	const char *reason;                     /* static text for people: "a kernel interface", "mounted over", "left out by --without" */
};

/*
 * Says of every mount of the table what becomes of it, in an order in which they can be mounted (parents first). *ret is an array
 * of t->n elements, the caller's to free. without: clean absolute paths.
 */
int system_classify(const struct mount_table *t, const struct strv *without, struct system_mount **ret,
		    struct kennel_error **err) MUST_CHECK;

/*
 * The layers of a live system's root that is itself a stack: upper first. overlay: upperdir and lowerdir of the super options (with
 * their escapes undone: "\," "\:" and octal); aufs: the br: list, or /sys/fs/aufs/si_ID/br* when it is not in the options. Empty where the root
 * is not a stack. Names are paths as the mounter wrote them.
 */
int system_root_layers(const struct mount_table *t, struct strv *ret, struct kennel_error **err) MUST_CHECK;

/*
 * Opens an image file (squashfs, erofs, ext2/3/4, btrfs, xfs) read-only as a detached mount: nodev, nosuid. The file system is found with
 * libblkid, loaded when needed (or, where it is missing, by the superblock magics of these). erofs is mounted from the file itself where the kernel can, all others over an
 * autoclear loop device, so that nothing stays when the last descriptor is gone, however that happens. Never replays a journal.
 * Return: descriptor of the mount (the caller's), or a negative code: NOTFOUND, CORRUPT (damaged or unknown, with what was found), UNSUPPORTED (kernel lacks it), PERM.
 */
int image_open(const char *path, char **ret_fstype, struct kennel_error **err) MUST_CHECK;

#endif
