/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/init-trace.c - the end of an init of the guest's own, seen before it is one.
 *
 * A kernel panics when its pid 1 ends, and what was not written back is lost; how that had ended is to be
 * read from the panic's words at most. So the agent traces it, which stops it when it is about to end. For
 * this each signal that comes to it passes here, too. A tracer that is killed leaves it as it was.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"
#include "vm/program/program.h"

void init_seize(void)
{
	(void)!ptrace(PTRACE_SEIZE, 1, NULL, (void *)(uintptr_t)PTRACE_O_TRACEEXIT);
}

/* Whether it has a handler for that. */
static bool is_caught(int sig)
{
	static const char key[] = "SigCgt:";
	char text[4096];
	int fd = open("/proc/1/status", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[MAX(n, (ssize_t)0)] = '\0';
	const char *found = strstr(text, key);
	return found && strtoull(found + strlen(key), NULL, 16) >> (sig - 1) & 1;
}

/*
 * A fault of its own. Of a pid 1 that is not traced the kernel would make an end; this one would try the same
 * again and again.
 */
static bool is_fatal(int sig)
{
	siginfo_t info;

	if (sig != SIGSEGV && sig != SIGBUS && sig != SIGILL && sig != SIGFPE && sig != SIGTRAP &&
	    sig != SIGSYS)
		return false;
	return ptrace(PTRACE_GETSIGINFO, 1, NULL, &info) == 0 && info.si_code > 0 && !is_caught(sig);
}

bool init_ends(int *status)
{
	const int event = *status >> 16;
	int sig = event ? 0 : WSTOPSIG(*status);
	unsigned long ended_with;

	if (event == PTRACE_EVENT_EXIT && ptrace(PTRACE_GETEVENTMSG, 1, NULL, &ended_with) == 0) {
		*status = (int)ended_with;
		return true;
	}
	if (sig && is_fatal(sig)) {
		*status = sig;
		return true;
	}
	/* No pid 1 can be stopped, but by a tracer. */
	(void)!ptrace(PTRACE_CONT, 1, NULL, (void *)(uintptr_t)(sig == SIGSTOP ? 0 : sig));
	return false;
}
