/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/end.c - what follows the end of a sandbox: all that was made for it goes, in the reverse order. */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/errand.h"
#include "run/hooks.h"
#include "run/keep.h"
#include "run/sandbox.h"
#include "run/viewer.h"
#include "sys/sys.h"

static int remove_inner_groups(void *data, struct buf *out, struct kennel_error **err)
{
	const struct sandbox *sb = data;

	(void)out, (void)err;
	cgroup_remove_inner(sb->cgroup);
	return 0;
}

/* Ends what runs, and removes what has a name. Twice does no harm. */
static void end(struct sandbox *sb)
{
	keep_say(sb->keep, NULL, 0);
	if (sb->work.thaw_fd >= 0)
		(void)!write(sb->work.thaw_fd, "THAWED", 6);
	if (sb->init_pidfd >= 0 && !sb->ended) {
		siginfo_t info;

		/* init ends its descendants first */
		if (sb->plan && !(sb->plan->clone_flags & CLONE_NEWPID)) {
			struct pollfd fd = { .fd = sb->init_pidfd, .events = POLLIN };

			sys_pidfd_send_signal(sb->init_pidfd, SIGTERM, 0);
			(void)!poll(&fd, 1, 2000);
		}
		sys_pidfd_send_signal(sb->init_pidfd, SIGKILL, 0);
		while (sys_waitid_pidfd(sb->init_pidfd, &info, WEXITED) < 0 && errno == EINTR)
			;
		sb->ended = true;
		sb->status = 128 + SIGKILL;
	}
	sb->nat = net_nat_free(sb->nat);
	sb->work.nat_pidfd = -EBADF;
	network_end(sb);
	viewer_kill(sb);
	if (sb->rootless && sb->user_ns_fd >= 0 && cgroup_has_inner(sb->cgroup))
		(void)!errand_run(sb->user_ns_fd, remove_inner_groups, sb, NULL, NULL);
	(void)!cgroup_destroy(sb->cgroup, NULL);
	if (sb->work.id)
		/* a socket, or word of a freeze, has only what has a group or a monitor of its own */
		registry_remove(sb->registry_fd, sb->id, sb->cgroup || sb->work.beside[1][0]);
	sb->work.id = NULL;
	if (sb->keep && hooks_has(sb->keep->hooks, SPEC_HOOK_POST_STOP)) {
		replace_fd(&sb->mount_ns_fd, -EBADF); /* they should not find its mounts */
		hooks_end(sb->keep->hooks, "exited", sb->status);
	}
}

void sandbox_leave(struct sandbox *sb)
{
	end(sb);
	keep_pass(sb->keep);
}

struct sandbox *sandbox_free(struct sandbox *sb)
{
	if (!sb)
		return NULL;
	end(sb);
	viewer_end(sb);
	janitor_free(sb->janitor);
	cgroup_free(sb->cgroup);
	close_fd(sb->entry_fd);
	close_fd(sb->registry_fd);
	close_fd(sb->delta_fd);
	close_fd(sb->scratch_fd);
	close_fd(sb->init_pidfd);
	close_fd(sb->master_fd);
	close_fd(sb->word_fd);
	for (unsigned i = 0; i < SPEC_TTYS_MAX; i++)
		close_fd(sb->tty_fds[i]);
	close_fd(sb->user_ns_fd);
	close_fd(sb->mount_ns_fd);
	for (unsigned i = 0; i < sb->n_used_views; i++)
		close_fd(sb->used_view_fds[i]);
	free(sb->used_view_fds);
	close_fd(sb->work.monitor_pidfd);
	close_fd(sb->work.thaw_fd);
	manifest_plants_done(&sb->planted);
	plan_free(sb->plan);
	mount_table_done(&sb->mounts);
	/* Last: its lock says that the delta is nobody's, and mounts over it may just be going. */
	keep_free(sb->keep, false);
	keep_free(sb->held, false);
	free(sb);
	return NULL;
}
