/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/bus-serve.c - the processes of bus.h.
 *
 * A copy of its caller's memory in which others of its threads may have held locks, so the relay does nothing
 * but system calls, on memory that it maps itself. Each way of a client has one buffer, and nothing is read
 * into it before what it holds is gone: who does not read stops who writes to him, and nobody else.
 *
 * Reads end where a message does. The kernel hands out descriptors with the first of the bytes they came
 * with, but glues bytes without any in front of them: read together, they would be another message's.
 */
#include "net/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/helper.h"
#include "sys/sys.h"

#define CLIENTS_MAX 64
#define FLOW_FDS 253 /* SCM_MAX_FD */
#define FLOW_ROOM 8192
#define READY_MS 20000
#define PROXY_ENDED (-1) /* in the place of an errno */

enum { FD_LISTEN, FD_PROXY, FD_MONITOR, FD_ALIVE, FD_REPORT, FD_FIRST_FREE };

struct flow {
	bool lines; /* messages have not begun */
	bool greeted; /* the zero byte in front of a client's lines has gone by */
	char line[NET_BUS_LINE];
	uint8_t head[NET_BUS_HEAD];
	size_t n_line, n_head, left; /* left: of the message */
	size_t at, end; /* of what is in data and has to go on */
	size_t n_fds;
	int fds[FLOW_FDS]; /* go with the first byte */
	uint8_t data[FLOW_ROOM];
};

struct client {
	bool used;
	int fds[2]; /* the client's, the proxy's */
	struct flow flows[2]; /* from the client, to it */
};

struct relay {
	struct client clients[CLIENTS_MAX];
	size_t n;
	bool is_full; /* of descriptors, until a client goes */
	unsigned uid;
	bool no_fds;
};

static void close_flow_fds(struct flow *f)
{
	for (size_t i = 0; i < f->n_fds; i++)
		close(f->fds[i]);
	f->n_fds = 0;
}

static void drop(struct relay *s, struct client *c)
{
	for (unsigned i = 0; i < 2; i++) {
		close_flow_fds(&c->flows[i]);
		close(c->fds[i]);
	}
	c->used = s->is_full = false;
	s->n--;
}

static bool keep_on(ssize_t n)
{
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Looks first, so that nothing behind the line is taken. */
static bool fill_line(const struct relay *s, struct flow *f, int fd, bool is_client)
{
	char *room = f->line + f->n_line;
	ssize_t n = recv(fd, room, sizeof(f->line) - f->n_line, MSG_PEEK | MSG_DONTWAIT);

	if (n <= 0)
		return keep_on(n);
	if (is_client && !f->greeted) {
		f->greeted = true;
		f->end = 1;
		return room[0] == '\0' && recv(fd, f->data, 1, MSG_DONTWAIT) == 1;
	}
	if (!is_client && !f->n_line && (room[0] == 'l' || room[0] == 'B')) {
		f->lines = false; /* no answer to a line begins with a small letter, or with a B */
		return true;
	}
	const char *stop = memchr(room, '\n', (size_t)n);
	const size_t take = stop ? (size_t)(stop - room) + 1 : (size_t)n;
	if (recv(fd, room, take, MSG_DONTWAIT) != (ssize_t)take)
		return false;
	f->n_line += take;
	if (!stop)
		return f->n_line < sizeof(f->line);
	bool begin = false;
	if (is_client) {
		f->end = net_bus_line(f->line, f->n_line, s->uid, (char *)f->data, &begin);
		if (s->no_fds)
			net_bus_refuse_fds((char *)f->data, f->end);
	} else {
		memcpy(f->data, f->line, f->end = f->n_line);
	}
	f->lines = !begin;
	f->n_line = 0;
	return f->end > 0;
}

static bool take_fds(struct flow *f, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		f->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(f->fds, CMSG_DATA(c), f->n_fds * sizeof(int));
	}
	return !(m->msg_flags & MSG_CTRUNC);
}

