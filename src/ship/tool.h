/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/tool.h - the field's own programs that make file systems: by absolute path, with a clean
 * environment, behind a wall (path/tool-wall.h), never through a shell, and with no name of anybody's in
 * their words: they get descriptors.
 */
#ifndef KENNEL_SHIP_TOOL_H
#define KENNEL_SHIP_TOOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "path/tool-wall.h"
#include "ship/entry.h"

struct ship_tool {
	const char *name; /* "mksquashfs": found where only root writes */
	const char *package; /* for the hint where it is missing */
	const char *const *args; /* without its name, NULL-terminated */
	int file_fd; /* is TOOL_FILE there, or -EBADF */
	int dir_fd; /* its working directory, or -EBADF: "/" */
	bool fills_dir; /* it makes files there */
	bool has_input; /* its standard input is ours to write */
	bool writes_file; /* file_fd is its standard output instead */
	const struct ship_progress *progress; /* whose stop ends it while it is waited for; or NULL */
};

struct ship_running {
	pid_t pid;
	const char *name;
	int input_fd; /* ours; close it to say that everything came */
	int said_fd; /* what it says */
	const struct ship_progress *progress;
};

int ship_tool_start(const struct ship_tool *t, struct ship_running *ret, struct kennel_error **err)
	MUST_CHECK;
/* Waits; a failure quotes the last line that it said. Ends it where kill is set, or somebody says stop. */
int ship_tool_wait(struct ship_running *r, bool kill, struct kennel_error **err) MUST_CHECK;
/* Both, for one that has no input. */
int ship_tool_run(const struct ship_tool *t, struct kennel_error **err) MUST_CHECK;

#endif
