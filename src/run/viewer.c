/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/viewer.c - see viewer.h. */
#include "run/viewer.h"

#include "base/cleanup.h"
#include "sys/sys.h"

int viewer_start(struct launch *l, struct kennel_error **err)
{
	(void)l;
	return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "a copy of the running system needs root"), "run kennel as root");
}

void viewer_end(struct sandbox *sb)
{
	siginfo_t info;

	close_fd(sb->view_hold_fd);
	sb->view_hold_fd = -EBADF;
	if (sb->view_pidfd < 0)
		return;
	sys_pidfd_send_signal(sb->view_pidfd, SIGKILL, 0);
	while (sys_waitid_pidfd(sb->view_pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
	close_fd(sb->view_pidfd);
	sb->view_pidfd = sb->work.view_pidfd = -EBADF;
}
