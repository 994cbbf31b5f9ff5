/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-ship.h - what is shipped: a delta by the name of its container or sandbox, or the root that is seen
 * inside.
 */
#ifndef KENNEL_API_SHIP_H
#define KENNEL_API_SHIP_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "delta/tree.h"
#include "ship/walk.h"

/*
 * A kept container's delta, running or not, or that of a running sandbox. store NULL: the user's own. *ret
 * is the caller's. *ret_ns_fd: of another user's, which root named with its store, the user namespace to read
 * it in; else left alone.
 */
int ship_delta_open(const char *store, const char *what, struct delta_tree **ret, int *ret_ns_fd,
		    struct kennel_error **err) MUST_CHECK;

struct ship_root {
	int root_fd; /* "/" as the sandbox sees it */
	uint32_t shift_from,
		shift_count; /* how ids seen from here differ from those inside; count 0: not at all */
	int hold_fd; /* keeps a sandbox that was started for this */
	pid_t holder;
};

#define SHIP_ROOT_NONE \
	{ \
		.root_fd = -EBADF, .hold_fd = -EBADF \
	}

/* Of a running sandbox, or of a container, which is started for it where it does not run. */
int ship_root_open(const char *store, const char *what, struct ship_root *ret, struct kennel_error **err)
	MUST_CHECK;
void ship_root_close(struct ship_root *r);
/* All that is in it but what is made anew in every sandbox; part: where its descriptor is. */
struct ship_walk ship_root_walk(const struct ship_root *r, const struct ship_part *part);

#endif
