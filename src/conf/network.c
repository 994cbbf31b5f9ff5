/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/network.c - see network.h. */
#include "conf/network.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/pathname.h"
#include "base/strv.h"
#include "base/suggest.h"
#include "conf/name.h"
#include "conf/spec.h"

#define MTU_MIN 68u /* of IPv4 */
#define MTU_MIN6 1280u
#define MTU_MAX 65535u
#define WORDS_MAX 64 /* options of one interface */

static const struct {
	const char *name;
	enum spec_net net;
} modes[] = {
	{ "auto", SPEC_NET_AUTO },	 { "none", SPEC_NET_NONE }, { "host", SPEC_NET_HOST },
	{ "nat", SPEC_NET_NAT },	 { "ns", SPEC_NET_NS },	    { "container", SPEC_NET_CONTAINER },
	{ "private", SPEC_NET_PRIVATE },
};

static const char *const links[] = {
	[SPEC_LINK_PRIVATE] = "private",
	[SPEC_LINK_VETH] = "veth",
	[SPEC_LINK_BRIDGE] = "bridge",
	[SPEC_LINK_MACVLAN] = "macvlan",
};

const char *spec_net_name(enum spec_net v)
{
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (modes[i].net == v)
			return modes[i].name;
	return "interfaces";
}

const char *network_link_name(enum spec_link kind)
{
	return links[kind];
}

/*
 * What the kernel takes, less what would need escapes here or be read by others: "%" stands for a number,
 * a hyphen in front for an option.
 */
bool network_is_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IFNAMSIZ || name[0] == '-' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || strchr("/:,=%\"'\\", *name))
			return false;
	return true;
}

static int set_name(char where[NETWORK_NAME_SIZE], const char *name, struct kennel_error **err)
{
	if (!network_is_name(name))
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "\"%s\" can't be the name of an interface", name),
			    "a name has up to 15 letters, digits, dots, hyphens and underscores");
	memcpy(where, name, strlen(name) + 1);
	return 0;
}

static int parse_bytes(const char *text, int family, uint8_t *ret)
{
	return inet_pton(family == 4 ? AF_INET : AF_INET6, text, ret) == 1 ? 0 : -1;
}

void network_address_text(const struct spec_address *a, bool with_prefix, char ret[NETWORK_ADDRESS_TEXT])
{
	char text[INET6_ADDRSTRLEN] = "";

	(void)!inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, text, sizeof(text));
	if (with_prefix)
		snprintf(ret, NETWORK_ADDRESS_TEXT, "%s/%u", text, a->prefix);
	else
		snprintf(ret, NETWORK_ADDRESS_TEXT, "%s", text);
}

/* Neither a group, nor "all", nor a loopback: those can't be an interface's own. */
static bool is_of_one_host(const struct spec_address *a)
{
	static const uint8_t zero[15];

	if (a->family == 4)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
	if (memcmp(a->bytes, zero, 15) == 0 && a->bytes[15] < 2)
		return false;
	return a->bytes[0] != 0xff;
}

static int parse_address(const char *value, int family, bool with_prefix, struct spec_address *ret,
			 struct kennel_error **err)
{
	_cleanup_free_ char *text = strdup(value);
	uint32_t prefix = family == 4 ? 32 : 128;

	if (!text)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	char *slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	struct spec_address a = { .family = (uint8_t)family };
	if (parse_bytes(text, family, a.bytes) < 0 || !is_of_one_host(&a))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not the IPv%d address of a host", text, family);
	if (with_prefix && !slash)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "\"%s\" does not say how long its network is", value),
			    "write %s", family == 4 ? "10.0.3.5/24" : "fd00::5/64");
	if (!with_prefix && slash)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is one address: nothing stands behind it", value);
	if (slash && (parse_u32(slash + 1, &prefix) < 0 || prefix == 0 || prefix > (family == 4 ? 32 : 128)))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not the length of a network", slash + 1);
	a.prefix = (uint8_t)prefix;
	*ret = a;
	return 0;
}

