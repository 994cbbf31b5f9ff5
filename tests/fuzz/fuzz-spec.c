/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-spec.c - the words of the command line and of a configuration file. Input: lines of KEY NUL
 * VALUE.
 *
 * Besides memory errors it looks for broken promises: a refusal has a sentence and changes no list; every
 * path that is accepted is absolute and clean; a range of ids ends below "no id".
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "conf/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_items(const struct spec *s)
{
	return s->base_layers.n + s->layers.n + s->without.n + s->hide.n + s->n_mounts + s->n_devices +
	       s->env.n + s->n_interfaces + s->n_ports;
}

static void check_set(struct spec *s, const char *key, const char *value)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	size_t before = count_items(s);
	int r = spec_set(s, key, value, &err);

	if (r == 0) {
		if (err)
			abort();
		return;
	}
	if (r != -KENNEL_E_INVALID || kennel_error_code(err) != KENNEL_E_INVALID || count_items(s) != before)
		abort();
	if (!kennel_error_message(err)[0])
		abort();
}

static void check_path(const char *path)
{
	if (path[0] != '/' || strstr(path, "//") || strstr(path, "/../") || strstr(path, "/./"))
		abort();
	size_t n = strlen(path);
	if (n > 1 && path[n - 1] == '/')
		abort();
}

static void check_paths(const struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		check_path(v->items[i]);
}

static void check_network(const struct spec *s)
{
	if ((s->net == SPEC_NET_INTERFACES) != (s->n_interfaces > 0) ||
	    s->n_interfaces > NETWORK_MAX_INTERFACES)
		abort();
	if (s->net == SPEC_NET_NS)
		check_path(s->net_where);
	for (size_t i = 0; i < s->n_interfaces; i++) {
		const struct spec_interface *in = &s->interfaces[i];
		char name[NETWORK_NAME_SIZE];

		network_name(s, i, name);
		if (!network_is_name(name) || (in->link[0] && !network_is_name(in->link)))
			abort();
		for (unsigned k = 0; k < in->n_addresses; k++)
			if (!in->addresses[k].prefix ||
			    in->addresses[k].prefix > (in->addresses[k].family == 4 ? 32 : 128))
				abort();
	}
	for (size_t i = 0; i < s->n_ports; i++)
		if (!s->ports[i].outside || !s->ports[i].inside)
			abort();
}

static void check_spec(const struct spec *s)
{
	check_paths(&s->layers);
	check_paths(&s->without);
	check_paths(&s->hide);
	for (size_t i = 0; i < s->n_mounts; i++) {
		check_path(s->mounts[i].source);
		check_path(s->mounts[i].target);
	}
	for (size_t i = 0; i < s->n_devices; i++) {
		const struct spec_device *d = &s->devices[i];

		check_path(d->path);
		if (!d->read && !d->write && !d->make)
			abort();
	}
	check_network(s);
	if ((s->base_kind == SPEC_BASE_PATH) != (s->base_path != NULL))
		abort();
	if (s->idmap == SPEC_IDMAP_RANGE &&
	    (!s->idmap_base || !s->idmap_count || (uint64_t)s->idmap_base + s->idmap_count > UINT32_MAX))
		abort();
	for (size_t i = 0; i < s->env.n; i++)
		if (!strchr(s->env.items[i], '='))
			abort();

	_cleanup_error_ struct kennel_error *err = NULL;
	if ((spec_check(s, &err) < 0) != (err != NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	struct spec *s = spec_new(NULL);

	if (text && s) {
		if (size)
			memcpy(text, data, size);
		text[size] = '\0';
		for (char *line = text, *end = text + size; line < end;) {
			char *next = memchr(line, '\n', (size_t)(end - line));
			char *stop = next ? next : end;

			*stop = '\0';
			char *value = line + strlen(line) + 1;
			check_set(s, line, value <= stop ? value : "");
			line = stop + 1;
		}
		check_spec(s);
	}
	spec_free(s);
	return 0;
}
