/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/datagrams.c - UDP between the loopbacks of the sandbox and of the guest.
 *
 * What the machine itself sends to a published port pasta hands to the loopback of the namespace, and on a
 * bridge the resolver of names is behind it (net/names.h); the guest has one of its own. So for each way one
 * errand carries datagrams as frames. At the end that listens, a *flow* is who has sent something; at the
 * other each flow has a socket of its own, so that answers find back. The oldest flow gives its number to a
 * new one.
 *
 *   datagrams    we listen at published ports, the guest sends to its own
 *   resolve      the guest listens at the resolver's address, we send to it
 *
 * Neither end waits for the other: where a reader is behind, datagrams are lost, as they are anywhere.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "net/names.h"
#include "vm/program/errand.h"
#include "vm/program/program.h"

#define FLOWS 256u
#define AT_ONCE 32u /* datagrams of one socket, before others have their turn */
#define DATA_MAX 65536u
#define BEHIND_MAX (1u << 20) /* bytes that wait to be read at the other end */
#define DNS_PORT 53
#define AGAIN_MS 200

/* One program is at both ends. */
struct head {
	uint16_t flow, port, size;
	uint8_t v6, fresh; /* fresh: the flow is another one than before */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct pipe_end {
	int in_fd, out_fd;
	struct queue in, out;
};

static union address loopback(bool v6, uint16_t port)
{
	union address a = { 0 };

	if (v6)
		a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					      .sin6_port = htons(port),
					      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	else
		a.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
					     .sin_port = htons(port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	return a;
}

static union address resolver(void)
{
	union address a = { .v4 = { .sin_family = AF_INET, .sin_port = htons(DNS_PORT) } };

