/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-running.c - see api-running.h. */
#include "api-running.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "conf/spec.h"
#include "run/registry.h"

static int parse_pid(const char *text, pid_t *ret, struct kennel_error **err)
{
	uint32_t v;

	if (!text || parse_u32(text, &v) < 0 || v == 0 || v > INT32_MAX)
		return fail(err, KENNEL_E_CORRUPT, "the process id \"%s\"", text ? text : "");
	*ret = (pid_t)v;
	return 0;
}

static int parse_entry(const struct kennel_list *list, struct copy_sandbox *ret, struct kennel_error **err)
{
	int r = parse_pid(kennel_list_value(list, 0, "init"), &ret->init, err);

	if (r == 0)
		r = parse_pid(kennel_list_value(list, 0, "pid"), &ret->monitor, err);
	if (r == 0)
		r = copy_parse_idmap(kennel_list_value(list, 0, "idmap"), ret, err);
	return r < 0 ? wrap(err, r, "the entry of \"%s\"", kennel_list_value(list, 0, "id")) : 0;
}

int running_read(const char *id, struct copy_sandbox *sb, struct kennel_list **ret_list,
		 struct kennel_error **err)
{
	struct kennel_list *list = NULL;

	int r = kennel_list_read(id, &list, err);
	if (r == 0)
		r = parse_entry(list, sb, err);
	if (r == 0)
		*ret_list = list;
	else
		kennel_list_free(list);
	return r;
}

/* The entry is looked at twice: after the process was opened its monitor must still hold the lock. */
int running_open(const char *id, struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd,
		 struct kennel_list **ret_list, struct kennel_error **err)
{
	struct kennel_list *list = NULL;
	_cleanup_close_ int dir_fd = registry_open(err);

	if (dir_fd < 0)
		return dir_fd;
	int r = running_read(id, sb, &list, err);
	if (r == 0)
		r = copy_open_root(sb, ret_pidfd, ret_root_fd, err);
	if (r == 0 && !registry_is_alive(dir_fd, kennel_list_value(list, 0, "id")))
		r = fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended");
	if (r == 0 && ret_list)
		*ret_list = list;
	else
		kennel_list_free(list);
	return r;
}

bool running_is_guest(const struct kennel_list *list)
{
	const char *level = kennel_list_value(list, 0, "isolate");

	return level && strcmp(level, spec_isolate_name(SPEC_ISOLATE_VM)) == 0;
}

int running_open_files(const char *id, struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd,
		       struct kennel_error **err)
{
	struct kennel_list *list = NULL;

	int r = running_open(id, sb, ret_pidfd, ret_root_fd, &list, err);
	if (r < 0)
		return r;
	if (running_is_guest(list))
		r = hint(
			err,
			fail(err, KENNEL_E_UNSUPPORTED,
			     "the files of this sandbox are seen by its own kernel alone as long as that runs"),
			"take what you need of it: kennel cp %s:PATH TARGET",
			kennel_list_value(list, 0, "id"));
	kennel_list_free(list);
	return r;
}

int running_cgroup(const struct copy_sandbox *sb, int pidfd, struct buf *ret, struct kennel_error **err)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", sb->init);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -1 : buf_read_fd(ret, fd, 1u << 20, NULL);
	return r < 0 || poll(&ended, 1, 0) != 0 ? fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended") : 0;
}
