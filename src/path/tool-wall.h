/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/tool-wall.h - the process that becomes one of the field's own programs (mke2fs, unsquashfs ...).
 *
 * Such a program works on what a sandbox or a stranger made, often as root, and was not made for that. So it
 * keeps what the kernel lets us leave to it: its descriptors, programs and libraries to read, the one file
 * and the one directory that it is for. See tool-wall.c for what is taken.
 */
#ifndef KENNEL_PATH_TOOL_WALL_H
#define KENNEL_PATH_TOOL_WALL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/macro.h"

/* The name under which it finds its file. */
#define TOOL_FILE "/proc/self/fd/3"

struct tool_child {
	const char *path;
	char *const *argv;
	int in_fd, out_fd, err_fd; /* none of these is below 4 */
	int file_fd; /* likewise: is TOOL_FILE there, or -EBADF */
	int dir_fd; /* likewise: its working directory, or -EBADF: "/" */
	bool fills_dir; /* makes files in that directory, rather than read them */
	/*
	 * Sets up devices of the machine by the names that we gave it: no wall, and it may
	 * leave a process.
	 */
	bool manages;
};

/* fork(), then system calls only, for the caller may have threads. It dies with us. -1 and errno. */
pid_t tool_fork(const struct tool_child *c) MUST_CHECK;

/* The exit codes where it was not executed. */
enum { TOOL_NOT_READY = 126, TOOL_NOT_FOUND = 127 };

#endif
