/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/ext4-program.h - starts kennel-ext4 (ext4/stream.h): reads and makes images for ordinary users. */
#ifndef KENNEL_RUN_EXT4_PROGRAM_H
#define KENNEL_RUN_EXT4_PROGRAM_H

#include <sys/types.h>

#include "base/error.h"

/* MISSING, with a hint, where kennel was built without it. *ret is the caller's. */
int ext4_program_find(char **ret, struct kennel_error **err) MUST_CHECK;

/*
 * On an image and another descriptor, with the caller's rights; what for, in word. said_fd: for what it
 * prints, or -EBADF.
 */
int ext4_program_start(const char *path, int image_fd, int other_fd, const char *word, int said_fd,
		       pid_t *ret, struct kennel_error **err) MUST_CHECK;

/* Return: exit code, or -1. */
int ext4_program_wait(pid_t pid);

/*
 * Starts it to read: *ret_stream_fd, the caller's, has its words. Where nobody takes the rest, it ends by
 * itself at its next write.
 */
int ext4_program_read(const char *path, int image_fd, const char *word, int *ret_stream_fd, pid_t *ret,
		      struct kennel_error **err) MUST_CHECK;

#endif
