/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/enter.h - run one more command in a sandbox that runs, behind the same walls. */
#ifndef KENNEL_RUN_ENTER_H
#define KENNEL_RUN_ENTER_H

#include <stdbool.h>

#include "base/error.h"
#include "conf/spec.h"

struct enter_request {
	int init_pidfd; /* the sandbox's first process */
	pid_t init; /* the same by number */
	const char *id;
	enum spec_isolate level;
	const struct strv *env; /* what was set for all of the sandbox */
	bool errand; /* of a guest, in place of a command: vm/program/errand.h. There is no terminal */
	bool last; /* the caller does nothing else: memory may be shared with it, see enter-child.h */
	const struct spec *spec; /* user, workdir, env, tty and command; nothing else is looked at */
};

/*
 * Runs the command and follows it to its end, as sandbox_run() does. Return: 0 and its exit code, or a
 * negative code: NOTFOUND the sandbox has ended, NOCOMMAND and NOTEXEC as in a start.
 */
int enter_run(const struct enter_request *q, int *ret_status, struct kennel_error **err) MUST_CHECK;

#endif
