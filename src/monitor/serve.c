/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/serve.c - see serve.h. */
#include "monitor/serve.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "monitor/backlog.h"
#include "monitor/console-log.h"
#include "monitor/peer.h"
#include "monitor/protocol.h"
#include "run/follow.h"
#include "run/registry.h"
#include "run/sandbox.h"
#include "sys/sys.h"

#define CLIENTS_MAX 128u
#define PATIENCE_MS 1000 /* how long a client may keep the terminal waiting, until it reads again */
#define FAREWELL_MS 2000 /* for clients to take what was shown last */

struct client {
	int fd;
	bool attached, lags, leads;
	unsigned tty; /* the further terminal that is its, from 1 on; 0: none */
	uint64_t place; /* in the backlog: what it has not been sent begins there */
	uint64_t lost;
	int64_t heard_ms; /* when it last took something */
};

struct server {
	int listen_fd, signal_fd;
	int log_dir_fd;
	bool log_is_own; /* not in the runtime directory */
	bool log_rests; /* it is there, but has names of its own for the moment */
	int master_fd, slave_fd;
	const int *tty_fds; /* of the sandbox: SPEC_TTYS_MAX, or NULL */
	int tty_slave_fds[SPEC_TTYS_MAX];
	struct console_log log;
	struct client clients[CLIENTS_MAX];
	unsigned n_clients;
	bool leader_left;
	size_t input_n, input_done; /* bytes for the terminal that it has not taken */
	char input[PROTOCOL_DATA_MAX];
	struct backlog backlog;
};

/* What is watched, in this order; then the clients. */
enum { WATCH_INIT, WATCH_SIGNALS, WATCH_MASTER, WATCH_SOCKET, WATCH_CLIENTS };

static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGWINCH };

