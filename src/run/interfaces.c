/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/interfaces.c - see interfaces.h.
 *
 * Made by this thread, in the machine's namespace first (a pair, with one end in the sandbox's, or a
 * macvlan), then in the sandbox's, where they get their addresses before anything of the inside runs.
 * Nothing is told to the inside but what is set there; router advertisements are not listened to unless that
 * was asked for, for a neighbour on the bridge could send them, too.
 *
 * Kennel's own bridge has a network of its own out of 10.107.0.0/16, the first that this machine has no
 * other way to, and one of fd6b:656e:6e65:6c00::/56 for IPv6. Which addresses are taken is in the runtime
 * entries; the lock (net/clean.h) is held until ours is there, too.
 */
#include "run/interfaces.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "net/clean.h"
#include "net/link.h"
#include "net/netlink.h"
#include "ns/ns.h"
#include "run/sandbox.h"
#include "sys/sys.h"

#define OWN_PREFIX 24u
#define OWN_PREFIX6 64u
#define SUBNETS 256u
#define HOSTS 256u

/* On the machine's side. */
struct outside {
	struct launch *l;
	int nl_fd;
	int netns_fd;
	unsigned subnet; /* of kennel's own bridge */
	unsigned first; /* in the names of ends on this side */
};

const char *interfaces_bridge(const struct spec_interface *in)
{
	return in->link[0] ? in->link : NET_BRIDGE;
}

bool interfaces_is_own(const struct spec_interface *in)
{
	return in->kind == SPEC_LINK_BRIDGE && !in->link[0];
}

static struct link_address to_link(const struct spec_address *a)
{
	return (struct link_address){ .family = a->family == 4 ? AF_INET : AF_INET6,
				      .bytes = a->bytes,
				      .prefix = a->prefix };
}

void interfaces_own_address(unsigned subnet, unsigned host, struct spec_address ret[2])
{
	ret[0] = (struct spec_address){ .family = 4,
					.prefix = OWN_PREFIX,
					.bytes = { 10, 107, (uint8_t)subnet, (uint8_t)host } };
	ret[1] = (struct spec_address){ .family = 6,
					.prefix = OWN_PREFIX6,
					.bytes = { 0xfd, 0x6b, 0x65, 0x6e, 0x6e, 0x65, 0x6c,
						   (uint8_t)subnet } };
	ret[1].bytes[15] = (uint8_t)host;
}

unsigned interfaces_pick_host(const char *name, const bool taken[HOSTS])
{
	unsigned hash = 5381;

	for (; *name; name++)
		hash = hash * 33 + (unsigned char)*name;
	for (unsigned i = 0; i < HOSTS - 3; i++) {
		unsigned host = 2 + (hash + i) % (HOSTS - 3);

		if (!taken[host])
			return host;
	}
	return 0;
}

static int explain(struct kennel_error **err, int r)
{
	const int code = err && *err ? kennel_error_errno(*err) : 0;

	if (code == EPERM)
		return hint(err, r,
			    "interfaces need root, with CAP_NET_ADMIN: --net nat needs no right at all");
	if (code == EOPNOTSUPP)
		return hint(err, r,
			    "this kernel has no such kind of interface: modprobe veth, bridge or macvlan");
	return r;
}

static int fail_link(struct kennel_error **err, const char *what, const char *name)
{
	return explain(err, fail_errno(err, "%s \"%s\"", what, name));
}

/* Of the namespace that this thread is in. A kernel without IPv6 has none of these. */
static void set_ipv6(const char *name, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, key);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, value, strlen(value));
}

/* The network of a bridge that is there. */
static int read_subnet(struct outside *o, unsigned bridge, struct kennel_error **err)
{
	uint8_t address[4] = { 0 };
	unsigned prefix = 0;

	if (link_first_address(o->nl_fd, bridge, address, &prefix) < 0)
		return fail_errno(err, "ask for the address of \"" NET_BRIDGE "\"");
	if (prefix != OWN_PREFIX || address[0] != 10 || address[1] != 107 || address[3] != 1)
		return hint(
			err,
			fail(err, KENNEL_E_CORRUPT,
			     "\"" NET_BRIDGE "\" has not the address that kennel gave it"),
			"somebody else uses that name: name a bridge of yours (bridge:NAME), or remove it: "
			"ip link delete " NET_BRIDGE);
	o->subnet = address[2];
	return 0;
}

