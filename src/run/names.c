/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/names.c - the resolver of names (net/names.h) for a sandbox on a bridge. A start does not fail for
 * want of it: then the machine's resolvers are those of the inside, and one line says so.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "net/clean.h"
#include "net/link.h"
#include "net/names.h"
#include "net/rules.h"
#include "run/interfaces.h"
#include "run/sandbox.h"

#define DNS_PORT 53
#define LOOPBACK_INDEX 1u /* of lo, in each namespace */
#define RESOLV_MAX (64u << 10)

const char *names_bridge(const struct launch *l)
{
	for (size_t i = 0; i < l->spec->n_interfaces; i++)
		if (l->interfaces[i].kind == SPEC_LINK_BRIDGE)
			return interfaces_bridge(&l->interfaces[i]);
	return NULL;
}

int names_listen(int nl_fd, struct net_clean *clean)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(at);
	struct in_addr address;

	(void)!inet_pton(AF_INET, NET_NAMES_ADDRESS, &address);
	const struct link_address own = { AF_INET, &address, 32 };
	if (link_set_up(nl_fd, LOOPBACK_INDEX) < 0 || link_add_address(nl_fd, LOOPBACK_INDEX, &own) < 0)
		return -1;
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return -1;
	clean->names_fd = net_rules_lead((const uint8_t *)&address, DNS_PORT, ntohs(at.sin_port));
	return clean->names_fd < 0 ? -1 : take_fd(&fd);
}

int names_machine(char ret[NAMES_MACHINE_SIZE])
{
	struct stat st;

	if (stat("/proc/thread-self/ns/net", &st) < 0)
		return -1;
	snprintf(ret, NAMES_MACHINE_SIZE, "%llu", (unsigned long long)st.st_ino);
	return 0;
}

int names_start(struct launch *l, int socket_fd, struct kennel_error **err)
{
	struct sandbox *sb = l->sb;
	_cleanup_buf_ struct buf resolv = { 0 };
	_cleanup_close_ int fd = open("/etc/resolv.conf", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char machine[NAMES_MACHINE_SIZE];
	struct net_names_spec spec = {
		.socket_fd = socket_fd,
		.dir_fd = sb->registry_fd,
		.monitor_pidfd = sb->work.monitor_pidfd,
		.bridge = names_bridge(l),
		.machine = machine,
	};

	int r = fd < 0 ? 0 : buf_read_fd(&resolv, fd, RESOLV_MAX, err);
	if (r < 0)
		return r;
	if (names_machine(machine) < 0)
		return fail_errno(err, "look at the network namespace");
	spec.n_servers = net_names_servers(buf_str(&resolv), spec.servers);
	return net_names_start(&spec, &sb->names_pidfd, err);
}

int names_resolv_conf(const char *servers, const char *host, char **ret, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, servers);
	while (*host) {
		size_t len = strcspn(host, "\n");

		if (strncmp(host, "nameserver", strlen("nameserver")) != 0) {
			buf_add(&b, host, len);
			buf_puts(&b, "\n");
		}
		host += len + (host[len] == '\n');
	}
	int r = buf_check(&b, err);
	if (r == 0)
		*ret = take_ptr(&b.data);
	return r;
}
