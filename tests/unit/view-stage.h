/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit/view-stage.h - a user namespace with a view and an overlay on it, as the launcher makes it, but small.
 *
 * Needs root, who makes the private /dev/fuse that everybody may open and plays newuidmap; what is looked at
 * then runs as an ordinary user: the server outside, the sandbox inside.
 */
#ifndef KENNEL_TESTS_VIEW_STAGE_H
#define KENNEL_TESTS_VIEW_STAGE_H

#include <sys/types.h>

#define STAGE_UID 61001 /* the ordinary user; needs no entry anywhere */
#define STAGE_FIRST_SUBID 700000 /* 0 inside; 65536 of them */

struct stage {
	pid_t child, server;
	int child_fd; /* socket to the child */
	int death_fd; /* the write end */
	int32_t report[2]; /* step, errnum of the server */
	double ready_us; /* from before its fork to its report */
};

/*
 * Once per process: a private mount namespace with a /dev/fuse for all. dir: an empty directory to mount in.
 */
void stage_prepare(const char *dir);
/*
 * words: NULL-terminated, further ones for the server. max_files: its hard limit of descriptors, 0 as it is.
 */
void stage_start(struct stage *s, const char *program, const char *root, const char *const *words,
		 unsigned max_files);
/* Runs fn as root inside with the working directory at the view ("view") or at the overlay on it ("root"). */
int stage_inside(struct stage *s, const char *where, int (*fn)(void *arg), void *arg);
void stage_end(struct stage *s);

#endif
