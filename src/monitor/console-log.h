/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor/console-log.h - what a container's terminal shows, in two files of its directory; of one that is
 * itself a file, beside its entry of the runtime directory (run/registry.h), with which they go.
 *
 *   console.log    the newest; the terminal's own bytes, escape sequences included, and what hooks said
 *   console.log.1  what was there before it grew too large
 *
 * Losing it is no reason to end a container: what can't be written is counted and left out.
 */
#ifndef KENNEL_MONITOR_CONSOLE_LOG_H
#define KENNEL_MONITOR_CONSOLE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "container/container.h"

#define CONSOLE_LOG CONTAINER_LOG
#define CONSOLE_LOG_OLD "console.log.1"
#define CONSOLE_LOG_MAX (1u << 20) /* bytes of one file */

struct console_log {
	int dir_fd; /* borrowed */
	char file[48], old_file[48];
	int fd;
	uint64_t size;
};

/* In files of these names. Goes on where the last one ended. */
int console_log_open(int dir_fd, const char *file, const char *old_file, struct console_log *ret,
		     struct kennel_error **err) MUST_CHECK;
/* Gives them other names; what can't have one has none any more. */
void console_log_rename(struct console_log *log, const char *file, const char *old_file);
void console_log_add(struct console_log *log, const void *data, size_t n);
void console_log_close(struct console_log *log);

#endif
