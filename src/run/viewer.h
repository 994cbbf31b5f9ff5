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
/* One for what is mounted by now. All descriptors are the caller's to close. */
struct viewer_alone {
	const struct view_plan *v;
	bool squash;
	int fuse_fd;
	int shifted_fd; /* of the same image with the ids below, see image.h; or -EBADF */
	int death_fd; /* a pipe, or a pidfd: it ends when that does, or its mounts are gone */
	uint32_t user; /* which it becomes; 0: the caller's */
	struct idmap ids;
};
/* From a process that ends next, whose child it is. Return: 0 once it serves, or why it does not. */
int viewer_start_alone(const struct viewer_alone *a, struct kennel_error **err) MUST_CHECK;
/* One of the sandbox's, which ends with it. death_fd is not looked at. Return: likewise. */
int viewer_start_image(struct launch *l, const struct viewer_alone *a, struct kennel_error **err) MUST_CHECK;

#endif
