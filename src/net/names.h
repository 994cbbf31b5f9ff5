/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/names.h - names of the sandboxes on one bridge, for one of them: a small resolver behind its own
 * loopback.
 *
 * It answers for the host names and container names of those that run on the same bridge, with ".kennel"
 * behind them or, where they have no dot, without; and hands all other questions on to the machine's
 * resolvers. What runs is looked up in the runtime directory for each question, so there is nothing to keep
 * up to date, and no file of anybody's is written.
 *
 * One process for each sandbox, with nothing but its three descriptors, the runtime directory as its root,
 * the id of nobody and the right to read there. It ends with the monitor.
 */
#ifndef KENNEL_NET_NAMES_H
#define KENNEL_NET_NAMES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define NET_NAMES_ADDRESS "169.254.1.1" /* on its loopback; packet rules lead from port 53 to our socket */
#define NET_NAMES_SERVERS 3
#define NET_NAMES_SUFFIX ".kennel"
#define NET_NAME_TEXT 256

union net_server {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct net_names_spec {
	int socket_fd; /* UDP, bound, of the sandbox's network */
	int dir_fd; /* the runtime directory */
	int monitor_pidfd;
	const char *bridge, *machine; /* as the runtime entries have it: see net_names_find() */
	union net_server servers[NET_NAMES_SERVERS];
	size_t n_servers;
};

/* The servers in the machine's resolv.conf. Pure. */
size_t net_names_servers(const char *resolv_conf, union net_server ret[NET_NAMES_SERVERS]);
/* Borrows all; the strings and descriptors only have to live until it returns. */
int net_names_start(const struct net_names_spec *spec, int *ret_pidfd, struct kennel_error **err) MUST_CHECK;

struct net_question {
	char name[NET_NAME_TEXT]; /* in small letters, without a dot at the end */
	uint16_t type;
	size_t end; /* behind the question, in the message */
};

/* The one question of a query. Return: whether it is one that we can judge. Pure. */
bool net_names_question(const uint8_t *query, size_t size, struct net_question *ret);
/*
 * The answer to it in ret; v4 and v6 (or NULL) are its addresses. Return: its length, or 0 where it does not
 * fit. Pure.
 */
size_t net_names_answer(const uint8_t *query, const struct net_question *q, const uint8_t *v4,
			const uint8_t *v6, uint8_t *ret, size_t room);
/*
 * Is the sandbox with this runtime entry (or the beginning of it) on that bridge of that machine, and is
 * that its name? ret: IPv4 and IPv6, has: which of the two. Pure.
 */
bool net_names_find(const char *entry, const char *name, const char *bridge, const char *machine,
		    uint8_t ret[2][16], bool has[2]);
/* Does it end as only a sandbox's can? Pure. */
bool net_names_is_ours(const char *name);
/* The same of a private network (net/switch.h), which has the runtime directory for its machine. Pure. */
bool net_names_find_private(const char *entry, const char *name, const char *network, uint8_t ret[2][16],
			    bool has[2]);

/*
 * Shows the entries whose monitor lives, or their beginnings, until one is taken. dir_fd: the runtime
 * directory, opened by this process. System calls only. Return: was one taken?
 */
bool net_names_look(int dir_fd, bool (*take)(const char *entry, void *data), void *data);

#endif
