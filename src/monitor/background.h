/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor/background.h - a sandbox that lives on behind its caller, with a monitor process of its own.
 *
 * The monitor is a fork of the caller without its descriptors, in a session of its own and nobody's child.
 * What becomes of the start it tells through a pipe; killed before that, or if nobody listens any more,
 * nothing is left.
 */
#ifndef KENNEL_MONITOR_BACKGROUND_H
#define KENNEL_MONITOR_BACKGROUND_H

#include "base/error.h"
#include "base/log.h"
#include "conf/spec.h"

/*
 * spec: with "keep" and background. *ret_id is the caller's. Remarks of the start go to log, from this
 * process.
 * leader_fd: a socket whose other end leads: it is attached from the first byte on, and its end is the
 * sandbox's; -EBADF: nobody. Return: 0 once its command runs, or the code of the start.
 */
int background_start(const struct spec *spec, const struct log_sink *log, int leader_fd, char **ret_id,
		     struct kennel_error **err) MUST_CHECK;

/* What a container says of its last end, in a file of its directory. */
#define BACKGROUND_LAST "last"

#endif
