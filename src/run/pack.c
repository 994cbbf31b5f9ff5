/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/pack.c - the child's finished plan, copied into the memory that it shares with us.
 *
 * Where nothing stands against it the child is cloned before anything is planned, since its network namespace
 * takes the kernel longer than the whole plan; so its copy of our memory does not have the plan. Everything
 * that the plan points to, but for constants of the program, goes to the shared memory, which both have at
 * the same address.
 */
#include <string.h>

#include "base/macro.h"
#include "run/limits.h"
#include "run/sandbox.h"

struct arena {
	char *at, *end;
	bool full;
};

static void *put(struct arena *a, const void *data, size_t size)
{
	size_t room = (size + 15) & ~(size_t)15;
	void *ret = a->at;

	if (!size || a->full || room > (size_t)(a->end - a->at)) {
		a->full |= size != 0;
		return NULL;
	}
	a->at += room;
	return memcpy(ret, data, size);
}

static char *put_text(struct arena *a, const char *text)
{
	return text ? put(a, text, strlen(text) + 1) : NULL;
}

/* n words, with a NULL behind them. */
static char **put_words(struct arena *a, const char *const *words, size_t n)
{
	char **list = NULL;

	if ((size_t)(a->end - a->at) > (n + 1) * sizeof(*list) + 16) {
		list = (char **)a->at;
		a->at += ((n + 1) * sizeof(*list) + 15) & ~(size_t)15;
	} else {
		a->full = true;
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		list[i] = put_text(a, words[i]);
	list[n] = NULL;
	return list;
}

static void put_overlays(struct arena *a, struct child_plan *c)
{
	struct child_overlay *o = put(a, c->overlays, c->n_overlays * sizeof(*o));

	for (unsigned i = 0; o && i < c->n_overlays; i++)
		o[i].target = put_text(a, o[i].target);
	c->overlays = o;
}

static void put_binds(struct arena *a, struct child_plan *c)
{
	struct child_bind *b = put(a, c->binds, c->n_binds * sizeof(*b));

	for (unsigned i = 0; b && i < c->n_binds; i++) {
		b[i].target = put_text(a, b[i].target);
		b[i].staged = put_text(a, b[i].staged);
		b[i].only = put_text(a, b[i].only);
	}
	c->binds = b;
}

static void put_places(struct arena *a, struct child_plan *c)
{
	struct child_place *p = put(a, c->places, c->n_places * sizeof(*p));

	for (unsigned i = 0; p && i < c->n_places; i++) {
		p[i].name = put_text(a, p[i].name);
		p[i].source = put_text(a, p[i].source);
	}
	c->places = p;
}

int pack_plan(struct launch *l, struct kennel_error **err)
{
	const struct plan *p = l->sb->plan;
	struct child_plan c = l->child;
	struct arena a = {
		.at = (char *)l->shared + ((sizeof(*l->shared) + 15) & ~(size_t)15),
		.end = (char *)l->shared + l->shared_size,
	};

	put_overlays(&a, &c);
	put_binds(&a, &c);
	put_places(&a, &c);
	c.dev_binds = (const char *const *)put_words(&a, c.dev_binds, c.n_dev_binds);
	c.argv = put_words(&a, (const char *const *)p->argv.items, p->argv.n);
	c.envp = put_words(&a, (const char *const *)p->env.items, p->env.n);
	c.delta_size = put_text(&a, c.delta_size);
	c.delta_inodes = put_text(&a, c.delta_inodes);
	l->shared->plan = put(&a, &c, sizeof(c));
	if (a.full)
		return fail(err, KENNEL_E_LIMIT,
			    "the command, its environment and the mounts are more than %zu bytes",
			    l->shared_size);
	return 0;
}

/* Words, and the pointers to them. */
static size_t words_size(const struct strv *v)
{
	size_t size = 0;

	for (size_t i = 0; i < v->n; i++)
		size += strlen(v->items[i]) + 32;
	return size;
}

size_t pack_room(const struct spec *spec)
{
	/*
	 * Only what is written becomes memory, so this may be plenty: mount points have up to 4096 bytes
	 * each.
	 */
	return sizeof(struct child_shared) + (8u << 20) + words_size(&spec->command) + words_size(&spec->env);
}

bool pack_can_clone_early(const struct launch *l, enum spec_isolate level)
{
	const struct spec *s = l->spec;
	bool user =
		s->isolate == SPEC_ISOLATE_USER ||
		(s->isolate == SPEC_ISOLATE_AUTO && level == SPEC_ISOLATE_USER && s->idmap != SPEC_IDMAP_NO);
	/* A device that may not be written at user needs the device policy of a control group. */
	bool group = run_limits_any(s) || s->n_devices || s->background || s->boot || s->nest;

	/* An ordinary user's child opens a FUSE device for each view before all else: here there is one. */
	bool one_view = !s->base_path && !s->base_layers.n && !s->layers.n && !l->sb->keep;

	return user && !group && (!l->sb->rootless || one_view) && l->sb->initial_user_ns && !s->n_mounts &&
	       (s->net == SPEC_NET_NONE || s->net == SPEC_NET_HOST);
}
