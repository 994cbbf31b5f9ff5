/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/nat.h - the way out for a sandbox with a network namespace of its own: pasta, with the host's loopback closed.
 *
 * pasta copies between the sandbox's tap device and ordinary sockets of ours, so nothing of the host's network configuration is
 * touched: no bridge, no forwarding, no firewall rule that Docker or ufw could fight with.
 */
#ifndef KENNEL_NET_NAT_H
#define KENNEL_NET_NAT_H

#include <sys/types.h>

#include "base/error.h"
#include "base/strv.h"

struct net_nat;

struct net_nat_spec {
	pid_t pid;              /* a process in the network namespace, as we see it; lives until net_nat_wait() returned */
	int userns_fd, netns_fd;        /* the namespaces; userns_fd -EBADF where the sandbox has none of its own */
};

/* Is pasta there? 1 yes, 0 no. Cheap. */
int net_nat_available(void);
/* Starts pasta (absolute path, clean environment). MISSING where it is not installed, with the package's name as hint. */
int net_nat_start(const struct net_nat_spec *spec, struct net_nat **ret, struct kennel_error **err) MUST_CHECK;
/* Waits until the interface is configured; a failure carries pasta's own last words. */
int net_nat_wait(struct net_nat *nat, int timeout_ms, struct kennel_error **err) MUST_CHECK;
/* pidfd of pasta, borrowed, for a helper that must end it after we were killed. */
int net_nat_pidfd(const struct net_nat *nat);
/* Ends pasta and waits for it. NULL is fine. Return: NULL. */
struct net_nat *net_nat_free(struct net_nat *nat);

/*
 * What /etc/resolv.conf inside should say: host's (bytes of its resolv.conf) with servers on loopback, and any that can't be reached from inside, replaced by the
 * address at which nat answers. Pure. text is the caller's.
 */
int net_resolv_conf(const char *host, char **ret, struct kennel_error **err) MUST_CHECK;

/* Brings up lo in the current network namespace: system calls only, for the child. -1 and errno. */
int net_loopback_up(void);

#endif
