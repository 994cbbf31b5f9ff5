/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kennel/convert.h - the owners of a tree moved from one range of ids to another. */
#ifndef KENNEL_CONVERT_H
#define KENNEL_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include <kennel/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct kennel_convert_options - what kennel_convert() does
 * @size:    of this struct, as the caller knows it
 * @store:   absolute path of the store of a container, or NULL: the own one
 * @to:      the first id of the new range; 0: the ids that are seen inside
 * @from:    the first id of the old range, or -1: the owner of the top directory
 * @count:   how many ids; 0: 65536
 * @workers: threads; 0: as many as there are processors, four at most
 * @dry_run: look only
 * @tick:    called a few times a second with entries that were done and, where known, all of them; not
 *           0: stop. May be NULL
 * @data:    for @tick
 */
struct kennel_convert_options {
	size_t size;
	const char *store;
	uint32_t to;
	int64_t from;
	uint32_t count;
	unsigned workers;
	int dry_run;
	int (*tick)(void *data, uint64_t done, uint64_t total);
	void *data;
};

/**
 * struct kennel_converted - what became of it
 * @from:    the first id of the old range
 * @to:      that of the new one
 * @count:   how many ids
 * @entries: files, directories and others that were looked at
 * @changed: those that got other ids, or would get
 * @resumed: an earlier conversion that was stopped went on
 */
struct kennel_converted {
	uint32_t from, to, count;
	uint64_t entries, changed;
	int resumed;
};

/**
 * kennel_convert() - move the owners of a tree from one range of ids to another
 * @what: path of a directory, with a slash in it; or name of a container: its changes, and its base if
 *        that is its own
 * @o:    how
 * @ret:  what was done; filled on success
 * @err:  error out, owned by the caller, or NULL
 *
 * Setuid bits, file capabilities and ACLs are kept, with ids in them moved as well. Stopped at any
 * instant, the same call goes on where it was. Needs root, or the ids of both ranges.
 * Return: 1 done, 0 it has these ids already; -KENNEL_E_INVALID there is an id outside of the old range
 * (nothing was changed), or the ranges have ids in common; -KENNEL_E_BUSY it runs, something is mounted
 * in it, or another conversion was begun and not ended; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_convert(const char *what, const struct kennel_convert_options *o,
				 struct kennel_converted *ret, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