	(void)!inet_pton(AF_INET, NET_NAMES_ADDRESS, &a.v4.sin_addr);
	return a;
}

static socklen_t size_of(const union address *a)
{
	return a->any.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

static int new_socket(const union address *a)
{
	return socket(a->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int listen_at(union address a)
{
	const int on = 1;
	_cleanup_close_ int fd = new_socket(&a);

	/* whoever in the guest takes all addresses of that port */
	if (fd >= 0)
		(void)!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return fd < 0 || bind(fd, &a.any, size_of(&a)) < 0 ? -1 : take_fd(&fd);
}

/* --- frames --- */

static struct pollfd in_poll(const struct pipe_end *e)
{
	return (struct pollfd){ .fd = e->in_fd, .events = POLLIN };
}

static struct pollfd out_poll(const struct pipe_end *e)
{
	return (struct pollfd){ .fd = queue_used(&e->out) ? e->out_fd : -1, .events = POLLOUT };
}

/* Return: whether there may be more. */
static bool read_in(struct pipe_end *e)
{
	static unsigned char data[DATA_MAX];
	ssize_t n = read(e->in_fd, data, sizeof(data));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	return n > 0 && queue_add(&e->in, data, (size_t)n);
}

static bool write_out(struct pipe_end *e)
{
	return queue_write(&e->out, e->out_fd, queue_used(&e->out)) >= 0 || errno == EAGAIN || errno == EINTR;
}

/* What it returns is good until the frame is dropped. */
static const unsigned char *next_frame(const struct pipe_end *e, struct head *ret)
{
	const unsigned char *at = e->in.data + e->in.start;

	if (queue_used(&e->in) < sizeof(*ret))
		return NULL;
	memcpy(ret, at, sizeof(*ret));
	return queue_used(&e->in) < sizeof(*ret) + ret->size ? NULL : at + sizeof(*ret);
}

static void drop_frame(struct pipe_end *e, const struct head *h)
{
	queue_remove(&e->in, sizeof(*h) + h->size);
}

static void put_frame(struct pipe_end *e, const struct head *h, const void *data)
{
	if (queue_used(&e->out) > BEHIND_MAX || !queue_add(&e->out, h, sizeof(*h)))
		return;
	if (!queue_add(&e->out, data, h->size))
		e->out.end -= sizeof(*h);
}

/* --- the end that listens --- */

struct listener {
	struct datagram_port *ports;
	unsigned n_ports;
	struct flow {
		uint64_t used; /* 0: it is none */
		unsigned port;
		union address from;
	} flows[FLOWS];
	uint64_t clock;
	struct pipe_end end;
};

static bool is_same(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	return a->any.sa_family == AF_INET ?
		       a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr :
		       a->v6.sin6_port == b->v6.sin6_port &&
			       !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr));
}

static struct flow *find_flow(struct listener *l, unsigned port, const union address *from, bool *ret_fresh)
{
	struct flow *oldest = &l->flows[0];

	*ret_fresh = false;
	for (struct flow *f = l->flows; f < l->flows + FLOWS; f++) {
		if (f->used && f->port == port && is_same(&f->from, from))
			return f;
		if (f->used < oldest->used)
			oldest = f;
	}
	*ret_fresh = true;
	*oldest = (struct flow){ .port = port, .from = *from };
	return oldest;
}

static void hear(struct listener *l, unsigned port)
{
	static unsigned char data[DATA_MAX];
	const struct datagram_port *p = &l->ports[port];

	for (unsigned i = 0; i < AT_ONCE; i++) {
		union address from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(p->fd, data, sizeof(data), MSG_DONTWAIT, &from.any, &size);
		bool fresh;

		if (n < 0)
			return;
		struct flow *f = find_flow(l, port, &from, &fresh);
		f->used = ++l->clock;
		const struct head h = { (uint16_t)(f - l->flows), p->port, (uint16_t)n, p->v6, fresh };
		put_frame(&l->end, &h, data);
	}
}

static void answer(struct listener *l)
{
	const unsigned char *data;
	struct head h;

	for (; (data = next_frame(&l->end, &h)); drop_frame(&l->end, &h)) {
		const struct flow *f = h.flow < FLOWS ? &l->flows[h.flow] : NULL;

		/* to who has asked, whatever the other end says */
		if (f && f->used)
			(void)!sendto(l->ports[f->port].fd, data, h.size, MSG_DONTWAIT, &f->from.any,
				      size_of(&f->from));
	}
}

/* One turn. Return: whether the other end may still be there. */
static bool listen_once(struct listener *l, struct pollfd *p)
{
	enum { IN, OUT, PORTS };

	p[IN] = in_poll(&l->end);
	p[OUT] = out_poll(&l->end);
	for (unsigned i = 0; i < l->n_ports; i++)
		p[PORTS + i] = (struct pollfd){ .fd = l->ports[i].fd, .events = POLLIN };
	if (poll(p, PORTS + l->n_ports, -1) < 0)
		return true;
	if (p[IN].revents && !read_in(&l->end))
		return false;
	answer(l);
	for (unsigned i = 0; i < l->n_ports; i++)
		if (p[PORTS + i].revents)
			hear(l, i);
	return !p[OUT].revents || write_out(&l->end);
}

/* --- the end that sends --- */

struct sender {
	int fds[FLOWS];
	union address (*target)(const struct head *h);
	struct pipe_end end;
};

static union address own_port(const struct head *h)
{
	return loopback(h->v6, h->port);
}

static union address the_resolver(const struct head *h)
{
	(void)h;
	return resolver();
}

static void send_one(struct sender *s, const struct head *h, const unsigned char *data)
{
	int *fd = &s->fds[h->flow];
	const union address to = s->target(h);

	if (h->fresh)
		replace_fd(fd, -EBADF);
	if (*fd < 0) {
		*fd = new_socket(&to);
		if (*fd < 0 || connect(*fd, &to.any, size_of(&to)) < 0) {
			replace_fd(fd, -EBADF);
			return;
		}
	}
	/* the first may be told that an earlier one found nobody */
	for (unsigned i = 0; i < 2 && send(*fd, data, h->size, MSG_DONTWAIT) < 0; i++)
		;
}

static void bring_back(struct sender *s, unsigned flow)
{
	static unsigned char data[DATA_MAX];

	for (unsigned i = 0; i < AT_ONCE; i++) {
		ssize_t n = recv(s->fds[flow], data, sizeof(data), MSG_DONTWAIT);

		if (n < 0)
			return;
		put_frame(&s->end, &(struct head){ .flow = (uint16_t)flow, .size = (uint16_t)n }, data);
	}
}

/* Until the other end is gone. */
static void send_all(int in_fd, int out_fd, union address (*target)(const struct head *h))
{
	enum { IN, OUT, SOCKETS };
	static struct sender s;
	static struct pollfd p[SOCKETS + FLOWS];
	const unsigned char *data;
	bool there = true;
	struct head h;

	s = (struct sender){ .target = target, .end = { .in_fd = in_fd, .out_fd = out_fd } };
	for (unsigned i = 0; i < FLOWS; i++)
		s.fds[i] = -EBADF;
	(void)!fcntl(out_fd, F_SETFL, fcntl(out_fd, F_GETFL) | O_NONBLOCK);
	while (there) {
		p[IN] = in_poll(&s.end);
		p[OUT] = out_poll(&s.end);
		for (unsigned i = 0; i < FLOWS; i++)
			p[SOCKETS + i] = (struct pollfd){ .fd = s.fds[i], .events = POLLIN };
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		there = !p[IN].revents || read_in(&s.end);
		for (unsigned i = 0; i < FLOWS; i++)
			if (p[SOCKETS + i].fd >= 0 && p[SOCKETS + i].revents)
				bring_back(&s, i);
		for (; (data = next_frame(&s.end, &h)); drop_frame(&s.end, &h))
			if (h.flow < FLOWS)
				send_one(&s, &h, data);
		there = there && (!p[OUT].revents || write_out(&s.end));
	}
	for (unsigned i = 0; i < FLOWS; i++)
		close_fd(s.fds[i]);
	queue_free(&s.end.in);
	queue_free(&s.end.out);
}

/* --- beside the guest --- */

/* A session with that errand. Return: what it reads and writes, or -1. */
static int start_session(char *errand)
{
	char *words[] = { (char *)"", (char *)"", errand, NULL };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		forward_serve(pair[1], words);
	}
	close(pair[1]);
	if (pid > 0)
		return pair[0];
	close(pair[0]);
	return -1;
}

static void end_session(struct listener *l)
{
	close_fd(l->end.in_fd);
	queue_free(&l->end.in);
	queue_free(&l->end.out);
	memset(l->flows, 0, sizeof(l->flows));
	l->end.in_fd = l->end.out_fd = -EBADF;
}

/* Nobody is there before something came: most ports hear nothing from the machine itself. */
static _Noreturn void carry_ports(struct datagram_port *ports, unsigned n)
{
	static struct listener l;
	struct pollfd *p = calloc(n + 2, sizeof(*p));

	l = (struct listener){ .ports = ports, .n_ports = n, .end = { .in_fd = -EBADF, .out_fd = -EBADF } };
	if (!p)
		_exit(EXIT_FAILED);
	for (;;) {
		if (!listen_once(&l, p)) {
			end_session(&l);
			(void)!poll(NULL, 0, AGAIN_MS);
		}
		if (queue_used(&l.end.out) && l.end.in_fd < 0) {
			l.end.in_fd = l.end.out_fd = start_session((char *)"datagrams");
			if (l.end.in_fd < 0)
				end_session(&l);
			else
				(void)!fcntl(l.end.out_fd, F_SETFL, O_NONBLOCK);
		}
	}
}

int datagrams_start(const struct port *ports, unsigned n)
{
	struct datagram_port *all = calloc(2 * (size_t)n + 1, sizeof(*all));
	unsigned n_all = 0;

	if (!all)
		return -1;
	for (unsigned i = 0; i < n; i++)
		for (unsigned v6 = 0; v6 < 2 && ports[i].udp; v6++) {
			int fd = listen_at(loopback(v6, ports[i].number));

			if (fd < 0 && !v6)
				return -1;
			if (fd >= 0)
				all[n_all++] = (struct datagram_port){ fd, ports[i].number, v6 };
		}
	pid_t pid = n_all ? fork() : 1;
	if (pid == 0) {
		signals_give_back();
		(void)!signal(SIGCHLD, SIG_IGN);
		(void)!signal(SIGPIPE, SIG_IGN);
		int *fds = calloc(n_all, sizeof(*fds));
		for (unsigned i = 0; fds && i < n_all; i++)
			fds[i] = all[i].fd;
		if (!fds || forward_keep(fds, n_all) < 0)
			_exit(EXIT_FAILED);
		for (unsigned i = 0; i < n_all; i++)
			all[i].fd = FORWARD_FD + (int)i;
		carry_ports(all, n_all);
	}
	for (unsigned i = 0; i < n_all; i++)
		close(all[i].fd);
	free(all);
	return pid < 0 ? -1 : 0;
}

int datagrams_resolve(void)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -1 : 0;
	signals_give_back();
	(void)!signal(SIGCHLD, SIG_IGN);
	(void)!signal(SIGPIPE, SIG_IGN);
	if (forward_keep(NULL, 0) < 0)
		_exit(EXIT_FAILED);
	for (;;) {
		int fd = start_session((char *)"resolve");

		if (fd >= 0)
			send_all(fd, fd, the_resolver);
		close_fd(fd);
		(void)!poll(NULL, 0, AGAIN_MS);
	}
}

/* --- in the guest --- */

void errand_datagrams(char **args)
{
	(void)args;
	errand_runs();
	send_all(0, 1, own_port);
}

int guest_listen_for_names(void)
{
	return listen_at(resolver());
}

void errand_resolve(char **args)
{
	static struct listener l;
	struct datagram_port port = { ERRAND_SOCKET_FD, DNS_PORT, false };
	struct pollfd p[3];

	(void)args;
	errand_runs();
	l = (struct listener){ .ports = &port, .n_ports = 1, .end = { .in_fd = 0, .out_fd = 1 } };
	(void)!fcntl(1, F_SETFL, fcntl(1, F_GETFL) | O_NONBLOCK);
	while (listen_once(&l, p))
		;
}
