/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/storage.h - backing stores: on what a container's trees lie, and how a second one gets the same.
 *
 * What is written by a sandbox, "delta" and "base", lies in the container's *data directory*. That is its own
 * directory, or the top of a volume of its own: a file or device with a file system, which is mounted only
 * while somebody needs it, and nowhere that the machine could see it. Which of them says the file "storage"
 * in the container's directory, lines of key<tab>value; where there is none, trees are plain directories.
 *
 * A volume's name is a random number, so a container can be renamed and moved. The file is on the disk before
 * the volume is made, so whatever was killed, there is no volume that no file names.
 *
 * Who calls holds the container's lock; two processes may open the same volume all the same, one that runs it
 * and one that reads the changes: then both mount the same device.
 */
#ifndef KENNEL_STORAGE_STORAGE_H
#define KENNEL_STORAGE_STORAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

#define STORAGE_FILE "storage"
#define STORAGE_CONF ".storage.conf" /* in the store: what a new container gets where nobody says */
#define STORAGE_ID_SIZE 17
#define STORAGE_SIZE_DEFAULT (4ull << 30)

enum storage_caps {
	STORAGE_SHARES = 1 << 0, /* storage_snapshot() shares blocks; without it containers are stacked */
	STORAGE_VOLUME = 1 << 1, /* has to be mounted */
	STORAGE_ROOT = 1 << 2, /* for root alone */
	STORAGE_PINS = 1 << 3, /* a snapshot may need its origin: storage_dependants(), storage_promote() */
	STORAGE_TURNS = 1 << 4, /* and then origin and snapshot can change places, at once */
	STORAGE_FAR = 1 << 6, /* what shares may be in another directory of containers */
	STORAGE_MEMORY = 1 << 5, /* elsewhere than in the directory, and gone with the machine's end */
};

struct storage_driver;

/* A container's directory, a new one's, or a snapshot's, and the store that it is in. All is borrowed. */
struct storage_at {
	int store_fd;
	int dir_fd;
	const char *shown; /* for people: STORE/NAME */
	/*
	 * Of an ordinary user: what has to be done as root of the user's ids (errand_alone()), for
	 * storage_snapshot(). NULL: we have all rights.
	 */
	int (*errand)(int (*work)(void *data, struct buf *out, struct kennel_error **err), void *data,
		      struct buf *out, struct kennel_error **err);
};

/* What a person wants. NULL and 0: what the store's configuration says, or what is usual. */
struct storage_wish {
	const char *store; /* a driver's name, or "best" */
	bool passing; /* it may be gone with the machine's end */
	const char *fs; /* of a volume: ext4, xfs, btrfs */
	const char *vg, *thin_pool; /* lvm */
	const char *zfs_root; /* the dataset in which new ones are made */
	uint64_t size_bytes; /* of a volume; others have none */
};

/* What the file says; "" and 0: nothing. */
struct storage_keys {
	char volume[STORAGE_ID_SIZE];
	char fs[16];
	char vg[128], thin_pool[128];
	char zfs_root[256];
	uint64_t size_bytes;
};

struct storage {
	const struct storage_driver *driver;
	struct storage_keys keys;
	int store_fd, dir_fd;
	char *shown;

	/* while it is open */
	int data_fd; /* O_RDONLY; the data directory */
	int mount_fd; /* of the volume, detached; -EBADF: it is no volume */
	int hold_fd; /* says that the device is in use */
	char device[64]; /* of a volume: "/dev/..." */
};

#define STORAGE_NONE \
	{ \
		.store_fd = -EBADF, .dir_fd = -EBADF, .data_fd = -EBADF, .mount_fd = -EBADF, \
		.hold_fd = -EBADF \
	}

/* Names of all, with a space between. */
#define STORAGE_NAMES "dir overlay btrfs loop lvm nbd zfs"

const char *storage_name(const struct storage *s);
/* Is that a name of plain directories? */
bool storage_is_plain(const char *name);
/* Appends what else there is to say of it for people: ", ext4 of 4096 MiB". */
void storage_describe(const struct storage *s, struct buf *text);
/* What this one can: volumes of one store may differ. */
unsigned storage_caps(const struct storage *s);

