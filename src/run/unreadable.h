/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/unreadable.h - stand-ins in the delta for what an ordinary user can't read.
 *
 * Nothing of the originals but kind, owner and mode is copied. shadow and gshadow are made plausible (every
 * user locked), so that root inside can add users and change passwords.
 */
#ifndef KENNEL_RUN_UNREADABLE_H
#define KENNEL_RUN_UNREADABLE_H

#include "run/sandbox.h"

/* Finds out what that is, with the user's own rights: out of a cache, or by one walk. */
int unreadable_find(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Runs as root of the sandbox's user namespace, before the sandbox does. */
int unreadable_plant(struct launch *l, struct kennel_error **err) MUST_CHECK;
void unreadable_end(struct launch *l);

#endif
