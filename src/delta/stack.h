/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/stack.h - several deltas that lie on each other, as one: frozen layers and, on top, a container's own
 * changes.
 *
 * What belongs together is found by the targets of mounts: of a mount that one of them had no place for, its
 * changes are below its target in the place of the mount that that lies in.
 */
#ifndef KENNEL_DELTA_STACK_H
#define KENNEL_DELTA_STACK_H

#include "delta/manifest.h"

struct delta_source {
	int delta_fd; /* of the directory with 0/upper; borrowed */
	const struct manifest *manifest; /* its own; planted ones are sorted */
	bool live; /* it may be written to: no other name may stand for its files */
};

/*
 * What one delta would say that shows them all, n > 0, the lowest first: what the uppermost does, with
 * the mounts of all of them, and with what kennel put into any of them. It stands on no layers.
 */
int delta_stack_manifest(const struct delta_source *sources, size_t n, struct manifest *ret,
			 struct kennel_error **err) MUST_CHECK;

/*
 * The changes of one mount of that (a position in its mounts), opened for reading, the uppermost first. There
 * is room for n of each; ret_which: out of which source. Return: how many, or a negative code.
 */
int delta_stack_open(const struct delta_source *sources, size_t n, const struct manifest *merged,
		     size_t mount, int *ret_fds, unsigned *ret_which, struct kennel_error **err) MUST_CHECK;

/* What lies there in that mount is told by another one, whose target it is. Pure. */
bool delta_stack_is_place(const struct manifest *merged, size_t mount, const char *rel);

/*
 * A file of directories that lie on each other, the uppermost first; opaque: name of the attribute. flags:
 * those of dirs_pin(); or plain: of dirs_open_file(). Return: descriptor, or -1 and errno.
 */
int delta_stack_pin(const int *fds, unsigned n, const char *opaque, const char *rel, int flags);

#endif
