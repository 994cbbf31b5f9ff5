/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/tool.h - the field's own helper programs (mke2fs, e2fsck): by absolute path out of directories
 * that only root writes, behind a wall (tool-wall.h), without a shell, an environment or a standard input.
 */
#ifndef KENNEL_PATH_TOOL_H
#define KENNEL_PATH_TOOL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "path/tool-wall.h"

struct tool {
	const char *name; /* "mke2fs" */
	const char *package; /* for the hint where it is missing */
	const char *const *args; /* behind the name, ended by NULL */
	int file_fd; /* what TOOL_FILE is, or -EBADF */
	int dir_fd; /* of one that manages: its working directory; 0: "/" */
	/*
	 * It sets up devices and volumes of the machine (lvm, zfs, qemu-nbd), by names that we gave them, and
	 * reads nothing that a sandbox could have written: no wall, which would leave it nothing to do.
	 */
	bool manages;
};

/*
 * Runs it to its end. said: gets what it prints on both streams, cut at some kilobytes. Return: its exit code
 * (128 + N where signal N ended it), or MISSING or another negative code.
 */
int tool_run(const struct tool *t, struct buf *said, struct kennel_error **err) MUST_CHECK;

/* The same, where only 0 is success: the error quotes the last line that it printed. */
int tool_must(const struct tool *t, const char *what, struct kennel_error **err) MUST_CHECK;

#endif
