/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/init-user.h - who a user is inside the sandbox, out of the sandbox's own /etc/passwd and /etc/group.
 *
 * Part of the freestanding kennel-init. Not libc's getpwnam(): that loads NSS modules, and the files are the
 * sandbox's, so they may hold anything. What they say can only choose among the ids that the sandbox has
 * anyway.
 */
#ifndef KENNEL_RUN_INIT_USER_H
#define KENNEL_RUN_INIT_USER_H

#include <stdint.h>

#define INIT_GROUPS_MAX 256     /* more than these are left out: fewer rights, never others */
#define INIT_NAME_MAX 256
#define INIT_SHELL_MAX 256
#define INIT_HOME_MAX 1024

/* The four strings are complete environment entries, "HOME=..." and so on, for they go there. */
struct init_user {
	uint32_t uid, gid;
	uint32_t n_groups;
	uint32_t groups[INIT_GROUPS_MAX];
	char env_home[5 + INIT_HOME_MAX];
	char env_shell[6 + INIT_SHELL_MAX];
	char env_user[5 + INIT_NAME_MAX];
	char env_logname[8 + INIT_NAME_MAX];
};

/*
 * spec is NAME|UID[:GROUP|GID]. A NAME and a GROUP must be in the files. A UID need not: then its group is
 * the one of the same number, its home is "/" and its shell /bin/sh. With a GROUP it is the only group, else
 * those that list the user are added.
 * Return: 0, -ENOENT no such user or group, -EINVAL not of this form.
 */
int init_user_find(const char *spec, const char *passwd, const char *group, struct init_user *ret);

static inline const char *init_user_shell(const struct init_user *u)
{
	return u->env_shell + 6;
}

#endif
