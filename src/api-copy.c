/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-copy.c - the public face of run/copy.c: which sandbox is meant, and whether it is still that one. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "run/copy.h"
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

/* The entry is looked at twice: after the process was opened its monitor must still hold the lock. */
static int open_sandbox(const char *id, struct copy_sandbox *sb, int *ret_pidfd, int *ret_root_fd,
			struct kennel_error **err)
{
	struct kennel_list *list = NULL;
	_cleanup_close_ int dir_fd = registry_open(err);

	if (dir_fd < 0)
		return dir_fd;
	int r = kennel_list_read(id, &list, err);
	if (r == 0)
		r = parse_entry(list, sb, err);
	if (r == 0)
		r = copy_open_root(sb, ret_pidfd, ret_root_fd, err);
	if (r == 0 && !registry_is_alive(dir_fd, kennel_list_value(list, 0, "id")))
		r = fail(err, KENNEL_E_NOTFOUND, "the sandbox has ended");
	kennel_list_free(list);
	return r;
}

static int copy_words(const char *source, const char *target, struct kennel_error **err)
{
	_cleanup_free_ char *source_id = NULL, *target_id = NULL;
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct copy_request q = { .source = source, .target = target };
	struct copy_sandbox sb;

	int from = copy_split_word(source, &source_id, &q.source, err);
	int to = from < 0 ? from : copy_split_word(target, &target_id, &q.target, err);
	if (to < 0)
		return to;
	if (from && to)
		return hint(err, fail(err, KENNEL_E_INVALID, "both are in a sandbox"),
			    "copy to this machine first, then from there");
	if (!from && !to)
		return hint(err, fail(err, KENNEL_E_INVALID, "neither is in a sandbox"),
			    "one of the two is ID:PATH; \"kennel list\" shows the ids");
	int r = open_sandbox(from ? source_id : target_id, &sb, &pidfd, &root_fd, err);
	if (r == -KENNEL_E_NOTFOUND && err && *err && !kennel_error_hint(*err))
		hint(err, r, "\"kennel list\" shows those that are running");
	if (r < 0)
		return r;
	q.root_fd = root_fd;
	q.out = from;
	q.joins = geteuid() != 0;
	q.pidfd = pidfd;
	q.mapped = sb.mapped;
	q.map = sb.map;
	r = copy_run(&q, err);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	if (r == 0 && to && poll(&ended, 1, 0) > 0)
		r = fail(err, KENNEL_E_NOTFOUND, "the sandbox ended meanwhile");
	return r;
}

int kennel_copy(const char *source, const char *target, struct kennel_error **err)
{
	int r = copy_words(source, target, err);

	return r < 0 ? wrap(err, r, "copy \"%s\" to \"%s\"", source, target) : 0;
}
