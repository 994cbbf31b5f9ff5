/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/rootless.h - the part of a start that differs for an ordinary user. See rootless.c. */
#ifndef KENNEL_RUN_ROOTLESS_H
#define KENNEL_RUN_ROOTLESS_H

#include "run/sandbox.h"

/* What is refused to an ordinary user, before anything is made; remarks about what will not work. */
/* Begins the child's map of ids, which takes longer than anything else, as soon as there is a child. */
int rootless_begin(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* The ids that it will have, into user_map. */
int rootless_pick_ids(struct launch *l, struct kennel_error **err) MUST_CHECK;
int rootless_check(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* From the clone to the go byte: maps, view, delta. */
int rootless_equip(struct launch *l, int proc_fd, struct kennel_error **err) MUST_CHECK;
/* delta_count() as root of the sandbox's user namespace. */
int rootless_count(struct sandbox *sb, uint64_t *ret, struct kennel_error **err) MUST_CHECK;
/* Ends the view server. */
void rootless_end(struct sandbox *sb);

#endif
