/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/temp-dir.h - a directory that goes away with whoever made it, however that ends: a process of its own,
 * in a session of its own, waits for that and removes it.
 */
#ifndef KENNEL_RUN_TEMP_DIR_H
#define KENNEL_RUN_TEMP_DIR_H

#include <sys/types.h>

#include "base/error.h"

struct temp_dir {
	int parent_fd, dir_fd;
	int wake_fd; /* once nobody has it open any more, it goes */
	pid_t keeper;
	char name[64];
};
#define TEMP_DIR_NONE \
	{ \
		.parent_fd = -EBADF, .dir_fd = -EBADF, .wake_fd = -EBADF \
	}

/*
 * Makes it, for us alone, and locks it (flock()); errno says why not. user_ns_fd: whose root it will need to
 * remove what is in it, or negative. Children that may outlive us must not have wake_fd. *t is empty before,
 * and has to be ended also after a failure.
 */
int temp_dir_make(struct temp_dir *t, int parent_fd, const char *name, int user_ns_fd,
		  struct kennel_error **err) MUST_CHECK;
void temp_dir_end(struct temp_dir *t);

static inline void cleanup_temp_dirp(struct temp_dir *t)
{
	temp_dir_end(t);
}
#define _cleanup_temp_dir_ __attribute__((cleanup(cleanup_temp_dirp)))

#endif
