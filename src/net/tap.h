/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/tap.h - the tap device for nat, made before pasta comes, with the packet filter already on it.
 *
 * An ordinary user can't reach into pasta to put the filter on its descriptor (it is not dumpable), so
 * pasta is given this one (hand.c). System calls only: for the child, in its own network namespace and
 * with CAP_NET_ADMIN over it.
 */
#ifndef KENNEL_NET_TAP_H
#define KENNEL_NET_TAP_H

#define NET_TAP_NAME "eth0"
#define NET_TAP_SECOND "eth1" /* beside it: of a private network (switch.h) */

/* A descriptor, attached to an interface of that name and with the filter on it; or -1 and errno. */
int net_tap_new(const char *name);

#endif
