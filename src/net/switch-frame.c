/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/switch-frame.c - what may pass in a private network, and where to: see switch.h. Pure. */
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <string.h>

#include "net/switch.h"

#define OFF_SOURCE 6
#define OFF_TYPE 12
#define OFF_BODY 14
#define OFF_IP_SOURCE (OFF_BODY + 12)
#define IP_MIN 20u
#define OFF_ARP_SENDER (OFF_BODY + 8)
#define OFF_ARP_ADDRESS (OFF_BODY + 14)
#define ARP_SIZE 28u
#define NUMBERS (NET_SWITCH_RESOLVER - 1u) /* from 1: the first and the last address are nobody's */

static const uint8_t mac_prefix[4] = { 0x02, 'k', 'e', 'n' };

void net_switch_mac(uint16_t number, uint8_t ret[6])
{
	memcpy(ret, mac_prefix, sizeof(mac_prefix));
	ret[4] = (uint8_t)(number >> 8);
	ret[5] = (uint8_t)number;
}

void net_switch_address(uint16_t number, uint8_t ret[4])
{
	ret[0] = 10;
	ret[1] = 108;
	ret[2] = (uint8_t)(number >> 8);
	ret[3] = (uint8_t)number;
}

uint16_t net_switch_pick(const char *who, unsigned n)
{
	uint32_t hash = 5381;

	for (; *who; who++)
		hash = hash * 33 + (unsigned char)*who;
	return (uint16_t)(1 + (hash % NUMBERS + n) % NUMBERS);
}

int net_switch_number(const char *name)
{
	int number = 0;

	if (strlen(name) != NET_SWITCH_DIGITS || strspn(name, "0123456789abcdef") != NET_SWITCH_DIGITS)
		return -1;
	for (; *name; name++)
		number = number * 16 + (*name <= '9' ? *name - '0' : *name - 'a' + 10);
	return number >= 1 && number <= (int)NUMBERS ? number : -1;
}

void net_switch_digits(uint16_t number, char ret[NET_SWITCH_DIGITS + 1])
{
	for (unsigned i = 0; i < NET_SWITCH_DIGITS; i++)
		ret[i] = "0123456789abcdef"[number >> (12 - 4 * i) & 15];
	ret[NET_SWITCH_DIGITS] = '\0';
}

/* About Ethernet and IPv4, and its sender is who sends it. It may ask before it has an address. */
static bool is_own_arp(const uint8_t *frame, size_t size, const uint8_t mac[6], const uint8_t address[4])
{
	static const uint8_t kind[6] = { 0, ARPHRD_ETHER, ETH_P_IP >> 8, ETH_P_IP & 0xff, 6, 4 };
	static const uint8_t none[4];

	return size >= OFF_BODY + ARP_SIZE && memcmp(frame + OFF_BODY, kind, sizeof(kind)) == 0 &&
	       memcmp(frame + OFF_ARP_SENDER, mac, 6) == 0 &&
	       (memcmp(frame + OFF_ARP_ADDRESS, address, 4) == 0 ||
		memcmp(frame + OFF_ARP_ADDRESS, none, 4) == 0);
}

static bool is_own(const uint8_t *frame, size_t size, uint16_t from)
{
	uint8_t mac[6], address[4];

	net_switch_mac(from, mac);
	net_switch_address(from, address);
	if (size < OFF_BODY || size > NET_SWITCH_FRAME || memcmp(frame + OFF_SOURCE, mac, 6) != 0)
		return false;
	switch (frame[OFF_TYPE] << 8 | frame[OFF_TYPE + 1]) {
	case ETH_P_IP:
		return size >= OFF_BODY + IP_MIN && frame[OFF_BODY] >> 4 == 4 &&
		       memcmp(frame + OFF_IP_SOURCE, address, 4) == 0;
	case ETH_P_IPV6:
		return net_switch_is_own_ipv6(frame + OFF_BODY, size - OFF_BODY, from);
	case ETH_P_ARP:
		return is_own_arp(frame, size, mac, address);
	default:
		return false;
	}
}

enum net_switch_way net_switch_judge(const uint8_t *frame, size_t size, uint16_t from, uint16_t *ret_to)
{
	if (!is_own(frame, size, from))
		return NET_SWITCH_DROP;
	if (frame[0] & 1)
		return NET_SWITCH_ALL;
	const unsigned to = (unsigned)frame[4] << 8 | frame[5];
	if (memcmp(frame, mac_prefix, sizeof(mac_prefix)) != 0 || to < 1 || to > NET_SWITCH_RESOLVER ||
	    to == from)
		return NET_SWITCH_DROP;
	*ret_to = (uint16_t)to;
	return NET_SWITCH_ONE;
}

bool net_switch_accept(const uint8_t *frame, size_t size, uint16_t own)
{
	uint16_t to = 0;

	if (size < OFF_BODY)
		return false;
	const uint16_t from = (uint16_t)(frame[OFF_SOURCE + 4] << 8 | frame[OFF_SOURCE + 5]);
	if (from == own || from < 1 || from > NUMBERS)
		return false;
	const enum net_switch_way way = net_switch_judge(frame, size, from, &to);
	return way == NET_SWITCH_ALL || (way == NET_SWITCH_ONE && to == own);
}
