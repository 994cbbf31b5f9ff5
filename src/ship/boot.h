/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/boot.h - what a whole root needs to be booted from: some entries more, and some instead of its own.
 */
#ifndef KENNEL_SHIP_BOOT_H
#define KENNEL_SHIP_BOOT_H

#include "ship/entry.h"

enum ship_boot_kind {
	SHIP_BOOT_INITRD, /* the root is unpacked into memory: /init starts it */
	SHIP_BOOT_IMAGE, /* the root is a file system that something else mounts */
};

#define SHIP_BOOT_ENTRIES 8
struct ship_boot_text {
	const char *text;
	bool done;
};

struct ship_boot {
	struct ship_entry entries[SHIP_BOOT_ENTRIES];
	struct ship_boot_text texts[SHIP_BOOT_ENTRIES];
	size_t n;
};

/* The struct must stay where it is while its entries are used, once. */
void ship_boot_fill(struct ship_boot *b, enum ship_boot_kind kind);

/* Does an entry of it stand in the place of the root's own? */
bool ship_boot_replaces(const struct ship_boot *b, const char *path);

#endif
