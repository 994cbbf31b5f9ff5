/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/keep-settle.c - completing what was decided about a container (container/switch.h), with the
 * rights to it.
 */
#include <unistd.h>

#include "container/switch.h"
#include "run/errand.h"
#include "run/keep.h"

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

int keep_settle(const struct container *c, struct kennel_error **err)
{
	struct settling s = { c->dir_fd, c->store_fd, c->path };

	if (!switch_is_pending(c))
		return 0;
	return geteuid() == 0 ? complete(&s, NULL, err) : errand_alone(complete, &s, NULL, err);
}
