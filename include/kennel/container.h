/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/container.h - sandboxes that are kept: make, configure, find, rename and remove them.
 *
 * A container has a name, a configuration and a delta with its changes. It lives in a store, a directory;
 * everywhere below NULL as the store is the user's own: /var/lib/kennel for root, else $XDG_DATA_HOME/kennel
 * or ~/.local/share/kennel. It is run by kennel_sandbox_start() with a spec that has the key "keep" (and
 * "path", for another store). Each change happens or does not, also if the process is killed in the middle
 * of it.
 */
#ifndef KENNEL_CONTAINER_H
#define KENNEL_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

#include <kennel/error.h>
#include <kennel/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kennel_container_create() - make a container without starting it
 * @store: directory, absolute; made if it is not there; NULL for the user's own
 * @name:  a letter or digit, then up to 63 letters, digits, ".", "_" and "-"; not eight hexadecimal digits
 * @spec:  becomes its configuration; borrowed. "quiet", "tty" and the command do not belong to it
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0, -KENNEL_E_EXISTS, -KENNEL_E_INVALID (the name), -KENNEL_E_UNSUPPORTED (no changes can lie in the
 * store's file system), or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_create(const char *store, const char *name, const struct kennel_spec *spec,
					  struct kennel_error **err);

/**
 * struct kennel_storage_options - on which backing store a container's files lie; kennel-store(7)
 * @size:       sizeof of this struct
 * @store:      "dir", "overlay", "btrfs", "loop" and others that the manual has, or "best"; NULL: what the
 *              configuration of the store says, or what goes with the file system that it is on
 * @fs:         of a volume: "ext4", "xfs" or "btrfs"
 * @vg:         the LVM volume group, of "lvm"
 * @thin_pool:  the thin pool in it, or NULL for volumes that are not thin
 * @zfs_root:   the dataset in which new ones are made, of "zfs"
 * @size_bytes: of a volume
 * Zeros are the defaults. Since 0.1.
 */
struct kennel_storage_options {
	size_t size;
	const char *store, *fs, *vg, *thin_pool, *zfs_root;
	uint64_t size_bytes;
};

