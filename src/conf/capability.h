/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/capability.h - the names of capabilities(7), both ways. */
#ifndef KENNEL_CONF_CAPABILITY_H
#define KENNEL_CONF_CAPABILITY_H

#include <stdint.h>

#include "base/macro.h"
#include "base/suggest.h"

/*
 * "NET_ADMIN", "cap_net_admin", in any case, or "ALL" (every bit). *near gets the nearest name of a
 * mistyped one; may be NULL. Return: 0 or -1.
 */
int capability_parse(const char *name, uint64_t *ret_mask, struct suggestion *near) MUST_CHECK;

/* "NET_ADMIN" for CAP_NET_ADMIN, or NULL for a number that this program does not know. */
const char *capability_name(unsigned cap);

#endif
