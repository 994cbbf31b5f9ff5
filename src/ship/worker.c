/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/worker.c - see worker.h. The answer comes back in memory that both share: a killed process has none.
 */
#include "ship/worker.h"

#include <errno.h>
#include <linux/prctl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "run/errand.h"
#include "sys/sys.h"

#define TICK_MS 100
#define STOP_TICKS 100 /* an orderly end takes this long at most */

struct shared {
	struct ship_progress progress;
	int32_t answered, result, errnum;
	char message[16384], hint[4096], out[SHIP_OUT_MAX];
};

struct job {
	ship_work_fn work;
	void *data;
	struct shared *shared;
	pid_t parent;
	int user_ns_fd;
};

/* The process that works: root over its ids by now, where it has to become that. */
static int work(void *data, struct buf *ignored, struct kennel_error **err)
{
	const struct job *j = data;
	_cleanup_buf_ struct buf out = { 0 };

	/* a change of ids has taken this away */
	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return fail_errno(err, "ask for a signal at the end of the parent");
	setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive turns names into characters and back */
	signal(SIGPIPE, SIG_IGN);
	int r = j->work(j->data, &j->shared->progress, &out, err);
	if (r >= 0)
		r = buf_check(&out, err) < 0 ? -KENNEL_E_NOMEM : r;
	snprintf(j->shared->out, sizeof(j->shared->out), "%s", buf_str(&out));
	return r;
}

static _Noreturn void become_worker(struct job *j)
{
	struct kennel_error *err = NULL;
	struct shared *s = j->shared;
	int r;

	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != j->parent)
		_exit(1);
	r = j->user_ns_fd > 0 ? errand_run(j->user_ns_fd, work, j, NULL, &err) :
	    geteuid() == 0    ? work(j, NULL, &err) :
				errand_alone(work, j, NULL, &err);
	s->result = r;
	s->errnum = kennel_error_errno(err);
	snprintf(s->message, sizeof(s->message), "%s", kennel_error_message(err));
	snprintf(s->hint, sizeof(s->hint), "%s", kennel_error_hint(err) ? kennel_error_hint(err) : "");
	s->answered = 1;
	_exit(0);
}

static void watch_until_end(int pidfd, struct shared *s, const struct ship_watch *w)
{
	struct pollfd fds = { .fd = pidfd, .events = POLLIN };
	unsigned stopping = 0;

	while (sys_poll(&fds, 1, TICK_MS) <= 0) {
		if (!s->progress.stop && w && w->tick)
			s->progress.stop = w->tick(w->data, s->progress.done, s->progress.total) != 0;
		if (s->progress.stop && ++stopping == STOP_TICKS)
			(void)!sys_pidfd_send_signal(pidfd, SIGKILL, 0);
	}
}

static int take_answer(const struct shared *s, struct buf *out, uint64_t *ret_left_out,
		       struct kennel_error **err)
{
	if (!s->answered && s->progress.stop)
		return fail(err, KENNEL_E_INTERRUPTED, "stopped");
	if (!s->answered)
		return fail(err, KENNEL_E_IO, "the process that worked was killed");
	if (s->result < 0) {
		int r = error_set(err, -s->result, 0, "%s", s->message);

		if (err)
			error_set_errno(*err, s->errnum);
		return *s->hint ? hint(err, r, "%s", s->hint) : r;
	}
	if (out)
		buf_puts(out, s->out);
	if (ret_left_out)
		*ret_left_out = s->progress.left_out;
	return s->result;
}

int ship_work(ship_work_fn fn, void *data, const struct ship_watch *watch, struct buf *out,
	      uint64_t *ret_left_out, struct kennel_error **err)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct job j = { fn, data, s, getpid(), watch ? watch->user_ns_fd : 0 };
	int status;

	if (s == MAP_FAILED)
		return fail_errno(err, "get memory to share");
	pid_t pid = fork();
	if (pid == 0)
		become_worker(&j);
	_cleanup_close_ int pidfd = pid < 0 ? -EBADF : sys_pidfd_open(pid, 0);
	int r = pid < 0 ? fail_errno(err, "start a process that works") : 0;
	if (r == 0 && pidfd < 0) {
		r = fail_errno(err, "watch the process that works");
		kill(pid, SIGKILL);
	}
	if (r == 0)
		watch_until_end(pidfd, s, watch);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = take_answer(s, out, ret_left_out, err);
	munmap(s, sizeof(*s));
	return r;
}
