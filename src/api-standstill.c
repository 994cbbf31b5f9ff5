/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api-standstill.c - see api-standstill.h. A process of its own waits for the end of us, in whatever way,
 * and lets the sandbox go on then.
 */
#include "api-standstill.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kennel/kennel.h>

#include "base/cleanup.h"
#include "sys/sys.h"

_Noreturn static void wait_and_wake(int fd, const char *id)
{
	char byte;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)sys_setsid();
	/* Nobody waits for the end of a pipe that only we still hold. */
	if (fd != 3)
		(void)!dup2(fd, 3);
	(void)sys_close_range(0, 2, 0);
	(void)sys_close_range(4, ~0u, 0);
	while (read(3, &byte, 1) < 0 && errno == EINTR)
		;
	(void)!kennel_thaw(id, NULL);
	_exit(0);
}

static bool is_frozen(const char *id)
{
	struct kennel_list *list = NULL;

	if (kennel_list_read(id, &list, NULL) < 0)
		return false;
	const char *state = kennel_list_value(list, 0, "state");
	bool frozen = state && strcmp(state, "frozen") == 0;
	kennel_list_free(list);
	return frozen;
}

int standstill_begin(const char *id, struct standstill *ret, struct kennel_error **err)
{
	int ends[2];

	*ret = (struct standstill)STANDSTILL_NONE;
	if (is_frozen(id))
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		int r = fail_errno(err, "start a process");

		close_fd(ends[0]);
		close_fd(ends[1]);
		return r;
	}
	if (pid == 0) {
		close(ends[1]);
		wait_and_wake(ends[0], id);
	}
	close_fd(ends[0]);
	*ret = (struct standstill){ ends[1], pid };
	int r = kennel_freeze(id, err);
	if (r == 0)
		return 0;
	standstill_end(ret);
	return hint(
		err, r,
		"stop it first; or start it with \"kennel start\", which gives it a control group if it can");
}

void standstill_end(struct standstill *s)
{
	close_fd(s->wake_fd);
	while (s->waker > 0 && waitpid(s->waker, NULL, 0) < 0 && errno == EINTR)
		;
	*s = (struct standstill)STANDSTILL_NONE;
}
