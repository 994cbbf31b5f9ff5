/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/main.c - the program. Everything else is in the libraries, where tests and fuzzers reach it.
 *
 * A caller may start us with descriptor 0, 1 or 2 closed. The next file opened would then become "standard
 * output" and be written into. They are filled with /dev/null opened the wrong way round: reading or
 * writing still fails (EBADF), and whatever inherits them holds nothing of value.
 *
 * Or with SIGCHLD ignored, which survives exec: the kernel would then reap the sandbox itself, exit code and
 * all.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"

static int fill_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
			continue;
		/*
		 * The lowest free number is fd itself. Not close-on-exec: standard descriptors are handed
		 * on.
		 */
		if (open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_NOCTTY) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct cli cli;

	(void)argc;
	if (fill_standard_fds() < 0)
		return CLI_EXIT_FAILED;
	(void)signal(SIGCHLD, SIG_DFL);
	cli_init(&cli);
	return cli_main(&cli, argv);
}
