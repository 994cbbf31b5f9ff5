/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-dhcp.c - what DHCP servers, or neighbours in their place, send. Input: an IPv4 packet. A lease
 * that is taken has an address of a host and a network around it; nothing outside of the packet is read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dhcp_client client = { .mac = { 2, 0, 0, 0, 0, 5 },
					    .transaction = 0x01010101,
					    .hostname = "web" };
	struct dhcp_lease lease = { 0 };
	uint8_t *copy = malloc(size ? size : 1), packet[DHCP_PACKET];

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	enum dhcp_kind kind = dhcp_parse(copy, size, &client, &lease);
	free(copy);
	if (kind != DHCP_OFFER && kind != DHCP_ACK)
		return 0;
	if (!lease.address[0] || lease.address[0] >= 224 || !lease.prefix || lease.prefix > 32 ||
	    lease.n_dns > DHCP_DNS_MAX || !lease.seconds)
		abort();
	size_t n = dhcp_build(DHCP_REQUEST, &client, &lease, false, packet);
	/* what we say is nothing that a server says */
	if (n > sizeof(packet) || dhcp_parse(packet, n, &client, &lease) != DHCP_NONE)
		abort();
	return 0;
}
