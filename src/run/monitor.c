/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/monitor.c - waiting for a sandbox, and following it to its end. */
#include <poll.h>

#include "base/cleanup.h"
#include "run/follow.h"
#include "run/sandbox.h"

static int reap(struct sandbox *sb, struct kennel_error **err)
{
	int r = follow_reap(sb->init_pidfd, &sb->status, err);

	sb->ended |= r == 0;
	return r;
}

int sandbox_wait(struct sandbox *sb, int timeout_ms, int *ret_status, struct kennel_error **err)
{
	struct pollfd fds[2] = { { .fd = sb->init_pidfd, .events = POLLIN },
				 { .fd = sb->word_fd, .events = POLLIN } };

	if (!sb->ended && !sb->lingers) {
		int n = poll(fds, 2, timeout_ms);

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "wait for the sandbox");
		if (n <= 0)
			return 0;
		sb->lingers = fds[1].revents && follow_hear(sb->word_fd, &sb->status);
		int r = sb->lingers ? 0 : reap(sb, err);
		if (r < 0)
			return r;
	}
	*ret_status = sb->status;
	return 1;
}

int sandbox_run(struct sandbox *sb, int *ret_status, struct kennel_error **err)
{
	const struct follow f = { .pidfd = sb->init_pidfd,
				  .master_fd = sb->master_fd,
				  .host_pidfd = -EBADF,
				  .word_fd = sb->word_fd };
	int status = -1;

	int r = follow_process(&f, &status, err);
	if (status >= 0) {
		sb->status = status;
		sb->lingers = r > 0;
		sb->ended = r <= 0;
	}
	if (r >= 0)
		*ret_status = status;
	return MIN(r, 0);
}
