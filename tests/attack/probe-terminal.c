/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe-terminal.c - attacks on the caller's terminal, and the terminal to attack.
 *
 *   probe typing FD...         inside: tries to type into these, in all spellings of the requests; prints
 *                              what worked
 *   probe terminal COMMAND...  outside: the command on a pty of its own; prints its output, then what it
 *                              typed into it for the caller's shell to read, and whether the terminal still
 *                              is the caller's
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "probe.h"

static void tell(const char *what, unsigned long request, int fd, long r)
{
	if (r >= 0)
		printf("TYPED into %d with %s 0x%lx\n", fd, what, request);
}

int probe_typing(int argc, char **argv)
{
	static const unsigned long high[] = { 0, 1ul << 32, 0xfffffffful << 32, 0xdeadbeeful << 32 };
	static const unsigned long requests[] = { TIOCSTI, TIOCLINUX };
	/* Below 4 GiB, for the 32-bit entry. */
	char *text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (text == MAP_FAILED)
		return 2;
	for (int i = 1; i < argc; i++) {
		int fd = *argv[i] == '/' ? open(argv[i], O_RDWR | O_NONBLOCK) : number(argv[i]);

		for (unsigned r = 0; r < 2; r++) {
			text[0] = r ? 3 : 'K';          /* TIOCLINUX 3 pastes the selection */
			for (unsigned h = 0; h < sizeof(high) / sizeof(high[0]); h++)
				tell("syscall", requests[r] | high[h], fd,
				     syscall(SYS_ioctl, fd, requests[r] | high[h], text));
			tell("x32", requests[r], fd, syscall(SYS_ioctl | 0x40000000, fd, requests[r], text));
			tell("x32 compat", requests[r], fd, syscall(514 | 0x40000000, fd, requests[r], text));
			pid_t pid = fork();             /* a fault where the kernel has no such entry */
			if (pid == 0) {
				tell("int80", requests[r], fd,
				     call_int80(54, fd, (long)requests[r], (long)(intptr_t)text, 0, 0));
				fflush(stdout);
				_exit(0);
			}
			waitpid(pid, NULL, 0);
		}
		/* Somebody else's controlling terminal can be taken with CAP_SYS_ADMIN only. */
		if (fd >= 0 && ioctl(fd, TIOCSCTTY, 1) == 0)
			printf("TOOK the terminal %d\n", fd);
	}
	puts("typing tried");
	return 0;
}

static void copy_out(int master_fd, int timeout_ms)
{
	struct pollfd p = { .fd = master_fd, .events = POLLIN };
	char data[4096];

	while (poll(&p, 1, timeout_ms) > 0) {
		ssize_t n = read(master_fd, data, sizeof(data));

		if (n <= 0)
			return;
		fwrite(data, 1, (size_t)n, stdout);
	}
}

/*
 * The caller's shell: leads the session, runs the command in the foreground, and reads the next line when
 * that has ended.
 */
static int shell(int slave_fd, int result_fd, char **command)
{
	struct termios t;
	int pending = 0, status = 0;

	setsid();
	if (ioctl(slave_fd, TIOCSCTTY, 0) < 0)
		return 2;
	pid_t pid = fork();
	if (pid == 0) {
		for (int fd = 0; fd < 3; fd++)
			dup2(slave_fd, fd);
		execv(command[0], command);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	tcgetattr(slave_fd, &t);
	/* so that what was typed counts without an end of line */
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(slave_fd, TCSANOW, &t);
	ioctl(slave_fd, FIONREAD, &pending);
	dprintf(result_fd, "exit %d\nwaiting %d\nsession %s\n",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), pending,
		tcgetsid(slave_fd) == getpid() ? "kept" : "LOST");
	return 0;
}

int probe_terminal(int argc, char **argv)
{
	int master_fd, slave_fd, result[2], status;
	char text[256];

	if (argc < 2 || openpty(&master_fd, &slave_fd, NULL, NULL, NULL) < 0 || pipe(result) < 0)
		return 2;
	pid_t pid = fork();
	if (pid == 0) {
		close(master_fd);
		_exit(shell(slave_fd, result[1], argv + 1));
	}
	close(result[1]);
	while (waitpid(pid, &status, WNOHANG) == 0)
		copy_out(master_fd, 50);
	copy_out(master_fd, 50);
	fputs("\n", stdout);
	for (ssize_t n; (n = read(result[0], text, sizeof(text))) > 0;)
		fwrite(text, 1, (size_t)n, stdout);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
