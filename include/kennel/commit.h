/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/commit.h - make the changes of a sandbox to what it was a copy of.
 *
 * A commit is looked at, chosen from, and applied as one transaction: all that was chosen happens or nothing
 * does, whatever is killed meanwhile, and the last one can be undone. Use an object from one thread at a
 * time.
 */
#ifndef KENNEL_COMMIT_H
#define KENNEL_COMMIT_H

#include <stddef.h>
#include <stdint.h>

#include <kennel/delta.h>
#include <kennel/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kennel_commit;

/**
 * enum kennel_commit_flags - how careful to be
 * @KENNEL_COMMIT_RUNNING: of a sandbox that runs, too: each file as it is at that moment
 * @KENNEL_COMMIT_FORCE:   what conflicts is applied all the same
 */
enum kennel_commit_flags { KENNEL_COMMIT_RUNNING = 1 << 0, KENNEL_COMMIT_FORCE = 1 << 1 };

/**
 * struct kennel_commit_options - for all functions that do something
 * @size:     sizeof(struct kennel_commit_options)
 * @flags:    set of enum kennel_commit_flags; unknown ones are refused
 * @say:      called with a line for a person (a commit that was cut off has been taken back), or NULL
 * @progress: called between steps with the number of files done and that of all (0: not known); a value other
 *            than 0 takes everything back. Or NULL
 * @data:     handed to both
 * @store:    for kennel_commit_open(): the store of the container, as for kennel_delta_open_in(), or NULL
 */
struct kennel_commit_options {
	size_t size;
	unsigned flags;
	void (*say)(void *data, const char *text);
	int (*progress)(void *data, uint64_t done, uint64_t total);
	void *data;
	const char *store;
};

/**
 * enum kennel_commit_verdict - what stands against a change
 * @KENNEL_COMMIT_FINE:     nothing
 * @KENNEL_COMMIT_CONFLICT: the machine's file was changed since the sandbox saw it
 * @KENNEL_COMMIT_LEFT:     it can't be made: this user may not, or nobody ever does (/proc, a socket)
 */
enum kennel_commit_verdict { KENNEL_COMMIT_FINE = 0, KENNEL_COMMIT_CONFLICT = 1, KENNEL_COMMIT_LEFT = 2 };

/**
 * enum kennel_commit_rights - what a file would let others do
 * @KENNEL_COMMIT_SETUID:     run as its owner
 * @KENNEL_COMMIT_SETGID:     run as its group
 * @KENNEL_COMMIT_CAPABILITY: run with capabilities
 * @KENNEL_COMMIT_DEVICE:     reach a device
 */
enum kennel_commit_rights {
	KENNEL_COMMIT_SETUID = 1 << 0,
	KENNEL_COMMIT_SETGID = 1 << 1,
	KENNEL_COMMIT_CAPABILITY = 1 << 2,
	KENNEL_COMMIT_DEVICE = 1 << 3,
};

/**
 * struct kennel_commit_entry - one change, judged
 * @size:    of this struct, as the library knows it
 * @change:  as kennel_delta_diff() gives it
 * @verdict: what stands against it
 * @reason:  the same in words, or NULL
 * @rights:  set of enum kennel_commit_rights
 * @chosen:  1 where it will be applied
 *
 * All is the library's and good until kennel_commit_free().
 */
struct kennel_commit_entry {
	size_t size;
	struct kennel_change change;
	enum kennel_commit_verdict verdict;
	const char *reason;
	unsigned rights;
	int chosen;
};

/**
 * kennel_commit_open() - look at what could be committed
 * @what:    as for kennel_delta_open()
 * @options: or NULL
 * @ret:     the commit, the caller's; end it with kennel_commit_free()
 * @err:     error out, owned by the caller, or NULL
 *
 * All changes are chosen. Nothing is changed by it, but an earlier commit that was cut off is taken back.
 * Return: 0; -KENNEL_E_BUSY it runs; -KENNEL_E_UNSUPPORTED its base is an image; or another negative code.
 * Since 0.1.
 */
