/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/lxc.h - the parts of foreign_parse_lxc(), for the files lxc-*.c alone. */
#ifndef KENNEL_CONF_LXC_H
#define KENNEL_CONF_LXC_H

#include "conf/foreign.h"

struct lxc_item {
	char *key, *value;
	char *file;
	unsigned line;
};

struct lxc {
	struct foreign *f;
	struct lxc_item *items; /* what an empty value has not cleared */
	size_t n, room;
	unsigned depth; /* of includes */
	foreign_read_fn read;
	void *data;

	uint64_t quota_us, period_us; /* 0: not said */
	struct foreign_at quota_at;
	bool keeps; /* lxc.cap.keep */
	bool commanded; /* lxc.init.cmd */
	/* lxc.idmap: of users and groups; more than one of a kind can't be had */
	struct {
		bool there;
		uint32_t base, count;
	} ids[2];
	struct foreign_at ids_at;
	bool odd_ids;
};

static inline struct foreign_at lxc_at(const struct lxc_item *i)
{
	return (struct foreign_at){ i->key, i->file, i->line };
}

/* lxc-mount.c: one line as in fstab(5). */
int lxc_take_mount(struct lxc *l, const struct lxc_item *i, const char *entry, struct kennel_error **err)
	MUST_CHECK;
int lxc_take_fstab(struct lxc *l, const struct lxc_item *i, struct kennel_error **err) MUST_CHECK;
int lxc_take_device(struct lxc *l, const struct lxc_item *i, struct kennel_error **err) MUST_CHECK;
/* lxc-net.c: all interfaces at once. */
int lxc_take_networks(struct lxc *l, struct kennel_error **err) MUST_CHECK;

#endif
