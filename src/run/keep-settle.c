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

int keep_settle_or_find(struct container *c, struct container_holder *ret_guest, struct kennel_error **err)
{
	_cleanup_error_ struct kennel_error *why = NULL;

	*ret_guest = (struct container_holder){ 0 };
	if (!vm_disk_is_there(c))
		return 0;
	int r = container_lock(c, ret_guest, &why);
	if (r == -KENNEL_E_BUSY && ret_guest->id[0])
		return 1;
	if (r == 0)
		return keep_settle(c, NULL, err);
	if (err)
		*err = take_ptr(&why);
	return r;
}
