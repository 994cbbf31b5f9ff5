/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * conf/trust.h - which settings are honoured only from a configuration that this user has made or
 * accepted; pure.
 *
 * A container in one file comes from anywhere, and its configuration with it. What only shapes the inside is
 * harmless. Whatever gives the inside something of the machine, or takes a wall away, must be somebody's
 * here.
 */
#ifndef KENNEL_CONF_TRUST_H
#define KENNEL_CONF_TRUST_H

#include <stdbool.h>

/* Keys that are not known to be harmless are not. */
bool trust_is_needed(const char *key, const char *value);

#endif
