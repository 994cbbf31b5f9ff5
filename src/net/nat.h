/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/nat.h - the way out for a sandbox with a network namespace of its own: pasta, with the host's loopback
 * closed.
 *
 * pasta copies between the sandbox's tap device and ordinary sockets of ours, so nothing of the host's
 * network configuration is touched: no bridge, no forwarding, no firewall rule that Docker or ufw could fight
 * with.
 */
#ifndef KENNEL_NET_NAT_H
#define KENNEL_NET_NAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/strv.h"

struct net_nat;
struct sock_fprog;

/*
 * Where pasta answers names for the host's own resolver. Neither address means anything outside of the
 * sandbox.
 */
#define NET_DNS_FORWARD4 "169.254.1.1"
#define NET_DNS_FORWARD6 "fd00:6b65:6e6e:656c::53"

/* A port of the machine that leads to one inside. */
struct net_port {
	char at[64];            /* an address of the machine, or "": all of them */
	uint16_t outside, inside;
	bool udp;
};

/*
 * Both descriptors are borrowed, must be >= 3, and only have to live until net_nat_start() returned. No
 * process has to be in the namespaces yet; the maps of the user namespace may be written later.
 */
struct net_nat_spec {
	/* owner of the network namespace; -EBADF where that is ours (see net_namespace_new()) */
	int userns_fd;
	int netns_fd;
	int tap_fd;             /* NET_TAP_NAME with the filter on it (net/tap.h); below 3: pasta makes one */
	const struct net_port *ports;
	size_t n_ports;
};

/*
 * A network namespace for a sandbox without a user namespace, to be entered with setns(), owned by an empty
 * user namespace so that pasta needs no capability of ours. Give both to net_nat_start().
 */
int net_namespace_new(int *ret_userns_fd, int *ret_netns_fd, struct kennel_error **err) MUST_CHECK;

/* Is pasta there? 1 yes, 0 no. Cheap. */
int net_nat_available(void);
/*
 * Starts pasta. MISSING where it is not installed, with the package's name as hint. One call to fork, no
 * waiting.
 */
int net_nat_start(const struct net_nat_spec *spec, struct net_nat **ret, struct kennel_error **err)
	MUST_CHECK;
/*
 * Waits until the interface is configured and the host's loopback is closed; nothing of the sandbox's may run
 * before. A failure carries pasta's own last words. Call it from the thread that called net_nat_start().
 */
int net_nat_wait(struct net_nat *nat, int timeout_ms, struct kennel_error **err) MUST_CHECK;
/*
 * pidfd of pasta, borrowed, for a helper that must end it after we were killed. pasta changes its
 * credentials, which makes the kernel forget its parent-death signal: nothing but this descriptor ends it
 * then.
 */
int net_nat_pidfd(const struct net_nat *nat);
/* Ends pasta and waits for it. NULL is fine. Return: NULL. */
struct net_nat *net_nat_free(struct net_nat *nat);

/* pasta's arguments; run_as_id 0 means "as we are". Pure. */
int net_nat_argv(const char *tool, const struct net_nat_spec *spec, unsigned run_as_id, struct strv *ret,
		 struct kennel_error **err) MUST_CHECK;
/* The frames that pasta may see: all but those to loopback and unspecified addresses. Static. */
const struct sock_fprog *net_nat_filter(void);

/*
 * What /etc/resolv.conf inside should say: the host's (bytes of its resolv.conf), with servers that can't be
 * reached from inside replaced by the address at which pasta answers for the first of them. Pure. text is the
 * caller's.
 */
int net_resolv_conf(const char *host, char **ret, struct kennel_error **err) MUST_CHECK;

/* Brings up lo in the current network namespace: system calls only, for the child. -1 and errno. */
int net_loopback_up(void);

#endif