KENNEL_PUBLIC int kennel_commit_open(const char *what, const struct kennel_commit_options *options,
				     struct kennel_commit **ret, struct kennel_error **err);

/**
 * kennel_commit_count() - how many changes there are
 * @commit: borrowed
 *
 * Return: number of changes. Since 0.1.
 */
KENNEL_PUBLIC size_t kennel_commit_count(const struct kennel_commit *commit);

/**
 * kennel_commit_get() - one of them
 * @commit: borrowed
 * @index:  0 to kennel_commit_count() - 1: parents before children, siblings by the bytes of their names
 * @ret:    what it is
 *
 * Return: 0, or -KENNEL_E_INVALID for an index that is not there. Since 0.1.
 */
KENNEL_PUBLIC int kennel_commit_get(const struct kennel_commit *commit, size_t index,
				    struct kennel_commit_entry *ret);

/**
 * kennel_commit_delta() - the changes themselves, to look into
 * @commit: borrowed
 *
 * Return: what kennel_delta_open() would give; the commit's, and good until kennel_commit_free(). Since 0.1.
 */
KENNEL_PUBLIC struct kennel_delta *kennel_commit_delta(struct kennel_commit *commit);

/**
 * kennel_commit_choose() - apply one of them or not
 * @commit: borrowed
 * @index:  as above
 * @chosen: 1 or 0
 *
 * A new directory comes with what is chosen in it.
 * Since 0.1.
 */
KENNEL_PUBLIC void kennel_commit_choose(struct kennel_commit *commit, size_t index, int chosen);

/**
 * kennel_commit_choose_path() - choose what is at or below a path, beside what is chosen already
 * @commit: borrowed
 * @path:   absolute path as seen inside
 * @err:    error out, owned by the caller, or NULL
 *
 * Return: how many changes that are; -KENNEL_E_NOTFOUND none; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_commit_choose_path(struct kennel_commit *commit, const char *path,
					    struct kennel_error **err);

/**
 * kennel_commit_apply() - make the chosen changes, all or none
 * @commit:      borrowed
 * @options:     or NULL
 * @ret_applied: how many were made; may be NULL
 * @err:         error out, owned by the caller, or NULL
 *
 * Those that are LEFT are not made, nor those that CONFLICT without KENNEL_COMMIT_FORCE.
 * Return: 0; -KENNEL_E_BUSY a file changed at that very moment; -KENNEL_E_INTERRUPTED @progress said so; or
 * another negative code. Everything is as before then. Since 0.1.
 */
KENNEL_PUBLIC int kennel_commit_apply(struct kennel_commit *commit,
				      const struct kennel_commit_options *options, size_t *ret_applied,
				      struct kennel_error **err);

/**
 * kennel_commit_free() - end a commit, applied or not
 * @commit: NULL is fine
 *
 * Return: NULL. Since 0.1.
 */
KENNEL_PUBLIC struct kennel_commit *kennel_commit_free(struct kennel_commit *commit);

/**
 * kennel_commit_undo() - bring back what was before this user's last commit
 * @options:  or NULL; with KENNEL_COMMIT_FORCE also where files were changed since
 * @ret_text: one line about what was undone, of malloc, the caller's; may be NULL
 * @err:      error out, owned by the caller, or NULL
 *
 * Return: 1 done, 0 there is nothing to undo, -KENNEL_E_BUSY files were changed since, or another negative
 * code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_commit_undo(const struct kennel_commit_options *options, char **ret_text,
				     struct kennel_error **err);

/**
 * kennel_commit_recover() - take back a commit of this user that was cut off, finish an undo
 * @options: or NULL
 * @err:     error out, owned by the caller, or NULL
 *
 * All functions of above do it first.
 * Return: how many there were, or a negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_commit_recover(const struct kennel_commit_options *options,
					struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
