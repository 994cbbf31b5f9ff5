/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/viewer.h - starts and ends the view servers of an ordinary user's sandbox (src/view/ has the
 * servers).
 */
#ifndef KENNEL_RUN_VIEWER_H
#define KENNEL_RUN_VIEWER_H

#include "run/sandbox.h"

/* Where the program is: MISSING with a hint where it is nowhere. *ret is the caller's. */
int viewer_find_program(const char *name, char **ret, struct kennel_error **err) MUST_CHECK;
/*
 * Starts one for each of l->views on its shared->fuse_fds; absolute path, empty environment. Those of
 * directories at once, and they wait for viewer_go(), which comes when all is mounted; those of images then.
 * Does not wait until they serve.
 */
int viewer_start(struct launch *l, struct kennel_error **err) MUST_CHECK;
int viewer_go(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Waits for those of images, which may be found damaged: their error. */
int viewer_check(struct launch *l, struct kennel_error **err) MUST_CHECK;
/* Something failed with r: if that is because the server did, says so instead. Returns the code. */
int viewer_explain(struct launch *l, int r, struct kennel_error **err);
/* Ends them. Nothing where there is none. */
void viewer_kill(struct sandbox *sb);
/* The same, and waits for that: it takes some ten milliseconds, most of it for the watches. */
void viewer_end(struct sandbox *sb);

struct view_plan;
/*
 * One for what is mounted by now: serves until the mount goes, or who death_fd is a pidfd of. From a process
 * that ends next, whose child it is; the caller closes all that it gives. Return: 0 once it serves, or why
 * it does not.
 */
int viewer_start_alone(const struct view_plan *v, bool squash, int fuse_fd, int death_fd,
		       struct kennel_error **err) MUST_CHECK;

#endif
