/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* net/dhcp-run.c - see dhcp.h: asking, and the process that renews. */
#include <errno.h>
#include <arpa/inet.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/dhcp.h"
#include "net/helper.h"
#include "net/link.h"
#include "sys/sys.h"

#define RETRY_LEAST_S 10
#define RETRY_MOST_S 60

/* UDP to port 68, not a later fragment. */
static const struct sock_filter code[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 68, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

int dhcp_open(unsigned index)
{
	const struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = (struct sock_filter *)code };
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_IP),
					.sll_ifindex = (int)index };
	/* without a protocol at first: nothing comes before the filter is there */
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -1;
	return take_fd(&fd);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int say(int fd, unsigned index, enum dhcp_kind kind, const struct dhcp_client *c,
	       const struct dhcp_lease *lease, bool renew)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_IP),
					.sll_ifindex = (int)index,
					.sll_halen = 6,
					.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	uint8_t packet[DHCP_PACKET];
	size_t n = dhcp_build(kind, c, lease, renew, packet);

	return sendto(fd, packet, n, MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to)) == (ssize_t)n ?
		       0 :
		       -1;
}

/* The next thing that a server says of that kind, or DHCP_NAK; DHCP_NONE: nothing in that time. */
static enum dhcp_kind hear(int fd, enum dhcp_kind wanted, const struct dhcp_client *c, int timeout_ms,
			   struct dhcp_lease *ret)
{
	const int64_t end = now_ms() + timeout_ms;

	for (int64_t left = timeout_ms; left > 0; left = end - now_ms()) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint8_t packet[DHCP_PACKET_MAX];

		if (sys_poll(&p, 1, (int)left) <= 0)
			continue;
		ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		enum dhcp_kind kind = n > 0 ? dhcp_parse(packet, (size_t)n, c, ret) : DHCP_NONE;
		if (kind == wanted || kind == DHCP_NAK)
			return kind;
	}
	return DHCP_NONE;
}

int dhcp_acquire(int fd, unsigned index, struct dhcp_client *c, struct dhcp_lease *ret)
{
	static const int patience_ms[] = { 300, 1000, 2000, 4000 };

	if (getrandom(&c->transaction, sizeof(c->transaction), 0) != sizeof(c->transaction))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(patience_ms); i++) {
		struct dhcp_lease offer, lease;

		/* an interface that just came up may not send yet */
		if (say(fd, index, DHCP_DISCOVER, c, NULL, false) < 0 && errno != ENETDOWN &&
		    errno != ENOBUFS)
			return -1;
		if (hear(fd, DHCP_OFFER, c, patience_ms[i], &offer) != DHCP_OFFER)
			continue;
		if (say(fd, index, DHCP_REQUEST, c, &offer, false) < 0)
			return -1;
		if (hear(fd, DHCP_ACK, c, patience_ms[i], &lease) != DHCP_ACK)
			continue;
		*ret = lease;
		return 1;
	}
	return 0;
}

int dhcp_apply(int nl_fd, unsigned index, const struct dhcp_lease *lease)
{
	static const uint8_t none[4];
	const struct link_address a = {
		.family = AF_INET, .bytes = lease->address, .prefix = lease->prefix, .seconds = lease->seconds
	};

	if (link_add_address(nl_fd, index, &a) < 0)
		return -1;
	if (memcmp(lease->gateway, none, sizeof(none)) == 0)
		return 0;
	return link_add_gateway(nl_fd, index, AF_INET, lease->gateway) < 0 && errno != EEXIST ? -1 : 0;
}

/* Sleeps, and ends with the monitor. */
static void pause_s(const struct dhcp_keep *k, int64_t seconds)
{
	struct pollfd p = { .fd = k->monitor_pidfd, .events = POLLIN };

	while (seconds > 0) {
		int n = sys_poll(&p, 1, (int)MIN(seconds, (int64_t)3600) * 1000);

		if (n > 0)
			_exit(0);
		seconds -= 3600;
	}
}

/* Asks for more time until there is none left. Whether there is more. */
static bool renew(struct dhcp_keep *k)
{
	const int64_t end = now_ms() / 1000 + k->lease.seconds;

	pause_s(k, k->lease.seconds / 2);
	for (int64_t left = end - now_ms() / 1000; left > 0; left = end - now_ms() / 1000) {
		struct dhcp_lease lease;

		(void)!say(k->socket_fd, k->index, DHCP_REQUEST, &k->client, &k->lease, true);
		enum dhcp_kind kind = hear(k->socket_fd, DHCP_ACK, &k->client, 3000, &lease);
		if (kind == DHCP_NAK)
			return false;
		if (kind == DHCP_ACK && memcmp(lease.address, k->lease.address, sizeof(lease.address)) == 0) {
			k->lease = lease;
			(void)!dhcp_apply(k->nl_fd, k->index, &lease);
			return true;
		}
		pause_s(k, MIN(MAX(left / 4, (int64_t)RETRY_LEAST_S), (int64_t)RETRY_MOST_S));
	}
	return false;
}

static _Noreturn void keep(struct dhcp_keep *k)
{
	for (;;) {
		while (renew(k))
			;
		/* It is not ours any more: the kernel has taken it away, or does now. */
		(void)!link_remove_address(k->nl_fd, k->index, AF_INET, k->lease.address, k->lease.prefix);
		while (dhcp_acquire(k->socket_fd, k->index, &k->client, &k->lease) != 1)
			pause_s(k, RETRY_LEAST_S);
		(void)!dhcp_apply(k->nl_fd, k->index, &k->lease);
	}
}

static int keep_few(struct dhcp_keep *k)
{
	const int fds[] = { k->socket_fd, k->nl_fd, k->monitor_pidfd };

	if (net_helper_keep_fds(fds, ARRAY_SIZE(fds)) < 0)
		return -1;
	k->socket_fd = 0;
	k->nl_fd = 1;
	k->monitor_pidfd = 2;
	/* a directory that nobody can look into, and in which there is nothing for it */
	if (chdir("/proc/self/fdinfo") < 0 || chroot(".") < 0)
		return -1;
	return net_helper_become_nobody(1u << CAP_NET_ADMIN);
}

static void run(const void *data)
{
	struct dhcp_keep own = *(const struct dhcp_keep *)data;

	if (keep_few(&own) < 0)
		_exit(1);
	keep(&own);
}

int dhcp_keep_start(const struct dhcp_keep *k, int *ret_pidfd, struct kennel_error **err)
{
	if (net_helper_start(run, k, "kennel-dhcp", ret_pidfd) < 0)
		return fail_errno(err, "start what renews a DHCP lease");
	return 0;
}
