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

/* --- beside the guest --- */

_Noreturn void forward_serve(int fd, char **words)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = CARRY_SOCKET };
	char *env[] = { NULL };
	const struct call call = { .report_fd = -1, .tty_fd = -1, .args = words, .env = env };
	int agent_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (agent_fd < 0 || connect(agent_fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
	    dup2(fd, 0) < 0 || dup2(fd, 1) < 0)
		_exit(EXIT_FAILED);
	(void)!fcntl(agent_fd, F_SETFL, O_NONBLOCK);
	close(fd);
	_exit(client_run(agent_fd, &call, VM_OPEN_ERRAND));
}

/* What the caller of all this gave belongs to the first command, and ends with it. */
int forward_keep(int *fds, unsigned n)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* above those that they become */
	for (unsigned i = 0; i < n; i++)
		if ((fds[i] = fcntl(fds[i], F_DUPFD, FORWARD_FD + (int)n)) < 0)
			return -1;
	for (unsigned i = 0; i < n; i++)
		if (dup2(fds[i], FORWARD_FD + (int)i) < 0)
			return -1;
	for (int i = 0; i < 3; i++)
		if (null_fd < 0 || dup2(null_fd, i) < 0)
			return -1;
	return close_range(FORWARD_FD + n, ~0U, 0);
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

struct listening {
	int fd;
	uint16_t port;
};

static void serve_one(int listen_fd, uint16_t port)
{
	char text[8];
	char *words[] = { (char *)"", (char *)"", (char *)"connect", text, NULL };
	_cleanup_close_ int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
		(void)!poll(NULL, 0, 100); /* a lack that may pass */
	if (fd < 0 || fork() != 0)
		return;
	snprintf(text, sizeof(text), "%u", port);
	forward_serve(fd, words);
}

static _Noreturn void wait_for_connections(const struct listening *all, unsigned n)
{
	struct pollfd *p = calloc(n, sizeof(*p));
	int *fds = calloc(n, sizeof(*fds));

	for (unsigned i = 0; p && fds && i < n; i++) {
		fds[i] = all[i].fd;
		p[i] = (struct pollfd){ .fd = FORWARD_FD + (int)i, .events = POLLIN };
	}
	if (!p || !fds || forward_keep(fds, n) < 0)
		_exit(EXIT_FAILED);
	(void)!signal(SIGCHLD, SIG_IGN); /* nobody asks how they ended */
	for (;;) {
		if (poll(p, n, -1) < 0)
			continue;
		for (unsigned i = 0; i < n; i++)
			if (p[i].revents)
				serve_one(p[i].fd, all[i].port);
	}
}

int forward_start(const struct port *ports, unsigned n)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct listening *all = calloc(2 * (size_t)n + 1, sizeof(*all));
	unsigned n_all = 0;
	bool ok = all;

	for (unsigned i = 0; ok && i < 2 * n; i++) {
		const struct port *p = &ports[i / 2];
		int fd = p->udp ? -1 : listen_at(families[i % 2], p->number);

		ok = p->udp || fd >= 0 || families[i % 2] != AF_INET;
		if (fd >= 0)
			all[n_all++] = (struct listening){ fd, p->number };
	}
	const int saved = errno;
	pid_t pid = !ok ? -1 : n_all ? fork() : 1;
	if (pid == 0) {
		signals_give_back();
		wait_for_connections(all, n_all);
	}
	for (unsigned i = 0; i < n_all; i++)
		close(all[i].fd);
	free(all);
	if (!ok)
		errno = saved;
	return pid < 0 ? -1 : 0;
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