static int pick_subnet(struct outside *o, struct kennel_error **err)
{
	for (o->subnet = 0; o->subnet < SUBNETS; o->subnet++) {
		struct spec_address own[2];
		bool taken = true;

		interfaces_own_address(o->subnet, 1, own);
		const struct link_address a = to_link(&own[0]);
		if (link_has_network(o->nl_fd, &a, &taken) < 0)
			return fail_errno(err, "look for a free network");
		if (!taken)
			return 0;
	}
	return hint(err, fail(err, KENNEL_E_LIMIT, "10.107.0.0/16 is all taken"),
		    "make a bridge with a network of yours, and name it: bridge:NAME,ip=ADDRESS/LENGTH");
}

static int make_own_bridge(struct outside *o, unsigned *ret, struct kennel_error **err)
{
	struct spec_address own[2];

	int r = pick_subnet(o, err);
	if (r < 0)
		return r;
	/* Its own, else it is that of a port, and changes with them. */
	const uint8_t mac[6] = { 0x02, 'k', 'e', 'n', (uint8_t)o->subnet, 1 };
	if (link_make_bridge(o->nl_fd, NET_BRIDGE, mac) < 0 || link_find(o->nl_fd, NET_BRIDGE, ret) < 0)
		return fail_link(err, "make the bridge", NET_BRIDGE);
	interfaces_own_address(o->subnet, 1, own);
	for (unsigned i = 0; i < 2; i++) {
		const struct link_address a = to_link(&own[i]);

		/* a machine may have no IPv6 */
		if (link_add_address(o->nl_fd, *ret, &a) < 0 && i == 0)
			return fail_link(err, "give an address to", NET_BRIDGE);
	}
	/* The inside could tell this machine where the rest of the world is. */
	set_ipv6(NET_BRIDGE, "accept_ra", "0");
	return link_set_up(o->nl_fd, *ret) < 0 ? fail_link(err, "bring up", NET_BRIDGE) : 0;
}

/* A bridge that was begun and not finished has no address: it is made anew. */
static int own_bridge(struct outside *o, unsigned *ret, struct kennel_error **err)
{
	bool used = true;

	if (link_find(o->nl_fd, NET_BRIDGE, ret) < 0)
		return fail_link(err, "look for", NET_BRIDGE);
	if (*ret && link_has_ports(o->nl_fd, *ret, &used) == 0 && !used) {
		if (read_subnet(o, *ret, NULL) == 0)
			return 0;
		bool bridge = false;
		if (link_is_bridge(o->nl_fd, *ret, &bridge) < 0 || !bridge)
			return read_subnet(o, *ret, err);
		(void)!link_remove(o->nl_fd, NET_BRIDGE);
		*ret = 0;
	}
	return *ret ? read_subnet(o, *ret, err) : make_own_bridge(o, ret, err);
}

static int find_bridge(struct outside *o, const char *name, unsigned *ret, struct kennel_error **err)
{
	bool is = false;

	if (link_find(o->nl_fd, name, ret) < 0)
		return fail_link(err, "look for", name);
	if (!*ret)
		return hint(
			err, fail(err, KENNEL_E_NOTFOUND, "there is no bridge \"%s\"", name),
			"make it: ip link add %s type bridge && ip link set %s up; or take --net bridge, kennel's own",
			name, name);
	if (link_is_bridge(o->nl_fd, *ret, &is) < 0)
		return fail_link(err, "look at", name);
	return is ? 0 :
		    hint(err, fail(err, KENNEL_E_TYPE, "\"%s\" is not a bridge", name),
			 "--net macvlan:%s uses any device", name);
}

/* Addresses of the bridge that others have, in the same namespace of the machine. */
static int find_taken(struct outside *o, bool taken[HOSTS], struct kennel_error **err)
{
	struct registry_entry *entries = NULL;
	char prefix[NETWORK_ADDRESS_TEXT];
	size_t n = 0;

	snprintf(prefix, sizeof(prefix), "10.107.%u.", o->subnet);
	int r = registry_list(o->l->sb->registry_fd, NULL, &entries, &n, NULL, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		const char *line, *at;
		uint32_t host;

		for (size_t k = 0; (line = registry_get(&entries[i], "interface", k)); k++) {
			at = strstr(line, prefix);
			_cleanup_free_ char *digits =
				at ? strndup(at + strlen(prefix), strspn(at + strlen(prefix), "0123456789")) :
				     NULL;
			if (digits && parse_u32(digits, &host) == 0 && host < HOSTS)
				taken[host] = true;
		}
	}
	registry_entries_free(entries, n);
	return r;
}

