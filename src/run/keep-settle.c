/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-settle.c - completing what was decided about a container (container/switch.h), with the
 * rights to it.
 */
#include <unistd.h>

#include "base/cleanup.h"
#include "container/switch.h"
#include "run/errand.h"
#include "run/keep.h"
#include "run/vm-disk.h"

struct settling {
	int dir_fd, store_fd;
	const char *shown;
};

static int complete(void *data, struct buf *out, struct kennel_error **err)
{
	const struct settling *s = data;

	(void)out;
	return switch_complete(s->dir_fd, s->store_fd, s->shown, err);
}

int keep_settle(struct container *c, const struct log_sink *log, struct kennel_error **err)
{
	struct settling s = { c->dir_fd, c->store_fd, c->path };
	int r = 0;

	if (switch_is_pending(c))
		r = geteuid() == 0 ? complete(&s, NULL, err) : errand_alone(complete, &s, NULL, err);
	return r == 0 && vm_disk_is_there(c) ? vm_disk_settle(c, log, err) : r;
}

int keep_settle_to_look(struct container *c, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;
	struct container_holder h = { 0 };

	if (!vm_disk_is_there(c))
		return 0;
	int r = container_lock(c, &h, &why);
	if (r == -KENNEL_E_BUSY && h.id[0])
		return hint(err,
			    fail(err, KENNEL_E_BUSY,
				 "the container \"%s\" runs, and its changes are on the disk of its guest",
				 c->name),
			    "end it first: kennel stop %s", c->name);
	if (r == 0)
		return keep_settle(c, NULL, err);
	if (err)
		*err = take_ptr(&why);
	return r;
}
