/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/lower.h - the base beside a walk of the delta: the same directory in each of its trees, merged as an
 * overlay merges them, and with the owners that the sandbox saw.
 */
#ifndef KENNEL_DELTA_LOWER_H
#define KENNEL_DELTA_LOWER_H

#include <sys/stat.h>

#include "base/strv.h"
#include "delta/dirs.h"
#include "delta/tree.h"

struct lower {
	const struct delta_tree *tree;
	unsigned mount;
	struct dirs *trees; /* those of delta_lower; each as deep as it has the current directory */
	size_t n;
	size_t n_layers; /* the first ones belong to the ids inside */
	size_t depth; /* of the current directory, below the mount's root */
};

int lower_begin(struct lower *l, const struct delta_tree *t, unsigned mount, struct kennel_error **err)
	MUST_CHECK;
void lower_done(struct lower *l);

/* Is the current directory in the base at all? */
bool lower_is_there(const struct lower *l);
/* What the base has in the current directory under this name. Return: 1, 0 nothing, or a negative code. */
int lower_look(const struct lower *l, const char *name, struct stat *ret, struct kennel_error **err)
	MUST_CHECK;
/*
 * What the root of the delta was like when it was made: as that of the base, whatever layers lie on it, or
 * that of frozen changes. The walk is there. Return: as lower_look().
 */
int lower_look_root(const struct lower *l, struct stat *ret, struct kennel_error **err) MUST_CHECK;
/* Descriptor of it (flags as for open(2)), or -1 and errno. */
int lower_open(const struct lower *l, const char *name, int flags);
/* Has it any extended attributes? True where that can't be told. */
bool lower_any_xattrs(const struct lower *l, const char *name);
/* Goes down; where the base has no such directory, lower_is_there() is false from then on. */
int lower_enter(struct lower *l, const char *name, bool hidden, struct kennel_error **err) MUST_CHECK;
void lower_leave(struct lower *l);
/* All names of the current directory, sorted. Appends. */
int lower_list(const struct lower *l, struct strv *ret, struct kennel_error **err) MUST_CHECK;

static inline void cleanup_lowerp(struct lower *l)
{
	lower_done(l);
}
#define _cleanup_lower_ __attribute__((cleanup(cleanup_lowerp)))

#endif
