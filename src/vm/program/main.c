/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/main.c - which of the programs in one this is to be. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vm/program/program.h"

static bool number(const char *text, long max, long *ret)
{
	char *end;

	errno = 0;
	*ret = strtol(text, &end, 10);
	return *text && !*end && !errno && *ret >= -1 && *ret <= max;
}

static struct call read_call(int argc, char **argv, char **env)
{
	struct call call = { .report_fd = -1, .tty_fd = -1, .env = env };
	long report_fd, tty_fd, flags;

	if (argc < INIT_ARG_COMMAND || !number(argv[INIT_ARG_REPORT_FD], INT32_MAX, &report_fd))
		report_die(&call, INIT_STEP_ARGS, EINVAL, NULL);
	call.report_fd = (int)report_fd;
	if (!number(argv[INIT_ARG_TTY_FD], INT32_MAX, &tty_fd) ||
	    !number(argv[INIT_ARG_FLAGS], INT32_MAX, &flags) || flags < 0 ||
	    fcntl(call.report_fd, F_SETFD, FD_CLOEXEC) < 0)
		report_die(&call, INIT_STEP_ARGS, EINVAL, NULL);
	call.tty_fd = (int)tty_fd;
	call.flags = (uint32_t)flags;
	call.args = argv + INIT_ARG_USER;
	if (argc == INIT_ARG_COMMAND && !(call.flags & INIT_IDLE))
		report_die(&call, INIT_STEP_ARGS, EINVAL, NULL);
	return call;
}

/* Whatever would run here without a command: a guest that boots runs its own init. */
static void take_init(struct call *call)
{
	enum { WORKDIR = INIT_ARG_WORKDIR - INIT_ARG_USER, COMMAND = INIT_ARG_COMMAND - INIT_ARG_USER };

	call->flags &= ~(uint32_t)(INIT_IDLE | INIT_LOGIN_SHELL);
	call->args[WORKDIR] = (char *)"/";
	if (!call->args[COMMAND] || !call->args[COMMAND][0])
		call->args[COMMAND] = (char *)"/sbin/init";
}

int main(int argc, char **argv, char **env)
{
	char text[VM_REPORT_TEXT];
	struct settings set;

	if (!strcmp(argv[0], "/init"))
		guest_main(argv);
	struct call call = read_call(argc, argv, env);
	(void)!prctl(PR_SET_NAME, argv[INIT_ARG_NAME], 0, 0, 0); /* else it is named after a descriptor */
	if (!settings_take(env, &set, text, sizeof(text)))
		report_die(&call, VM_STEP_SETTING, EINVAL, text);
	if (set.boot)
		take_init(&call);
	/* a pid 1 that is to become an init has the guest's become it */
	return (call.flags & INIT_BECOME) && getpid() != 1 ? client_main(&call) :
							     supervisor_main(&call, &set);
}
