/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/pager.h - output that is longer than the screen: through the person's own pager, as git does it. */
#ifndef KENNEL_CLI_PAGER_H
#define KENNEL_CLI_PAGER_H

#include <signal.h>
#include <sys/types.h>

#include "cli/cli.h"

struct pager {
	struct cli cli; /* write to this one in between */
	pid_t pid; /* 0: none */
	struct sigaction old_int, old_quit;
};

/*
 * Starts $PAGER, or less where there is one; an empty PAGER, "cat", or an output that is no terminal is
 * written to as it is.
 */
void pager_begin(struct pager *p, const struct cli *cli);
/* Waits until the person has seen enough. */
void pager_end(struct pager *p);

#endif
