/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep.h - a start of a container: its delta instead of one in memory, its configuration under what was
 * asked for, its manifest before and after.
 *
 *   keep_open()          before the plan: makes it if it is not there, takes its lock, reads everything
 *   keep_begin()         before anything is planted: from now on a killed start is noticed
 *   keep_place_mounts()  which place of the delta belongs to which mount
 *   keep_note()          after the planting, before the sandbox runs: the new manifest
 */
#ifndef KENNEL_RUN_KEEP_H
#define KENNEL_RUN_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "conf/config.h"
#include "conf/spec.h"
#include "container/container.h"
#include "delta/layout.h"
#include "delta/manifest.h"

struct file_box;
struct hooks;
struct launch;
struct sandbox;

struct keep {
	struct store store;
	struct container c;
	struct file_box *box; /* it is in one file: run/file.h; NULL: a directory of the store */
	bool force;
	struct spec *spec; /* configuration, and over it what was asked for */
	bool own_base; /* which lies beside the delta: its path changes with the name */
	char *base_open; /* the same for this process: on a volume it has no name that others could use */
	bool made; /* by this start: goes again if it fails */
	int delta_fd; /* O_PATH, on disk */
	struct buf manifest_text; /* as it was found; empty: never started */
	struct manifest manifest;
	struct strv layers; /* deltas of the frozen layers that it stands on, absolute, lowest first */
	struct strv child_paths; /* of an ordinary user: see keep_tell_child() */
	char *base_id; /* of the base as it is now; NULL: unknown */
	struct delta_before before;
	struct hooks *hooks; /* NULL: none */
};

/* asked: with a "keep". Remarks go to log. */
int keep_open(const struct spec *asked, const struct log_sink *log, struct keep **ret,
	      struct kennel_error **err) MUST_CHECK;
/* Lets go of it. A start that failed takes the container along that it made. */
struct keep *keep_free(struct keep *k, bool failed);

/* Are its changes in memory, and not in its directory? What the child of an ordinary user begins in. */
static inline bool keep_is_elsewhere(const struct keep *k)
{
	return k->c.storage.driver && (storage_caps(&k->c.storage) & STORAGE_MEMORY);
}
int keep_dir(const struct keep *k);
/* It has ended: removes it, if it was made for that (container/tidy.h). */
void keep_pass(struct keep *k);

/* Says in the lock who runs it. id NULL: it is over. */
void keep_say(const struct keep *k, const char *id, pid_t init);

int keep_begin(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Opens the delta as a mount of its own. Return: descriptor, or a negative code. */
int keep_clone_delta(const struct keep *k, struct kennel_error **err) MUST_CHECK;
/* Where the base is to be opened; NULL: the running system. k may be NULL. */
const char *keep_base_path(const struct keep *k, const struct spec *spec);
/*
 * Its own base as a mount, where that is a directory on a volume. Return: descriptor, 0 no
 * such one, or a code.
 */
int keep_clone_base(const struct keep *k, struct kennel_error **err) MUST_CHECK;
/* What to say where the file system can't hold a delta. */
int keep_fail_xattr(const struct keep *k, struct kennel_error **err);
/* Numbers first, before the child's plan; then, before anything is planted, everything to its place. */
int keep_number_mounts(struct launch *l, struct kennel_error **err) MUST_CHECK;
int keep_place_mounts(struct launch *l, struct kennel_error **err) MUST_CHECK;
int keep_unplant(struct launch *l, struct kennel_error **err) MUST_CHECK;
/*
 * A start over the same delta failed once it had planted this, and there will be another one: as if an
 * earlier run had planted it. Takes planted, and leaves other things in it.
 */
int keep_again(struct keep *k, struct manifest_plants *planted, struct kennel_error **err) MUST_CHECK;
/* What of the old manifest still holds, into the new one. */
int keep_carry_over(const struct keep *k, struct manifest *m, struct kennel_error **err) MUST_CHECK;
int keep_note(struct launch *l, struct kennel_error **err) MUST_CHECK;

/*
 * keep-file.c: one in a file. keep_open_file(): opens or makes it. keep_check_trust(): may its
 * configuration be
 * honoured? keep_trust(): this user accepts that. See also sandbox_save().
 */
int keep_open_file(struct keep *k, const struct spec *asked, const struct log_sink *log,
		   struct kennel_error **err) MUST_CHECK;
int keep_check_trust(const struct keep *k, const struct spec *asked, const struct config *c,
		     const struct buf *text, struct kennel_error **err) MUST_CHECK;
/* Does it need no acceptance, or has it had it? */
bool keep_is_accepted(const struct buf *text);
int keep_trust(const struct buf *text, struct kennel_error **err) MUST_CHECK;
int keep_join_mounts(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* The sandbox runs: from now on there is something to be saved. */
void keep_use(struct keep *k);

/*
 * keep-layers.c: frozen changes below. How many of them an overlay has; clones of these, uppermost first,
 * behind the *n that there are in fds; how an ordinary user's child finds them. keep_check_frozen() refuses
 * mounts that came (is_new) or went since they were frozen.
 */
struct delta_join;
int keep_find_layers(struct keep *k, struct kennel_error **err) MUST_CHECK;
unsigned keep_count_frozen(const struct launch *l, size_t i);
int keep_open_frozen(const struct launch *l, size_t i, int *fds, unsigned *n, struct kennel_error **err)
	MUST_CHECK;
int keep_tell_child(struct launch *l, struct kennel_error **err) MUST_CHECK;
int keep_check_frozen(const struct keep *k, const struct delta_join *j, const char *target, bool is_new,
		      struct kennel_error **err) MUST_CHECK;

/*
 * keep-settle.c: completes what was decided about a container that is locked (container/switch.h), and what
 * its guest has left on a disk (vm-disk.h). log: or NULL.
 */
int keep_settle(struct container *c, const struct log_sink *log, struct kennel_error **err) MUST_CHECK;
/*
 * The same where only its changes are to be looked at, for who holds no lock: takes it if there is something
 * to complete, and holds it as long as c. Return: 1 its guest runs and has changes of its own (*ret_guest),
 * 0, or a code.
 */
struct container_holder;
int keep_settle_or_find(struct container *c, struct container_holder *ret_guest, struct kennel_error **err)
	MUST_CHECK;

/* Is a store_wipe_fn: whoever the files belong to. */
int keep_wipe(void *data, int dir_fd, const char *shown, struct kennel_error **err) MUST_CHECK;
int keep_measure(int dir_fd, uint64_t *ret, struct kennel_error **err) MUST_CHECK;

/*
 * keep-base.c: what tells a base from another one, now; NULL where nothing does. The caller's. moves: also
 * what two machines with the same base have in common. path: where the base is to be opened; NULL: "/".
 */
int keep_base_id(const struct spec *spec, const char *path, bool moves, char **ret, struct kennel_error **err)
	MUST_CHECK;
bool keep_base_is(const char *was, const char *now);

#endif
