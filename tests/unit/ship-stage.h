/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship-stage.h - a tree with every kind of file, and a listing of a tree that shows every difference. */
#ifndef KENNEL_SHIP_STAGE_H
#define KENNEL_SHIP_STAGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "ship/entry.h"

enum stage_what {
	STAGE_DELETIONS = 1 << 0, /* whiteouts and opaque directories */
	STAGE_DEVICES = 1 << 1, /* needs root */
	STAGE_OWNERS = 1 << 2, /* needs root */
	STAGE_LONG_NAME = 1 << 3, /* of 255 bytes: mkfs.erofs 1.5 stops at 254 */
	STAGE_LINKS = 1 << 4, /* hard links: mkfs.btrfs 6.2 makes copies, and devices without numbers */
};

/* Makes it below dir_fd. */
void stage_make(int dir_fd, unsigned what);

enum stage_lost { /* what a format can't keep, and the listing then leaves out */
		  STAGE_NO_XATTR = 1 << 0,
		  STAGE_NO_NANOSECONDS = 1 << 1,
		  STAGE_NO_ACL = 1 << 2,
		  STAGE_NO_TOP = 1 << 3, /* mode and owner of the top directory */
};

struct stage_list {
	struct ship_sink base;
	struct buf text;
	unsigned lost;
};

void stage_list_init(struct stage_list *l, unsigned lost);
void stage_list_done(struct stage_list *l);
/* Lists the tree below dir_fd. */
void stage_list_tree(struct stage_list *l, int dir_fd);
/* Fails the test with the first line that differs. */
void stage_same(const struct stage_list *a, const struct stage_list *b);

int stage_dir(char path[64]); /* a new temporary directory, opened */
void stage_remove(int fd, const char *path);

#endif