static int parse_mac(const char *value, uint8_t ret[6], struct kennel_error **err)
{
	uint8_t mac[6];
	unsigned or = 0;
	size_t n = strlen(value);

	for (size_t i = 0; i < 6; i++) {
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *p = value + 3 * i;
		const char *high = n == 17 ? strchr(digits, p[0]) : NULL;
		const char *low = n == 17 ? strchr(digits, p[1]) : NULL;

		if (!high || !low || !*high || !*low || (i < 5 && p[2] != ':'))
			return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is not a MAC address", value),
				    "it is six bytes, such as 02:00:00:00:00:05");
		mac[i] = (uint8_t)((high - digits) % 16 * 16 + (low - digits) % 16);
		or |= mac[i];
	}
	if ((mac[0] & 1) || ! or)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "\"%s\" is not the MAC address of one device", value),
			    "take one that begins with 02");
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

static int parse_mtu(const char *value, uint32_t *ret, struct kennel_error **err)
{
	uint32_t mtu;

	if (parse_u32(value, &mtu) < 0 || mtu < MTU_MIN || mtu > MTU_MAX)
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not an MTU from %u to %u", value, MTU_MIN,
			    MTU_MAX);
	*ret = mtu;
	return 0;
}

/* Options; takes says of which kinds, one bit each. */
#define ON(kind) (1u << (kind))
#define ON_ALL (ON(SPEC_LINK_PRIVATE) | ON(SPEC_LINK_VETH) | ON(SPEC_LINK_BRIDGE) | ON(SPEC_LINK_MACVLAN))
enum option {
	OPT_NAME,
	OPT_IP,
	OPT_IP6,
	OPT_GW,
	OPT_GW6,
	OPT_OUTER,
	OPT_OUTER6,
	OPT_MAC,
	OPT_MTU,
	OPT_SLAAC,
	OPT_DHCP
};
static const struct option_row {
	const char *name;
	unsigned takes;
	bool flag, repeated;
} options[] = {
	[OPT_NAME] = { "name", ON_ALL, false, false },
	[OPT_IP] = { "ip", ON_ALL, false, true },
	[OPT_IP6] = { "ip6", ON_ALL, false, true },
	[OPT_GW] = { "gw", ON_ALL, false, false },
	[OPT_GW6] = { "gw6", ON_ALL, false, false },
	[OPT_OUTER] = { "outer", ON(SPEC_LINK_VETH), false, false },
	[OPT_OUTER6] = { "outer6", ON(SPEC_LINK_VETH), false, false },
	[OPT_MAC] = { "mac", ON_ALL, false, false },
	[OPT_MTU] = { "mtu", ON_ALL, false, false },
	[OPT_SLAAC] = { "slaac", ON_ALL, true, false },
	[OPT_DHCP] = { "dhcp", ON_ALL, true, false },
};

static int add_address(struct spec_interface *in, const char *value, int family, struct kennel_error **err)
{
	if (in->n_addresses == NETWORK_MAX_ADDRESSES)
		return fail(err, KENNEL_E_INVALID,
			    "\"%s\" is more than the %d addresses that one interface takes", value,
			    NETWORK_MAX_ADDRESSES);
	int r = parse_address(value, family, true, &in->addresses[in->n_addresses], err);
	in->n_addresses += r == 0;
	return r;
}

