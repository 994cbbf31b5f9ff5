/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/vm-errand.c - see vm-errand.h. */
#include "run/vm-errand.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/answer.h"
#include "base/cleanup.h"
#include "run/enter.h"
#include "sys/sys.h"

static int enter(const struct vm_guest *g, const char *const *words, int *ret_status,
		 struct kennel_error **err)
{
	const struct strv none = { 0 };
	struct spec *spec = spec_new(err);
	struct enter_request q = {
		.init_pidfd = g->init_pidfd,
		.init = g->init,
		.id = g->id,
		.level = SPEC_ISOLATE_VM,
		.env = &none,
		.errand = true,
		.spec = spec,
	};
	int r = 0;

	if (!spec)
		return -KENNEL_E_NOMEM;
	spec->tty = SPEC_TTY_NO;
	for (; *words && r == 0; words++)
		r = strv_add(&spec->command, *words, err);
	if (r == 0)
		r = enter_run(&q, ret_status, err);
	spec_free(spec);
	return r;
}

enum { IN, OUT, ERRORS, ANSWER, PIDFD, N_OWN };

/* The caller's other descriptors are ends of the same pipes, which would never end. */
static int take_descriptors(const int given[N_OWN])
{
	int own[N_OWN];

	for (int i = 0; i < N_OWN; i++) /* above those that they become */
		if ((own[i] = fcntl(given[i], F_DUPFD_CLOEXEC, N_OWN)) < 0)
			return -1;
	for (int i = 0; i < N_OWN; i++)
		if ((i <= ERRORS ? dup2(own[i], i) : dup3(own[i], i, O_CLOEXEC)) < 0)
			return -1;
	return sys_close_range(N_OWN, ~0u, 0);
}

static _Noreturn void be_there(const struct vm_guest *g, const char *const *words, const int given[N_OWN],
			       pid_t parent)
{
	_cleanup_buf_ struct buf out = { 0 };
	struct kennel_error *err = NULL;
	struct vm_guest own = *g;
	int status = 0;

	/* What a keyboard sends is for our caller, whose end is ours. */
	(void)sys_setsid();
	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent ||
	    take_descriptors(given) < 0)
		_exit(1);
	own.init_pidfd = PIDFD;
	const int r = enter(&own, words, &status, &err);
	buf_add(&out, &status, sizeof(status));
	_exit(!answer_write(ANSWER, r, err, &out));
}

int vm_errand_start(const struct vm_guest *g, const char *const *words, const int fds[3],
		    struct vm_errand *ret, struct kennel_error **err)
{
	const pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		be_there(g, words, (const int[]){ fds[0], fds[1], fds[2], ends[1], g->init_pidfd }, parent);
	if (pid < 0) {
		int r = fail_errno(err, "start a process that enters the guest");

		close_fd(ends[0]);
		close_fd(ends[1]);
		return r;
	}
	close_fd(ends[1]);
	*ret = (struct vm_errand){ .pid = pid, .answer_fd = ends[0] };
	return 0;
}

int vm_errand_wait(struct vm_errand *e, int *ret_status, struct kennel_error **err)
{
	_cleanup_buf_ struct buf in = { 0 }, out = { 0 };

	int r = buf_read_fd(&in, e->answer_fd, ANSWER_MAX, err);
	close_fd(e->answer_fd);
	while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r == 0)
		r = answer_take(&in, "the process that enters the guest", &out, err);
	if (r == 0 && out.len == sizeof(*ret_status))
		memcpy(ret_status, out.data, sizeof(*ret_status));
	return r;
}
