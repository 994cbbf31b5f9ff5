/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/compare.h - in what a file of a delta differs from the one of the base below it. */
#ifndef KENNEL_DELTA_COMPARE_H
#define KENNEL_DELTA_COMPARE_H

#include "delta/diff.h"
#include "delta/lower.h"

struct compare {
	const struct delta_tree *tree;
	unsigned mount;
	const struct lower *lower;
	char *buffers; /* two, of COMPARE_BUFFER bytes each */
};

struct compare_pair {
	const char *rel, *name;
	/* The directory of the upper that it lies in, or -EBADF: found by rel. lower is at the base's. */
	int dir_fd;
	const struct stat *before, *after;
	/* A directory that kennel itself made on the way to something, without the base's xattrs. */
	bool lax;
};

#define COMPARE_BUFFER (128u << 10)

int compare_begin(struct compare *c, const struct delta_tree *t, unsigned mount, const struct lower *lower,
		  struct kennel_error **err) MUST_CHECK;
void compare_done(struct compare *c);

/* Bits of enum delta_bits for two files of one type. */
int compare_files(struct compare *c, const struct compare_pair *p, unsigned *ret_bits,
		  struct kennel_error **err) MUST_CHECK;

#endif