static int set_option(struct spec_interface *in, enum option o, const char *value, struct kennel_error **err)
{
	switch (o) {
	case OPT_NAME:
		if (strcmp(value, "lo") == 0)
			return fail(err, KENNEL_E_INVALID, "\"lo\" is there already");
		return set_name(in->name, value, err);
	case OPT_IP:
	case OPT_IP6:
		return add_address(in, value, o == OPT_IP ? 4 : 6, err);
	case OPT_GW:
	case OPT_GW6:
		return parse_address(value, o == OPT_GW ? 4 : 6, false, &in->gateways[o == OPT_GW6], err);
	case OPT_OUTER:
	case OPT_OUTER6:
		return parse_address(value, o == OPT_OUTER ? 4 : 6, true, &in->outer[o == OPT_OUTER6], err);
	case OPT_MAC:
		in->has_mac = true;
		return parse_mac(value, in->mac, err);
	case OPT_MTU:
		return parse_mtu(value, &in->mtu, err);
	case OPT_SLAAC:
		in->slaac = true;
		return 0;
	case OPT_DHCP:
		in->dhcp = true;
		return 0;
	}
	return 0;
}

static int parse_option(struct spec_interface *in, const char *word, unsigned *seen,
			struct kennel_error **err)
{
	struct suggestion near = { 0 };
	size_t n = strcspn(word, "=");
	_cleanup_free_ char *name = strndup(word, n);

	if (!name)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_row *o = &options[i];

		if (strcmp(o->name, name) != 0) {
			suggest_offer(&near, name, o->name);
			continue;
		}
		if (!(o->takes & ON(in->kind)))
			return fail(err, KENNEL_E_INVALID, "%s has no option \"%s\"", links[in->kind], name);
		if (o->flag == (word[n] == '='))
			return fail(err, KENNEL_E_INVALID, "option \"%s\" %s", name,
				    o->flag ? "takes no value" : "has no value");
		if ((*seen & 1u << i) && !o->repeated)
			return fail(err, KENNEL_E_INVALID, "option \"%s\" is there twice", name);
		*seen |= 1u << i;
		int r = set_option(in, (enum option)i, word + n + !o->flag, err);
		return r < 0 && !o->flag ? wrap(err, r, "%s", name) : r;
	}
	int r = fail(err, KENNEL_E_INVALID, "there is no option \"%s\"", name);
	return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) : r;
}

static bool has_family(const struct spec_interface *in, int family)
{
	for (unsigned i = 0; i < in->n_addresses; i++)
		if (in->addresses[i].family == family)
			return true;
	return false;
}

/* What its own options say against each other. */
static int check_interface(const struct spec_interface *in, struct kennel_error **err)
{
	bool own = in->kind == SPEC_LINK_BRIDGE && !in->link[0];

	if (in->kind == SPEC_LINK_MACVLAN && !in->link[0])
		return hint(err, fail(err, KENNEL_E_INVALID, "macvlan does not say over which device"),
			    "write macvlan:eth0");
	if (in->dhcp && has_family(in, 4))
		return fail(err, KENNEL_E_INVALID, "\"dhcp\" gives the IPv4 address: leave out \"ip\"");
	if (own && (in->n_addresses || in->dhcp))
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "addresses on kennel's own bridge are kennel's choice"),
			    "name a bridge of yours for addresses of yours: bridge:br0,ip=10.0.3.5/24");
	for (unsigned i = 0; i < 2; i++)
		if (in->gateways[i].family && (own || !has_family(in, i ? 6 : 4)))
			return fail(err, KENNEL_E_INVALID, "\"gw%s\" needs an address: ip%s=", i ? "6" : "",
				    i ? "6" : "");
	if (in->mtu && in->mtu < MTU_MIN6 && (in->slaac || has_family(in, 6)))
		return fail(err, KENNEL_E_INVALID, "IPv6 needs an MTU of %u or more", MTU_MIN6);
	return 0;
}

/* words: KIND[:WHAT] and the options. */
static int parse_interface(enum spec_link kind, const char *what, const struct strv *words,
			   struct spec_interface *in, struct kennel_error **err)
{
	unsigned seen = 0;
	int r = 0;

	*in = (struct spec_interface){ .kind = kind };
	if (what)
		r = set_name(in->link, what, err);
	for (size_t i = 1; i < words->n && r == 0; i++)
		r = parse_option(in, words->items[i], &seen, err);
	return r < 0 ? r : check_interface(in, err);
}

