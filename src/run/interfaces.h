/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/interfaces.h - private, veth, bridge and macvlan: interfaces in a network of the sandbox's own; and the
 * networks of others that it joins.
 */
#ifndef KENNEL_RUN_INTERFACES_H
#define KENNEL_RUN_INTERFACES_H

#include "base/buf.h"
#include "conf/spec.h"

struct launch;

/* Which bridge, with kennel's own in place of none. Static. */
const char *interfaces_bridge(const struct spec_interface *in);
bool interfaces_is_own(const struct spec_interface *in);
/* Once the child's network namespace is there: makes and configures all of them. */
int interfaces_make(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* What is noted of them in the runtime entry. */
void interfaces_put_entry(const struct launch *l, struct buf *b);
/*
 * The n-th address of kennel's own bridge: IPv4 and IPv6, with the length of the network. subnet: 0 to 255,
 * host: 1 to 254. Pure.
 */
void interfaces_own_address(unsigned subnet, unsigned host, struct spec_address ret[2]);
/*
 * The first free one of 2 to 254, looked for from where the name says, so that it mostly stays the same; 0:
 * none. Pure.
 */
unsigned interfaces_pick_host(const char *name, const bool taken[256]);

/* Once they are there: what the machine's rules have to do for them. */
int publish_make(struct launch *l, struct kennel_error **err) MUST_CHECK;

/* ns:PATH and container:NAME: opens what is to be joined, before the clone. */
int join_open(struct launch *l, struct kennel_error **err) MUST_CHECK;

#endif