/**
 * kennel_container_create_on() - make a container on a backing store of one's choice
 * @store:   as for kennel_container_create(), and so are @name and @spec; a size that @spec has is that of a
 *           volume
 * @name:    of the new container
 * @spec:    becomes its configuration; borrowed
 * @storage: or NULL for what is usual there
 * @err:     error out, owned by the caller, or NULL
 *
 * Return: as kennel_container_create(); -KENNEL_E_UNSUPPORTED, -KENNEL_E_MISSING or -KENNEL_E_PERM where the
 * machine or this user can't have that backing store, with the reason. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_create_on(const char *store, const char *name,
					     const struct kennel_spec *spec,
					     const struct kennel_storage_options *storage,
					     struct kennel_error **err);

/**
 * kennel_container_list() - the containers of a store
 * @store: directory, or NULL for the user's own; one that is not there holds none
 * @name:  NULL for all, or one
 * @ret:   the list, the caller's; end it with kennel_list_free(). kennel_list_value() has "name", "path",
 *         "state" ("running" or "stopped"; see kennel_wait() for more), "id" (of the sandbox, if it runs),
 *         "origin" (the name of the container that it shares with as its clone),
 * "base" and "used" (seconds
 *         since 1970: when it was last started or made), of one file also "bytes" (as
 *         kennel_container_measure() has it);
 *         kennel_list_detail() has "config": one line "KEY<tab>VALUE" a setting, and
 *         "damage": why its configuration can't be read, if so, and "snapshot": one line
 *         "NAME<tab>SECONDS<tab>COMMENT" each, the oldest first
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_NOTFOUND where @name was given. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_list(const char *store, const char *name, struct kennel_list **ret,
					struct kennel_error **err);

/**
 * kennel_container_measure() - what a container takes on disk
 * @store:     directory, or NULL for the user's own
 * @name:      its name
 * @ret_bytes: bytes of all its files
 * @err:       error out, owned by the caller, or NULL
 *
 * Looks at each of its files.
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_measure(const char *store, const char *name, uint64_t *ret_bytes,
					   struct kennel_error **err);

/**
 * kennel_container_read_config() - the text of its configuration
 * @store:    directory, or NULL for the user's own
 * @name:     its name
 * @ret_text: the text, of malloc(); the caller's
 * @err:      error out, owned by the caller, or NULL
 *
 * The text is what stands in the file, right or wrong.
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_read_config(const char *store, const char *name, char **ret_text,
					       struct kennel_error **err);

/**
 * kennel_container_write_config() - replace its configuration
 * @store: directory, or NULL for the user's own
 * @name:  its name
 * @old:   the text that the new one was made from; NULL for whatever stands there
 * @text:  the new one; nothing changes unless it is right
 * @err:   error out, owned by the caller, or NULL
 *
 * A running sandbox goes on as it was started.
 * Return: 0; -KENNEL_E_INVALID with "FILE:LINE: ..."; -KENNEL_E_BUSY where it is no longer @old. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_write_config(const char *store, const char *name, const char *old,
						const char *text, struct kennel_error **err);

/**
 * kennel_container_set() - change single settings of its configuration
 * @store: directory, or NULL for the user's own
 * @name:  its name
 * @unset: NULL-terminated list of "KEY", to drop all settings of it, or "KEY=VALUE", to drop one; or NULL
 * @spec:  what is set then; keys that hold lists get one more, others are replaced; borrowed
 * @err:   error out, owned by the caller, or NULL
 *
 * Lines and comments that the changes don't concern stay as they are. Of one that runs the limits (memory,
 * pids, cpus) change at once; where one can't, the log of @spec hears why.
 * Return: 0; -KENNEL_E_NOTFOUND for something to unset that is not there; -KENNEL_E_INVALID where the whole
 * would not be right; then nothing has changed. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_set(const char *store, const char *name, const char *const *unset,
				       const struct kennel_spec *spec, struct kennel_error **err);

/**
 * kennel_container_rename() - give it another name
 * @store:    directory, or NULL for the user's own
 * @name:     its name
 * @new_name: the new one
 * @err:      error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_BUSY while it runs; -KENNEL_E_EXISTS. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_rename(const char *store, const char *name, const char *new_name,
					  struct kennel_error **err);

/**
 * enum kennel_remove_flags - how kennel_container_remove() goes about it
 * @KENNEL_REMOVE_END:       end the sandbox first if it runs
 * @KENNEL_REMOVE_SNAPSHOTS: and its snapshots
 * @KENNEL_REMOVE_PROMOTE:   its clones are nobody's clones any more
 */
enum kennel_remove_flags {
	KENNEL_REMOVE_END = 1 << 0,
	KENNEL_REMOVE_SNAPSHOTS = 1 << 1,
	KENNEL_REMOVE_PROMOTE = 1 << 2,
};

/**
 * kennel_container_remove() - remove a container with all its changes
 * @store: directory, or NULL for the user's own
 * @name:  its name
 * @flags: enum kennel_remove_flags
 * @err:   error out, owned by the caller, or NULL
 *
 * The container is gone with the first step; an error about a file that can't be removed comes afterwards.
 * Return: 0; -KENNEL_E_BUSY while it runs, or has snapshots or clones that the flags don't cover;
 * -KENNEL_E_NOTFOUND. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_remove(const char *store, const char *name, unsigned flags,
					  struct kennel_error **err);

/**
 * kennel_container_gc() - remove what killed processes left in a store
 * @store:       directory, or NULL for the user's own
 * @ret_removed: how many containers that were being made or removed; may be NULL
 * @err:         error out, owned by the caller, or NULL
 *
 * Return: 0 or a negative code; what could be removed is gone in any case. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_gc(const char *store, size_t *ret_removed, struct kennel_error **err);

/**
 * kennel_container_check() - is all there that containers and their snapshots stand on?
 * @store: directory, or NULL for the user's own
 * @ret:   one entry for each problem, the caller's; end it with kennel_list_free(). kennel_list_value() has
 *         "name" (of a snapshot: "NAME/snapshots/SNAPSHOT") and "problem", a sentence
 * @err:   error out, owned by the caller, or NULL
 *
 * Who is whose clone is put right on the way.
 * Return: 0, with or without problems, or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_container_check(const char *store, struct kennel_list **ret,
					 struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
