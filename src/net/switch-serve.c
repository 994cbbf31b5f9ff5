/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/switch-serve.c - the process of switch.h. It is of helper.h's kind: system calls alone.
 *
 * Whose queue is full is waited for, for a moment, so that a stream of TCP is slowed down and not torn; what
 * comes for us is taken meanwhile, so two that send to each other never stand still. One that takes nothing
 * for that long is not waited for again for a while: it loses frames, and nobody else does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/helper.h"
#include "net/names.h"
#include "net/switch.h"
#include "sys/sys.h"

#define PEERS 64u /* to whom a connection is kept; the number's lowest bits say where */
#define BATCH 64u
#define PATIENCE_MS 20
#define GRUDGE_MS 1000
#define NO_SUCH_NAME 3 /* in the second byte of the flags of DNS */
#define REFUSED 5

enum { FD_TAP, FD_SOCKET, FD_MONITOR, FD_DIR, FD_RUNTIME, FD_REPORT, FD_FIRST_FREE };

struct peer {
	int fd;
	uint16_t number;
	int64_t shunned_until;
};

struct server {
	uint16_t own;
	bool ended, has_others;
	char name[NET_SWITCH_NAME];
	struct peer peers[PEERS];
};

/* What came for us; the device takes it or loses it. */
static void take_in(const struct server *s)
{
	uint8_t frame[NET_SWITCH_FRAME + 1];

	for (unsigned i = 0; i < BATCH; i++) {
		ssize_t n = recv(FD_SOCKET, frame, sizeof(frame), MSG_DONTWAIT);

		if (n < 0)
			return;
		if (net_switch_accept(frame, (size_t)n, s->own))
			(void)!write(FD_TAP, frame, (size_t)n);
	}
}

static void forget(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct peer){ .fd = -1 };
}

static struct peer *find(struct server *s, uint16_t number)
{
	struct peer *p = &s->peers[number % PEERS];

	if (p->fd >= 0 && p->number == number)
		return p;
	forget(p);
	p->fd = net_switch_connect(FD_DIR, number);
	p->number = number;
	return p->fd < 0 ? NULL : p;
}

/* Until it takes something again. */
static bool wait_for(struct server *s, const struct peer *p)
{
	const int64_t end = clock_ms() + PATIENCE_MS;

	for (int64_t left; (left = end - clock_ms()) > 0;) {
		struct pollfd fds[] = { { .fd = p->fd, .events = POLLOUT },
					{ .fd = FD_SOCKET, .events = POLLIN },
					{ .fd = FD_MONITOR, .events = POLLIN } };

		if (sys_poll(fds, 3, (int)left) < 0 && errno != EINTR)
			return false;
		if (fds[2].revents) {
			s->ended = true;
			return false;
		}
		if (fds[1].revents)
			take_in(s);
		if (fds[0].revents)
			return true;
	}
	return false;
}

