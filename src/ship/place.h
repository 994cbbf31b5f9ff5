/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/place.h - an output that gets its name only when it is whole.
 *
 * A file has no name at all until then where the file system can do that (O_TMPFILE), so nothing is left
 * even by SIGKILL; else, and for a directory, it stands beside as NAME.new-XXXXXX, locked. The next output
 * of the same name removes what is unlocked of these.
 */
#ifndef KENNEL_SHIP_PLACE_H
#define KENNEL_SHIP_PLACE_H

#include <stdbool.h>

#include "base/error.h"

struct ship_place {
	int parent_fd;
	char *name; /* in the end */
	char temp[280]; /* until then; "" while it has none */
	int fd; /* the file, readable and writable, or the directory */
	bool is_dir, force;
	int spare_fd; /* a directory for intermediate files, made when asked for */
	char spare[280];
};

#define SHIP_PLACE_NONE \
	{ \
		.parent_fd = -EBADF, .fd = -EBADF, .spare_fd = -EBADF \
	}

/* Refuses what is there unless force. */
int ship_place_open(struct ship_place *p, const char *path, bool is_dir, bool force,
		    struct kennel_error **err) MUST_CHECK;
/* A directory beside it, gone at the end. Return: descriptor, borrowed, or a code. */
int ship_place_spare(struct ship_place *p, struct kennel_error **err) MUST_CHECK;
/* Syncs and gives it its name. What had it before is gone then, a directory too. */
int ship_place_commit(struct ship_place *p, struct kennel_error **err) MUST_CHECK;
/* Removes what is not committed, and the spare directory. Keeps errno. */
void ship_place_done(struct ship_place *p);
#define _cleanup_place_ __attribute__((cleanup(ship_place_done)))

#endif
