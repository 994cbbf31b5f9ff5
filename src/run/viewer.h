/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/viewer.h - starts and ends the view server of an ordinary user's sandbox (src/view/ is the server). */
#ifndef KENNEL_RUN_VIEWER_H
#define KENNEL_RUN_VIEWER_H

#include "run/sandbox.h"

/* Where the program is: MISSING with a hint where it is nowhere. *ret is the caller's. */
int viewer_find_program(char **ret, struct kennel_error **err) MUST_CHECK;
/*
 * Starts it on shared->fuse_fd, showing base_fd; absolute path, empty environment. Does not wait until it
 * serves.
 */
int viewer_start(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Something failed with r: if that is because the server did, says so instead. Returns the code. */
int viewer_explain(struct launch *l, int r, struct kennel_error **err);
/* Ends it. Nothing where there is none. */
void viewer_kill(struct sandbox *sb);
/* The same, and waits for that: it takes some ten milliseconds, most of it for the watches. */
void viewer_end(struct sandbox *sb);

#endif
