/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/report.c - how it is told whether a command runs, and signals as a descriptor. */
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/macro.h"
#include "vm/program/program.h"

void report_send(int report_fd, int step, int errnum, const char *text)
{
	struct {
		struct init_report r;
		char text[VM_REPORT_TEXT];
	} all = { .r = { .step = step, .errnum = errnum } };
	const size_t len = text ? MIN(strlen(text), sizeof(all.text)) : 0;

	if (len)
		memcpy(all.text, text, len);
	if (report_fd >= 0)
		(void)!write(report_fd, &all, sizeof(all.r) + len);
}

int report_exit_code(int step, int errnum)
{
	if (step == INIT_STEP_EXEC)
		return errnum == ENOENT ? 127 : 126;
	return step == INIT_STEP_INTERPRETER ? 126 : EXIT_FAILED;
}

_Noreturn void report_die(const struct call *call, int step, int errnum, const char *text)
{
	report_send(call->report_fd, step, errnum, text);
	_exit(report_exit_code(step, errnum));
}

int signals_take(void)
{
	sigset_t all;

	/* an ignored SIGCHLD hides the dead */
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)!signal(sig, SIG_DFL);
	(void)!signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	/* what a mistake of ours raises can't be waited for */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGABRT);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -1;
	return signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
}

void signals_give_back(void)
{
	sigset_t none;

	sigemptyset(&none);
	(void)!signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
