/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz/fuzz-user.c - the lookup of a user in the /etc/passwd and /etc/group that a sandbox wrote.
 *
 * An input is what the user typed, a line feed, and one text that serves as both files. Promises looked at:
 * the answer is whole strings with their prefixes, absolute paths, ids that the kernel takes, no group twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/sys.h"

#include "run/init-user.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct init_user *u)
{
	if (u->uid > ID_MAX || u->gid > ID_MAX || !u->n_groups || u->n_groups > INIT_GROUPS_MAX ||
	    u->groups[0] != u->gid)
		abort();
	for (uint32_t i = 0; i < u->n_groups; i++)
		for (uint32_t k = 0; k < i; k++)
			if (u->groups[i] == u->groups[k])
				abort();
	if (strncmp(u->env_home, "HOME=/", 6) || strlen(u->env_home) >= sizeof(u->env_home) ||
	    strncmp(u->env_shell, "SHELL=/", 7) || strlen(u->env_shell) >= sizeof(u->env_shell) ||
	    strncmp(u->env_user, "USER=", 5) || strlen(u->env_user) >= sizeof(u->env_user) ||
	    strncmp(u->env_logname, "LOGNAME=", 8) || strcmp(u->env_logname + 8, u->env_user + 5))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	struct init_user u;
	char path[32];

	if (!end)
		return 0;
	size_t spec_len = (size_t)(end - data);
	_cleanup_free_ char *spec = calloc(1, spec_len + 1);    /* the bytes have no NUL, so no strndup() */
	_cleanup_close_ int fd = sys_memfd_create("passwd", 1);
	size_t len = size - (size_t)(end + 1 - data);
	if (spec)
		memcpy(spec, data, spec_len);
	if (!spec || fd < 0 || write(fd, end + 1, len) != (ssize_t)len)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (init_user_find(spec, path, path, &u) == 0)
		check(&u);
	return 0;
}
