/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-template.c - the public face of templates: what a word means, and a container made of it. */
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "api-import.h"
#include "api-storage.h"
#include "api-list.h"
#include "api-spec.h"
#include "base/cleanup.h"
#include "ship/template.h"

/* What fetches an image out of a registry. */
#define OCI_FETCHER "skopeo"

struct making {
	const struct kennel_template_options *o;
	const struct template *t;
	const char *name;
	const char *const *options;
};

static int make(void *data, int dir_fd, const char *target, const char *work, struct kennel_error **err)
{
	const struct making *m = data;
	const struct template_call call = {
		.t = m->t,
		.container = m->name,
		.options = m->options,
		.dir_fd = dir_fd,
		.target = target,
		.work = work,
		.step = m->o->step,
		.said = m->o->said,
		.data = m->o->data,
		.verbose = m->o->verbose != 0,
	};

	return template_run(&call, err);
}

/* Bytes, as import and export count them. */
static int tick(void *data, uint64_t done, uint64_t total)
{
	const struct kennel_template_options *o = data;

	return o->step(o->data, NULL, done, total);
}

static int use_program(const char *word, const char *name, const char *const *options, struct import_wish *w,
		       const struct kennel_template_options *o, uint64_t *ret_left_out,
		       struct kennel_error **err)
{
	_cleanup_template_ struct template t = { 0 };
	struct making m = { .o = o, .t = &t, .name = name, .options = options };

	int r = template_open(word, &t, err);
	if (r < 0)
		return r;
	w->make = make;
	w->make_data = &m;
	w->makes_oci = t.header.leaves_oci;
	return import_container(w, name, ret_left_out, err);
}

static int use_word(const char *word, const char *name, struct import_wish *w,
		    const struct kennel_template_options *o, uint64_t *ret_left_out,
		    struct kennel_error **err)
{
	const char *rest;
	enum template_kind kind;

	int r = template_word_parse(word, &kind, &rest, err);
	if (r < 0)
		return r;
	if (kind == TEMPLATE_PROGRAM)
		return use_program(rest, name, o->options, w, o, ret_left_out, err);
	if (o->options && o->options[0])
		return fail(err, KENNEL_E_INVALID, "\"%s\" takes no options, but there is \"%s\"", word,
			    o->options[0]);
	if (kind == TEMPLATE_OCI_REMOTE) {
		const char *const fetch[] = { rest, NULL };

		return use_program(OCI_FETCHER, name, fetch, w, o, ret_left_out, err);
	}
	w->input = rest;
	w->image_words = kind == TEMPLATE_OCI;
	return import_container(w, name, ret_left_out, err);
}

int kennel_template_create(const char *template_word, const char *name, const struct kennel_spec *spec,
			   const struct kennel_template_options *options, uint64_t *ret_left_out,
			   struct kennel_error **err)
{
	const struct kennel_template_options defaults = { .size = sizeof(defaults) };
	const struct kennel_template_options *o = options ? options : &defaults;
	const struct kennel_import_options import = {
		.size = sizeof(import),
		.store = o->store,
		.what = "root",
		.tick = o->step ? tick : NULL,
		.data = (void *)o,
	};
	struct import_wish w = { .o = &import, .spec = spec->spec };

	if (options && options->size != sizeof(*options))
		return fail(err, KENNEL_E_INVALID, "options of another version of the library");
	if (spec->spec->base_path || spec->spec->base_layers.n)
		return fail(err, KENNEL_E_INVALID, "a template makes the base: there can't be another one");
	struct storage_wish storage;
	int r = storage_wish_of(o->storage, &storage, err);
	if (!storage.size_bytes)
		storage.size_bytes = spec->spec->size_bytes;
	w.store = &storage;
	if (r == 0)
		r = use_word(template_word, name, &w, o, ret_left_out, err);
	return r < 0 ? wrap(err, r, "make the container \"%s\"", name) : 0;
}

/* One that can't be looked at is listed all the same, with the reason. */
static int describe(struct registry_entry *e, const char *name, struct kennel_error **err)
{
	_cleanup_template_ struct template t = { 0 };
	_cleanup_error_ struct kennel_error *why = NULL;

	int r = list_put(e, "name", name, err);
	if (r < 0)
		return r;
	if (template_open(name, &t, &why) < 0)
		return list_put(e, "damage", kennel_error_message(why), err);
	r = list_put(e, "summary", t.header.summary ? t.header.summary : "", err);
	if (r == 0)
		r = list_put(e, "path", t.path, err);
	return r < 0 ? r : list_put(e, "network", t.header.network ? "host" : "none", err);
}

static int add(struct kennel_list *l, const char *name, struct kennel_error **err)
{
	struct registry_entry *grown = reallocarray(l->entries, l->n + 1, sizeof(*grown));

	if (!grown)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->entries = grown;
	struct registry_entry *e = &grown[l->n++];
	*e = (struct registry_entry){ .id = strdup(name) };
	return e->id ? describe(e, name, err) : fail(err, KENNEL_E_NOMEM, "out of memory");
}

int kennel_template_list(struct kennel_list **ret, struct kennel_error **err)
{
	_cleanup_strv_ struct strv names = { 0 };
	struct kennel_list *l = calloc(1, sizeof(*l));

	if (!l)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	l->id_is_value = true;
	int r = template_names(&names, err);
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = add(l, names.items[i], err);
	if (r < 0) {
		kennel_list_free(l);
		return r;
	}
	*ret = l;
	return 0;
}
