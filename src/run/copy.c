/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/copy.c - the parent half of a copy: two words into a job, a process for it, its report into a
 * sentence.
 *
 * The copying is done in a process of its own because it changes its file system ids, its umask and its
 * limits, and because a file system inside may make it wait: the caller, which may have threads, is never
 * changed and can always be interrupted. That process hears of a stop through shared memory, not by a
 * signal, and then takes back what is half made. It is not a child that wait() of the caller would meet
 * (no exit signal), and it notices the caller's death by itself.
 */
#include "run/copy.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "path/path.h"
#include "copy/child.h"
#include "sys/sys.h"

#define STOP_TIMEOUT_MS 10000
#define ID_NOBODY 65534u

static const struct copy_phrase {
	const char *text; /* with one %s for where it happened */
	const char *hint;
	enum kennel_code code; /* 0: that of errno, whose text is added */
} phrases[COPY_STEPS] = {
	[COPY_STEP_SETUP] = { "prepare the process that copies%s", NULL, 0 },
	[COPY_STEP_SOURCE] = { "find \"%s\"", NULL, 0 },
	[COPY_STEP_SOURCE_KIND] = { "\"%s\" is not a file, a directory or a link",
				    "sockets, devices and pipes are not copied", KENNEL_E_TYPE },
	[COPY_STEP_SOURCE_KERNEL] = { "\"%s\" is in a file system of the kernel",
				      "what is under /proc and /sys is not copied: read it inside",
				      KENNEL_E_TYPE },
	[COPY_STEP_SOURCE_READ] = { "read \"%s\"", NULL, 0 },
	[COPY_STEP_SOURCE_ENDLESS] = { "\"%s\" has no size and no end", NULL, KENNEL_E_LIMIT },
	[COPY_STEP_TARGET] = { "open the target of \"%s\"", NULL, 0 },
	[COPY_STEP_TARGET_PARENT] = { "there is no directory \"%s\"",
				      "make it first: only the last name of a target is made",
				      KENNEL_E_NOTFOUND },
	[COPY_STEP_TARGET_NOT_DIR] = { "the target of \"%s\" is there and is not a directory",
				       "remove it first", KENNEL_E_TYPE },
	[COPY_STEP_TARGET_IS_DIR] = { "the target of \"%s\" is a directory",
				      "remove it first, or give another name", KENNEL_E_TYPE },
	[COPY_STEP_TARGET_KERNEL] = { "\"%s\" leads into a file system of the kernel", NULL, KENNEL_E_TYPE },
	[COPY_STEP_TARGET_FOREIGN] = { "\"%s\" leads into a directory that belongs to nobody inside",
				       "copy to a place where root of the sandbox may write", KENNEL_E_PERM },
	[COPY_STEP_TARGET_CHANGED] = { "the copy of \"%s\" was changed while it was made", NULL,
				       KENNEL_E_BUSY },
	[COPY_STEP_TARGET_WRITE] = { "write the copy of \"%s\"", NULL, 0 },
	[COPY_STEP_ITSELF] = { "\"%s\" holds the target: it can't be copied into itself", NULL,
			       KENNEL_E_INVALID },
	[COPY_STEP_DEEP] = { "\"%s\" is too deep a tree",
			     "each level takes two descriptors: raise ulimit -Hn", KENNEL_E_LIMIT },
	[COPY_STEP_MEMORY] = { "remember the hard links of \"%s\"", NULL, KENNEL_E_NOMEM },
	[COPY_STEP_PIPE] = { "hand on \"%s\"", NULL, 0 },
	[COPY_STEP_STOPPED] = { "interrupted at \"%s\"", NULL, KENNEL_E_INTERRUPTED },
};

int copy_split_word(const char *word, char **ret_id, const char **ret_path, struct kennel_error **err)
{
	const char *colon = strchr(word, ':'), *slash = strchr(word, '/');

	if (!*word)
		return fail(err, KENNEL_E_INVALID, "an empty path");
	if (!colon || word[0] == '.' || (slash && slash < colon))
		return 0;
	if (colon == word)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" has no id before its colon", word),
			    "write \"./%s\" for a file of this machine", word);
	if (!colon[1])
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" has no path after its colon", word),
			    "\"%s/\" is everything inside", word);
	char *id = strndup(word, (size_t)(colon - word));
	if (!id)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*ret_id = id;
	*ret_path = colon + 1;
	return 1;
}

static int report_error(const struct copy_report *r, struct kennel_error **err)
{
	const struct copy_phrase *p =
		&phrases[r->step > 0 && r->step < COPY_STEPS ? r->step : COPY_STEP_SETUP];
	char where[sizeof(r->where)];
	char text[sizeof(where) + 128];

	/* The other process wrote it: its NUL is not taken for granted. */
	snprintf(where, sizeof(where), "%.*s", (int)sizeof(where) - 1, r->where);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), p->text, where); /* from the table above */