static void send_to(struct server *s, uint16_t number, const uint8_t *frame, size_t size, bool patient)
{
	for (unsigned i = 0; i < 3; i++) {
		struct peer *p = find(s, number);

		if (!p || send(p->fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return;
		if (errno != EAGAIN) { /* it has ended; another may have its number */
			forget(p);
			continue;
		}
		if (!patient || clock_ms() < p->shunned_until)
			return;
		if (!wait_for(s, p)) {
			p->shunned_until = clock_ms() + GRUDGE_MS;
			return;
		}
	}
}

static void send_to_all(struct server *s, const uint8_t *frame, size_t size)
{
	char list[2048];
	ssize_t n;

	if (lseek(FD_DIR, 0, SEEK_SET) < 0)
		return;
	while ((n = getdents64(FD_DIR, list, sizeof(list))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(list + at);
			int number = net_switch_number(d->d_name);

			at += d->d_reclen;
			if (number >= 0 && number != s->own)
				send_to(s, (uint16_t)number, frame, size, false);
		}
}

struct wanted {
	const struct server *s;
	const char *name;
	uint8_t found[2][16];
	bool has[2];
};

static bool take(const char *entry, void *data)
{
	struct wanted *w = data;

	return net_names_find_private(entry, w->name, w->s->name, w->found, w->has);
}

/* What is said to the resolver is for nobody else. */
static bool answer(const struct server *s, const uint8_t *frame, size_t size)
{
	uint8_t out[NET_SWITCH_FRAME], *message = out + NET_SWITCH_HEADERS;
	struct net_question q;
	const uint8_t *query;
	size_t n = net_switch_answer_arp(frame, size, out), query_size;

	if (n) {
		(void)!write(FD_TAP, out, n);
		return true;
	}
	if (!net_switch_query(frame, size, &query, &query_size))
		return false;
	if (!net_names_question(query, query_size, &q))
		return true;
	struct wanted wanted = { .s = s, .name = q.name };
	const bool found = net_names_look(FD_RUNTIME, take, &wanted);
	n = net_names_answer(query, &q, wanted.has[0] ? wanted.found[0] : NULL,
			     wanted.has[1] ? wanted.found[1] : NULL, message, NET_SWITCH_ROOM);
	if (!n)
		return true;
	if (!found)
		message[3] |= s->has_others && !net_names_is_ours(q.name) ? REFUSED : NO_SUCH_NAME;
	(void)!write(FD_TAP, out, net_switch_wrap(frame, n, out));
	return true;
}

/* What the sandbox sends. Return: is the device still there? */
static bool send_out(struct server *s)
{
	uint8_t frame[NET_SWITCH_FRAME + 1];
	uint16_t to;

	for (unsigned i = 0; i < BATCH && !s->ended; i++) {
		ssize_t n = read(FD_TAP, frame, sizeof(frame));

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		const enum net_switch_way way = net_switch_judge(frame, (size_t)n, s->own, &to);
		if (way != NET_SWITCH_DROP && answer(s, frame, (size_t)n))
			continue;
		switch (way) {
		case NET_SWITCH_ONE:
			send_to(s, to, frame, (size_t)n, true);
			break;
		case NET_SWITCH_ALL:
			send_to_all(s, frame, (size_t)n);
			break;
		case NET_SWITCH_DROP:
			break;
		}
	}
	return true;
}

static void serve(struct server *s)
{
	while (!s->ended) {
		struct pollfd fds[] = { { .fd = FD_TAP, .events = POLLIN },
					{ .fd = FD_SOCKET, .events = POLLIN },
					{ .fd = FD_MONITOR, .events = POLLIN } };

		if (sys_poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if (fds[2].revents)
			return;
		if (fds[1].revents)
			take_in(s);
		if (fds[0].revents & (POLLERR | POLLNVAL) || (fds[0].revents && !send_out(s)))
			return;
	}
}

struct start {
	const struct net_switch *sw;
	bool has_others;
	int fds[FD_REPORT];
};

/* Of its own: a lock, and the position in it, belong to the open directory. */
static int reopen(int fd)
{
	int own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (own_fd < 0 || dup2(own_fd, fd) < 0)
		return -1;
	close(own_fd);
	return 0;
}

/* *report_fd: where that is from now on. */
static int prepare(const struct start *start, int *report_fd)
{
	int fds[FD_FIRST_FREE];

	for (unsigned i = 0; i < FD_REPORT; i++)
		fds[i] = start->fds[i];
	fds[FD_REPORT] = *report_fd;
	if (net_helper_keep_fds(fds, FD_FIRST_FREE) < 0)
		return -1;
	*report_fd = FD_REPORT;
	if (net_helper_keep_caps(0) < 0 || reopen(FD_DIR) < 0 || reopen(FD_RUNTIME) < 0)
		return -1;
	return net_switch_jail(FD_RUNTIME);
}

static void run(const void *data, int report_fd)
{
	const struct start *start = data;
	struct server s = { .own = start->sw->number, .has_others = start->has_others };

	for (unsigned i = 0; i < PEERS; i++)
		s.peers[i].fd = -1;
	for (unsigned i = 0; i < sizeof(s.name); i++)
		s.name[i] = start->sw->name[i];
	const int errnum = prepare(start, &report_fd) < 0 ? errno : 0;
	(void)!write(report_fd, &errnum, sizeof(errnum));
	if (errnum)
		_exit(1);
	close(report_fd);
	serve(&s);
	close(FD_SOCKET); /* our name is dead now, and goes with those of others */
	net_switch_sweep(FD_RUNTIME, FD_DIR, s.name);
	_exit(0);
}

int net_switch_start(struct net_switch *sw, const struct net_switch_member *m, struct kennel_error **err)
{
	const struct start start = {
		sw, m->has_others, { m->tap_fd, m->socket_fd, m->monitor_pidfd, sw->dir_fd, sw->runtime_fd }
	};

	if (net_helper_start_ready(run, &start, "kennel-switch", &m->group, &sw->pidfd) == 0)
		return 0;
	const bool full = errno == EAGAIN;
	const int r = fail_errno(err, "start the process of a private network");
	return full ? hint(err, r, "it is one of the processes that --pids counts") : r;
}
