/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/switch.h - private networks of an ordinary user: the sandboxes that name the same one reach each other,
 * and nothing else.
 *
 * There is no hub. Each member has a process of ours that holds its tap device and a datagram socket, whose
 * name in a directory of the network (net-NAME in the runtime directory) is the number of the member. The
 * number makes its address and its hardware address, so where a frame goes is read off the frame, and nothing
 * is learnt. A name without a socket behind it is what a kill left; whoever joins next removes it.
 *
 * Only IPv4, ARP and IPv6 pass, and only with the sender's own addresses: nobody speaks for a neighbour, and
 * nobody is a way to somewhere else. It is judged where a frame leaves and again where it arrives.
 */
#ifndef KENNEL_NET_SWITCH_H
#define KENNEL_NET_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/helper.h"

#define NET_SWITCH_MTU 1500u
#define NET_SWITCH_FRAME (14u + NET_SWITCH_MTU) /* the longest one */
#define NET_SWITCH_PREFIX 16u /* of 10.108.0.0 */
#define NET_SWITCH_PREFIX6 64u /* of fd6b:656e:6e65:6d00:: */
/*
 * Where names are resolved, on each member's own wire: its process answers there, and nobody else sees it.
 * The names are those of the members, as on a bridge (names.h).
 */
#define NET_SWITCH_RESOLVER 0xfffeu
#define NET_SWITCH_RESOLVER_ADDRESS "10.108.255.254"
#define NET_SWITCH_NAME 16u /* of a network, with the NUL: that of an interface */

struct net_switch {
	int pidfd; /* the process, or -EBADF */
	int dir_fd; /* of the network; below 1: none was joined */
	int runtime_fd; /* borrowed: what that is in */
	char name[NET_SWITCH_NAME];
	uint16_t number;
	bool has_ipv6; /* its interface has; for who configures that */
};

/*
 * Takes a place in the network, which is made if it is not there. who: its number is looked for from there,
 * so that it mostly stays the same. *ret_socket_fd is for net_switch_start(). LIMIT where all are taken.
 */
int net_switch_join(int runtime_fd, const char *name, const char *who, struct net_switch *ret,
		    int *ret_socket_fd, struct kennel_error **err) MUST_CHECK;
struct net_switch_member {
	int tap_fd, socket_fd, monitor_pidfd;
	bool has_others; /* who resolves other names, to be asked next */
	struct net_helper_group group; /* the sandbox's: its frames are its own work */
};
/* All is borrowed; the socket must be closed afterwards: by it alone the name is known to live. */
int net_switch_start(struct net_switch *sw, const struct net_switch_member *m, struct kennel_error **err)
	MUST_CHECK;
/* Ends the process; the name goes, and with the last one the network. One that was not joined is fine. */
void net_switch_leave(struct net_switch *sw);
/* All networks of this runtime directory that nobody is in any more. Return: how many went. */
unsigned net_switch_gc(int runtime_fd);

/* What follows from a number. Pure. */
void net_switch_mac(uint16_t number, uint8_t ret[6]);
void net_switch_address(uint16_t number, uint8_t ret[4]);
void net_switch_address6(uint16_t number, uint8_t ret[16]);
/* The n-th number to try for who, n from 0. Pure. */
uint16_t net_switch_pick(const char *who, unsigned n);

enum net_switch_way { NET_SWITCH_DROP, NET_SWITCH_ONE, NET_SWITCH_ALL };
/* Where a frame of that member goes; *ret_to: of ONE, whose it is. Pure. */
enum net_switch_way net_switch_judge(const uint8_t *frame, size_t size, uint16_t from, uint16_t *ret_to);
/* May a frame that came for that member be given to it? Pure. */
bool net_switch_accept(const uint8_t *frame, size_t size, uint16_t own);

/*
 * What the resolver says to a frame that was judged: that it is there. ret has room for NET_SWITCH_FRAME.
 * Return: the length of the answer; 0: it was not asked that. Pure.
 */
size_t net_switch_answer_arp(const uint8_t *frame, size_t size, uint8_t *ret);
/* A question of DNS to it; *ret_query points into the frame. Pure. */
bool net_switch_query(const uint8_t *frame, size_t size, const uint8_t **ret_query, size_t *ret_size);
/*
 * Makes a frame for who has sent that question, of an answer that lies behind NET_SWITCH_HEADERS in ret.
 * size: the answer's, at most NET_SWITCH_ROOM. Return: the length of the frame. Pure.
 */
#define NET_SWITCH_HEADERS 42u /* Ethernet, IPv4, UDP */
#define NET_SWITCH_ROOM (NET_SWITCH_FRAME - NET_SWITCH_HEADERS)
size_t net_switch_wrap(const uint8_t *frame, size_t size, uint8_t ret[NET_SWITCH_FRAME]);

/* For switch-frame.c: a packet of IPv6 of that member, behind the Ethernet header. Pure. */
bool net_switch_is_own_ipv6(const uint8_t *packet, size_t size, uint16_t from);
/* For switch-serve.c. */
#define NET_SWITCH_DIGITS 4
/* Four hexadecimal digits to a number, or -1. */
int net_switch_number(const char *name);
void net_switch_digits(uint16_t number, char ret[NET_SWITCH_DIGITS + 1]);
/* A socket that is connected to that member; or -1 and errno: ECONNREFUSED, ENOENT it is gone. */
int net_switch_connect(int dir_fd, uint16_t number);
/* From now on this process can do what serving takes, and nothing else. -1 and errno. */
int net_switch_jail(int runtime_fd);
/* Removes names that nobody has any more, and the directory if that were all. System calls only. */
void net_switch_sweep(int runtime_fd, int dir_fd, const char *name);

#endif