static bool fill_message(struct flow *f, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FLOW_FDS * sizeof(int))];
	} control;
	struct iovec iov = { f->data, !f->left			? NET_BUS_HEAD - f->n_head :
				      f->left < sizeof(f->data) ? f->left :
								  sizeof(f->data) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n <= 0)
		return keep_on(n);
	if (!take_fds(f, &m))
		return false;
	f->end = (size_t)n;
	if (f->left) {
		f->left -= (size_t)n;
		return true;
	}
	memcpy(f->head + f->n_head, f->data, (size_t)n);
	f->n_head += (size_t)n;
	if (f->n_head < NET_BUS_HEAD)
		return true;
	f->n_head = 0;
	f->left = net_bus_rest(f->head);
	return f->left != SIZE_MAX;
}

static bool empty(struct flow *f, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FLOW_FDS * sizeof(int))];
	} control = { .align = { .cmsg_len = CMSG_LEN(f->n_fds * sizeof(int)),
				 .cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { f->data + f->at, f->end - f->at };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (f->n_fds) {
		memcpy(CMSG_DATA(&control.align), f->fds, f->n_fds * sizeof(int));
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(f->n_fds * sizeof(int));
	}
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n <= 0)
		return keep_on(n);
	close_flow_fds(f);
	f->at += (size_t)n;
	if (f->at == f->end)
		f->at = f->end = 0;
	return true;
}

static bool move(struct relay *s, struct client *c, unsigned way)
{
	struct flow *f = &c->flows[way];
	bool ok = true;

	if (!f->end)
		ok = f->lines ? fill_line(s, f, c->fds[way], way == 0) : fill_message(f, c->fds[way]);
	return ok && (!f->end || empty(f, c->fds[!way]));
}

static int connect_proxy(void)
{
	/* its name is gone: nobody else finds it */
	const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/proc/self/fd/1" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	_Static_assert(FD_PROXY == 1, "in the path");
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void welcome(struct relay *s)
{
	int fd = accept4(FD_LISTEN, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c = s->clients;

	if (fd < 0) {
		s->is_full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
		s->is_full &= s->n > 0;
		return;
	}
	while (c->used)
		c++;
	c->fds[0] = fd;
	c->fds[1] = connect_proxy();
	if (c->fds[1] < 0) {
		close(fd);
		return;
	}
	c->used = true;
	s->n++;
	for (unsigned i = 0; i < 2; i++) {
		struct flow *f = &c->flows[i];

		f->lines = true;
		f->greeted = false;
		f->n_line = f->n_head = f->left = f->at = f->end = f->n_fds = 0;
	}
}

/* A side that nothing is wanted of is left out: that it hung up would be told again and again. */
static struct pollfd wanted(const struct client *c, unsigned side)
{
	const short events = (short)((c->flows[side].end ? 0 : POLLIN) | (c->flows[!side].end ? POLLOUT : 0));

	return (struct pollfd){ .fd = c->used && events ? c->fds[side] : -1, .events = events };
}

static void serve_client(struct relay *s, struct client *c, const struct pollfd sides[2])
{
	bool ok = true;

	for (unsigned way = 0; way < 2 && ok; way++)
		if (sides[way].revents & ~POLLOUT || sides[!way].revents & ~POLLIN)
			ok = move(s, c, way);
	if (!ok)
		drop(s, c);
}

/* Until the monitor or the proxy has ended. */
static void serve(struct relay *s)
{
	enum { LISTEN, MONITOR, ALIVE, SIDES };

	for (;;) {
		struct pollfd fds[SIDES + 2 * CLIENTS_MAX] = {
			[LISTEN] = { .fd = s->n == CLIENTS_MAX || s->is_full ? -1 : FD_LISTEN,
				     .events = POLLIN },
			[MONITOR] = { .fd = FD_MONITOR, .events = POLLIN },
			[ALIVE] = { .fd = FD_ALIVE, .events = POLLIN },
		};

		for (size_t i = 0; i < CLIENTS_MAX; i++)
			for (unsigned side = 0; side < 2; side++)
				fds[SIDES + 2 * i + side] = wanted(&s->clients[i], side);
		if (sys_poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[MONITOR].revents || fds[ALIVE].revents)
			return;
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (s->clients[i].used)
				serve_client(s, &s->clients[i], &fds[SIDES + 2 * i]);
		if (fds[LISTEN].revents)
			welcome(s);
	}
}

static _Noreturn void proxy(const struct net_bus_spec *spec, int ready_fd)
{
	static char *const no_env[] = { NULL };
	sigset_t none;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int high_fd = fcntl(ready_fd, F_DUPFD_CLOEXEC, 16);

	sigemptyset(&none);
	(void)!sigprocmask(SIG_SETMASK, &none, NULL);
	sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (int i = 0; i < NET_BUS_PROXY_FD; i++)
		if (null_fd < 0 || (null_fd != i && dup2(null_fd, i) < 0))
			_exit(126);
	/* as root the bus of another user is in a directory that is closed without this */
	if (high_fd < 0 || dup2(high_fd, NET_BUS_PROXY_FD) < 0 ||
	    sys_close_range(NET_BUS_PROXY_FD + 1, ~0U, 0) < 0 ||
	    net_helper_keep_caps(1u << CAP_DAC_OVERRIDE) < 0)
		_exit(126);
	execve(spec->tool, spec->argv, no_env);
	_exit(126);
}

/* In the directory, by a name alone: its path may be longer than an address can be. */
static int listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, name, strnlen(name, sizeof(at.sun_path) - 1));
	/* whoever can be there is of the sandbox, where it has other ids */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || chmod(name, 0666) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0)
		return -1;
	return fd;
}

