/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/switch-names.c - the frames of the resolver in a private network: see switch.h. Pure. */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "net/switch.h"

#define OFF_SOURCE 6u
#define OFF_TYPE 12u
#define OFF_IP 14u
#define IP_SIZE 20u
#define OFF_UDP (OFF_IP + IP_SIZE)
#define UDP_SIZE 8u
#define OFF_ARP_OPERATION 20u
#define OFF_ARP_SENDER 22u /* a hardware address and one of IPv4 */
#define OFF_ARP_TARGET 32u
#define ARP_END 42u
#define DNS_PORT 53u
#define FRAGMENT 0x3fffu /* its place, and that more follow */

static unsigned get_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put_u16(uint8_t *p, unsigned value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static bool is_resolver(const uint8_t address[4])
{
	uint8_t own[4];

	net_switch_address(NET_SWITCH_RESOLVER, own);
	return memcmp(address, own, 4) == 0;
}

static void put_ethernet(uint8_t *ret, const uint8_t to[6], unsigned type)
{
	memmove(ret, to, 6);
	net_switch_mac(NET_SWITCH_RESOLVER, ret + OFF_SOURCE);
	put_u16(ret + OFF_TYPE, type);
}

size_t net_switch_answer_arp(const uint8_t *frame, size_t size, uint8_t *ret)
{
	if (size < ARP_END || get_u16(frame + OFF_TYPE) != ETH_P_ARP ||
	    get_u16(frame + OFF_ARP_OPERATION) != 1 || !is_resolver(frame + OFF_ARP_TARGET + 6))
		return 0;
	put_ethernet(ret, frame + OFF_SOURCE, ETH_P_ARP);
	memcpy(ret + OFF_IP, frame + OFF_IP, OFF_ARP_OPERATION - OFF_IP);
	put_u16(ret + OFF_ARP_OPERATION, 2);
	net_switch_mac(NET_SWITCH_RESOLVER, ret + OFF_ARP_SENDER);
	net_switch_address(NET_SWITCH_RESOLVER, ret + OFF_ARP_SENDER + 6);
	memcpy(ret + OFF_ARP_TARGET, frame + OFF_ARP_SENDER, 10);
	return ARP_END;
}

bool net_switch_query(const uint8_t *frame, size_t size, const uint8_t **ret_query, size_t *ret_size)
{
	if (size < OFF_UDP + UDP_SIZE || get_u16(frame + OFF_TYPE) != ETH_P_IP)
		return false;
	const uint8_t *ip = frame + OFF_IP;
	const size_t total = get_u16(ip + 2), udp_size = get_u16(frame + OFF_UDP + 4);
	/* options are for routers, of which there are none */
	if (ip[0] != 0x45 || total > size - OFF_IP || total < IP_SIZE + UDP_SIZE ||
	    (get_u16(ip + 6) & FRAGMENT) || ip[9] != IPPROTO_UDP || !is_resolver(ip + 16))
		return false;
	if (get_u16(frame + OFF_UDP + 2) != DNS_PORT || udp_size < UDP_SIZE || udp_size > total - IP_SIZE)
		return false;
	*ret_query = frame + OFF_UDP + UDP_SIZE;
	*ret_size = udp_size - UDP_SIZE;
	return true;
}

static unsigned checksum(const uint8_t *header)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < IP_SIZE; i += 2)
		sum += get_u16(header + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

size_t net_switch_wrap(const uint8_t *frame, size_t size, uint8_t ret[NET_SWITCH_FRAME])
{
	uint8_t *ip = ret + OFF_IP, *udp = ret + OFF_UDP;

	put_ethernet(ret, frame + OFF_SOURCE, ETH_P_IP);
	memset(ip, 0, IP_SIZE);
	ip[0] = 0x45;
	put_u16(ip + 2, (unsigned)(IP_SIZE + UDP_SIZE + size));
	ip[8] = 64; /* how far it may go */
	ip[9] = IPPROTO_UDP;
	net_switch_address(NET_SWITCH_RESOLVER, ip + 12);
	memcpy(ip + 16, frame + OFF_IP + 12, 4);
	put_u16(ip + 10, checksum(ip));
	put_u16(udp, DNS_PORT);
	memcpy(udp + 2, frame + OFF_UDP, 2);
	put_u16(udp + 4, (unsigned)(UDP_SIZE + size));
	put_u16(udp + 6, 0); /* no sum: a wire of memory loses no bits */
	return NET_SWITCH_HEADERS + size;
}
