/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/ns.h - a command in namespaces of its own, and nothing else: no copy of the system, no walls.
 */
#ifndef KENNEL_NS_H
#define KENNEL_NS_H

#include <stddef.h>

#include <kennel/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum kennel_ns_map - who the ids of a new user namespace are
 * @KENNEL_NS_MAP_RANGE: as in a sandbox: the subordinate ids of the caller from 0 on, and where that is not
 *                       root, its own id as it is; without any, as KENNEL_NS_MAP_ROOT
 * @KENNEL_NS_MAP_ROOT:  the caller is root inside; there is nobody else
 * @KENNEL_NS_MAP_SELF:  the caller is itself inside; there is nobody else
 * @KENNEL_NS_MAP_LIST:  map_users and map_groups
 * @KENNEL_NS_MAP_WAIT:  somebody else writes both maps; the command is not run before
 */
enum kennel_ns_map {
	KENNEL_NS_MAP_RANGE,
	KENNEL_NS_MAP_ROOT,
	KENNEL_NS_MAP_SELF,
	KENNEL_NS_MAP_LIST,
	KENNEL_NS_MAP_WAIT,
};

/**
 * struct kennel_ns_options - what kennel_ns_run() makes
 * @size:       of this struct, as the caller knows it
 * @namespaces: which are new: names with commas between (mount pid net ipc uts user cgroup time), or "all"
 * @map:        the ids of a new user namespace
 * @map_users:  KENNEL_NS_MAP_LIST: "INSIDE:OUTSIDE[:COUNT]", ended by NULL
 * @map_groups: the same of groups
 * @user:       "UID[:GID]" that the command runs as; NULL: root where the maps have it, else as the caller
 * @hostname:   needs uts; or NULL
 * @workdir:    absolute; NULL: where the caller is
 * @proc:       mount a new /proc; needs mount and pid
 * @keep_caps:  the command has all capabilities of the namespace also where it is not root
 * @monotonic:  how many seconds CLOCK_MONOTONIC is ahead; needs time
 * @boottime:   the same of CLOCK_BOOTTIME
 * @started:    called once the process is there (NULL: nobody is); @waits: it stands still until it has maps.
 *              A negative code with *err set ends it
 * @data:       for @started
 */
struct kennel_ns_options {
	size_t size;
	const char *namespaces;
	enum kennel_ns_map map;
	const char *const *map_users, *const *map_groups;
	const char *user;
	const char *hostname;
	const char *workdir;
	int proc, keep_caps;
	long long monotonic, boottime;
	int (*started)(void *data, int pid, int waits, struct kennel_error **err);
	void *data;
};

/**
 * kennel_ns_run() - run a command in new namespaces, and wait for its end
 * @o:          what is new
 * @command:    program and arguments, ended by NULL; at least one
 * @ret_status: exit code, or 128+N where signal N ended it; untouched on failure
 * @err:        error out, owned by the caller, or NULL
 *
 * It has the caller's environment, session and descriptors, as far as they are not close-on-exec. Signals
 * that come meanwhile go to it. It ends with the calling process.
 * Return: 0; -KENNEL_E_INVALID something that can't be together, or an id that no map has;
 * -KENNEL_E_NOCOMMAND or -KENNEL_E_NOTEXEC (kennel_exit_code() has 127 and 126 for them); -KENNEL_E_PERM; or
 * another negative code.
 * Since 0.1.
 */
KENNEL_PUBLIC int kennel_ns_run(const struct kennel_ns_options *o, const char *const *command,
				int *ret_status, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
