/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/unreadable.h - stand-ins in the delta for what an ordinary user can't read. */
#ifndef KENNEL_RUN_UNREADABLE_H
#define KENNEL_RUN_UNREADABLE_H

#include "run/sandbox.h"

/* Runs as root of the sandbox's user namespace, before the sandbox does. Nothing of the originals but owner, mode and kind is copied. */
int unreadable_plant(struct launch *l, struct kennel_error **err) MUST_CHECK;

#endif