/* Empty words are kept, to be refused. */
static int split_words(const char *value, struct strv *ret, struct kennel_error **err)
{
	for (const char *p = value;; p++) {
		size_t n = strcspn(p, ",");
		char *word = strndup(p, n);

		if (!word)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		int r = strv_take(ret, word, err);
		if (r < 0)
			return r;
		if (ret->n > WORDS_MAX)
			return fail(err, KENNEL_E_INVALID, "\"%.40s...\" has too many options", value);
		p += n;
		if (!*p)
			return 0;
	}
}

/* From here on a setter can't fail any more. */
static void take_mode(struct spec *s, enum spec_net net, char *where)
{
	free(s->interfaces);
	free(s->net_where);
	s->interfaces = NULL;
	s->n_interfaces = 0;
	s->net = net;
	s->net_where = where;
	s->net_configured = false;
}

/* Of a directory, and shown where names of bridges are. */
static int private_name(const char *what, char **ret, struct kennel_error **err)
{
	if (strchr(what, ','))
		return hint(err, fail(err, KENNEL_E_INVALID, "private:NAME takes no options"),
			    "its addresses are kennel's choice; without a name it is an interface of root's");
	if (!network_is_name(what))
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "\"%s\" can't be the name of a private network",
				 what),
			    "a name has up to 15 letters, digits, dots, hyphens and underscores");
	*ret = strdup(what);
	return *ret ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}

static int set_mode(struct spec *s, enum spec_net net, const char *what, struct kennel_error **err)
{
	char *where = NULL;
	int r = 0;

	if (net == SPEC_NET_NS)
		r = what ? path_clean(what, &where, err) :
			   fail(err, KENNEL_E_INVALID, "ns does not say which: ns:/run/netns/NAME");
	else if (net == SPEC_NET_CONTAINER && !what)
		r = fail(err, KENNEL_E_INVALID, "container does not say which: container:NAME");
	else if (net == SPEC_NET_CONTAINER) {
		r = name_is_id(what) ? 0 : name_check(what, err);
		where = r == 0 ? strdup(what) : NULL;
		if (r == 0 && !where)
			r = fail(err, KENNEL_E_NOMEM, "out of memory");
	} else if (net == SPEC_NET_PRIVATE) {
		r = private_name(what, &where, err);
	} else if (what)
		r = fail(err, KENNEL_E_INVALID, "\"%s\" stands alone", spec_net_name(net));
	if (r == 0 && !s->net_configured && net == SPEC_NET_NAT && s->net == SPEC_NET_PRIVATE)
		s->net = net;
	else if (r == 0)
		take_mode(s,
			  !s->net_configured && net == SPEC_NET_PRIVATE && s->net == SPEC_NET_NAT ? s->net :
												    net,
			  where);
	return r;
}

const char *network_private(const struct spec *s)
{
	return s->net == SPEC_NET_PRIVATE || s->net == SPEC_NET_NAT ? s->net_where : NULL;
}

static int append(struct spec *s, const struct spec_interface *in, struct kennel_error **err)
{
	bool first = s->net != SPEC_NET_INTERFACES || s->net_configured;
	size_t n = first ? 0 : s->n_interfaces;

	if (n == NETWORK_MAX_INTERFACES)
		return fail(err, KENNEL_E_INVALID, "more than %d interfaces", NETWORK_MAX_INTERFACES);
	struct spec_interface *grown = malloc((n + 1) * sizeof(*grown));
	if (!grown)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (n)
		memcpy(grown, s->interfaces, n * sizeof(*grown));
	grown[n] = *in;
	take_mode(s, SPEC_NET_INTERFACES, NULL);
	s->interfaces = grown;
	s->n_interfaces = n + 1;
	return 0;
}

