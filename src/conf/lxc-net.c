/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/lxc-net.c - LXC's networks, each a handful of keys with a number in them, as values of "net". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "conf/lxc.h"

#define NETS_MAX 32u

struct net {
	const struct lxc_item *type; /* NULL: not said */
	const char *link;
	struct buf options; /* ",name=eth0" and so on */
	bool refused;
};

/* "lxc.net.0.ipv4.address" and "lxc.network.ipv4" have numbers and names; old ones begin with their type. */
static bool split_key(const char *key, unsigned *old, unsigned *ret_number, const char **ret_rest)
{
	int used = 0;

	if (sscanf(key, "lxc.net.%u.%n", ret_number, &used) == 1 && used) {
		*ret_rest = key + used;
		return true;
	}
	if (strncmp(key, "lxc.network.", 12) != 0)
		return false;
	*ret_rest = key + 12;
	if (strcmp(*ret_rest, "type") == 0)
		++*old;
	*ret_number = *old ? *old - 1 : 0;
	return true;
}

static int add_option(struct net *n, const char *name, const char *value, size_t len)
{
	const char *prefix = strcmp(name, "ip6") == 0 && !strchr(value, '/') ? "/64" : ""; /* LXC's own */

	buf_printf(&n->options, ",%s=%.*s%s", name, (int)len, value, prefix);
	return 0;
}

static int take_option(struct lxc *l, const struct lxc_item *i, struct net *n, const char *name,
		       struct kennel_error **err)
{
	static const struct {
		const char *name, *option;
	} options[] = {
		{ "name", "name" }, { "mtu", "mtu" },	       { "ipv4.address", "ip" },
		{ "ipv4", "ip" },   { "ipv4.gateway", "gw" },  { "ipv6.address", "ip6" },
		{ "ipv6", "ip6" },  { "ipv6.gateway", "gw6" },
	};
	const struct foreign_at at = lxc_at(i);

	for (size_t k = 0; k < ARRAY_SIZE(options); k++)
		if (strcmp(options[k].name, name) == 0) {
			if (strcmp(i->value, "auto") == 0 || strchr(i->value, ','))
				return foreign_refuse(l->f, &at, "a gateway is an address", err);
			return add_option(n, options[k].option, i->value, strcspn(i->value, " \t"));
		}
	if (strcmp(name, "type") == 0)
		n->type = i;
	else if (strcmp(name, "link") == 0)
		n->link = i->value;
	else if (strcmp(name, "hwaddr") == 0) /* with an x in it, any will do */
		return strpbrk(i->value, "xX") ? 0 : add_option(n, "mac", i->value, strlen(i->value));
	else if (strcmp(name, "flags") == 0)
		return strcmp(i->value, "up") == 0 ? 0 : foreign_refuse(l->f, &at, NULL, err);
	else if (strcmp(name, "macvlan.mode") == 0)
		return strcmp(i->value, "bridge") == 0 ? 0 : foreign_refuse(l->f, &at, NULL, err);
	else if (strcmp(name, "veth.mode") == 0)
		return strcmp(i->value, "bridge") == 0 ? 0 : foreign_refuse(l->f, &at, NULL, err);
	else
		return foreign_refuse(
			l->f, &at,
			strncmp(name, "script.", 7) == 0 ?
				"kennel's hooks run programs of the machine: --hook-start-host" :
				NULL,
			err);
	return 0;
}

static int settle(struct lxc *l, const struct net *n, struct kennel_error **err)
{
	_cleanup_buf_ struct buf value = { 0 };

	if (!n->type)
		return 0;
	const struct foreign_at at = lxc_at(n->type);
	const char *type = n->type->value;
	if (strcmp(type, "none") == 0 || strcmp(type, "empty") == 0) {
		/* beside others there is a network anyway */
		if (l->f->spec->net == SPEC_NET_INTERFACES)
			return strcmp(type, "empty") == 0 ? 0 : foreign_refuse(l->f, &at, NULL, err);
		return foreign_set(l->f, &at, "net", strcmp(type, "none") == 0 ? "host" : "none", err);
	}
	const char *kind = strcmp(type, "macvlan") == 0 ? "macvlan" :
			   strcmp(type, "veth") != 0	? NULL :
			   n->link			? "bridge" :
							  "veth";
	if (!kind)
		return foreign_refuse(l->f, &at, "kennel has bridge, veth and macvlan: --net", err);
	buf_printf(&value, "%s%s%s%s", kind, n->link ? ":" : "", n->link ? n->link : "",
		   buf_str(&n->options));
	int r = buf_check(&value, err);
	return r < 0 ? r : foreign_set(l->f, &at, "net", buf_str(&value), err);
}

int lxc_take_networks(struct lxc *l, struct kennel_error **err)
{
	struct net *nets = calloc(NETS_MAX, sizeof(*nets));
	unsigned old = 0, number;
	const char *name;
	int r = nets ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");

	for (size_t k = 0; k < l->n && r == 0; k++) {
		const struct foreign_at at = lxc_at(&l->items[k]);

		if (strncmp(at.key, "lxc.net", 7) != 0)
			continue;
		if (!split_key(at.key, &old, &number, &name) || number >= NETS_MAX)
			r = foreign_refuse(l->f, &at, NULL, err);
		else
			r = take_option(l, &l->items[k], &nets[number], name, err);
	}
	for (unsigned k = 0; nets && k < NETS_MAX; k++) {
		if (r == 0)
			r = settle(l, &nets[k], err);
		buf_done(&nets[k].options);
	}
	free(nets);
	return r;
}
