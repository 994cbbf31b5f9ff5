/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storage/driver.h - what one backing store is: storage-NAME.c has it and exports nothing else.
 *
 * storage.c checks what was asked, opens and closes descriptors and writes the file; a driver is called with
 * a struct storage whose directory is open. What a driver does not have is NULL, and storage.c says
 * what then.
 */
#ifndef KENNEL_STORAGE_DRIVER_H
#define KENNEL_STORAGE_DRIVER_H

#include "storage/storage.h"

struct storage_driver {
	const char *name; /* matched exactly */
	unsigned caps; /* enum storage_caps */
	/* Is the store on such a file system? Fills in keys. Return: 1, 0, or a code. */
	int (*detect)(int store_fd, struct storage_keys *keys, struct kennel_error **err);
	/* Did somebody name what it needs? For "best". */
	bool (*is_set_up)(const struct storage_keys *keys);
	/* Can it be had with these keys? Fills in what is usual. */
	int (*probe)(int store_fd, struct storage_keys *keys, struct kennel_error **err);
	/*
	 * keys.volume is new. Leaves it open, data_fd and all. What was made when it fails,
	 * destroy removes.
	 */
	int (*create)(struct storage *s, struct kennel_error **err);
	int (*make_tree)(struct storage *s, const char *name, struct kennel_error **err); /* NULL: mkdir */
	int (*open)(struct storage *s, struct kennel_error **err); /* mount_fd and data_fd */
	/* Of those that hold.c keeps: device is to be set by attach, and there again for the other two. */
	bool (*is_attached)(const struct storage *s);
	/* Sets device where it is attached and nobody has noted where. NULL: that is always known. */
	bool (*find_device)(struct storage *s);
	int (*attach)(struct storage *s, struct kennel_error **err);
	bool (*detach)(struct storage *s);
	/* After the descriptors: true when nothing of it is in use any more. */
	bool (*let_go)(struct storage *s);
	int (*snapshot)(const struct storage *from, struct storage *to, const struct storage_at *at,
			struct kennel_error **err);
	int (*destroy)(const struct storage *s, struct kennel_error **err);
	/* Of a store that pins: does this one need no origin, and is it none? NULL: it may. */
	bool (*stands_alone)(const struct storage *s);
	/* Numbers of the volumes that need this one. */
	int (*dependants)(const struct storage *s, struct strv *volumes, struct kennel_error **err);
	/* Makes those independent of it. */
	int (*promote)(const struct storage *s, const struct strv *volumes, struct kennel_error **err);
	/* Has this store something of it, beside the container's directory? NULL: nothing. */
	bool (*is_of)(int store_fd, const struct storage_keys *keys);
	int (*measure)(const struct storage *s, uint64_t *ret, struct kennel_error **err);
	int (*resize)(struct storage *s, uint64_t size_bytes, struct kennel_error **err);
};

extern const struct storage_driver storage_dir, storage_overlay, storage_btrfs, storage_loop, storage_lvm,
	storage_nbd, storage_zfs, storage_tmpfs;

/* Calls visit with each snapshot of it, dead ones too. */
typedef int (*storage_visit_fn)(const struct storage_at *at, void *data, struct kennel_error **err);
int storage_each_snapshot(const struct storage_at *at, storage_visit_fn visit, void *data,
			  struct kennel_error **err) MUST_CHECK;

/* NULL: there is none of that name. */
const struct storage_driver *storage_find(const char *name);

/* volume.c, for those with a file system of their own: what is usual, and what can't be. */
int storage_probe_volume(struct storage_keys *keys, struct kennel_error **err) MUST_CHECK;
/* Mounts a device: mount_fd and data_fd. */
int storage_mount_volume(struct storage *s, int device_fd, struct kennel_error **err) MUST_CHECK;
/* data_fd of a mount_fd. */
int storage_open_top(struct storage *s, struct kennel_error **err) MUST_CHECK;
/* open, for those that hold.c keeps: holds and mounts it. */
int storage_open_held(struct storage *s, struct kennel_error **err) MUST_CHECK;
/* The same, when the device has grown: the file system too. */
int storage_fill_held(struct storage *s, uint64_t size_bytes, struct kennel_error **err) MUST_CHECK;
/* Has the kernel this misc device or, with a module's help, gets it? */
bool storage_has_misc(const char *name, const char *module);

/* hold.c: attaches it where it is not, and says that we use it; hold_fd and device. */
int storage_hold(struct storage *s, struct kennel_error **err) MUST_CHECK;
/* We don't any more: a let_go. */
bool storage_unhold(struct storage *s);
/* Detaches what nobody uses. BUSY: somebody does. */
int storage_release(const struct storage *s, struct kennel_error **err) MUST_CHECK;
/* Is it noted in this store as attached? */
bool storage_is_noted(int store_fd, const struct storage_keys *keys);
/* Detaches all that nobody uses. Return: how many. */
size_t storage_settle_held(int store_fd);

#endif
