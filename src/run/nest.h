/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/nest.h - what a sandbox has in which others are to be made (--nest): by kennel, Podman, LXC.
 *
 * The devices for views and for nat; places for their files that are no overlay, for the kernel takes no
 * overlay as the upper layer of another one; control groups of its own; and no masks on /proc and /sys, for
 * the kernel lets a user namespace mount a new one only where an old one is fully visible.
 */
#ifndef KENNEL_RUN_NEST_H
#define KENNEL_RUN_NEST_H

#include "base/error.h"
#include "base/log.h"
#include "conf/spec.h"

#define NEST_DIR "nest" /* in the delta, beside the places of mounts */

struct nest_place {
	const char *name; /* in NEST_DIR */
	const char *target; /* inside, below the root */
};
extern const struct nest_place nest_places[];
extern const unsigned nest_places_n;

struct nest {
	struct spec spec; /* a shallow copy of the one given, with more devices */
	struct spec_device *devices;
};

/*
 * Fills *ret for a spec that has nest set and must outlive it. Says which device there is none of. Return: 0
 * or NOMEM; then *ret is empty.
 */
int nest_equip(const struct spec *spec, const struct log_sink *log, struct nest *ret,
	       struct kennel_error **err) MUST_CHECK;
void nest_done(struct nest *n);

/* Makes what is not there yet of the places, in a delta that is open with the ids of the inside. */
int nest_make_places(int delta_fd, struct kennel_error **err) MUST_CHECK;

#endif