int network_set(struct spec *s, const char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	struct suggestion near = { 0 };
	size_t n = strcspn(value, ":,");
	_cleanup_free_ char *kind = strndup(value, n);

	if (!kind)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		/* without a name it is an interface, below */
		if (strcmp(modes[i].name, kind) == 0 && (modes[i].net != SPEC_NET_PRIVATE || value[n] == ':'))
			return set_mode(s, modes[i].net, value[n] ? value + n + 1 : NULL, err);
		suggest_offer(&near, kind, modes[i].name);
	}
	int r = split_words(value, &words, err);
	for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0; i++) {
		struct spec_interface in;

		if (strcmp(links[i], kind) != 0) {
			suggest_offer(&near, kind, links[i]);
			continue;
		}
		r = parse_interface((enum spec_link)i, words.items[0][n] ? words.items[0] + n + 1 : NULL,
				    &words, &in, err);
		return r < 0 ? r : append(s, &in, err);
	}
	if (r < 0)
		return r;
	r = fail(err, KENNEL_E_INVALID, "\"%s\" is not a kind of network", kind);
	return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) : r;
}

static int parse_port(const char *text, uint16_t *ret)
{
	uint32_t port;

	if (parse_u32(text, &port) < 0 || port == 0 || port > UINT16_MAX)
		return -1;
	*ret = (uint16_t)port;
	return 0;
}

/* An address in front; an IPv6 one has brackets around it. 0.0.0.0 and :: are all that there are. */
static int parse_at(char *text, struct spec_address *ret, struct kennel_error **err)
{
	size_t n = strlen(text);
	struct spec_address a = { .family = 4, .prefix = 32 };

	if (n > 2 && text[0] == '[' && text[n - 1] == ']') {
		text[n - 1] = '\0';
		text++;
		a.family = 6;
		a.prefix = 128;
	}
	if (parse_bytes(text, a.family, a.bytes) < 0 ||
	    (a.family == 4 ? a.bytes[0] >= 224 : a.bytes[0] == 0xff))
		return fail(err, KENNEL_E_INVALID, "\"%s\" is not an address of a host", text);
	*ret = a;
	return 0;
}

