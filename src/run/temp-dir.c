/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/temp-dir.c - see temp-dir.h. */
#include "run/temp-dir.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "path/remove.h"
#include "run/errand.h"
#include "sys/sys.h"

enum { WAKE = 3, PARENT, USER_NS, N_OWN };

static int remove_it(void *data, struct buf *out, struct kennel_error **err)
{
	(void)out;
	return path_remove_tree(PARENT, data, err);
}

static int take_descriptor(int from, int as)
{
	int fd = fcntl(from, F_DUPFD_CLOEXEC, N_OWN);

	return fd < 0 || dup3(fd, as, O_CLOEXEC) < 0 ? -1 : 0;
}

static _Noreturn void keep(const struct temp_dir *t, int fd, int user_ns_fd)
{
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)sys_setsid();
	/* above those that they become */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, N_OWN);
	const int parent_fd = fcntl(t->parent_fd, F_DUPFD_CLOEXEC, N_OWN);
	const int ns_fd = user_ns_fd < 0 ? -1 : fcntl(user_ns_fd, F_DUPFD_CLOEXEC, N_OWN);
	if (take_descriptor(fd, WAKE) < 0 || take_descriptor(parent_fd, PARENT) < 0 ||
	    (user_ns_fd >= 0 && take_descriptor(ns_fd, USER_NS) < 0))
		_exit(1);
	(void)sys_close_range(0, 2, 0);
	/* Nobody waits for the end of a pipe that only we still hold. */
	(void)sys_close_range(user_ns_fd < 0 ? USER_NS : N_OWN, ~0u, 0);
	while (read(WAKE, &byte, 1) < 0 && errno == EINTR)
		;
	(void)!errand_run(user_ns_fd < 0 ? -EBADF : USER_NS, remove_it, (void *)t->name, NULL, NULL);
	_exit(0);
}

int temp_dir_make(struct temp_dir *t, int parent_fd, const char *name, int user_ns_fd,
		  struct kennel_error **err)
{
	int ends[2];

	snprintf(t->name, sizeof(t->name), "%s", name);
	t->parent_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	if (t->parent_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	/* Who removes it is there before it is. */
	t->keeper = fork();
	if (t->keeper == 0) {
		close(ends[1]);
		keep(t, ends[0], user_ns_fd);
	}
	close_fd(ends[0]);
	t->wake_fd = ends[1];
	if (t->keeper < 0)
		return fail_errno(err, "start a process");
	if (mkdirat(t->parent_fd, name, 0700) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	t->dir_fd = openat(t->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->dir_fd < 0 || flock(t->dir_fd, LOCK_EX | LOCK_NB) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	return 0;
}

void temp_dir_end(struct temp_dir *t)
{
	close_fd(t->dir_fd);
	close_fd(t->parent_fd);
	close_fd(t->wake_fd);
	while (t->keeper > 0 && waitpid(t->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	*t = (struct temp_dir)TEMP_DIR_NONE;
}
