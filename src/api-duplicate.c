/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-duplicate.c - see api-duplicate.h. */
#include "api-duplicate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api-ship.h"
#include "base/cleanup.h"
#include "path/remove.h"
#include "ship/identity.h"
#include "ship/tree.h"

struct copying {
	const struct ship_root *root;
	int base_fd;
};

static int copy_root(void *data, struct ship_progress *p, struct buf *out, struct kennel_error **err)
{
	const struct copying *c = data;
	const struct ship_part part = { c->root->root_fd, "" };
	const struct ship_tree_options options = {
		.top_fd = c->base_fd,
		.owners = true,
		.progress = p,
		.counts = true,
	};
	struct ship_walk walk = ship_root_walk(c->root, &part);
	_cleanup_ship_sink_ struct ship_sink *sink = NULL;
	struct ship_size size;

	(void)out;
	walk.progress = p;
	int r = ship_measure(&walk, &size, err);
	if (r < 0)
		return r;
	p->total = size.bytes + size.entries * SHIP_ENTRY_COST;
	r = ship_tree_sink(&options, &sink, err);
	if (r == 0)
		r = ship_walk(&walk, sink, err);
	if (r == 0)
		r = sink->finish(sink, err);
	_cleanup_close_ int fd = r < 0 ? -EBADF : openat(c->base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && (fd < 0 || syncfs(fd) < 0))
		r = fail_errno(err, "write the base to the disk");
	return r;
}

int duplicate_root(const char *store, const char *name, int base_fd, const struct ship_watch *watch,
		   uint64_t *ret_left_out, struct kennel_error **err)
{
	struct ship_root root = SHIP_ROOT_NONE;
	struct copying c = { &root, base_fd };

	int r = ship_root_open(store, name, &root, err);
	if (r == 0)
		r = ship_work(copy_root, &c, watch, NULL, ret_left_out, err);
	ship_root_close(&root);
	return r < 0 ? wrap(err, r, "copy what \"%s\" sees", name) : 0;
}

/* The base of a manifest, if it is a directory. */
static int open_base(const struct duplicate_identity *d)
{
	const char *base = d->manifest->base;

	if (d->base_fd >= 0)
		return openat(d->base_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return open(strcmp(base, "system") == 0 ? "/" : base, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int duplicate_identity(const struct duplicate_identity *d, bool *ret_no_keys, struct kennel_error **err)
{
	static const char scratch[] = ".keys";
	const size_t n = d->layers ? d->layers->n : 0;
	_cleanup_free_ int *layers = calloc(n + 1, sizeof(*layers));
	_cleanup_close_ int base_fd = open_base(d);

	if (!layers)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		layers[i] = d->layers->items[n - 1 - i].delta_fd;
	if (mkdirat(d->dir_fd, scratch, 0700) < 0)
		return fail_errno(err, "make a directory for keys");
	_cleanup_close_ int scratch_fd =
		openat(d->dir_fd, scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct identity i = {
		.delta_fd = d->delta_fd,
		.layer_fds = layers,
		.n_layers = (unsigned)n,
		.base_fd = base_fd,
		.user_xattr = d->manifest->user_xattr,
		.scratch_fd = scratch_fd,
		.hostname = d->hostname,
	};

	/* What kennel put there at the last start, it puts there with the new name at the next one. */
	if (manifest_plants_find(&d->manifest->planted, 0, "etc/hostname"))
		i.hostname = NULL;
	int r = identity_renew(&i, ret_no_keys, err);
	(void)!path_remove_tree(d->dir_fd, scratch, NULL); /* it goes with the new container, if that fails */
	return r;
}
