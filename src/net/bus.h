/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/bus.h - the session bus of the caller for one sandbox: xdg-dbus-proxy, which filters, and a relay of
 * ours in front of it.
 *
 * Why a relay: a client says its user id when it begins, and in a user namespace that is not the one by
 * which the bus knows us, so it would be refused. The relay puts the caller's own id there, and from then on
 * passes on what comes, message by message, so that descriptors stay with the message they belong to. It
 * judges nothing: what may be said is the proxy's business, and that is a process without capabilities (for
 * root: the one to reach the bus of another user) and without privileges to gain.
 *
 * Both end with the monitor, the proxy when the relay does.
 */
#ifndef KENNEL_NET_BUS_H
#define KENNEL_NET_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define NET_BUS_LINE 512 /* of what is said before messages; more is rubbish */
#define NET_BUS_HEAD 16u
#define NET_BUS_PROXY_FD 3 /* for --fd: says that it is ready, and ends it when we are gone */

struct net_bus_spec {
	int dir_fd; /* where both sockets are made; nobody else may look there */
	int monitor_pidfd;
	const char *socket; /* names in it: of ours, which stays, */
	const char *proxy_socket; /* and of the proxy's, which is removed once it is there */
	const char *tool; /* xdg-dbus-proxy, and all its arguments */
	char *const *argv;
	bool no_fds; /* none can be passed to who is at the other end */
};

/* Borrows all. Return: 0 once clients can come, and *ret_pidfd; or a code, and nothing runs. */
int net_bus_start(const struct net_bus_spec *spec, int *ret_pidfd, struct kennel_error **err) MUST_CHECK;

/*
 * One line of a client's, to its "\r\n": with uid in the place of whatever id it says it has. *ret_begin:
 * messages follow. Return: the size of ret, or 0 where that is no such line. Pure.
 */
size_t net_bus_line(const char *line, size_t size, unsigned uid, char ret[NET_BUS_LINE], bool *ret_begin);
/*
 * What asks for descriptors to be passed becomes something of the same size that every bus refuses. In its
 * place. Pure.
 */
void net_bus_refuse_fds(char *line, size_t size);
/* How much of a message follows its first 16 bytes; SIZE_MAX: it is none. Pure. */
size_t net_bus_rest(const uint8_t head[NET_BUS_HEAD]);

#endif
