/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/helper.h - the small processes that serve one sandbox or bridge (names.h, dhcp.h, bus.h): copies of
 * their caller's memory, in which others of its threads may have held locks, so they do nothing but system
 * calls. What they share is here.
 */
#ifndef KENNEL_NET_HELPER_H
#define KENNEL_NET_HELPER_H

#include <stdint.h>

/*
 * Starts one that runs main(data), which never returns: in a session of its own, so that a kill of the
 * process group misses it, with all signals blocked and none of the caller's handlers. name: what ps shows,
 * up to 15 bytes. Return: 0 and *ret_pidfd, or -1 and errno.
 */
int net_helper_start(void (*main)(const void *data), const void *data, const char *name, int *ret_pidfd);
/* The control group that one is to be in. NULL stands for that of the caller. */
struct net_helper_group {
	int clone_fd; /* v2, or -EBADF */
	const int *entry_fds; /* v1: for "0" */
	unsigned n_entries;
};
/*
 * The same, of one that writes an int to report_fd once: 0, it serves, or an errno. Waits for that. Return:
 * 0, or -1 and that errno, ESRCH where it ended without a word; then it has been ended.
 */
int net_helper_start_ready(void (*main)(const void *data, int report_fd), const void *data, const char *name,
			   const struct net_helper_group *group, int *ret_pidfd);
/* Ends it and waits for that. Below 0 is fine. */
void net_helper_end(int pidfd);

#define NET_HELPER_FDS_MAX 20
/* For it: fds[i] becomes descriptor i, and all others are closed. -1 and errno. */
int net_helper_keep_fds(const int *fds, unsigned n);
/* For one of root's: becomes nobody, with these capabilities (1 << CAP_*) and no more ever. -1 and errno. */
int net_helper_become_nobody(uint32_t caps);

/*
 * For one that stays who it is: what it executes has no more than it, and root's has these alone. -1 and
 * errno.
 */
int net_helper_keep_caps(uint32_t caps);

#endif
