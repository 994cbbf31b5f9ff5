/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/ns-child.h - the process of "kennel ns" between clone3 and exec. System calls alone.
 *
 * It says NS_READY, waits for a struct ns_go (its maps are there then; without one it ends), makes itself at
 * home, and becomes kennel-init, which is the first process of a pid namespace, or becomes the command.
 */
#ifndef KENNEL_RUN_NS_CHILD_H
#define KENNEL_RUN_NS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/sched.h>

enum ns_step {
	NS_READY = 1,
	NS_STEP_TIME,
	NS_STEP_PRIVATE,
	NS_STEP_PROC,
	NS_STEP_LOOPBACK,
	NS_STEP_HOSTNAME,
	NS_STEP_GROUPS,
	NS_STEP_IDS,
	NS_STEP_CAPS,
	NS_STEP_EXEC,
};

struct ns_go {
	uint32_t become, uid, gid;
};

struct ns_plan {
	uint64_t kinds; /* CLONE_NEW*: all that are new */
	bool proc, keep_caps;
	const char *hostname; /* NULL: as it was */
	size_t hostname_len;
	int report_fd, go_fd, program_fd;
	int go_write_fd; /* the parent's end, which is closed */
	char *const *argv, *const *envp;
};

/* As sys_clone3(): only the parent comes back. */
int ns_child_start(const struct ns_plan *p, struct clone_args *args);

#endif
