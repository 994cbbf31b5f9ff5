/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/attach.c - see attach.h. */
#include "monitor/attach.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "monitor/protocol.h"
#include "sys/sys.h"

#define INPUT_MAX 4096u

static const int taken[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH };

struct attached {
	const struct attach *a;
	int signal_fd;
	int master_fd; /* of a further terminal, once it has come */
	bool is_terminal, in_ended;
	struct termios saved;
	sigset_t old;
	size_t pending; /* bytes of input that the monitor has not taken */
	char input[INPUT_MAX];
	int *ret_status;
};

static struct protocol_size size_of(const struct attach *a)
{
	struct winsize w = { 0 };

	if (sys_ioctl(a->out_fd, TIOCGWINSZ, &w) < 0 && sys_ioctl(a->in_fd, TIOCGWINSZ, &w) < 0)
		return (struct protocol_size){ 0 };
	return (struct protocol_size){ .rows = w.ws_row, .columns = w.ws_col };
}

static int gone(struct kennel_error **err)
{
	return hint(err, fail(err, KENNEL_E_IO, "the monitor is gone"),
		    "it was killed, and the sandbox with it: see \"kennel list\"");
}

static int begin(struct attached *t, struct kennel_error **err)
{
	const struct protocol_attach message = {
		.size = size_of(t->a),
		.flags = t->a->backlog ? PROTOCOL_BACKLOG : 0,
	};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, &t->old);
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signal_fd < 0)
		return fail_errno(err, "receive signals");
	if (tcgetattr(t->a->in_fd, &t->saved) == 0) {
		struct termios raw = t->saved;

		cfmakeraw(&raw);
		if (tcsetattr(t->a->in_fd, TCSANOW, &raw) < 0)
			return fail_errno(err, "set the terminal to raw mode");
		t->is_terminal = true;
	}
	const uint32_t tty = t->a->tty;
	if (tty)
		(void)!protocol_send(t->a->socket_fd, PROTOCOL_TTY, &tty, sizeof(tty));
	else /* as with input */
		(void)!protocol_send(t->a->socket_fd, PROTOCOL_ATTACH, &message, sizeof(message));
	return 0;
}

static void end(struct attached *t)
{
	struct signalfd_siginfo info;

	if (t->is_terminal)
		(void)!tcsetattr(t->a->in_fd, TCSANOW, &t->saved); /* one that is gone needs no modes */
	while (t->signal_fd >= 0 && read(t->signal_fd, &info, sizeof(info)) == sizeof(info))
		; /* what came last was meant for us here, and must not end us now */
	close_fd(t->signal_fd);
	close_fd(t->master_fd);
	sigprocmask(SIG_SETMASK, &t->old, NULL);
}

/* Gives what is pending: -1 and errno, EAGAIN: not all of it yet. */
static int give(struct attached *t)
{
	if (!t->a->tty)
		return protocol_send(t->a->socket_fd, PROTOCOL_INPUT, t->input, t->pending);
	errno = EAGAIN; /* where it has not come yet */
	ssize_t n = t->master_fd < 0 ? -1 : write(t->master_fd, t->input, t->pending);
	if (n < 0 || (size_t)n == t->pending)
		return n < 0 ? -1 : 0;
	t->pending -= (size_t)n;
	memmove(t->input, t->input + n, t->pending);
	errno = EAGAIN;
	return -1;
}

static void resize(const struct attached *t)
{
	const struct protocol_size size = size_of(t->a);
	const struct winsize w = { .ws_row = size.rows, .ws_col = size.columns };

	if (!t->a->tty)
		(void)!protocol_send(t->a->socket_fd, PROTOCOL_SIZE, &size, sizeof(size));
	else if (t->master_fd >= 0 && size.rows && size.columns)
		(void)!sys_ioctl(t->master_fd, TIOCSWINSZ, (void *)&w);
}

/* Return: 1 go on, 0 leave, or a code. */
static int read_input(struct attached *t, struct kennel_error **err)
{
	ssize_t n = read(t->a->in_fd, t->input, sizeof(t->input));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (n <= 0) {
		t->in_ended = true;
		return !t->is_terminal; /* the end of a file is no reason to miss what is shown */
	}
	const char *key = t->is_terminal && t->a->escape >= 0 ? memchr(t->input, t->a->escape, (size_t)n) :
								NULL;
	t->pending = key ? (size_t)(key - t->input) : (size_t)n;
	if (!key)
		return 1;
	if (t->pending)
		(void)!give(t);
	return 0;
}

static void send_input(struct attached *t)
{
	if (give(t) < 0 && errno == EAGAIN)
		return;
	t->pending = 0; /* what can't be sent any more is nobody's; hear() tells how it ended */
}