/* Kennel's own bridge, with an address on it for us. */
static int join_own_bridge(struct outside *o, struct spec_interface *in, unsigned *ret,
			   struct kennel_error **err)
{
	struct launch *l = o->l;
	bool taken[HOSTS] = { false };
	struct spec_address gateways[2];

	l->sb->work.net.bridge = true;
	if (net_lock(l->sb->registry_fd, &l->sb->work.net.lock_fd) < 0)
		return fail_errno(err, "lock kennel's bridge");
	int r = own_bridge(o, ret, err);
	if (r == 0)
		r = find_taken(o, taken, err);
	if (r < 0)
		return r;
	unsigned host = interfaces_pick_host(l->sb->plan->hostname, taken);
	if (!host)
		return hint(
			err, fail(err, KENNEL_E_LIMIT, "no address is left on \"" NET_BRIDGE "\""),
			"end some of its sandboxes, or make a bridge with a larger network: bridge:NAME,ip=...");
	interfaces_own_address(o->subnet, host, in->addresses);
	in->n_addresses = 2;
	interfaces_own_address(o->subnet, 1, gateways);
	in->gateways[0] = gateways[0];
	if (l->spec->n_ports || ns_read_sysctl("/proc/sys/net/ipv6/conf/all/forwarding") > 0)
		in->gateways[1] = gateways[1];
	return 0;
}

static int make_pair(struct outside *o, struct spec_interface *in, unsigned i, const struct link_inner *inner,
		     struct kennel_error **err)
{
	struct sandbox *sb = o->l->sb;
	char outer[NETWORK_NAME_SIZE];
	unsigned bridge = 0, index = 0;
	int r = 0;

	if (interfaces_is_own(in))
		r = join_own_bridge(o, in, &bridge, err);
	else if (in->kind == SPEC_LINK_BRIDGE)
		r = find_bridge(o, in->link, &bridge, err);
	if (r < 0)
		return r;
	if (in->kind == SPEC_LINK_VETH && in->link[0])
		memcpy(outer, in->link, sizeof(outer));
	else
		snprintf(outer, sizeof(outer), "kn%.8s-%u", sb->id, o->first + i);
	/* What somebody else has under that name must not be noted, and so removed. */
	if (link_find(o->nl_fd, outer, &index) < 0)
		return fail_link(err, "look for", outer);
	if (index)
		return hint(err, fail(err, KENNEL_E_EXISTS, "there is an interface \"%s\" already", outer),
			    "choose another name: veth:NAME");
	net_clean_note(&sb->work.net, outer);
	if (link_make_veth(o->nl_fd, outer, bridge, inner) < 0 || link_find(o->nl_fd, outer, &index) < 0)
		return fail_link(err, "make the interface", outer);
	if (in->kind != SPEC_LINK_BRIDGE)
		memcpy(in->link, outer, sizeof(outer));
	set_ipv6(outer, "accept_ra", "0");
	if (link_set_up(o->nl_fd, index) < 0)
		return fail_link(err, "bring up", outer);
	for (unsigned k = 0; k < 2; k++) {
		const struct link_address a = to_link(&in->outer[k]);

		if (in->outer[k].family && link_add_address(o->nl_fd, index, &a) < 0)
			return fail_link(err, "give an address to", outer);
	}
	return 0;
}

static int make_macvlan(struct outside *o, struct spec_interface *in, const struct link_inner *inner,
			struct kennel_error **err)
{
	unsigned below = 0;

	if (link_find(o->nl_fd, in->link, &below) < 0)
		return fail_link(err, "look for", in->link);
	if (!below)
		return hint(err, fail(err, KENNEL_E_NOTFOUND, "there is no device \"%s\"", in->link),
			    "\"ip link\" shows those that there are");
	return link_make_macvlan(o->nl_fd, below, inner) < 0 ?
		       fail_link(err, "make a macvlan over", in->link) :
		       0;
}

static int make_one(struct outside *o, unsigned i, struct kennel_error **err)
{
	struct spec_interface *in = &o->l->interfaces[i];
	const struct link_inner inner = {
		.name = in->name,
		.netns_fd = o->netns_fd,
		.mac = in->has_mac ? in->mac : NULL,
		.mtu = in->mtu,
	};

	return in->kind == SPEC_LINK_MACVLAN ? make_macvlan(o, in, &inner, err) :
					       make_pair(o, in, i, &inner, err);
}