/*
 * What a new container in this store gets: by the wish, the store's configuration, the file system that it is
 * on. What that needs is looked at. Return: 0; INVALID; UNSUPPORTED, MISSING or PERM with the reason.
 */
int storage_choose(int store_fd, const struct storage_wish *wish, struct storage *ret,
		   struct kennel_error **err) MUST_CHECK;

/* Makes it, with an empty "delta", in an empty directory, and opens it. s: as storage_choose() left it. */
int storage_create(struct storage *s, const struct storage_at *at, struct kennel_error **err) MUST_CHECK;

/* Makes a directory, "base", in the data directory of one that is open, as the store wants it. */
int storage_make_tree(struct storage *s, const char *name, struct kennel_error **err) MUST_CHECK;

/*
 * A directory of ours, where the root of the inside can work: a parent may hand on a group that is not there
 * inside.
 */
int storage_make_dir(int dir_fd, const char *name, struct kennel_error **err) MUST_CHECK;

/* What a directory is on. PERM: a volume in a directory of another user's. */
int storage_load(const struct storage_at *at, struct storage *ret, struct kennel_error **err) MUST_CHECK;

/* Mounts it where it has to be mounted, and sets data_fd. Twice does no harm. */
int storage_open(struct storage *s, struct kennel_error **err) MUST_CHECK;

/*
 * Lets go of it and of all descriptors. wait_ms: how long the device may be in use by others who are just
 * going; what is left then is for storage_settle().
 */
void storage_close(struct storage *s, unsigned wait_ms);

/*
 * Into an empty directory, of the same store, what another one has: the same trees, with shared blocks, and
 * the file "storage". A running one is taken as it is at that instant, as after a power cut. UNSUPPORTED:
 * this one can't, with the reason; then a full copy can.
 */
int storage_snapshot(const struct storage_at *from, const struct storage_at *to, struct kennel_error **err)
	MUST_CHECK;

/*
 * Removes what is not a file in the directory, or can be removed quicker than file by file; all else is the
 * caller's to remove then. Snapshots in the directory first. Can be repeated after a kill. BUSY: in use, or
 * others stand on it.
 */
int storage_destroy(const struct storage_at *at, struct kennel_error **err) MUST_CHECK;

/* Which others can't be without it: "NAME", or "NAME/snapshots/SNAP". Appends. */
int storage_dependants(const struct storage_at *at, struct strv *ret, struct kennel_error **err) MUST_CHECK;
/* Makes all of those independent of it, by exchanging who stands on whom, or by copying. */
int storage_promote(const struct storage_at *at, struct kennel_error **err) MUST_CHECK;

/*
 * Of one in memory, what is to be emptied before storage_destroy(). Return: a descriptor, or -EBADF where
 * there is nothing.
 */
int storage_open_memory(const struct storage_at *at);

/* What it takes on the disk beside the files of the directory, in bytes. */
int storage_measure(const struct storage_at *at, uint64_t *ret, struct kennel_error **err) MUST_CHECK;
/* Grows a volume. */
int storage_resize(const struct storage_at *at, uint64_t size_bytes, struct kennel_error **err) MUST_CHECK;

/* Lets go of devices that killed processes left. Return: how many. One look where there are none. */
size_t storage_settle(int store_fd);

static inline void cleanup_storagep(struct storage *s)
{
	storage_close(s, 0);
}
#define _cleanup_storage_ __attribute__((cleanup(cleanup_storagep)))

/* storage-file.c, pure: */
int storage_parse(const char *text, struct storage *ret, struct kennel_error **err) MUST_CHECK;
void storage_format(const struct storage *s, struct buf *text);
/*
 * The store's configuration: "key = value", with the options of "kennel create" as keys.
 * name: of the file.
 */
int storage_conf_parse(const char *name, const char *text, char **ret_store, struct storage_keys *ret,
		       struct kennel_error **err) MUST_CHECK;

#endif
