/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-limits.h - limits of what runs, changed while it does. */
#ifndef KENNEL_API_LIMITS_H
#define KENNEL_API_LIMITS_H

#include <kennel/kennel.h>

#include "conf/spec.h"

/*
 * The keys of unset and of spec were changed in the configuration that is now, of a container in dir_fd: the
 * limits among them hold at once. What can't is told to the log of spec.
 */
void limits_follow(const char *id, int dir_fd, const struct kennel_spec *spec, const char *const *unset,
		   const struct spec *now);

#endif
