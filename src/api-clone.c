/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-clone.c - the public face of clones: a container out of another one. */
#include <string.h>

#include <kennel/kennel.h>

#include "api-clone.h"
#include "base/cleanup.h"
#include "base/pathname.h"
#include "container/layers.h"
#include "container/origin.h"
#include "run/keep.h"

#define FLAGS KENNEL_CLONE_SNAPSHOT

struct cloning {
	const struct kennel_clone_options *o;
	struct clone_source s;
	struct store to;
	char origin[ORIGIN_ID_SIZE];
};

/* It stands on the layers that its origin stands on by now. */
static int fill_stacked(void *data, int dir_fd, struct buf *config, struct kennel_error **err)
{
	struct cloning *c = data;
	_cleanup_buf_ struct buf text = { 0 };
	int r = 0;

	(void)config;
	if (c->s.manifest.base) {
		manifest_format(&c->s.manifest, &text);
		r = buf_check(&text, err);
		if (r == 0)
			r = container_write_file(dir_fd, CONTAINER_MANIFEST, &text, c->to.path, err);
	}
	return r < 0 ? r : origin_write(dir_fd, c->origin, c->to.path, err);
}

static int clone_stacked(struct cloning *c, const char *new_name, struct kennel_error **err)
{
	if (strcmp(c->to.path, c->s.store.path) != 0)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "containers of two stores can't share their files"),
			    "leave --snapshot out for a full copy");
	int r = clone_freeze(&c->s, NULL, err);
	if (r == 0)
		r = origin_id(&c->s.c, true, c->origin, err);
	if (r < 0)
		return r;
	return container_create_filled(&c->to, new_name, &c->s.config, fill_stacked, c, keep_wipe, err);
}

static int clone(struct cloning *c, const char *name, const char *new_name, struct kennel_error **err)
{
	const struct kennel_clone_options *o = c->o;

	int r = store_open(o->to_store ? o->to_store : o->store, true, &c->to, err);
	if (r >= 0)
		r = store_check_file_system(&c->to, err);
	if (r == 0)
		r = clone_source_open(o->store, name, &c->s, NULL, err);
	if (r < 0)
		return r;
	if (o->flags & KENNEL_CLONE_SNAPSHOT)
		return clone_stacked(c, new_name, err);
	return fail(err, KENNEL_E_UNSUPPORTED, "full copies come later");
}

int kennel_clone(const char *name, const char *new_name, const struct kennel_clone_options *options,
		 struct kennel_error **err)
{
	static const struct kennel_clone_options none = { .size = sizeof(none) };
	struct cloning c = { .o = options ? options : &none, .s = CLONE_SOURCE_NONE, .to = STORE_NONE };

	if (c.o->size != sizeof(none) || (c.o->flags & ~(unsigned)FLAGS))
		return fail(err, KENNEL_E_INVALID, "unknown options of a clone");
	int r = clone(&c, name, new_name, err);
	clone_source_done(&c.s);
	store_done(&c.to);
	return r < 0 ? wrap(err, r, "clone \"%s\"", name) : 0;
}
