/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/network.c - the network in the order of a start: what is outside of the sandbox is made as soon as its
 * namespace exists. pasta is waited for last, for it takes longer than all the rest.
 */
#include <fcntl.h>

#include "base/cleanup.h"
#include "net/helper.h"
#include "net/nat.h"
#include "run/interfaces.h"
#include "run/sandbox.h"

#define NAT_TIMEOUT_MS 10000

/*
 * No nat: an error where it was asked for, else one line, and the sandbox has a network of its own that leads
 * nowhere.
 */
static int without_nat(struct launch *l, int r, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	if (!sb->plan->net_optional && l->spec->n_ports)
		return hint_default(err, wrap(err, r, "make the network"),
				    "a port may be taken (see ss -lntu), or lie below what sysctl "
				    "net.ipv4.ip_unprivileged_port_start allows to programs without rights");
	if (!sb->plan->net_optional)
		return wrap(err, r, "make the network");
	log_warn(&sb->log, "no network inside: %s",
		 err && *err ? kennel_error_message(*err) : "nat can't be had");
	error_clear(err);
	sb->work.nat_pidfd = -EBADF;
	sb->nat = net_nat_free(sb->nat);
	sb->plan->net = SPEC_NET_NONE;
	return 0;
}

bool network_is_early(const struct plan *p)
{
	return p->net == SPEC_NET_NAT || p->net == SPEC_NET_INTERFACES || p->net == SPEC_NET_PRIVATE;
}

int network_prepare(struct launch *l, struct kennel_error **err)
{
	const enum spec_net net = l->sb->plan->net;

	if (net == SPEC_NET_NS || net == SPEC_NET_CONTAINER)
		return join_open(l, err);
	if (net != SPEC_NET_NAT || l->sb->mapped)
		return 0;
	int r = net_namespace_new(&l->nat_user_ns_fd, &l->net_ns_fd, err);

	return r < 0 ? without_nat(l, r, err) : 0;
}

static int nat_ports(const struct spec *spec, struct net_port **ret, struct kennel_error **err)
{
	struct net_port *ports = calloc(spec->n_ports + 1, sizeof(*ports));

	if (!ports)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < spec->n_ports; i++) {
		const struct spec_port *p = &spec->ports[i];

		ports[i] = (struct net_port){ .outside = p->outside, .inside = p->inside, .udp = p->udp };
		if (p->at.family)
			network_address_text(&p->at, false, ports[i].at);
	}
	*ret = ports;
	return 0;
}

int network_start(struct launch *l, int proc_fd, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	if (!network_is_early(sb->plan))
		return 0;
	if (l->shared->tap_errno) {
		errno = l->shared->tap_errno;
		return hint(
			err, fail_errno(err, "make the tap device"),
			"it needs /dev/net/tun: modprobe tun, and mode 0666 as udev sets it; or use --net none");
	}
	if (l->net_ns_fd < 0)
		l->net_ns_fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);
	if (l->net_ns_fd < 0)
		return fail_errno(err, "open the network namespace");
	if (sb->plan->net == SPEC_NET_INTERFACES)
		return interfaces_make(l, err);
	if (sb->plan->net == SPEC_NET_PRIVATE)
		return private_make(l, err);
	_cleanup_free_ struct net_port *ports = NULL;
	int r = nat_ports(l->spec, &ports, err);
	if (r < 0)
		return r;
	const struct net_nat_spec spec = {
		.ports = ports,
		.n_ports = l->spec->n_ports,
		.userns_fd = sb->mapped ? l->user_ns_fd : l->nat_user_ns_fd,
		.netns_fd = l->net_ns_fd,
		.tap_fd = sb->rootless ? l->shared->tap_fd : -EBADF,
	};
	r = net_nat_start(&spec, &sb->nat, err);
	if (r == 0)
		sb->work.nat_pidfd = net_nat_pidfd(sb->nat);
	return r == 0 && private_network(l) ? private_make(l, err) : r;
}

int network_finish(struct launch *l, int started, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	int r = started;

	if (sb->plan->net != SPEC_NET_NAT)
		return r < 0 ? wrap(err, r, "make the network") : 0;
	if (r == 0)
		r = net_nat_wait(sb->nat, NAT_TIMEOUT_MS, err);
	if (r == 0) {
		sb->work.nat_pidfd = net_nat_pidfd(sb->nat);
		return 0;
	}
	return without_nat(l, r, err);
}

void network_unlock(struct launch *l)
{
	net_unlock(l->sb->registry_fd, &l->sb->work.net.lock_fd);
}

void network_end(struct sandbox *sb)
{
	struct net_clean *clean = &sb->work.net;

	net_helper_end(sb->names_pidfd);
	net_helper_end(sb->bus_pidfd);
	net_helper_end(sb->lender_pidfd);
	for (unsigned i = 0; i < sb->n_leases; i++)
		net_helper_end(sb->lease_pidfds[i]);
	sb->n_leases = 0;
	sb->names_pidfd = sb->bus_pidfd = sb->lender_pidfd = -EBADF;
	net_switch_leave(&sb->lan);
	net_clean_run(clean);
	if (clean->nl_fd > 0)
		close_fd(clean->nl_fd);
	*clean = (struct net_clean){ 0 };
}
