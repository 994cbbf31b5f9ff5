/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/lease.c - an address by DHCP (net/dhcp.h) for one interface of a start. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/dhcp.h"
#include "net/link.h"
#include "net/netlink.h"
#include "run/interfaces.h"
#include "run/sandbox.h"

/* What the lease says goes to where a person's own words would be. */
static void note(struct launch *l, struct spec_interface *in, const struct dhcp_lease *lease)
{
	static const uint8_t none[4];

	in->addresses[in->n_addresses] =
		(struct spec_address){ .family = 4, .prefix = (uint8_t)lease->prefix };
	memcpy(in->addresses[in->n_addresses].bytes, lease->address, 4);
	in->n_addresses++;
	if (memcmp(lease->gateway, none, sizeof(none)) != 0) {
		in->gateways[0] = (struct spec_address){ .family = 4, .prefix = 32 };
		memcpy(in->gateways[0].bytes, lease->gateway, 4);
	}
	for (unsigned i = 0; i < lease->n_dns; i++) {
		char text[INET_ADDRSTRLEN];

		if (inet_ntop(AF_INET, lease->dns[i], text, sizeof(text)))
			buf_printf(&l->dns, "nameserver %s\n", text);
	}
}

int lease_take(struct launch *l, struct spec_interface *in, unsigned index, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	_cleanup_close_ int socket_fd = dhcp_open(index), nl_fd = netlink_open(NETLINK_ROUTE);
	struct dhcp_keep k = {
		.socket_fd = socket_fd,
		.nl_fd = nl_fd, /* of its own: answers go to who has the socket */
		.monitor_pidfd = sb->work.monitor_pidfd,
		.index = index,
	};

	if (socket_fd < 0 || nl_fd < 0 || link_mac(nl_fd, index, k.client.mac) < 0)
		return fail_errno(err, "ask for an address on \"%s\"", in->name);
	if (sb->plan->hostname)
		snprintf(k.client.hostname, sizeof(k.client.hostname), "%s", sb->plan->hostname);
	int n = dhcp_acquire(socket_fd, index, &k.client, &k.lease);
	if (n < 0)
		return fail_errno(err, "ask for an address on \"%s\"", in->name);
	if (n == 0 || in->n_addresses == NETWORK_MAX_ADDRESSES)
		return hint(
			err, fail(err, KENNEL_E_NOTFOUND, "no DHCP server gave \"%s\" an address", in->name),
			"is there one on that network? An address of your own needs none: ip=ADDRESS/LENGTH");
	if (dhcp_apply(nl_fd, index, &k.lease) < 0)
		return fail_errno(err, "give its address to \"%s\"", in->name);
	note(l, in, &k.lease);
	int r = dhcp_keep_start(&k, &sb->lease_pidfds[sb->n_leases], err);
	sb->n_leases += r == 0;
	return r < 0 ? r : buf_check(&l->dns, err);
}
