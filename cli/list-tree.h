/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/list-tree.h - "kennel list --tree": containers below those that they are clones of, with their
 * snapshots.
 */
#ifndef KENNEL_CLI_LIST_TREE_H
#define KENNEL_CLI_LIST_TREE_H

#include <kennel/kennel.h>

#include "base/buf.h"

/* plain: branches in ASCII. */
void list_tree(struct buf *b, const struct kennel_list *containers, bool plain);

/* Of a line "NAME<tab>SECONDS<tab>COMMENT": NAME, time and comment as people read them. */
void snapshot_line(struct buf *b, const char *line);
/* A time as people read it: in their own zone, to the minute; "-" for none. */
void snapshot_time(struct buf *b, const char *seconds);

#endif
