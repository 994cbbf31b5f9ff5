/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/clone.h - containers out of containers, and what a container was once.
 *
 * A snapshot clone shares what its origin had at that moment, and copies nothing: either the store shares
 * blocks (btrfs and others), or the changes of the origin become a layer that is never written again, on
 * which both stand from then on. Either of them can be changed, started and renamed afterwards. As the
 * stores everywhere: NULL is the user's own. Each of these calls has happened or not, also if the process
 * is killed in the middle of it.
 */
#ifndef KENNEL_CLONE_H
#define KENNEL_CLONE_H

#include <stddef.h>

#include <kennel/container.h>
#include <kennel/error.h>
#include <kennel/sandbox.h>
#include <kennel/ship.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kennel_snapshot_take() - remember what a container is now
 * @store:    directory, or NULL for the user's own
 * @name:     its name
 * @snapshot: what to call it, by the rules for names; NULL: "snap" and a number
 * @comment:  or NULL
 * @ret_name: what it is called, of malloc(); may be NULL
 * @err:      error out, owned by the caller, or NULL
 *
 * Return: 0; -KENNEL_E_EXISTS; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_snapshot_take(const char *store, const char *name, const char *snapshot,
				       const char *comment, char **ret_name, struct kennel_error **err);

/**
 * kennel_snapshot_list() - the snapshots of a container, the oldest first
 * @store: directory, or NULL for the user's own
 * @name:  its name
 * @ret:   the list, the caller's; end it with kennel_list_free(). kennel_list_value() has "name", "taken"
 *         (seconds since 1970) and "comment"
 * @err:   error out, owned by the caller, or NULL
 *
 * Return: 0 or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_snapshot_list(const char *store, const char *name, struct kennel_list **ret,
				       struct kennel_error **err);

/**
 * kennel_snapshot_remove() - forget what a container was
 * @store:    directory, or NULL for the user's own
 * @name:     its name
 * @snapshot: which; NULL: all
 * @err:      error out, owned by the caller, or NULL
 *
 * The container stays what it is, and so do its other snapshots and clones.
 * Return: 0; -KENNEL_E_NOTFOUND; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_snapshot_remove(const char *store, const char *name, const char *snapshot,
					 struct kennel_error **err);

/**
 * kennel_snapshot_restore() - make a container what it was
 * @store:    directory, or NULL for the user's own
 * @name:     its name
 * @snapshot: which
 * @as:       a new container that becomes that instead; or NULL: the container itself, whose changes since
 *            then, and configuration, are gone
 * @err:      error out, owned by the caller, or NULL
 *
 * Until the new state is whole the old one stays.
 * Return: 0; -KENNEL_E_NOTFOUND; -KENNEL_E_BUSY while it runs; -KENNEL_E_EXISTS; or another negative code.
 * Since 0.1.
 */
KENNEL_PUBLIC int kennel_snapshot_restore(const char *store, const char *name, const char *snapshot,
					  const char *as, struct kennel_error **err);

/**
 * enum kennel_clone_flags - how kennel_clone() goes about it
 * @KENNEL_CLONE_SNAPSHOT:       share with the origin instead of copying it
 * @KENNEL_CLONE_WHOLE:          all that is seen inside becomes a base of its own, which needs nothing else
 * @KENNEL_CLONE_FRESH_IDENTITY: machine-id, ssh host keys, host name and hardware addresses are new ones; the
 *                               default where the origin has a base of its own, or boots
 * @KENNEL_CLONE_SAME_IDENTITY:  they are those of the origin
 * @KENNEL_CLONE_EPHEMERAL:      it is removed when it ends, whoever ends it; until it was started, with the
 *                               process that made it. With SNAPSHOT it is a copy where they can't share
 * @KENNEL_CLONE_TMPFS:          with EPHEMERAL and SNAPSHOT: what it changes is in memory
 */
enum kennel_clone_flags {
	KENNEL_CLONE_SNAPSHOT = 1 << 0,
	KENNEL_CLONE_WHOLE = 1 << 1,
	KENNEL_CLONE_FRESH_IDENTITY = 1 << 2,
	KENNEL_CLONE_SAME_IDENTITY = 1 << 3,
	KENNEL_CLONE_EPHEMERAL = 1 << 4,
	KENNEL_CLONE_TMPFS = 1 << 5,
};

/**
 * struct kennel_clone_options - what is cloned, and into what
 * @size:         sizeof of this struct
 * @store:        of the origin; NULL: the user's own
 * @to_store:     of the clone; NULL: that of the origin
 * @storage:      on which backing store the clone lies; NULL: what is usual there
 * @flags:        enum kennel_clone_flags
 * @tick:         called a few times a second with bytes done and in all; not 0: stop; or NULL
 * @data:         handed to it
 * @ret_left_out: with WHOLE: how many files this user could not read or make; or NULL
 * @ret_no_keys:  not 0 then: ssh host keys are gone, and none could be made instead; or NULL
 * Zeros are the defaults. Since 0.1.
 */
struct kennel_clone_options {
	size_t size;
	const char *store, *to_store;
	const struct kennel_storage_options *storage;
	unsigned flags;
	int (*tick)(void *data, uint64_t done, uint64_t total);
	void *data;
	uint64_t *ret_left_out;
	int *ret_no_keys;
};

/**
 * kennel_clone() - a new container that is what another one is now
 * @name:     of the origin
 * @new_name: of the clone
 * @options:  or NULL for the defaults
 * @err:      error out, owned by the caller, or NULL
 *
 * An origin that runs stands still meanwhile (kennel_freeze()), so its files are as after a power cut.
 * Return: 0; -KENNEL_E_EXISTS there is one of that name; -KENNEL_E_NOTFOUND no such origin;
 * -KENNEL_E_UNSUPPORTED they can't share, or it can't stand still; -KENNEL_E_INTERRUPTED; or another
 * negative code. Then there is nothing new. Since 0.1.
 */
KENNEL_PUBLIC int kennel_clone(const char *name, const char *new_name,
			       const struct kennel_clone_options *options, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