/* In the sandbox's namespace. */
static int configure(struct launch *l, int nl_fd, struct spec_interface *in, struct kennel_error **err)
{
	unsigned index = 0;

	if (link_find(nl_fd, in->name, &index) < 0 || !index)
		return fail_link(err, "find inside", in->name);
	set_ipv6(in->name, "accept_ra", in->slaac ? "1" : "0");
	if (link_set_up(nl_fd, index) < 0)
		return fail_link(err, "bring up", in->name);
	for (unsigned i = 0; i < in->n_addresses; i++) {
		const struct link_address a = to_link(&in->addresses[i]);

		/* on kennel's own bridge IPv6 comes where there is any */
		if (link_add_address(nl_fd, index, &a) < 0 &&
		    !(interfaces_is_own(in) && a.family == AF_INET6))
			return fail_link(err, "give an address to", in->name);
	}
	for (unsigned i = 0; i < 2; i++)
		if (in->gateways[i].family &&
		    link_add_gateway(nl_fd, index, i ? AF_INET6 : AF_INET, in->gateways[i].bytes) < 0)
			return fail_link(err, "set the gateway of", in->name);
	return in->dhcp ? lease_take(l, in, index, err) : 0;
}

/* This thread goes into the sandbox's namespace for it, and comes back. */
static int configure_all(struct launch *l, int netns_fd, int *ret_names_fd, struct kennel_error **err)
{
	_cleanup_close_ int old_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (old_fd < 0)
		return fail_errno(err, "open the network namespace");
	if (sys_setns(netns_fd, CLONE_NEWNET) < 0)
		return fail_errno(err, "enter the sandbox's network");
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);
	int r = nl_fd < 0 ? fail_errno(err, "open a netlink socket") : 0, names_errno = 0;
	for (size_t i = 0; i < l->spec->n_interfaces && r == 0; i++)
		r = configure(l, nl_fd, &l->interfaces[i], err);
	if (r == 0 && names_bridge(l)) {
		*ret_names_fd = names_listen(nl_fd, &l->sb->work.net);
		names_errno = errno;
	}
	if (sys_setns(old_fd, CLONE_NEWNET) < 0 && r == 0)
		r = fail_errno(err, "go back to the machine's network");
	if (names_errno && *ret_names_fd < 0)
		log_warn(&l->sb->log, "no names of other sandboxes: %s", strerror(names_errno));
	return r;
}

int interfaces_make(struct launch *l, struct kennel_error **err)
{
	const struct spec *spec = l->spec;
	struct net_clean *clean = &l->sb->work.net;

	l->interfaces = calloc(spec->n_interfaces, sizeof(*l->interfaces));
	if (!l->interfaces)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	clean->dir_fd = l->sb->registry_fd;
	clean->nl_fd = netlink_open(NETLINK_ROUTE);
	if (clean->nl_fd < 0)
		return fail_errno(err, "open a netlink socket");
	struct outside o = { .l = l, .nl_fd = clean->nl_fd, .netns_fd = l->net_ns_fd };
	int r = 0;
	for (size_t i = 0; i < spec->n_interfaces && r == 0; i++) {
		l->interfaces[i] = spec->interfaces[i];
		network_name(spec, i, l->interfaces[i].name);
		r = make_one(&o, (unsigned)i, err);
	}
	_cleanup_close_ int names_fd = -EBADF;
	if (r == 0)
		r = configure_all(l, l->net_ns_fd, &names_fd, err);
	if (r == 0 && names_fd >= 0)
		r = names_start(l, names_fd, err);
	l->has_names = r == 0 && names_fd >= 0;
	return r < 0 ? r : publish_make(l, err);
}

/* The first number that no end of this sandbox has. */
static int find_number(struct outside *o, struct kennel_error **err)
{
	for (; o->first < NET_CLEAN_MAX; o->first++) {
		char outer[NETWORK_NAME_SIZE];
		unsigned index = 0;

		snprintf(outer, sizeof(outer), "kn%.8s-%u", o->l->sb->id, o->first);
		if (link_find(o->nl_fd, outer, &index) < 0)
			return fail_link(err, "look for", outer);
		if (!index)
			return 0;
	}
	return fail(err, KENNEL_E_LIMIT, "it has %u interfaces", NET_CLEAN_MAX);
}

int interfaces_add(const char *id, const struct spec_interface *which, int netns_fd,
		   struct kennel_error **err)
{
	struct sandbox sb = { 0 };
	struct spec_interface in = *which;
	struct launch l = { .sb = &sb, .interfaces = &in };
	unsigned index = 0;

