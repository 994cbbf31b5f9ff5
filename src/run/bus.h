/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/bus.h - the caller's session bus for a start: which one it is, and the relay (net/bus.h) to it. */
#ifndef KENNEL_RUN_BUS_H
#define KENNEL_RUN_BUS_H

#include "base/buf.h"
#include "base/error.h"
#include "conf/spec.h"
#include "run/registry.h"

struct bus {
	bool runs;
	int pidfd; /* iff runs */
	int dir_fd; /* iff runs: where the socket is */
	char socket[REGISTRY_BRIEF_SIZE], proxy_socket[REGISTRY_BRIEF_SIZE];
};

/* Starts it for this process as its monitor. path: of its socket, which has a name until bus_settle(). */
int bus_start(const struct spec *spec, struct bus *ret, struct buf *path, struct kennel_error **err)
	MUST_CHECK;
/* The socket is mounted: its name goes. Return: the relay's pidfd, for net_helper_end(), or -EBADF. */
int bus_settle(struct bus *b);

#endif
