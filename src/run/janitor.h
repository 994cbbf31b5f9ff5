/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/janitor.h - cleans up behind a monitor that was killed.
 *
 * The kernel ends the sandbox with its monitor (death signal, pid namespace), and mounts end with the
 * sandbox. What the kernel does not know of is a file in the runtime directory, a control group, the nat
 * helper, an interface of the machine. SIGKILL leaves nobody to remove those, so a second task waits for the
 * monitor's end: it shares all memory and descriptors with the monitor (no copy, a few tens of kilobytes of
 * kernel memory), has a session of its own so that a kill of the process group misses it, and only makes
 * system calls.
 */
#ifndef KENNEL_RUN_JANITOR_H
#define KENNEL_RUN_JANITOR_H

#include <sys/types.h>

#include "base/error.h"
#include "net/clean.h"

struct hooks;
struct janitor;

#define JANITOR_MAX_DIRS 16
#define JANITOR_NAME_MAX 96
#define JANITOR_MAX_BESIDE 4
#define JANITOR_BESIDE_MAX 24

/* the monitor fills this in as it goes; the janitor reads it once the monitor is dead */
struct janitor_work {
	int monitor_pidfd;
	int registry_fd;
	const char *id;         /* NULL: no entry yet */
	/* what else has its name there: see registry.h */
	char beside[JANITOR_MAX_BESIDE][JANITOR_BESIDE_MAX];
	int init_pidfd;         /* -EBADF: not started */
	int nat_pidfd;          /* -EBADF: none */
	const int *view_pidfds; /* of an ordinary user's view servers */
	unsigned n_views;
	struct net_clean net; /* interfaces and rules of the machine */
	int thaw_fd; /* writing THAWED lets it go on, so that it can be ended; or -EBADF */
	struct hooks *hooks; /* NULL: none; run when all else is gone */
	const int *mount_ns_fd; /* its mounts, which they should not find */
	int lock_fd;            /* of a container: let go of when its mounts are gone; -EBADF: none */
	/* control groups to remove, the last one first; those included that are just being made */
	unsigned n_dirs;
	struct {
		int parent_fd;
		char name[JANITOR_NAME_MAX]; /* a path below parent_fd */
	} dirs[JANITOR_MAX_DIRS];
};

/* Notes a directory; its parent stays the caller's. */
void janitor_note_dir(struct janitor_work *work, int parent_fd, const char *name);

/* Starts it. work (borrowed) must live as long as the janitor. */
int janitor_new(struct janitor_work *work, struct janitor **ret, struct kennel_error **err) MUST_CHECK;
/* Ends it without any cleaning, as the monitor has done that itself. NULL is fine. Return: NULL. */
struct janitor *janitor_free(struct janitor *j);

#endif
