/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/own.h - groups below the caller's own, in every hierarchy that there is, by one path.
 *
 * A path is relative to the group that the caller is in and can't leave it: no "..", no "/" in front, no
 * links.
 * What the caller may do there is the kernel's to say; nobody's limits are raised by what is here.
 */
#ifndef KENNEL_CGROUP_OWN_H
#define KENNEL_CGROUP_OWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

/* All return 0 or a code: NOTFOUND there is no such group, INVALID the path leaves the own one. */
int cgroup_own_create(const char *path, struct kennel_error **err) MUST_CHECK;
/* The group alone, without processes and groups in it. */
int cgroup_own_remove(const char *path, struct kennel_error **err) MUST_CHECK;
/* The directory and what moves processes and makes groups, never the files of its limits. */
int cgroup_own_chown(const char *path, uid_t uid, gid_t gid, struct kennel_error **err) MUST_CHECK;
int cgroup_own_move(const char *path, pid_t pid, struct kennel_error **err) MUST_CHECK;
int cgroup_own_freeze(const char *path, bool freeze, struct kennel_error **err) MUST_CHECK;
/* Ends all processes of it and of what is in it. */
int cgroup_own_kill(const char *path, struct kennel_error **err) MUST_CHECK;
/*
 * A control file by its name, of v2 or of v1; where the other version has the same thing under another name,
 * that is taken. "" and "." are the own group, here and in the rest.
 */
int cgroup_own_get(const char *path, const char *key, struct buf *ret, struct kennel_error **err) MUST_CHECK;
int cgroup_own_set(const char *path, const char *key, const char *value, struct kennel_error **err)
	MUST_CHECK;
/* Numbers of processes; names of groups right below. */
int cgroup_own_tasks(const char *path, struct strv *ret, struct kennel_error **err) MUST_CHECK;
int cgroup_own_list(const char *path, struct strv *ret, struct kennel_error **err) MUST_CHECK;
int cgroup_own_limits(const char *path, int (*say)(void *data, const char *name, const char *value),
		      void *data, struct kennel_error **err) MUST_CHECK;

#endif
