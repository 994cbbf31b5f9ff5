/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-set-live.h - what a changed configuration means for the sandbox that runs with the old one. */
#ifndef KENNEL_API_SET_LIVE_H
#define KENNEL_API_SET_LIVE_H

#include "base/buf.h"
#include "base/log.h"

/*
 * Mounts, shares, devices and interfaces that are new are put in, those that are gone are taken out; limits
 * are limits_follow()'s (api-limits.h). id: of the running
 * sandbox; before, after: both configurations. What can't be done is told as a warning: it then holds from
 * the next start on.
 */
void set_live(const char *id, const struct buf *before, const struct buf *after, const struct log_sink *log);

#endif
