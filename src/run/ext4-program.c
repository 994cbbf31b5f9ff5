/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/ext4-program.c - see ext4-program.h. */
#include "run/ext4-program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "ext4/stream.h"
#include "run/program.h"

#define PIPE_BYTES (1 << 20)

int ext4_program_find(char **ret, struct kennel_error **err)
{
	int r = program_find(EXT4_PROGRAM, "ext4", ret, err);

	if (r == 0)
		return 0;
	return hint(err, r, "without root it is needed: build kennel with libext2fs, or run it as root");
}

int ext4_program_start(const char *path, int image_fd, int other_fd, const char *word, int said_fd,
		       pid_t *ret, struct kennel_error **err)
{
	char image[16], other[16];
	char *const no_env[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int first = MAX(image_fd, other_fd) + 1;

	snprintf(image, sizeof(image), "%d", first);
	snprintf(other, sizeof(other), "%d", first + 1);
	char *const argv[] = { (char *)path, image, other, (char *)word, NULL };
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (said_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, said_fd, 2);
	posix_spawn_file_actions_adddup2(&actions, image_fd, first);
	posix_spawn_file_actions_adddup2(&actions, other_fd, first + 1);
	int r = posix_spawn(ret, path, &actions, &attr, argv, no_env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	errno = r;
	return r ? fail_errno(err, "run \"%s\"", path) : 0;
}

int ext4_program_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int ext4_program_read(const char *path, int image_fd, const char *word, int *ret_stream_fd, pid_t *ret,
		      struct kennel_error **err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	(void)!fcntl(read_fd, F_SETPIPE_SZ, PIPE_BYTES); /* only quicker */
	int r = ext4_program_start(path, image_fd, write_fd, word, -EBADF, ret, err);
	if (r == 0)
		*ret_stream_fd = take_fd(&read_fd);
	return r;
}