static int show(int fd, const char *data, size_t n, struct kennel_error **err)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno == EAGAIN) { /* somebody else made it so */
			(void)!poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
			continue;
		}
		if (done < 0 && errno != EINTR)
			return fail_errno(err, "write to the terminal");
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
	return 1;
}

static int show_lost(int fd, const void *data, struct kennel_error **err)
{
	uint64_t lost;
	char text[64];

	memcpy(&lost, data, sizeof(lost));
	int n = snprintf(text, sizeof(text), "\r\n[%llu bytes left out]\r\n", (unsigned long long)lost);
	return show(fd, text, (size_t)n, err);
}

/* What a further terminal shows. Return: 1, or a code. */
static int show_master(const struct attached *t, struct kennel_error **err)
{
	char room[4096];
	ssize_t n = read(t->master_fd, room, sizeof(room));

	return n > 0 ? show(t->a->out_fd, room, (size_t)n, err) : 1;
}

/* The last of it. Return: 2, or a code. */
static int show_rest(const struct attached *t, struct kennel_error **err)
{
	struct pollfd fd = { .fd = t->master_fd, .events = POLLIN };
	int r = 1;

	while (r == 1 && t->master_fd >= 0 && poll(&fd, 1, 0) > 0 && fd.revents & POLLIN)
		r = show_master(t, err);
	return r < 0 ? r : 2;
}

/* Return: 2 it has ended, 1 go on, or a code. */
static int hear(struct attached *t, struct kennel_error **err)
{
	struct protocol_message m;
	char room[PROTOCOL_ROOM];

	_cleanup_close_ int fd = -EBADF;
	int r = protocol_receive_fd(t->a->socket_fd, room, false, &m, &fd, err);
	if (r == -KENNEL_E_BUSY)
		return 1;
	if (r == 0)
		return gone(err);
	if (r < 0)
		return wrap(err, r, "what the monitor says");
	switch (m.type) {
	case PROTOCOL_OUTPUT:
		return show(t->a->out_fd, m.data, m.size, err);
	case PROTOCOL_LOST:
		return show_lost(t->a->out_fd, m.data, err);
	case PROTOCOL_ENDED: {
		int32_t status;

		memcpy(&status, m.data, sizeof(status));
		*t->ret_status = status;
		return show_rest(t, err);
	}
	case PROTOCOL_MASTER:
		if (fd < 0)
			return fail(err, KENNEL_E_LIMIT, "the terminal did not come along: see ulimit -n");
		close_fd(t->master_fd);
		t->master_fd = take_fd(&fd);
		resize(t);
		return 1;
	case PROTOCOL_ERROR:
		return fail(err, KENNEL_E_PERM, "the monitor refuses: %.*s", (int)m.size,
			    (const char *)m.data);
	default:
		return 1;
	}
}

/* Return: 1 go on, 0 leave. */
static int take_signals(struct attached *t)
{
	struct signalfd_siginfo info;
	int r = 1;

	while (read(t->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if ((int)info.ssi_signo == SIGWINCH)
			resize(t);
		else if (t->a->init_pidfd >= 0)
			(void)!sys_pidfd_send_signal(t->a->init_pidfd, (int)info.ssi_signo, 0);
		else
			r = 0;
	}
	return r;
}

static int carry(struct attached *t, struct kennel_error **err)
{
	const struct attach *a = t->a;
	int r = 1;

	while (r == 1) {
		const short out = t->pending ? POLLOUT : 0;
		struct pollfd fds[4] = {
			{ .fd = a->socket_fd, .events = (short)(POLLIN | (a->tty ? 0 : out)) },
			{ .fd = t->signal_fd, .events = POLLIN },
			{ .fd = t->in_ended || t->pending ? -1 : a->in_fd, .events = POLLIN },
			{ .fd = t->master_fd, .events = (short)(POLLIN | out) },
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(err, "wait for the monitor");
		}
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
			r = hear(t, err);
		if (r == 1 && fds[3].revents & POLLIN)
			r = show_master(t, err);
		if (r == 1 && fds[1].revents)
			r = take_signals(t);
		if (r == 1 && fds[2].revents)
			r = read_input(t, err);
		if (r == 1 && t->pending)
			send_input(t);
	}
	return r;
}

int attach_run(const struct attach *a, int *ret_status, struct kennel_error **err)
{
	struct attached t = { .a = a, .signal_fd = -EBADF, .master_fd = -EBADF, .ret_status = ret_status };

	int r = begin(&t, err);
	if (r == 0)
		r = carry(&t, err);
	end(&t);
	return r < 0 ? r : r == 2;
}