int server_new(int log_dir_fd, struct server **ret, struct kennel_error **err)
{
	struct server *s = calloc(1, sizeof(*s));
	sigset_t set;

	if (!s)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	s->listen_fd = s->signal_fd = s->master_fd = s->slave_fd = s->log.fd = -EBADF;
	for (unsigned i = 0; i < SPEC_TTYS_MAX; i++)
		s->tty_slave_fds[i] = -EBADF;
	s->log_dir_fd = log_dir_fd < 0 ? -EBADF : fcntl(log_dir_fd, F_DUPFD_CLOEXEC, 3);
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	int r = 0;
	if (s->signal_fd < 0 || (s->log_dir_fd < 0 && log_dir_fd >= 0))
		r = fail_errno(err, "prepare the monitor");
	else if (log_dir_fd >= 0)
		r = console_log_open(s->log_dir_fd, CONSOLE_LOG, CONSOLE_LOG_OLD, &s->log, err);
	s->log_is_own = log_dir_fd >= 0;
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* One slave stays open, or a terminal whose last user closed it would report a hangup for ever. */
static int take_one(int master_fd, int *slave_fd)
{
	int flags = fcntl(master_fd, F_GETFL);

	close_fd(*slave_fd);
	*slave_fd = sys_ioctl_int(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return flags < 0 || *slave_fd < 0 || fcntl(master_fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -1 : 0;
}

static int take_terminals(struct server *s, const struct sandbox *sb, struct kennel_error **err)
{
	int r = take_one(sb->master_fd, &s->slave_fd);

	s->master_fd = sb->master_fd;
	s->tty_fds = sb->tty_fds;
	for (unsigned i = 0; i < SPEC_TTYS_MAX && r == 0; i++)
		if (sb->tty_fds[i] >= 0)
			r = take_one(sb->tty_fds[i], &s->tty_slave_fds[i]);
	return r < 0 ? fail_errno(err, "prepare the sandbox's terminals") : 0;
}

static void drop_client(struct server *s, unsigned i)
{
	s->leader_left |= s->clients[i].leads;
	close_fd(s->clients[i].fd);
	s->clients[i] = s->clients[--s->n_clients];
}

static int hand_over(const struct server *s, const struct client *c)
{
	const uint32_t index = c->tty;

	return protocol_send_fd(c->fd, PROTOCOL_MASTER, &index, sizeof(index), s->tty_fds[c->tty - 1]);
}

/* After a reboot the terminals are other ones. */
static void hand_over_again(struct server *s)
{
	for (unsigned i = s->n_clients; i-- > 0;)
		if (s->clients[i].tty &&
		    (s->tty_fds[s->clients[i].tty - 1] < 0 || hand_over(s, &s->clients[i]) < 0))
			drop_client(s, i);
}

/* It goes on, or begins. */
static int open_log(struct server *s, struct sandbox *sb, struct kennel_error **err)
{
	const char *file = sb->work.beside[2], *old_file = sb->work.beside[3];

	registry_beside(sb->id, REGISTRY_LOG, sb->work.beside[2]);
	registry_beside(sb->id, REGISTRY_LOG_OLD, sb->work.beside[3]);
	if (s->log_rests) {
		console_log_rename(&s->log, file, old_file);
		s->log_rests = false;
		return 0;
	}
	console_log_close(&s->log);
	if (s->log_dir_fd < 0)
		s->log_dir_fd = fcntl(sb->registry_fd, F_DUPFD_CLOEXEC, 3);
	if (s->log_dir_fd < 0)
		return fail_errno(err, "prepare the monitor");
	return console_log_open(s->log_dir_fd, file, old_file, &s->log, err);
}

void server_rest(struct server *s)
{
	char file[REGISTRY_BRIEF_SIZE], old_file[REGISTRY_BRIEF_SIZE];

	if (s->log_is_own || registry_brief("log", file, NULL) < 0 ||
	    registry_brief("log", old_file, NULL) < 0)
		return;
	console_log_rename(&s->log, file, old_file);
	s->log_rests = true;
}

int server_listen(struct server *s, struct sandbox *sb, struct kennel_error **err)
{
	int r = take_terminals(s, sb, err);

	/* before it is there: killed in between, the janitor would not know of it */
	if (r == 0 && !s->log_is_own)
		r = open_log(s, sb, err);
	if (r < 0)
		return r;
	close_fd(s->listen_fd);
	registry_beside(sb->id, REGISTRY_STATE, sb->work.beside[1]);
	registry_beside(sb->id, REGISTRY_SOCKET, sb->work.beside[0]);
	s->listen_fd = peer_listen(sb->registry_fd, sb->work.beside[0], err);
	hand_over_again(s);
	return MIN(s->listen_fd, 0);
}

static void refuse(struct server *s, unsigned i, const struct kennel_error *err)
{
	const char *text = kennel_error_message(err);

	(void)!protocol_send(s->clients[i].fd, PROTOCOL_ERROR, text, MIN(strlen(text), PROTOCOL_DATA_MAX));
	drop_client(s, i);
}

/* Whoever has not said what it wants goes first where there are too many. */
static bool make_room(struct server *s)
{
	for (unsigned i = 0; s->n_clients == CLIENTS_MAX && i < s->n_clients; i++)
		if (!s->clients[i].attached && !s->clients[i].tty)
			drop_client(s, i);
	return s->n_clients < CLIENTS_MAX;
}

void server_lead(struct server *s, int fd)
{
	s->clients[s->n_clients++] =
		(struct client){ .fd = fd, .attached = true, .leads = true, .heard_ms = clock_ms() };
}

static void take_client(struct server *s)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	int r = peer_check(fd, &err);
	if (r == 0 && !make_room(s))
		r = fail(&err, KENNEL_E_LIMIT, "%u others are attached", CLIENTS_MAX);
	if (r < 0) {
		const char *text = kennel_error_message(err);

		(void)!protocol_send(fd, PROTOCOL_ERROR, text, strlen(text));
		close_fd(fd);
		return;
	}
	s->clients[s->n_clients++] = (struct client){ .fd = fd, .heard_ms = clock_ms() };
}

static void resize(struct server *s, const void *data)
{
	struct protocol_size size;

	memcpy(&size, data, sizeof(size));
	const struct winsize w = { .ws_row = size.rows, .ws_col = size.columns };
	if (size.rows && size.columns) /* only cosmetics are lost */
		(void)!sys_ioctl(s->master_fd, TIOCSWINSZ, (void *)&w);
}

static void attach(struct server *s, struct client *c, const void *data)
{
	struct protocol_attach a;

	memcpy(&a, data, sizeof(a));
	resize(s, &a.size);
	if (c->attached)
		return;
	c->attached = true;
	c->place = a.flags & PROTOCOL_BACKLOG ? backlog_oldest(&s->backlog) : s->backlog.written;
	c->heard_ms = clock_ms();
}

/* One client at a time: two that read from one terminal would each get a part. */
static int give_tty(struct server *s, struct client *c, const void *data, struct kennel_error **err)
{
	uint32_t index;
	unsigned n = 0;

	memcpy(&index, data, sizeof(index));
	while (n < SPEC_TTYS_MAX && s->tty_fds[n] >= 0)
		n++;
	if (!index || index > n)
		return fail(err, KENNEL_E_NOTFOUND, "it has %u further terminals; \"kennel set --ttys\"", n);
	for (unsigned i = 0; i < s->n_clients; i++)
		if (s->clients[i].tty == index)
			return fail(err, KENNEL_E_BUSY, "somebody else is at terminal %u", index);
	c->tty = index;
	return hand_over(s, c) < 0 ? fail_errno(err, "hand over the terminal") : 0;
}

/* Return: 0, or a code for which the client is refused. */
static int obey(struct server *s, struct client *c, const struct protocol_message *m,
		struct kennel_error **err)
{
	if (m->type == PROTOCOL_ATTACH && !c->tty) {
		attach(s, c, m->data);
		return 0;
	}
	if (m->type == PROTOCOL_TTY && !c->attached && !c->tty)
		return give_tty(s, c, m->data, err);
	if (!c->attached)
		return fail(err, KENNEL_E_INVALID, "attach first");
	if (m->type == PROTOCOL_SIZE) {
		resize(s, m->data);
		return 0;
	}
	if (m->type != PROTOCOL_INPUT)
		return fail(err, KENNEL_E_INVALID, "it is attached already");
	memcpy(s->input, m->data, m->size);
	s->input_n = m->size;
	s->input_done = 0;
	return 0;
}

/* Return: false where it is gone. */
static bool hear_client(struct server *s, unsigned i)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct client *c = &s->clients[i];
	struct protocol_message m;
	char room[PROTOCOL_ROOM];

	int r = protocol_receive(c->fd, room, true, &m, &err);
	if (r == -KENNEL_E_BUSY)
		return true;
	if (r == 0) {
		drop_client(s, i);
		return false;
	}
	if (r > 0)
		r = obey(s, c, &m, &err);
	if (r < 0)
		refuse(s, i, err);
	return r == 0;
}

static void give_input(struct server *s)
{
	while (s->input_done < s->input_n) {
		ssize_t n = write(s->master_fd, s->input + s->input_done, s->input_n - s->input_done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			break; /* nobody there to read it */
		s->input_done += (size_t)n;
	}
	s->input_n = s->input_done = 0;
}

/* Sends what the client has room for. Return: false where it is gone. */
static bool feed(struct server *s, unsigned i)
{
	struct client *c = &s->clients[i];

	while (c->attached && c->place < s->backlog.written) {
		const uint64_t oldest = backlog_oldest(&s->backlog);
		size_t n;

		if (c->place < oldest) {
			c->lost += oldest - c->place;
			c->place = oldest;
		}
		const char *data = backlog_at(&s->backlog, c->place, &n);
		n = MIN(n, PROTOCOL_DATA_MAX);
		int r = c->lost ? protocol_send(c->fd, PROTOCOL_LOST, &c->lost, sizeof(c->lost)) : 0;
		if (r == 0) {
			c->lost = 0;
			r = protocol_send(c->fd, PROTOCOL_OUTPUT, data, n);
		}
		if (r < 0 && errno == EAGAIN)
			return true;
		if (r < 0) {
			drop_client(s, i);
			return false;
		}
		c->place += n;
		c->heard_ms = clock_ms();
		c->lags = false;
	}
	return true;
}

/* A client that would lose something is waited for, unless it has kept us waiting for long already. */
static bool must_wait(struct server *s, int64_t now)
{
	bool wait = false;

	for (unsigned i = 0; i < s->n_clients; i++) {
		struct client *c = &s->clients[i];

		if (!c->attached || c->lags || s->backlog.written - c->place <= BACKLOG_SIZE / 2)
			continue;
		c->lags = now - c->heard_ms > PATIENCE_MS;
		wait |= !c->lags;
	}
	return wait;
}

/* Return: false where there is no more for now. */
static bool read_master(struct server *s)
{
	char room[4096];
	ssize_t n = read(s->master_fd, room, sizeof(room));

	if (n <= 0)
		return n < 0 && errno == EINTR;
	backlog_add(&s->backlog, room, (size_t)n);
	console_log_add(&s->log, room, (size_t)n);
	return true;
}

static void read_some(struct server *s)
{
	/* no more than keeps what clients have not got yet */
	for (unsigned i = 0; i < 8 && !must_wait(s, clock_ms()) && read_master(s); i++)
		;
	for (unsigned i = s->n_clients; i-- > 0;)
		(void)feed(s, i);
}

static void hand_on(struct server *s, const struct sandbox *sb)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if ((int)info.ssi_signo != SIGPIPE && (int)info.ssi_signo != SIGWINCH)
			(void)!sys_pidfd_send_signal(sb->init_pidfd, (int)info.ssi_signo, 0);
}

static unsigned watch(struct server *s, const struct sandbox *sb, struct pollfd *fds, int *ret_timeout_ms)
{
	const bool wait = must_wait(s, clock_ms()), full = s->input_n > 0;

	fds[WATCH_INIT] = (struct pollfd){ .fd = sb->init_pidfd, .events = POLLIN };
	fds[WATCH_SIGNALS] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
	fds[WATCH_MASTER] = (struct pollfd){ .fd = wait && !full ? -1 : s->master_fd,
					     .events = (short)((wait ? 0 : POLLIN) | (full ? POLLOUT : 0)) };
	fds[WATCH_SOCKET] = (struct pollfd){ .fd = s->listen_fd, .events = POLLIN };
	for (unsigned i = 0; i < s->n_clients; i++) {
		const struct client *c = &s->clients[i];
		bool behind = c->attached && c->place < s->backlog.written;

		/* while there is no room for input nobody is heard, but a hangup is seen */
		fds[WATCH_CLIENTS + i] =
			(struct pollfd){ .fd = c->fd,
					 .events = (short)((full ? 0 : POLLIN) | (behind ? POLLOUT : 0)) };
	}
	*ret_timeout_ms = wait ? PATIENCE_MS / 4 : -1;
	return WATCH_CLIENTS + s->n_clients;
}

static void serve_clients(struct server *s, const struct pollfd *fds, unsigned n)
{
	/* backwards, for who goes is replaced by the last one */
	for (unsigned i = n; i-- > 0;) {
		const short revents = fds[i].revents;

		if (revents & POLLOUT && !feed(s, i))
			continue;
		if (revents & POLLIN && !s->input_n)
			(void)hear_client(s, i);
		else if (revents & (POLLHUP | POLLERR) && !(revents & POLLIN))
			drop_client(s, i);
		if (s->input_n)
			give_input(s);
	}
}

/* Once more all that was shown, to all who take it. */
static void finish(struct server *s)
{
	const int64_t end = clock_ms() + FAREWELL_MS;

	while (read_master(s))
		for (unsigned i = s->n_clients; i-- > 0;)
			(void)feed(s, i);
	for (;;) {
		struct pollfd fds[CLIENTS_MAX];
		unsigned n = 0;

		for (unsigned i = s->n_clients; i-- > 0;)
			if (feed(s, i) && s->clients[i].attached && !s->clients[i].lags &&
			    s->clients[i].place < s->backlog.written)
				fds[n++] = (struct pollfd){ .fd = s->clients[i].fd, .events = POLLOUT };
		int64_t left = end - clock_ms();
		if (!n || left <= 0 || poll(fds, n, (int)left) == 0)
			return;
	}
}

int server_run(struct server *s, struct sandbox *sb, int *ret_status, struct kennel_error **err)
{
	for (;;) {
		struct pollfd fds[WATCH_CLIENTS + CLIENTS_MAX];
		int timeout_ms;
		unsigned n = watch(s, sb, fds, &timeout_ms);

		if (poll(fds, n, timeout_ms) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(err, "wait for the sandbox");
		}
		if (fds[WATCH_SIGNALS].revents)
			hand_on(s, sb);
		if (fds[WATCH_MASTER].revents & POLLOUT)
			give_input(s);
		serve_clients(s, fds + WATCH_CLIENTS, n - WATCH_CLIENTS);
		if (fds[WATCH_SOCKET].revents)
			take_client(s);
		if (fds[WATCH_MASTER].revents & POLLIN)
			read_some(s);
		if (s->leader_left)
			(void)!sys_pidfd_send_signal(sb->init_pidfd, SIGKILL, 0);
		s->leader_left = false;
		if (fds[WATCH_INIT].revents)
			break;
	}
	finish(s);
	int r = follow_reap(sb->init_pidfd, &sb->status, err);
	sb->ended |= r == 0;
	*ret_status = sb->status;
	s->master_fd = -EBADF;
	s->tty_fds = NULL;
	return r;
}

void server_say_ended(struct server *s, int status)
{
	const int32_t text = status;

	for (unsigned i = 0; i < s->n_clients; i++)
		(void)!protocol_send(s->clients[i].fd, PROTOCOL_ENDED, &text, sizeof(text));
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	close_fd(s->listen_fd);
	while (s->n_clients)
		drop_client(s, s->n_clients - 1);
	console_log_close(&s->log);
	if (s->log_rests) {
		(void)!unlinkat(s->log_dir_fd, s->log.file, 0);
		(void)!unlinkat(s->log_dir_fd, s->log.old_file, 0);
	}
	close_fd(s->log_dir_fd);
	close_fd(s->signal_fd);
	close_fd(s->slave_fd);
	for (unsigned i = 0; i < SPEC_TTYS_MAX; i++)
		close_fd(s->tty_slave_fds[i]);
	free(s);
	return NULL;
}