/* Return: what stays open as long as it runs, or -1 and errno. */
static int start_proxy(const struct net_bus_spec *spec, int *ret_socket_fd)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int pipe_fds[2];
	char byte;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	int pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		proxy(spec, pipe_fds[1]);
	close(pipe_fds[1]);
	if (pid < 0)
		return -1;
	struct pollfd fds[2] = { { .fd = pipe_fds[0], .events = POLLIN },
				 { .fd = spec->monitor_pidfd, .events = POLLIN } };
	if (sys_poll(fds, 2, READY_MS) <= 0 || fds[1].revents || read(pipe_fds[0], &byte, 1) != 1) {
		errno = ESRCH;
		return -1;
	}
	*ret_socket_fd = open(spec->proxy_socket, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	(void)!unlink(spec->proxy_socket);
	return *ret_socket_fd < 0 ? -1 : pipe_fds[0];
}

static _Noreturn void leave(const struct net_bus_spec *spec, int report_fd, int errnum)
{
	(void)!unlink(spec->socket);
	(void)!unlink(spec->proxy_socket);
	(void)!write(report_fd, &errnum, sizeof(errnum));
	_exit(1);
}

static void run(const void *data, int report_fd)
{
	const struct net_bus_spec *spec = data;
	int fds[FD_FIRST_FREE] = { [FD_MONITOR] = spec->monitor_pidfd, [FD_REPORT] = report_fd };
	struct relay *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int errnum = 0;

	if (s == MAP_FAILED || fchdir(spec->dir_fd) < 0)
		leave(spec, report_fd, errno);
	s->uid = geteuid();
	s->no_fds = spec->no_fds;
	fds[FD_LISTEN] = listen_at(spec->socket);
	if (fds[FD_LISTEN] < 0)
		leave(spec, report_fd, errno);
	fds[FD_ALIVE] = start_proxy(spec, &fds[FD_PROXY]);
	if (fds[FD_ALIVE] < 0)
		leave(spec, report_fd, errno == ESRCH ? PROXY_ENDED : errno);
	if (net_helper_keep_fds(fds, FD_FIRST_FREE) < 0 || net_helper_keep_caps(0) < 0)
		leave(spec, report_fd, errno);
	(void)!write(FD_REPORT, &errnum, sizeof(errnum));
	close(FD_REPORT);
	serve(s);
	(void)!unlink(spec->socket); /* killed during the start, nobody else would */
	_exit(0);
}

int net_bus_start(const struct net_bus_spec *spec, int *ret_pidfd, struct kennel_error **err)
{
	if (net_helper_start_ready(run, spec, "kennel-bus", NULL, ret_pidfd) == 0)
		return 0;
	return errno == PROXY_ENDED || errno == ESRCH ?
		       fail(err, KENNEL_E_IO, "xdg-dbus-proxy ended before it was ready") :
		       fail_errno(err, "start a relay to the session bus");
}
