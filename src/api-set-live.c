/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-set-live.c - see api-set-live.h. */
#include "api-set-live.h"

#include <stdlib.h>
#include <string.h>

#include "api-running.h"
#include "base/cleanup.h"
#include "cgroup/cgroup.h"
#include "conf/config.h"
#include "conf/spec.h"
#include "device/device.h"
#include "run/graft.h"

struct change {
	struct graft graft;
	struct buf cgroups; /* of its first process */
	struct spec *before, *after;
};

static int parse(const struct buf *text, struct spec **ret)
{
	_cleanup_config_ struct config c = { 0 };

	*ret = spec_new(NULL);
	if (!*ret)
		return -KENNEL_E_NOMEM;
	int r = config_parse("", buf_str(text), text->len, &c, NULL);
	return r < 0 ? r : config_apply("", &c, *ret, NULL);
}

static void tell(const struct change *c, int r, const char *what, const char *path,
		 const struct kennel_error *why)
{
	if (r < 0)
		log_warn(&c->graft.log, "%s \"%s\" holds from the next start on: %s", what, path,
			 kennel_error_message(why));
}

static bool has_mount(const struct spec *s, const struct spec_mount *m)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (strcmp(s->mounts[i].source, m->source) == 0 &&
		    strcmp(s->mounts[i].target, m->target) == 0 && s->mounts[i].read_only == m->read_only)
			return true;
	return false;
}

static bool has_device(const struct spec *s, const struct spec_device *d)
{
	for (size_t i = 0; i < s->n_devices; i++) {
		const struct spec_device *o = &s->devices[i];

		if (strcmp(o->path, d->path) == 0 && o->read == d->read && o->write == d->write &&
		    o->make == d->make)
			return true;
	}
	return false;
}

/* Its control group, where that has a policy for devices. */
static int permit(const struct change *c, const struct spec_device *d, bool on, struct kennel_error **err)
{
	_cleanup_device_policy_ struct device_policy *all = NULL, *one = NULL;

	int r = device_policy_new(&all, err);
	if (r == 0)
		r = device_policy_new(&one, err);
	for (size_t i = 0; i < c->after->n_devices && r == 0; i++) {
		const struct spec_device *o = &c->after->devices[i];

		r = device_policy_allow(all, o->path, o->read, o->write, o->make, err);
	}
	if (r == 0)
		r = device_policy_allow(one, d->path, d->read, d->write, d->make, err);
	return r < 0 ? r : cgroup_permit(buf_str(&c->cgroups), all, one, on, err);
}

static int add_device(const struct change *c, const struct spec_device *d, struct kennel_error **err)
{
	int r = permit(c, d, true, err);

	/* Root inside may do anything with a node that it sees: only a policy can hold back half of "rw". */
	if (r == 0 && (!d->read || !d->write))
		return fail(err, KENNEL_E_UNSUPPORTED, "it was started without a device policy");
	return r < 0 ? r : graft_device(&c->graft, d, err);
}

static int remove_device(const struct change *c, const struct spec_device *d, struct kennel_error **err)
{
	int r = permit(c, d, false, err);

	return r < 0 ? r : graft_remove_device(&c->graft, d, err);
}

static void change_devices(const struct change *c)
{
	for (size_t i = 0; i < c->before->n_devices; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;
		const struct spec_device *d = &c->before->devices[i];

		if (!has_device(c->after, d) && !device_is_default(d->path)) {
			int r = remove_device(c, d, &why);

			tell(c, r, "that it has no device", d->path, why);
		}
	}
	for (size_t i = 0; i < c->after->n_devices; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;
		const struct spec_device *d = &c->after->devices[i];

		if (!has_device(c->before, d) && !device_is_default(d->path)) {
			int r = add_device(c, d, &why);

			tell(c, r, "the device", d->path, why);
		}
	}
}

static void change_mounts(const struct change *c)
{
	/* the last one first: it may lie in one before it */
	for (size_t i = c->before->n_mounts; i > 0; i--) {
		_cleanup_error_ struct kennel_error *why = NULL;
		const struct spec_mount *m = &c->before->mounts[i - 1];

		if (!has_mount(c->after, m)) {
			int r = graft_unmount(&c->graft, m, &why);

			tell(c, r, "that nothing is at", m->target, why);
		}
	}
	for (size_t i = 0; i < c->after->n_mounts; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;
		const struct spec_mount *m = &c->after->mounts[i];

		if (!has_mount(c->before, m)) {
			int r = graft_mount(&c->graft, m, &why);

			tell(c, r, "what is at", m->target, why);
		}
	}
}

static bool has_word(const struct strv *v, const char *word)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->items[i], word) == 0)
			return true;
	return false;
}

/* Only over a guest's tree one more can be put, and taken away again. */
static void change_layers(const struct change *c, bool guest)
{
	for (size_t i = c->before->layers.n; i > 0; i--) {
		_cleanup_error_ struct kennel_error *why = NULL;
		const char *path = c->before->layers.items[i - 1];

		if (has_word(&c->after->layers, path))
			continue;
		if (!guest) {
			log_warn(&c->graft.log, "that it has no layer \"%s\" holds from the next start on",
				 path);
			continue;
		}
		int r = graft_remove_layer(&c->graft, path, &why);
		tell(c, r, "that it has no layer", path, why);
	}
	for (size_t i = 0; i < c->after->layers.n; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;
		const char *path = c->after->layers.items[i];

		if (has_word(&c->before->layers, path))
			continue;
		if (!guest) {
			log_warn(&c->graft.log, "the layer \"%s\" holds from the next start on", path);
			continue;
		}
		int r = graft_layer(&c->graft, path, &why);
		tell(c, r, "the layer", path, why);
	}
}

