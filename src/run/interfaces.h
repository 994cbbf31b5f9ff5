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
/*
 * One more, or one less, of a sandbox that runs; id: its own. The calling process stays in its network: for
 * one that is made for this. Return: 0; UNSUPPORTED what only a start gives: an address of DHCP, a place on
 * kennel's own bridge; or another code, and nothing is left of it.
 */
int interfaces_add(const char *id, const struct spec_interface *which, int netns_fd,
		   struct kennel_error **err) MUST_CHECK;
int interfaces_remove(const char *name, int netns_fd, struct kennel_error **err) MUST_CHECK;
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

/*
 * names.c: the bridge whose names are resolved, or NULL; in the sandbox's namespace: the resolver's socket,
 * or -1 and errno; on the machine's side: the resolver.
 */
#define NAMES_MACHINE_SIZE 24
struct net_clean;
const char *names_bridge(const struct launch *l);
int names_listen(int nl_fd, struct net_clean *clean);
int names_start(struct launch *l, int socket_fd, struct kennel_error **err) MUST_CHECK;
/* What tells this machine's network from another one in the runtime entries. -1 and errno. */
int names_machine(char ret[NAMES_MACHINE_SIZE]);
/* resolv.conf of the inside: servers, lines of their own, in the place of those in the machine's. Pure. */
#define NAMES_LINE "nameserver 169.254.1.1\noptions edns0\n" /* NET_NAMES_ADDRESS */
int names_resolv_conf(const char *servers, const char *host, char **ret, struct kennel_error **err)
	MUST_CHECK;
/* lease.c: in the sandbox's namespace, asks for an address and starts what renews it. */
int lease_take(struct launch *l, struct spec_interface *in, unsigned index, struct kennel_error **err)
	MUST_CHECK;

/* Once they are there: what the machine's rules have to do for them. */
int publish_make(struct launch *l, struct kennel_error **err) MUST_CHECK;

/* private.c: which private:NAME, or NULL; makes it once the namespaces are there; what is told of it. */
const char *private_network(const struct launch *l);
int private_make(struct launch *l, struct kennel_error **err) MUST_CHECK;
void private_describe(const struct launch *l, struct spec_interface *ret);

/* ns:PATH and container:NAME: opens what is to be joined, before the clone. */
int join_open(struct launch *l, struct kennel_error **err) MUST_CHECK;

#endif
