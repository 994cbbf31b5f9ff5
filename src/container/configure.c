/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* container/configure.c - from what a spec was given to the configuration of a container. */
#include <string.h>

#include "base/cleanup.h"
#include "conf/config.h"
#include "container/container.h"
#include "delta/manifest.h"

/* Of a single run: how it looks to who started it, and what bounds changes in memory alone. */
static bool is_saved(const char *key)
{
	return spec_key_use(key) != SPEC_USE_ONCE && strcmp(key, "quiet") != 0 && strcmp(key, "tty") != 0 &&
	       strcmp(key, "disk") != 0;
}

/* Of a group the first takes the place of all that the file has. */
static bool adds(const struct spec *spec, size_t at)
{
	const enum spec_use use = spec_key_use(spec->given.items[at]);

	if (use != SPEC_USE_GROUP)
		return use == SPEC_USE_LIST;
	for (size_t i = 0; i < at; i += 2)
		if (strcmp(spec->given.items[i], spec->given.items[at]) == 0)
			return true;
	return false;
}

int container_put_given(const char *file, const struct spec *spec, struct buf *text,
			struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i + 1 < spec->given.n && r == 0; i += 2) {
		const char *key = spec->given.items[i];
		const struct config_change change = {
			.action = adds(spec, i) ? CONFIG_ADD : CONFIG_SET,
			.key = key,
			.value = spec->given.items[i + 1],
		};

		if (is_saved(key))
			r = config_edit(file, text, &change, NULL, err);
	}
	return r;
}

int container_new_config(const struct spec *spec, struct buf *text, struct kennel_error **err)
{
	buf_puts(text, "# What this container is run with. Keys are the long options of \"kennel run\";\n"
		       "# see kennel-config(1).\n"
		       "[container]\n"
		       "base = system\n");
	int r = buf_check(text, err);
	if (r == 0)
		r = container_put_given("the new configuration", spec, text, err);
	return r < 0 ? r : config_check("the new configuration", buf_str(text), text->len, err);
}

static int next_setting(const struct config *c, const char *key, size_t *at)
{
	for (; *at < c->n; ++*at)
		if (strcmp(c->items[*at].key, key) == 0)
			return (int)(*at)++;
	return -1;
}

/* The same values in the same order? */
static bool is_same(const struct config *a, const struct config *b, const char *key)
{
	size_t at_a = 0, at_b = 0;

	for (;;) {
		int i = next_setting(a, key, &at_a), k = next_setting(b, key, &at_b);

		if (i < 0 || k < 0)
			return i == k;
		if (strcmp(a->items[i].value, b->items[k].value) != 0)
			return false;
	}
}

/* More on top are no other ones; in a file they would be everywhere else. */
static bool has_more_layers(const struct container *c, const struct config *new, const struct strv *layers)
{
	size_t at = 0;

	for (size_t i = 0; i < layers->n; i++) {
		int k = next_setting(new, "layer", &at);

		if (k < 0 || strcmp(new->items[k].value, layers->items[i]) != 0)
			return false;
	}
	return c->store_fd >= 0;
}

int container_check_base(const struct container *c, const char *file, const struct buf *before,
			 const struct buf *after, struct kennel_error **err)
{
	static const char *const fixed[] = { "base", "layer" };
	_cleanup_manifest_ struct manifest m = { 0 };
	_cleanup_config_ struct config old = { 0 }, new = { 0 };
	_cleanup_buf_ struct buf manifest = { 0 };

	int r = container_read(c, CONTAINER_MANIFEST, &manifest, err);
	if (r <= 0)
		return r;
	/* One that people broke by hand can't be compared; what it lies over is in the manifest, too. */
	if (config_parse(file, buf_str(before), before->len, &old, NULL) < 0)
		return 0;
	r = config_parse(file, buf_str(after), after->len, &new, err);
	if (r == 0)
		r = manifest_parse(buf_str(&manifest), &m, err);
	for (size_t i = 0; i < ARRAY_SIZE(fixed) && r == 0; i++)
		if (!is_same(&old, &new, fixed[i]) && !(i == 1 && has_more_layers(c, &new, &m.layers)))
			r = hint(err,
				 fail(err, KENNEL_E_INVALID,
				      "the %s of \"%s\" can't be changed: its changes lie over it", fixed[i],
				      c->name),
				 "make another container with \"kennel create\"");
	return r;
}
