/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/user-ns.h - a user namespace for a test. */
#ifndef KENNEL_UNIT_USER_NS_H
#define KENNEL_UNIT_USER_NS_H

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"

/* A user namespace in which our own id is 0, and nobody else exists. */
static inline int new_user_ns(void)
{
	int pipe_fds[2], fd;
	char path[64], byte;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(pipe_fds[0]);
		if (unshare(CLONE_NEWUSER) < 0 || write(pipe_fds[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(pipe_fds[1]);
	bool made = read(pipe_fds[0], &byte, 1) == 1;
	close(pipe_fds[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = made ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	static const char *const files[] = { "setgroups", "uid_map", "gid_map" };
	for (size_t i = 0; made && i < ARRAY_SIZE(files); i++) {
		char text[32];

		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		snprintf(text, sizeof(text), i ? "0 %u 1" : "deny", i == 1 ? geteuid() : getegid());
		int map_fd = open(path, O_WRONLY | O_CLOEXEC);
		if (map_fd < 0 || write(map_fd, text, strlen(text)) < 0)
			made = false;
		close_fd(map_fd);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!made)
		close_fd(fd);
	return made ? fd : -1;
}

#endif