static bool is_all(const struct spec_address *a)
{
	static const uint8_t zero[16];

	return !a->family || memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

static int parse_publish(const char *value, struct spec_port *ret, struct kennel_error **err)
{
	_cleanup_free_ char *text = strdup(value);

	if (!text)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*ret = (struct spec_port){ 0 };
	char *slash = strrchr(text, '/');
	if (slash) {
		*slash++ = '\0';
		ret->udp = strcmp(slash, "udp") == 0;
		if (!ret->udp && strcmp(slash, "tcp") != 0)
			return fail(err, KENNEL_E_INVALID, "\"%s\" behind the slash is neither tcp nor udp",
				    slash);
	}
	char *inside = strrchr(text, ':');
	if (!inside)
		return fail(err, KENNEL_E_INVALID, "\"%s\" does not say which port inside", value);
	*inside++ = '\0';
	char *colon = strrchr(text, ':');
	if (colon)
		*colon = '\0';
	const char *outside = colon ? colon + 1 : text;
	if (parse_port(outside, &ret->outside) < 0 || parse_port(inside, &ret->inside) < 0)
		return fail(err, KENNEL_E_INVALID, "\"%s\" has no two ports from 1 to 65535", value);
	return colon ? parse_at(text, &ret->at, err) : 0;
}

static bool is_same_place(const struct spec_port *a, const struct spec_port *b)
{
	if (a->outside != b->outside || a->udp != b->udp)
		return false;
	return is_all(&a->at) || is_all(&b->at) ||
	       (a->at.family == b->at.family && memcmp(a->at.bytes, b->at.bytes, sizeof(a->at.bytes)) == 0);
}

int network_publish(struct spec *s, const char *value, struct kennel_error **err)
{
	struct spec_port port;

	int r = parse_publish(value, &port, err);
	if (r < 0)
		return r;
	/* What the configuration has at this port no longer holds. */
	for (size_t i = 0; i < s->n_configured_ports; i++)
		if (is_same_place(&s->ports[i], &port)) {
			s->ports[i] = port;
			return 0;
		}
	if (s->n_ports == NETWORK_MAX_PORTS)
		return fail(err, KENNEL_E_INVALID, "more than %d ports", NETWORK_MAX_PORTS);
	struct spec_port *ports = reallocarray(s->ports, s->n_ports + 1, sizeof(*ports));
	if (!ports)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->ports = ports;
	ports[s->n_ports++] = port;
	return 0;
}

static bool is_taken(const struct spec *s, const char *name)
{
	for (size_t i = 0; i < s->n_interfaces; i++)
		if (strcmp(s->interfaces[i].name, name) == 0)
			return true;
	return false;
}

void network_name(const struct spec *s, size_t i, char ret[NETWORK_NAME_SIZE])
{
	unsigned number = 0;

	if (s->interfaces[i].name[0]) {
		memcpy(ret, s->interfaces[i].name, NETWORK_NAME_SIZE);
		return;
	}
	for (size_t k = 0; k <= i; k++) {
		if (s->interfaces[k].name[0])
			continue;
		do
			snprintf(ret, NETWORK_NAME_SIZE, "eth%u", number++);
		while (is_taken(s, ret));
	}
}

static int check_names(const struct spec *s, struct kennel_error **err)
{
	unsigned own = 0;

	for (size_t i = 0; i < s->n_interfaces; i++) {
		const struct spec_interface *a = &s->interfaces[i];

		own += a->kind == SPEC_LINK_BRIDGE && !a->link[0];
		for (size_t k = 0; k < i; k++) {
			const struct spec_interface *b = &s->interfaces[k];

			if (a->name[0] && strcmp(a->name, b->name) == 0)
				return fail(err, KENNEL_E_INVALID, "two interfaces have the name \"%s\"",
					    a->name);
			if (a->kind == SPEC_LINK_VETH && b->kind == SPEC_LINK_VETH && a->link[0] &&
			    strcmp(a->link, b->link) == 0)
				return fail(err, KENNEL_E_INVALID,
					    "two interfaces have the name \"%s\" outside", a->link);
		}
	}
	return own > 1 ? fail(err, KENNEL_E_INVALID, "one interface on kennel's own bridge is enough") : 0;
}

static bool can_be_reached(const struct spec *s)
{
	for (size_t i = 0; i < s->n_interfaces; i++) {
		const struct spec_interface *in = &s->interfaces[i];

		if ((in->kind == SPEC_LINK_BRIDGE && !in->link[0]) ||
		    (in->kind != SPEC_LINK_MACVLAN && (in->n_addresses || in->dhcp)))
			return true;
	}
	return false;
}

int network_check(const struct spec *s, struct kennel_error **err)
{
	int r = check_names(s, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->n_ports; i++)
		for (size_t k = 0; k < i; k++)
			if (is_same_place(&s->ports[i], &s->ports[k]))
				return fail(err, KENNEL_E_INVALID,
					    "port %u of the machine is published twice", s->ports[i].outside);
	if (!s->n_ports)
		return 0;
	if (s->net != SPEC_NET_HOST && s->isolate != SPEC_ISOLATE_FS &&
	    (s->net == SPEC_NET_AUTO || s->net == SPEC_NET_NAT || can_be_reached(s)))
		return 0;
	if (s->net == SPEC_NET_HOST || s->isolate == SPEC_ISOLATE_FS)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "publish has no meaning in the machine's own network"),
			    "its ports are open there already: leave out --publish");
	return hint(err,
		    fail(err, KENNEL_E_INVALID, "publish needs a network with an address that leads inside"),
		    "take --net nat, or --net bridge");
}
