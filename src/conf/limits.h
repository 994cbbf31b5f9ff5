/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/limits.h - the words of the limits that are more than a number: swap, cpuset, io.
 */
#ifndef KENNEL_CONF_LIMITS_H
#define KENNEL_CONF_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define LIMITS_MAX UINT64_MAX /* "max" */

/* --io read=RATE,write=RATE,riops=N,wiops=N[,PATH] */
struct limits_io {
	uint64_t read_bytes, write_bytes, reads, writes; /* in a second; 0: not limited */
	char *where; /* a block device, or what lies on one; absolute, clean; NULL: where the changes are */
};

struct limits {
	bool has_swap;
	uint64_t swap_bytes; /* beside the memory; LIMITS_MAX: as much as there is */
	char *cpuset; /* "0-3,5"; NULL: no limit */
	struct limits_io io; /* all 0: no limit */
	uint64_t disk_bytes; /* of changes; 0: no limit */
};

/* Each takes one value, and changes nothing where it refuses it. */
int limits_set_swap(struct limits *l, const char *value, struct kennel_error **err) MUST_CHECK;
int limits_set_cpuset(struct limits *l, const char *value, struct kennel_error **err) MUST_CHECK;
int limits_set_io(struct limits *l, const char *value, struct kennel_error **err) MUST_CHECK;
/* "disk" bounds changes in memory; kept ones are refused, with what there is instead. */
int limits_check_kept(const struct limits *l, bool in_file, struct kennel_error **err) MUST_CHECK;
bool limits_has_io(const struct limits *l);
void limits_done(struct limits *l);

#endif