#pragma GCC diagnostic pop
	errno = r->errnum;
	int code = p->code ? fail(err, p->code, "%s", text) : fail_errno(err, "%s", text);
	return p->hint ? hint(err, code, "%s", p->hint) : code;
}

static int report_left_out(const struct copy_report *r, struct kennel_error **err)
{
	if (!r->left_out)
		return 0;
	int code = fail(err, KENNEL_E_TYPE,
			"all but %llu sockets, devices, pipes and files of the kernel was copied; "
			"the first of them: \"%.1000s\"",
			(unsigned long long)r->left_out, r->first_left_out);
	return hint(err, code, "they can't be copied; everything else is there");
}

int copy_report_error(const struct copy_report *r, struct kennel_error **err)
{
	return r->step != COPY_DONE ? report_error(r, err) : report_left_out(r, err);
}

/*
 * Signals that are to stop the copy: those that would end or reach the caller. One that is ignored (nohup)
 * is not among them.
 */
static void stopping_signals(sigset_t *set)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction now;

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (sigaction(all[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(set, all[i]);
}

/* Waits for the process; false where it can't even be killed now (a file system keeps it). */
static bool follow(int pidfd, int signal_fd, struct copy_shared *shared)
{
	struct pollfd fds[2] = { { .fd = pidfd, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
	bool killed = false;

	for (;;) {
		int n = poll(fds, 2, fds[1].fd < 0 ? STOP_TIMEOUT_MS : -1);

		if (n > 0 && (fds[0].revents & POLLIN))
			return true;
		if (n > 0 && fds[1].revents) { /* not read: it stays pending for the caller */
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
			fds[1].fd = -1;
		}
		if (n == 0 && killed)
			return false;
		if (n == 0) {
			sys_pidfd_send_signal(pidfd, SIGKILL, 0);
			killed = true;
		}
	}
}

static int start(const struct copy_job *job, const sigset_t *before, const sigset_t *watched, int *ret_pidfd,
		 struct kennel_error **err)
{
	int pidfd = -EBADF;
	struct clone_args args = { .flags = CLONE_PIDFD, .pidfd = (uintptr_t)&pidfd };
	sigset_t all, mask = *before;

	sigfillset(&all);
	/* no handler of the caller's may run in the copy of its memory */
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		copy_child(job);
	int saved = errno;
	sigorset(&mask, before, watched);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	errno = saved;
	if (pid < 0)
		return fail_errno(err, "start a process for the copying");
	*ret_pidfd = pidfd;
	return 0;
}

static int run_process(const struct copy_job *job, bool *ret_stuck, struct kennel_error **err)
{
	sigset_t before, watched;
	siginfo_t info;
	_cleanup_close_ int pidfd = -EBADF;

	stopping_signals(&watched);
	_cleanup_close_ int signal_fd = signalfd(-1, &watched, SFD_CLOEXEC);
	if (signal_fd < 0)
		return fail_errno(err, "watch signals");
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	int r = start(job, &before, &watched, &pidfd, err);
	if (r == 0) {
		bool ended = follow(pidfd, signal_fd, job->shared);

		while (ended && sys_waitid_pidfd(pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
			;
		*ret_stuck = !ended;
		if (!ended)
			r = hint(err, fail(err, KENNEL_E_BUSY, "the process that copies can't be stopped"),
				 "a file system inside does not answer: end the sandbox");
		else if (job->shared->report.step == COPY_DONE &&
			 (info.si_code != CLD_EXITED || info.si_status != 0))
			r = fail(err, KENNEL_E_IO, "the process that copies was killed");
		else
			r = copy_report_error(&job->shared->report, err);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int copy_run(const struct copy_request *q, struct kennel_error **err)
{
	_cleanup_copy_split_ struct copy_split source = { 0 };
	_cleanup_copy_split_ struct copy_split target = { 0 };
	_cleanup_close_ int proc_fd = path_open_proc(err);

	if (proc_fd < 0)
		return proc_fd;
	struct copy_job job = {
		.source = { .inside = q->out, .root_fd = q->root_fd, .path = q->source },
		.target = { .inside = !q->out, .root_fd = q->root_fd, .path = q->target },
		.mapped = q->mapped,
		.map = q->map,
		.owners = geteuid() == 0,
		.proc_fd = proc_fd,
		.parent = getpid(),
		.joins = q->joins,
		.pidfd = q->pidfd,
		.label = q->label,
		.links = q->links,
	};
	if (q->joins) {
		/* Seen from in there ids are those of the inside, and who does not exist there is nobody. */
		job.mapped = true;
		job.map = (struct idmap){ 0, ID_NOBODY };
		job.owners = !q->out;
	}
	if (copy_split_side(&job.source, &source) < 0 || copy_split_side(&job.target, &target) < 0)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	job.shared =
		mmap(NULL, sizeof(*job.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (job.shared == MAP_FAILED)
		return fail_errno(err, "make a shared page");
	bool stuck = false;
	int r = run_process(&job, &stuck, err);
	if (!stuck) /* else it may still write there */
		munmap(job.shared, sizeof(*job.shared));
	return r;
}
