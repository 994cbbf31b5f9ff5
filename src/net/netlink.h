/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/netlink.h - messages to the kernel's network configuration and its answers.
 *
 * System calls on memory of the caller's, no allocation: the janitor uses it beside a dead monitor. A
 * message that does not fit is never sent (EMSGSIZE).
 */
#ifndef KENNEL_NET_NETLINK_H
#define KENNEL_NET_NETLINK_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_ROOM 8192

struct netlink {
	size_t len;
	bool full;
	_Alignas(4) char bytes[NETLINK_ROOM];
};

/*
 * A message and the header of its family behind it. Several may stand behind each other. Return: where it
 * begins.
 */
size_t netlink_begin(struct netlink *m, unsigned type, unsigned flags, const void *header, size_t size);
void netlink_end(struct netlink *m, size_t at);
/* Behind a message's own header, and in those attributes that begin with one. */
void netlink_put_header(struct netlink *m, const void *header, size_t size);
void netlink_put(struct netlink *m, unsigned type, const void *data, size_t size);
void netlink_put_u32(struct netlink *m, unsigned type, uint32_t value);
void netlink_put_text(struct netlink *m, unsigned type, const char *text); /* with its NUL */
/* An attribute that holds others, from here to its end. Return: where it begins. */
size_t netlink_nest(struct netlink *m, unsigned type);
void netlink_nest_end(struct netlink *m, size_t at);

/* A socket of NETLINK_ROUTE or NETLINK_NETFILTER in the network namespace of this thread; -1 and errno. */
int netlink_open(int family);
/*
 * Sends it; acks: how many messages ask for an answer (NLM_F_ACK). 0, or -1 and the first one's errno. After
 * a failure of several messages the socket may still have answers of others: close it.
 */
int netlink_send(int fd, struct netlink *m, unsigned acks);

/* body: behind the header of one message, size bytes. Returns whether to go on. */
typedef bool (*netlink_answer_fn)(unsigned type, const void *body, size_t size, void *data);
/* A request with NLM_F_DUMP. 0, or -1 and errno. */
int netlink_dump(int fd, struct netlink *m, netlink_answer_fn answer, void *data);
/*
 * The answers in what was received. Return: 1 that was the last one, 0 more will come, -1 and errno (EBADMSG:
 * lengths that don't fit). Pure.
 */
int netlink_parse(const void *bytes, size_t size, netlink_answer_fn answer, void *data);
/* An attribute behind the first skip bytes of a body, at least min bytes long; or NULL. Pure. */
const void *netlink_find(const void *body, size_t size, size_t skip, unsigned type, size_t min,
			 size_t *ret_size);

#endif
