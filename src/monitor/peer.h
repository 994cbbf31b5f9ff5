/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/peer.h - the socket of a monitor: where it is, and who may speak there. */
#ifndef KENNEL_MONITOR_PEER_H
#define KENNEL_MONITOR_PEER_H

#include "base/error.h"

/* Makes the socket NAME in a directory. Return: a listening descriptor, or a negative code. */
int peer_listen(int dir_fd, const char *name, struct kennel_error **err) MUST_CHECK;
/* Return: a descriptor; NOTFOUND where nobody listens; or another negative code. */
int peer_connect(int dir_fd, const char *name, struct kennel_error **err) MUST_CHECK;

/*
 * Is the other end a process of our user, or root, of our own user and pid namespace? A sandbox to which the
 * runtime directory was shared has our user's rights in there, and is refused. It is the process that
 * connected, held by a pidfd while it is looked at.
 */
int peer_check(int fd, struct kennel_error **err) MUST_CHECK;

#endif
