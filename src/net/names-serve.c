/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net/names-serve.c - the process of names.h.
 *
 * A copy of its caller's memory in which others of its threads may have held locks, so it does nothing but
 * system calls on its own stack. Questions that are handed on go out of a socket of their own, with a port
 * and an id that the kernel drew: whoever wants to answer in a resolver's place must guess both.
 */
#include "net/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/helper.h"
#include "sys/sys.h"

#define MESSAGE_MAX 4096
#define WAITING_MAX 32 /* questions handed on at once; more take the place of the oldest */
#define PATIENCE_MS 5000
#define QUERY_MIN 12u

enum { FD_SOCKET, FD_DIR, FD_MONITOR, FD_FIRST_FREE };

struct waiting {
	int fd;
	struct sockaddr_in client;
	uint8_t asked[2], sent[2]; /* ids */
	int64_t since;
};

struct server {
	char bridge[32], machine[32];
	union net_server servers[NET_NAMES_SERVERS];
	size_t n_servers, current;
	struct waiting waiting[WAITING_MAX];
};

struct wanted {
	const struct server *s;
	const char *name;
	uint8_t (*ret)[16];
	bool *has;
};

static bool take(const char *entry, void *data)
{
	const struct wanted *w = data;

	return net_names_find(entry, w->name, w->s->bridge, w->s->machine, w->ret, w->has);
}

static void forget(struct waiting *w)
{
	close(w->fd);
	*w = (struct waiting){ .fd = -1 };
}

static struct waiting *find_place(struct server *s)
{
	struct waiting *oldest = &s->waiting[0];

	for (size_t i = 0; i < WAITING_MAX; i++) {
		struct waiting *w = &s->waiting[i];

		if (w->fd < 0)
			return w;
		if (w->since < oldest->since)
			oldest = w;
	}
	forget(oldest);
	return oldest;
}

static void hand_on(struct server *s, uint8_t *query, size_t size, const struct sockaddr_in *client)
{
	struct waiting w = { .client = *client, .since = clock_ms() };

	if (!s->n_servers || getrandom(w.sent, sizeof(w.sent), 0) != sizeof(w.sent))
		return;
	const union net_server *to = &s->servers[s->current % s->n_servers];
	w.fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w.fd < 0)
		return;
	memcpy(w.asked, query, sizeof(w.asked));
	memcpy(query, w.sent, sizeof(w.sent));
	if (connect(w.fd, &to->any, to->any.sa_family == AF_INET ? sizeof(to->v4) : sizeof(to->v6)) < 0 ||
	    send(w.fd, query, size, MSG_NOSIGNAL) != (ssize_t)size) {
		close(w.fd);
		s->current++;
		return;
	}
	*find_place(s) = w;
}

static void take_answer(struct server *s, struct waiting *w)
{
	uint8_t message[MESSAGE_MAX];
	ssize_t n = recv(w->fd, message, sizeof(message), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) { /* nobody there */
		s->current++;
		forget(w);
		return;
	}
	if ((size_t)n < QUERY_MIN || memcmp(message, w->sent, sizeof(w->sent)) != 0)
		return;
	memcpy(message, w->asked, sizeof(w->asked));
	(void)!sendto(FD_SOCKET, message, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&w->client, sizeof(w->client));
	forget(w);
}

static void take_question(struct server *s)
{
	uint8_t query[MESSAGE_MAX], answer[MESSAGE_MAX], found[2][16];
	struct sockaddr_in client;
	socklen_t len = sizeof(client);
	struct net_question q;
	bool has[2];
	ssize_t n = recvfrom(FD_SOCKET, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&client, &len);

	if (n < (ssize_t)QUERY_MIN || len != sizeof(client))
		return;
	struct wanted wanted = { s, q.name, found, has };
	if (!net_names_question(query, (size_t)n, &q) || !net_names_look(FD_DIR, take, &wanted)) {
		hand_on(s, query, (size_t)n, &client);
		return;
	}
	size_t size = net_names_answer(query, &q, has[0] ? found[0] : NULL, has[1] ? found[1] : NULL, answer,
				       sizeof(answer));
	(void)!sendto(FD_SOCKET, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&client, len);
}

/* Those that nobody answers; the next question goes to the next server. */
static void drop_old(struct server *s)
{
	const int64_t now = clock_ms();

	for (size_t i = 0; i < WAITING_MAX; i++)
		if (s->waiting[i].fd >= 0 && now - s->waiting[i].since > PATIENCE_MS) {
			forget(&s->waiting[i]);
			s->current++;
		}
}

static _Noreturn void serve(struct server *s)
{
	for (;;) {
		struct pollfd fds[2 + WAITING_MAX] = { { .fd = FD_SOCKET, .events = POLLIN },
						       { .fd = FD_MONITOR, .events = POLLIN } };
		bool any = false;

		for (size_t i = 0; i < WAITING_MAX; i++) {
			fds[2 + i] = (struct pollfd){ .fd = s->waiting[i].fd, .events = POLLIN };
			any |= s->waiting[i].fd >= 0;
		}
		if (sys_poll(fds, 2 + WAITING_MAX, any ? PATIENCE_MS : -1) < 0 && errno != EINTR)
			_exit(1);
		if (fds[1].revents)
			_exit(0);
		for (size_t i = 0; i < WAITING_MAX; i++)
			if (fds[2 + i].revents)
				take_answer(s, &s->waiting[i]);
		if (fds[0].revents)
			take_question(s);
		drop_old(s);
	}
}

/* Three descriptors, no others; the directory is read from its beginning, and is all there is. */
static int keep_few(const struct net_names_spec *spec)
{
	const int fds[FD_FIRST_FREE] = { spec->socket_fd, spec->dir_fd, spec->monitor_pidfd };

	if (net_helper_keep_fds(fds, FD_FIRST_FREE) < 0)
		return -1;
	/* of its own: a position in the directory is shared by duplicates */
	int dir_fd = openat(FD_DIR, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || dup2(dir_fd, FD_DIR) < 0 || fchdir(FD_DIR) < 0)
		return -1;
	close(dir_fd);
	return chroot(".");
}

static void run(const void *data)
{
	const struct net_names_spec *spec = data;

	struct server s = { .n_servers = spec->n_servers };

	for (size_t i = 0; i < WAITING_MAX; i++)
		s.waiting[i].fd = -1;
	memcpy(s.servers, spec->servers, sizeof(s.servers));
	memcpy(s.bridge, spec->bridge, strnlen(spec->bridge, sizeof(s.bridge) - 1));
	memcpy(s.machine, spec->machine, strnlen(spec->machine, sizeof(s.machine) - 1));
	if (keep_few(spec) < 0 || net_helper_become_nobody(1u << CAP_DAC_READ_SEARCH) < 0)
		_exit(1);
	serve(&s);
}

int net_names_start(const struct net_names_spec *spec, int *ret_pidfd, struct kennel_error **err)
{
	if (net_helper_start(run, spec, "kennel-names", ret_pidfd) < 0)
		return fail_errno(err, "start the resolver of names");
	return 0;
}
