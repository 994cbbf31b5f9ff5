/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/scope.h - a group asked of systemd, where none is ours.
 *
 * The manager of the user (of the system, for root) is asked for a transient scope with this process in it,
 * delegated: what a person would wrap in "systemd-run --user --scope -p Delegate=yes". The scope ends with
 * the last process in it, and systemd removes it.
 */
#ifndef KENNEL_CGROUP_SCOPE_H
#define KENNEL_CGROUP_SCOPE_H

#include "base/error.h"

/*
 * name: without ".scope". Moves this process, with all its threads, into the scope. Return: 1 it is there,
 * 0 nobody can be asked (no library, no bus, another init), or the code of why not.
 */
int cgroup_scope_enter(const char *name, struct kennel_error **err) MUST_CHECK;

#endif
