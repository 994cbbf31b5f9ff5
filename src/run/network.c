/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/network.c - nat in the order of a start: pasta is started as soon as the network namespace exists, and
 * waited for last, for it takes longer than all the rest.
 */
#include <fcntl.h>

#include "base/cleanup.h"
#include "net/nat.h"
#include "run/sandbox.h"

#define NAT_TIMEOUT_MS 10000

/*
 * No nat: an error where it was asked for, else one line, and the sandbox has a network of its own that leads
 * nowhere.
 */
static int without_nat(struct launch *l, int r, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

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

int network_prepare(struct launch *l, struct kennel_error **err)
{
	int r = net_namespace_new(&l->nat_user_ns_fd, &l->net_ns_fd, err);

	return r < 0 ? without_nat(l, r, err) : 0;
}

int network_start(struct launch *l, int proc_fd, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;

	if (sb->plan->net != SPEC_NET_NAT)
		return 0;
	if (l->shared->tap_errno) {
		errno = l->shared->tap_errno;
		return hint(err, fail_errno(err, "make the tap device"),
			    "nat needs /dev/net/tun: modprobe tun, and mode 0666 as udev sets it; or use --net none");
	}
	if (l->net_ns_fd < 0)
		l->net_ns_fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);
	if (l->net_ns_fd < 0)
		return fail_errno(err, "open the network namespace");
	const struct net_nat_spec spec = {
		.userns_fd = sb->mapped ? l->user_ns_fd : l->nat_user_ns_fd,
		.netns_fd = l->net_ns_fd,
		.tap_fd = sb->rootless ? l->shared->tap_fd : -EBADF,
	};
	int r = net_nat_start(&spec, &sb->nat, err);
	if (r == 0)
		sb->work.nat_pidfd = net_nat_pidfd(sb->nat);
	return r;
}

int network_finish(struct launch *l, int started, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	int r = started;

	if (sb->plan->net != SPEC_NET_NAT)
		return 0;
	if (r == 0)
		r = net_nat_wait(sb->nat, NAT_TIMEOUT_MS, err);
	if (r == 0) {
		sb->work.nat_pidfd = net_nat_pidfd(sb->nat);
		return 0;
	}
	return without_nat(l, r, err);
}
