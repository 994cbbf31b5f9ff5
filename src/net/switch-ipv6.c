/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/switch-ipv6.c - what of IPv6 may pass in a private network: see switch.h. Pure.
 *
 * Whoever has which card is told by neighbour discovery, in messages that may stand behind any number of
 * other headers. So of those only fragments pass, and discovery not in them: then it is always where it is
 * looked for. Routers, redirections and multicast listeners are of no use where every group goes to all.
 */
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include "net/switch.h"

#define IP_SIZE 40u
#define OFF_PAYLOAD_SIZE 4
#define OFF_NEXT 6
#define OFF_IP_SOURCE 8
#define FRAGMENT_SIZE 8u
#define FRAGMENT_PLACE 0xfff8u
#define ND_SIZE 24u /* up to the options */
#define OFF_ND_TARGET 8
#define ND_IS_ROUTER 0x80u
#define ND_OPTION_SIZE 8u /* of a card's address */

void net_switch_address6(uint16_t number, uint8_t ret[16])
{
	/* beside fd6b:656e:6e65:6c00::/56, that of bridges */
	static const uint8_t network[8] = { 0xfd, 'k', 'e', 'n', 'n', 'e', 'm', 0 };

	memset(ret, 0, 16);
	memcpy(ret, network, sizeof(network));
	ret[14] = (uint8_t)(number >> 8);
	ret[15] = (uint8_t)number;
}

/* As the kernel makes it out of the card's (RFC 4291, appendix A). */
static void put_link_local(uint16_t number, uint8_t ret[16])
{
	uint8_t mac[6];

	net_switch_mac(number, mac);
	memset(ret, 0, 16);
	ret[0] = 0xfe;
	ret[1] = 0x80;
	memcpy(ret + 8, mac, 3);
	ret[8] ^= 2;
	ret[11] = 0xff;
	ret[12] = 0xfe;
	memcpy(ret + 13, mac + 3, 3);
}

static bool is_own_address(const uint8_t *address, uint16_t from)
{
	uint8_t own[16], link_local[16];

	net_switch_address6(from, own);
	put_link_local(from, link_local);
	return memcmp(address, own, sizeof(own)) == 0 || memcmp(address, link_local, sizeof(own)) == 0;
}

static bool are_own_options(const uint8_t *p, size_t size, uint16_t from)
{
	uint8_t mac[6];

	net_switch_mac(from, mac);
	for (; size; p += ND_OPTION_SIZE, size -= ND_OPTION_SIZE)
		if (size < ND_OPTION_SIZE ||
		    (p[0] != ND_OPT_SOURCE_LINKADDR && p[0] != ND_OPT_TARGET_LINKADDR) || p[1] != 1 ||
		    memcmp(p + 2, mac, sizeof(mac)) != 0)
			return false;
	return true;
}

static bool is_own_icmp(const uint8_t *p, size_t size, uint16_t from, bool is_fragment)
{
	switch (size ? p[0] : 0) {
	case ICMP6_DST_UNREACH:
	case ICMP6_PACKET_TOO_BIG:
	case ICMP6_TIME_EXCEEDED:
	case ICMP6_PARAM_PROB:
	case ICMP6_ECHO_REQUEST:
	case ICMP6_ECHO_REPLY:
		return true;
	case ND_NEIGHBOR_SOLICIT:
		return !is_fragment && size >= ND_SIZE && are_own_options(p + ND_SIZE, size - ND_SIZE, from);
	case ND_NEIGHBOR_ADVERT:
		return !is_fragment && size >= ND_SIZE && !(p[4] & ND_IS_ROUTER) &&
		       is_own_address(p + OFF_ND_TARGET, from) &&
		       are_own_options(p + ND_SIZE, size - ND_SIZE, from);
	default:
		return false;
	}
}

bool net_switch_is_own_ipv6(const uint8_t *packet, size_t size, uint16_t from)
{
	if (size < IP_SIZE || packet[0] >> 4 != 6 || !is_own_address(packet + OFF_IP_SOURCE, from))
		return false;
	const uint8_t *body = packet + IP_SIZE;
	size_t left = (size_t)packet[OFF_PAYLOAD_SIZE] << 8 | packet[OFF_PAYLOAD_SIZE + 1];
	unsigned next = packet[OFF_NEXT];
	const bool is_fragment = next == IPPROTO_FRAGMENT;
	bool is_first = true;

	if (left > size - IP_SIZE || (is_fragment && left < FRAGMENT_SIZE))
		return false;
	if (is_fragment) {
		next = body[0];
		is_first = !(((unsigned)body[2] << 8 | body[3]) & FRAGMENT_PLACE);
		body += FRAGMENT_SIZE;
		left -= FRAGMENT_SIZE;
	}
	switch (next) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return true;
	case IPPROTO_ICMPV6: /* what is put together has the kind that its first piece says */
		return !is_first || is_own_icmp(body, left, from, is_fragment);
	default:
		return false;
	}
}