/* The lines of what a guest takes while it runs, from p on, are passed over. */
static const char *pass_over(const char *p)
{
	while (strncmp(p, "layer", 5) == 0 || strncmp(p, "share", 5) == 0 || strncmp(p, "mount", 5) == 0)
		p += strcspn(p, "\n") + (strchr(p, '\n') != NULL);
	return p;
}

/* Is there any other line in one of them alone? */
static bool guest_takes_all(const struct buf *before, const struct buf *after)
{
	const char *a = buf_str(before), *b = buf_str(after);

	for (;;) {
		a = pass_over(a);
		b = pass_over(b);
		const size_t n = strcspn(a, "\n");
		if (n != strcspn(b, "\n") || strncmp(a, b, n) != 0)
			return false;
		if (!a[n] || !b[n])
			return a[n] == b[n];
		a += n + 1;
		b += n + 1;
	}
}

static bool same_addresses(const struct spec_address *a, const struct spec_address *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].family != b[i].family || a[i].prefix != b[i].prefix ||
		    memcmp(a[i].bytes, b[i].bytes, sizeof(a[i].bytes)) != 0)
			return false;
	return true;
}

static bool same_interface(const struct spec_interface *a, const struct spec_interface *b)
{
	return a->kind == b->kind && strcmp(a->link, b->link) == 0 && strcmp(a->name, b->name) == 0 &&
	       a->n_addresses == b->n_addresses &&
	       same_addresses(a->addresses, b->addresses, a->n_addresses) &&
	       same_addresses(a->gateways, b->gateways, 2) && same_addresses(a->outer, b->outer, 2) &&
	       a->has_mac == b->has_mac && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->mtu == b->mtu &&
	       a->slaac == b->slaac && a->dhcp == b->dhcp;
}

/* All of them, each with the name that it has inside. The caller frees it. */
static struct spec_interface *name_all(const struct spec *s)
{
	struct spec_interface *all = calloc(s->n_interfaces + 1, sizeof(*all));

	for (size_t i = 0; all && i < s->n_interfaces; i++) {
		all[i] = s->interfaces[i];
		network_name(s, i, all[i].name);
	}
	return all;
}

static bool has_interface(const struct spec_interface *all, size_t n, const struct spec_interface *in)
{
	for (size_t i = 0; i < n; i++)
		if (same_interface(&all[i], in))
			return true;
	return false;
}

/*
 * What it was started with: the configuration may have said something else since, and another kind of network
 * is not the sandbox's to change, or even the machine's.
 */
static bool has_own_net(const struct kennel_list *running)
{
	const char *net = kennel_list_value(running, 0, "net");

	return kennel_list_detail(running, 0, "interface", 0) || (net && strcmp(net, "none") == 0);
}

static bool same_interfaces(const struct spec_interface *a, size_t n_a, const struct spec_interface *b,
			    size_t n_b)
{
	for (size_t i = 0; i < n_a && n_a == n_b; i++)
		if (!has_interface(b, n_b, &a[i]))
			return false;
	return n_a == n_b;
}

static bool same_where(const struct spec *a, const struct spec *b)
{
	return strcmp(a->net_where ? a->net_where : "", b->net_where ? b->net_where : "") == 0;
}

static void change_interfaces(const struct change *c, const struct kennel_list *running)
{
	const size_t n_before = c->before->n_interfaces, n_after = c->after->n_interfaces;
	_cleanup_free_ struct spec_interface *before = name_all(c->before), *after = name_all(c->after);
	const enum spec_net net = c->after->net;

	if (!before || !after ||
	    (net == c->before->net && same_where(c->before, c->after) &&
	     same_interfaces(before, n_before, after, n_after)))
		return;
	if (!has_own_net(running) || network_private(c->before) ||
	    (net != SPEC_NET_NONE && net != SPEC_NET_INTERFACES)) {
		log_warn(&c->graft.log, "net \"%s\" holds from the next start on", spec_net_name(net));
		return;
	}
	for (size_t i = 0; i < n_before; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;

		if (!has_interface(after, n_after, &before[i])) {
			int r = graft_remove_interface(&c->graft, &before[i], &why);

			tell(c, r, "that it has no interface", before[i].name, why);
		}
	}
	for (size_t i = 0; i < n_after; i++) {
		_cleanup_error_ struct kennel_error *why = NULL;

		if (!has_interface(before, n_before, &after[i])) {
			int r = graft_interface(&c->graft, &after[i], &why);

			tell(c, r, "the interface", after[i].name, why);
		}
	}
}

void set_live(const char *id, const struct buf *before, const struct buf *after, const struct log_sink *log)
{
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct kennel_list *running = NULL;
	struct copy_sandbox sb;
	struct change c = { .graft = { .sb = &sb, .id = id, .log = *log } };

	if (parse(before, &c.before) == 0 && parse(after, &c.after) == 0 &&
	    running_open(id, &sb, &pidfd, &root_fd, &running, NULL) == 0 &&
	    running_cgroup(&sb, pidfd, &c.cgroups, NULL) == 0) {
		const bool guest = running_is_guest(running);

		c.graft.init_pidfd = pidfd;
		c.graft.guest = guest;
		change_mounts(&c); /* first, for once a layer came no places can be made for them */
		change_layers(&c, guest);
		if (guest && !guest_takes_all(before, after)) {
			log_warn(log,
				 "it has a kernel of its own, which takes other changes at its next start");
		} else if (!guest) {
			change_devices(&c);
			change_interfaces(&c, running);
		}
	}
	kennel_list_free(running);
	buf_done(&c.cgroups);
	spec_free(c.before);
	spec_free(c.after);
}