	if (interfaces_is_own(&in) || in.dhcp)
		return fail(err, KENNEL_E_UNSUPPORTED, "%s is given by a start alone",
			    in.dhcp ? "an address of DHCP" : "a place on kennel's own bridge");
	snprintf(sb.id, sizeof(sb.id), "%s", id);
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);
	if (nl_fd < 0)
		return fail_errno(err, "open a netlink socket");
	sb.work.net.nl_fd = nl_fd;
	struct outside o = { .l = &l, .nl_fd = nl_fd, .netns_fd = netns_fd };
	int r = find_number(&o, err);
	if (r == 0)
		r = make_one(&o, 0, err);
	if (r == 0 && sys_setns(netns_fd, CLONE_NEWNET) < 0)
		r = fail_errno(err, "enter the sandbox's network");
	_cleanup_close_ int inner_fd = r < 0 ? -1 : netlink_open(NETLINK_ROUTE);
	if (r == 0)
		r = inner_fd < 0 ? fail_errno(err, "open a netlink socket") :
				   configure(&l, inner_fd, &in, err);
	if (r < 0 && inner_fd >= 0 && link_find(inner_fd, in.name, &index) == 0 && index)
		(void)!link_remove(inner_fd, in.name); /* a macvlan has no other end */
	if (r < 0)
		net_clean_run(&sb.work.net);
	return r;
}

int interfaces_remove(const char *name, int netns_fd, struct kennel_error **err)
{
	if (sys_setns(netns_fd, CLONE_NEWNET) < 0)
		return fail_errno(err, "enter the sandbox's network");
	_cleanup_close_ int nl_fd = netlink_open(NETLINK_ROUTE);
	if (nl_fd < 0)
		return fail_errno(err, "open a netlink socket");
	/* one that the inside has removed, or that could not be had, is what is wanted */
	return link_remove(nl_fd, name) < 0 && errno != ENODEV ? fail_link(err, "remove", name) : 0;
}

/* "eth0<tab>bridge<tab>kennel0<tab>10.107.0.5/24 fd6b:..." */
static void put_interface(struct buf *b, const struct spec_interface *in)
{
	_cleanup_buf_ struct buf line = { 0 };

	buf_printf(&line, "%s\t%s\t%s\t", in->name, network_link_name(in->kind),
		   in->kind == SPEC_LINK_BRIDGE ? interfaces_bridge(in) : in->link);
	for (unsigned i = 0; i < in->n_addresses; i++) {
		char text[NETWORK_ADDRESS_TEXT];

		network_address_text(&in->addresses[i], true, text);
		buf_printf(&line, "%s%s", i ? " " : "", text);
	}
	registry_put(b, "interface", buf_str(&line));
}

/* As it is written: "127.0.0.1:8080:80/udp". */
static void put_port(struct buf *b, const struct spec_port *p)
{
	_cleanup_buf_ struct buf line = { 0 };
	char text[NETWORK_ADDRESS_TEXT];

	if (p->at.family) {
		network_address_text(&p->at, false, text);
		buf_printf(&line, p->at.family == 6 ? "[%s]:" : "%s:", text);
	}
	buf_printf(&line, "%u:%u%s", p->outside, p->inside, p->udp ? "/udp" : "");
	registry_put(b, "publish", buf_str(&line));
}

static void put_kinds(const struct launch *l, struct buf *text)
{
	for (size_t i = 0; i < l->spec->n_interfaces; i++)
		buf_printf(text, "%s%s", i ? "," : "", network_link_name(l->spec->interfaces[i].kind));
}

void interfaces_put_entry(const struct launch *l, struct buf *b)
{
	_cleanup_buf_ struct buf net = { 0 };
	const struct spec *spec = l->spec;
	char machine[NAMES_MACHINE_SIZE];

	if (l->interfaces)
		put_kinds(l, &net);
	else
		buf_puts(&net, spec_net_name(l->sb->plan->net));
	const bool is_private = private_network(l);
	if (is_private && l->sb->plan->net == SPEC_NET_NAT)
		buf_printf(&net, ",%s", spec_net_name(SPEC_NET_PRIVATE));
	if (l->join_ns_fd >= 0 || is_private)
		buf_printf(&net, ":%s", spec->net_where);
	registry_put(b, "net", buf_str(&net));
	if (l->interfaces && names_machine(machine) == 0)
		registry_put(b, "machine-net", machine);
	if (l->has_names)
		registry_put(b, "resolver", "names");
	for (size_t i = 0; l->interfaces && i < spec->n_interfaces; i++)
		put_interface(b, &l->interfaces[i]);
	if (is_private) {
		struct spec_interface in;

		private_describe(l, &in);
		put_interface(b, &in);
	}
	for (size_t i = 0; i < spec->n_ports; i++)
		put_port(b, &spec->ports[i]);
}
