/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api-copy.c - the public face of run/copy.c: which sandbox is meant, and whether it is still that one. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <kennel/kennel.h>

#include "api-running.h"
#include "base/cleanup.h"
#include "run/vm-errand.h"

static int copy_words(const char *source, const char *target, struct kennel_error **err)
{
	_cleanup_free_ char *source_id = NULL, *target_id = NULL;
	_cleanup_close_ int pidfd = -EBADF, root_fd = -EBADF;
	struct copy_request q = { .source = source, .target = target };
	struct kennel_list *list = NULL;
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
	int r = running_open(from ? source_id : target_id, &sb, &pidfd, &root_fd, &list, err);
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
	const struct vm_guest guest = { pidfd, sb.init, kennel_list_value(list, 0, "id") };
	r = running_is_guest(list) ? copy_run_guest(&q, &guest, err) : copy_run(&q, err);
	kennel_list_free(list);
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
