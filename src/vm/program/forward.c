/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/forward.c - connections to the loopback of the sandbox, for the guest's.
 *
 * What the machine itself sends to a published port pasta does not send as frames: it connects to the
 * loopback of the namespace, where the guest is not. So somebody listens there for each port, and has each
 * connection made in the guest by an errand, whose input and output are the connection's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "vm/program/errand.h"
#include "vm/program/program.h"

#define LISTEN_FD 3 /* the first behind input, output and errors */

/* --- beside the guest --- */

static _Noreturn void serve(int fd, const char *port)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = AGENT_SOCKET };
	char *args[] = { (char *)"", (char *)"", (char *)"connect", (char *)port, NULL }, *env[] = { NULL };
	const struct call call = { .report_fd = -1, .tty_fd = -1, .args = args, .env = env };
	int agent_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (agent_fd < 0 || connect(agent_fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
	    dup2(fd, 0) < 0 || dup2(fd, 1) < 0 || dup2(null_fd, 2) < 0)
		_exit(EXIT_FAILED);
	(void)!fcntl(agent_fd, F_SETFL, O_NONBLOCK);
	close(fd);
	_exit(client_run(agent_fd, &call, VM_OPEN_ERRAND));
}

static int listen_at(int family, uint16_t port)
{
	const struct sockaddr_in at4 = { .sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 at6 = { .sin6_family = AF_INET6,
					  .sin6_port = htons(port),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	const void *at = family == AF_INET ? (const void *)&at4 : &at6;
	const socklen_t size = family == AF_INET ? sizeof(at4) : sizeof(at6);
	_cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 || bind(fd, at, size) < 0 || listen(fd, SOMAXCONN) < 0 ? -1 : take_fd(&fd);
}

static _Noreturn void wait_for_connections(const char *port, int listen_fd)
{
	const int fd = LISTEN_FD;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* what the caller of all this gave belongs to the first command, and ends with it */
	if (null_fd < 0 || dup2(listen_fd, fd) < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 ||
	    dup2(null_fd, 2) < 0 || close_range(fd + 1, ~0U, 0) < 0)
		_exit(EXIT_FAILED);
	(void)!signal(SIGCHLD, SIG_IGN); /* nobody asks how they ended */
	for (;;) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (one >= 0 && fork() == 0)
			serve(one, port);
		close_fd(one);
		if (one < 0 && errno != EINTR && errno != ECONNABORTED)
			(void)!poll(NULL, 0, 100); /* a lack that may pass */
	}
}

int forward_start(const char *port)
{
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		_cleanup_close_ int fd = listen_at(families[i], (uint16_t)strtoul(port, NULL, 10));

		if (fd < 0 && families[i] == AF_INET)
			return -1;
		pid_t pid = fd < 0 ? 1 : fork();
		if (pid == 0) {
			signals_give_back();
			wait_for_connections(port, fd);
		}
		if (pid < 0)
			return -1;
	}
	return 0;
}

/* --- in the guest --- */

static int connect_to(uint16_t port)
{
	const struct sockaddr_in to4 = { .sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 to6 = { .sin6_family = AF_INET6,
					  .sin6_port = htons(port),
					  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to4, sizeof(to4)) == 0)
		return take_fd(&fd);
	replace_fd(&fd, socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
	return fd >= 0 && connect(fd, (const struct sockaddr *)&to6, sizeof(to6)) == 0 ? take_fd(&fd) : -1;
}

void errand_connect(char **args)
{
	int fd = connect_to((uint16_t)strtoul(args[0], NULL, 10));
	struct pollfd fds[2] = { { .fd = 0, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

	if (fd < 0)
		errand_refuse(errno);
	errand_runs();
	/* What the server has said to its end is all: nobody is left to read what comes behind that. */
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents && !errand_hand_on(fd, 1))
			break;
		if (fds[0].revents && !errand_hand_on(0, fd)) {
			(void)!shutdown(fd, SHUT_WR);
			fds[0].fd = -1;
		}
	}
}
