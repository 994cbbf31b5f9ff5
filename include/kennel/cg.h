/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kennel/cg.h - control groups below the caller's own, on cgroup v1, v2 and both at once.
 *
 * A path is relative to the group that the calling process is in, and can't leave it. A group is one
 * directory in each hierarchy that there is.
 */
#ifndef KENNEL_CG_H
#define KENNEL_CG_H

#include <kennel/error.h>
#include <kennel/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum kennel_cg - what is done to a group, or asked of it
 * @KENNEL_CG_CREATE: made
 * @KENNEL_CG_REMOVE: removed, if nothing is in it
 * @KENNEL_CG_CHOWN:  given to "UID:GID": who may make groups in it and move processes, not raise its limits
 * @KENNEL_CG_MOVE:   the process "PID" moves there
 * @KENNEL_CG_SET:    "KEY=VALUE" is written to the control file KEY
 * @KENNEL_CG_FREEZE: all its processes stand still
 * @KENNEL_CG_THAW:   and go on
 * @KENNEL_CG_KILL:   all its processes, and those of groups in it, are ended
 * @KENNEL_CG_GET:    the control file with this name
 * @KENNEL_CG_TASKS:  its processes
 * @KENNEL_CG_LIST:   groups right in it
 * @KENNEL_CG_LIMITS: its limits, with the keys of kennel_limits_read()
 */
enum kennel_cg {
	KENNEL_CG_CREATE,
	KENNEL_CG_REMOVE,
	KENNEL_CG_CHOWN,
	KENNEL_CG_MOVE,
	KENNEL_CG_SET,
	KENNEL_CG_FREEZE,
	KENNEL_CG_THAW,
	KENNEL_CG_KILL,
	KENNEL_CG_GET,
	KENNEL_CG_TASKS,
	KENNEL_CG_LIST,
	KENNEL_CG_LIMITS,
};

/**
 * kennel_cg_change() - make, change or end a group below the own
 * @what: KENNEL_CG_CREATE to KENNEL_CG_KILL
 * @path: of the group
 * @word: what @what says; NULL where it says nothing
 * @err:  error out, owned by the caller, or NULL
 *
 * A key of v1 is taken on v2 and the other way round where both mean the same (memory.limit_in_bytes,
 * freezer.state and the like).
 * Return: 0; -KENNEL_E_NOTFOUND no such group or key; -KENNEL_E_INVALID the path leaves the own group, or is
 * it; or another negative code. Since 0.1.
 */
KENNEL_PUBLIC int kennel_cg_change(enum kennel_cg what, const char *path, const char *word,
				   struct kennel_error **err);

/**
 * kennel_cg_read() - ask something of the own group or one below
 * @what: KENNEL_CG_GET to KENNEL_CG_LIMITS
 * @path: of the group; "" is the own one
 * @key:  KENNEL_CG_GET: the control file; else NULL
 * @ret:  a list of one, the caller's; end it with kennel_list_free(). kennel_list_detail() has the lines of
 *        "value" (GET), "pid" (TASKS) or "group" (LIST), or the limits by their keys
 * @err:  error out, owned by the caller, or NULL
 *
 * Return: as kennel_cg_change(). Since 0.1.
 */
KENNEL_PUBLIC int kennel_cg_read(enum kennel_cg what, const char *path, const char *key,
				 struct kennel_list **ret, struct kennel_error **err);

#ifdef __cplusplus
}
#endif
#endif
