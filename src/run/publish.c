/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/publish.c - the way out of kennel's own bridge, and ports of the machine that lead to an interface:
 * which rules (net/rules.h) that takes, and what is missing on the machine for them. No sysctl of the
 * machine's is changed: what is needed is said.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "net/clean.h"
#include "net/rules.h"
#include "ns/ns.h"
#include "run/interfaces.h"
#include "run/sandbox.h"

#define FORWARD4 "/proc/sys/net/ipv4/ip_forward"

/* Kennel's own bridge first; then whatever has an address that the machine can reach. */
static const struct spec_interface *find_target(const struct launch *l)
{
	const struct spec_interface *found = NULL;

	for (size_t i = 0; i < l->spec->n_interfaces; i++) {
		const struct spec_interface *in = &l->interfaces[i];

		if (interfaces_is_own(in))
			return in;
		if (!found && in->kind != SPEC_LINK_MACVLAN && in->n_addresses && l->spec->n_ports)
			found = in;
	}
	return found;
}

static const struct spec_address *find_address(const struct spec_interface *in, int family)
{
	for (unsigned i = 0; i < in->n_addresses; i++)
		if (in->addresses[i].family == family)
			return &in->addresses[i];
	return NULL;
}

static bool is_loopback(const struct spec_address *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == 4 ? a->bytes[0] == 127 :
				a->family == 6 && memcmp(a->bytes, one, sizeof(one)) == 0;
}

static bool is_all(const struct spec_address *a)
{
	static const uint8_t zero[16];

	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

static int fill_ports(const struct spec *spec, struct net_rules *rules, struct net_rules_port *ports,
		      bool own_device, struct kennel_error **err)
{
	for (size_t i = 0; i < spec->n_ports; i++) {
		const struct spec_port *p = &spec->ports[i];
		bool loopback = is_loopback(&p->at);

		if (loopback && (p->at.family == 6 || !own_device))
			return hint(err,
				    fail(err, KENNEL_E_UNSUPPORTED,
					 "port %u can't be published on that loopback address", p->outside),
				    "take 127.0.0.1 and kennel's own bridge, another address, or --net nat");
		ports[i] =
			(struct net_rules_port){ .outside = p->outside, .inside = p->inside, .udp = p->udp };
		rules->loopback |= own_device && (loopback || (is_all(&p->at) && p->at.family != 6));
		if (!p->at.family || is_all(&p->at))
			continue;
		ports[i].at_family = p->at.family == 4 ? AF_INET : AF_INET6;
		memcpy(ports[i].at, p->at.bytes, sizeof(ports[i].at));
	}
	rules->ports = ports;
	rules->n_ports = spec->n_ports;
	return 0;
}

/* Only of a device that kennel made, and with the guard of the rules on it. */
static int open_loopback(const char *device, struct kennel_error **err)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", device);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "1", 1) != 1 ?
		       fail_errno(err, "let the machine's loopback reach \"%s\"", device) :
		       0;
}

static void remark(struct launch *l, const char *device)
{
	bool drops = false;

	if (ns_read_sysctl(FORWARD4) == 0)
		log_warn(&l->sb->log,
			 "\"%s\" reaches its neighbours and this machine only, which does not forward: "
			 "sysctl net.ipv4.ip_forward=1 opens the way out",
			 device);
	else if (net_rules_forward_drops(&drops) == 0 && drops)
		log_warn(&l->sb->log,
			 "another firewall of this machine drops what it does not know: let it forward for "
			 "\"%s\" "
			 "(Docker: iptables -I DOCKER-USER -i %s -j ACCEPT, and -o; "
			 "ufw: ufw route allow in on %s)",
			 device, device, device);
}

static int make(struct launch *l, const struct spec_interface *in, const char *device,
		struct kennel_error **err)
{
	const struct spec_address *four = find_address(in, 4), *six = find_address(in, 6);
	_cleanup_free_ struct net_rules_port *ports = calloc(l->spec->n_ports + 1, sizeof(*ports));
	char table[32];
	struct net_rules rules = {
		.table = table,
		.device = device,
		.inside4 = four ? four->bytes : NULL,
		.inside6 = six ? six->bytes : NULL,
		.prefix4 = four ? four->prefix : 32,
		.prefix6 = six ? six->prefix : 128,
		.masquerade = interfaces_is_own(in),
	};

	if (!ports)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	snprintf(table, sizeof(table), "kennel-%.8s", l->sb->id);
	int r = fill_ports(l->spec, &rules, ports, in->link[0] == '\0' || in->kind != SPEC_LINK_BRIDGE, err);
	if (r < 0)
		return r;
	int fd = net_rules_make(&rules);
	if (fd < 0)
		return hint(err, fail_errno(err, "make packet rules for \"%s\"", device),
			    "it takes a kernel with nf_tables: modprobe nft_chain_nat nft_masq nft_fib_inet");
	l->sb->work.net.rules_fd = fd;
	return rules.loopback ? open_loopback(device, err) : 0;
}

int publish_make(struct launch *l, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	const struct spec_interface *in = find_target(l);

	if (!in)
		return 0;
	const char *device = in->kind == SPEC_LINK_BRIDGE ? interfaces_bridge(in) : in->link;
	int r = make(l, in, device, l->spec->n_ports ? err : &why);
	if (r < 0 && l->spec->n_ports)
		return wrap(err, r, "publish ports");
	if (r < 0)
		log_warn(&l->sb->log, "no way out of \"%s\": %s", device, kennel_error_message(why));
	else
		remark(l, device);
	return 0;
}
