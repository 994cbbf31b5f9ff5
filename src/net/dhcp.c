/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/dhcp.c - see dhcp.h: packets, pure; dhcp-run.c has the rest. */
#include "net/dhcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/macro.h"

#define IP_HEADER 20u
#define UDP_HEADER 8u
#define BOOTP 236u /* up to the cookie */
#define OFF_BOOTP (IP_HEADER + UDP_HEADER)
#define OPTIONS (OFF_BOOTP + BOOTP + 4u)
#define SERVER_PORT 67u
#define CLIENT_PORT 68u
#define SECONDS_LEAST 60u

enum code {
	CODE_PAD = 0,
	CODE_MASK = 1,
	CODE_ROUTER = 3,
	CODE_DNS = 6,
	CODE_HOSTNAME = 12,
	CODE_ADDRESS = 50,
	CODE_SECONDS = 51,
	CODE_KIND = 53,
	CODE_SERVER = 54,
	CODE_WANTED = 55,
	CODE_END = 255,
};

static const uint8_t cookie[4] = { 99, 130, 83, 99 };

static void put_u16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned get_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static unsigned checksum(const uint8_t *p, size_t n)
{
	unsigned sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += get_u16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static uint8_t *put_option(uint8_t *p, enum code code, const void *data, size_t n)
{
	*p++ = (uint8_t)code;
	*p++ = (uint8_t)n;
	return (uint8_t *)memcpy(p, data, n) + n;
}

/* No checksum over the data, which IPv4 allows. */
static void put_headers(uint8_t *packet, size_t size)
{
	packet[0] = 0x45;
	put_u16(packet + 2, (unsigned)size);
	packet[8] = 64;
	packet[9] = IPPROTO_UDP;
	memset(packet + 16, 0xff, 4);
	put_u16(packet + 10, checksum(packet, IP_HEADER));
	put_u16(packet + IP_HEADER, CLIENT_PORT);
	put_u16(packet + IP_HEADER + 2, SERVER_PORT);
	put_u16(packet + IP_HEADER + 4, (unsigned)(size - IP_HEADER));
}

size_t dhcp_build(enum dhcp_kind kind, const struct dhcp_client *c, const struct dhcp_lease *lease,
		  bool renew, uint8_t ret[DHCP_PACKET])
{
	static const uint8_t wanted[] = { CODE_MASK, CODE_ROUTER, CODE_DNS, CODE_SECONDS };
	const uint8_t word = (uint8_t)kind;
	uint8_t *bootp = ret + OFF_BOOTP, *p = ret + OPTIONS;

	memset(ret, 0, DHCP_PACKET);
	bootp[0] = 1;
	bootp[1] = 1;
	bootp[2] = 6;
	memcpy(bootp + 4, &c->transaction, sizeof(c->transaction));
	put_u16(bootp + 10, 0x8000); /* answers to everybody: there is no address yet that they could go to */
	if (renew)
		memcpy(bootp + 12, lease->address, 4);
	memcpy(bootp + 28, c->mac, 6);
	memcpy(bootp + BOOTP, cookie, sizeof(cookie));
	p = put_option(p, CODE_KIND, &word, 1);
	if (kind == DHCP_REQUEST && !renew) {
		p = put_option(p, CODE_ADDRESS, lease->address, 4);
		p = put_option(p, CODE_SERVER, lease->server, 4);
	}
	if (c->hostname[0])
		p = put_option(p, CODE_HOSTNAME, c->hostname, strnlen(c->hostname, sizeof(c->hostname)));
	p = put_option(p, CODE_WANTED, wanted, sizeof(wanted));
	*p++ = CODE_END;
	const size_t size =
		MAX((size_t)(p - ret), (size_t)OFF_BOOTP + 300); /* some relays drop shorter ones */
	put_headers(ret, size);
	return size;
}

static unsigned prefix_of(const uint8_t *mask)
{
	const uint32_t m = (uint32_t)get_u16(mask) << 16 | get_u16(mask + 2);
	unsigned prefix = 0;

	while (prefix < 32 && (m & 0x80000000u >> prefix))
		prefix++;
	return prefix < 32 && (m << prefix) ? 0 : prefix; /* with a hole in it */
}

static void take_option(enum code code, const uint8_t *data, size_t n, struct dhcp_lease *ret,
			enum dhcp_kind *kind)
{
	switch (code) {
	case CODE_KIND:
		*kind = n == 1 ? (enum dhcp_kind)data[0] : DHCP_NONE;
		break;
	case CODE_MASK:
		ret->prefix = n == 4 ? prefix_of(data) : 0;
		break;
	case CODE_ROUTER:
		if (n >= 4)
			memcpy(ret->gateway, data, 4);
		break;
	case CODE_SERVER:
		if (n == 4)
			memcpy(ret->server, data, 4);
		break;
	case CODE_SECONDS:
		if (n == 4)
			ret->seconds = (uint32_t)get_u16(data) << 16 | get_u16(data + 2);
		break;
	case CODE_DNS:
		for (ret->n_dns = 0; ret->n_dns < DHCP_DNS_MAX && n >= 4 * (ret->n_dns + 1); ret->n_dns++)
			memcpy(ret->dns[ret->n_dns], data + 4 * ret->n_dns, 4);
		break;
	default:
		break;
	}
}

static bool is_of_one_host(const uint8_t a[4])
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

/* For this client, and from a server; where its options begin, or 0. */
static size_t check_headers(const uint8_t *packet, size_t size, const struct dhcp_client *c, size_t *end)
{
	const size_t ip = size ? (packet[0] & 0xfu) * 4u : 0, at = ip + UDP_HEADER;

	if (ip < IP_HEADER || size < at + BOOTP + sizeof(cookie) || packet[0] >> 4 != 4 ||
	    packet[9] != IPPROTO_UDP || (get_u16(packet + 6) & 0x3fff))
		return 0;
	*end = get_u16(packet + 2);
	if (*end > size || *end < at + BOOTP + sizeof(cookie) || get_u16(packet + ip) != SERVER_PORT ||
	    get_u16(packet + ip + 2) != CLIENT_PORT)
		return 0;
	const uint8_t *bootp = packet + at;
	if (bootp[0] != 2 || memcmp(bootp + 4, &c->transaction, sizeof(c->transaction)) != 0 ||
	    memcmp(bootp + 28, c->mac, sizeof(c->mac)) != 0 ||
	    memcmp(bootp + BOOTP, cookie, sizeof(cookie)) != 0)
		return 0;
	return at + BOOTP + sizeof(cookie);
}

enum dhcp_kind dhcp_parse(const uint8_t *packet, size_t size, const struct dhcp_client *c,
			  struct dhcp_lease *ret)
{
	struct dhcp_lease lease = { .seconds = 3600 };
	enum dhcp_kind kind = DHCP_NONE;
	size_t end = 0, at = check_headers(packet, size, c, &end);

	if (!at)
		return DHCP_NONE;
	memcpy(lease.address, packet + at - sizeof(cookie) - BOOTP + 16, 4);
	while (at < end && packet[at] != CODE_END) {
		const enum code code = packet[at++];

		if (code == CODE_PAD)
			continue;
		if (at >= end || packet[at] > end - at - 1)
			return DHCP_NONE;
		take_option(code, packet + at + 1, packet[at], &lease, &kind);
		at += 1u + packet[at];
	}
	if (kind == DHCP_NAK)
		return kind;
	if ((kind != DHCP_OFFER && kind != DHCP_ACK) || !is_of_one_host(lease.address) || !lease.prefix)
		return DHCP_NONE;
	if (!is_of_one_host(lease.gateway))
		memset(lease.gateway, 0, sizeof(lease.gateway));
	lease.seconds = MAX(lease.seconds, SECONDS_LEAST);
	*ret = lease;
	return kind;
}
