/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/pager.c - see pager.h.
 *
 * ^C is the pager's as long as it runs. One that ends before it has read all is no failure.
 */
#include "cli/pager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/cleanup.h"

static _Noreturn void run_pager(const char *command, int in_fd)
{
	static const char less[] = "if command -v less >/dev/null; then exec less; else exec cat; fi";

	if (dup2(in_fd, STDIN_FILENO) < 0)
		_exit(127);
	(void)setenv("LESS", "FRX", 0);
	(void)setenv("LV", "-c", 0);
	execl("/bin/sh", "sh", "-c", command ? command : less, (char *)NULL);
	_exit(127);
}

void pager_begin(struct pager *p, const struct cli *cli)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const char *command = getenv("PAGER");
	int fds[2];

	*p = (struct pager){ .cli = *cli };
	if (!isatty(cli->out_fd) || (command && (!*command || strcmp(command, "cat") == 0)))
		return;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	p->pid = fork();
	if (p->pid == 0)
		run_pager(command, read_fd);
	if (p->pid < 0) {
		p->pid = 0;
		return;
	}
	sigaction(SIGINT, &ignore, &p->old_int);
	sigaction(SIGQUIT, &ignore, &p->old_quit);
	p->cli.out_fd = take_fd(&write_fd);
	p->cli.paged = true;
}

void pager_end(struct pager *p)
{
	if (!p->pid)
		return;
	close_fd(p->cli.out_fd);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &p->old_int, NULL);
	sigaction(SIGQUIT, &p->old_quit, NULL);
	p->pid = 0;
}
