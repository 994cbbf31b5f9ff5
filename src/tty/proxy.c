/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tty/proxy.c - see proxy.h.
 *
 * Nothing here may block, for the owner's loop also waits for the sandbox's end and for signals, and a
 * terminal that scrolls no more would stop it. O_NONBLOCK belongs to the open file, which for a terminal is
 * the shell's own: set there, it breaks the shell and whatever else has it open, and stays so when we are
 * killed. So each side is opened anew through /proc/self/fd and O_NONBLOCK set on that. Where that is refused
 * (a terminal of another user, after su) the borrowed descriptor is used with writes so small that poll() has
 * promised them. The pty's master is nobody else's and is made non-blocking itself.
 *
 * A pty whose last slave closes reports a hangup for ever, to every poll(), although the sandbox may open it
 * again. So one slave is kept open here (TIOCGPTPEER, which needs no path into the sandbox); without it a
 * hung-up master is left out of poll() until somebody else's event comes along.
 */
#include "tty/proxy.h"

#include <stdint.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "path/path.h"
#include "sys/sys.h"
#include "tty/tty.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define BLOCKING_CHUNK 64 /* bytes that a writable terminal takes without blocking */
#define PIPE_CHUNK 4096 /* the same for a pipe, PIPE_BUF */
#define DRAIN_MS 2000

enum { SIDE_IN, SIDE_OUT, SIDE_MASTER };

struct queue {
	size_t start, end;
	char data[32 << 10];
};

struct tty_proxy {
	int in_fd, out_fd, master_fd; /* borrowed */
	int own_in_fd, own_out_fd, slave_fd; /* ours, or -EBADF */
	size_t in_chunk, out_chunk; /* bytes at a time */
	struct termios saved;
	bool is_terminal; /* in_fd is one, and its modes are in saved */
	bool in_ended, master_hung;
	struct queue to_sandbox, to_terminal;
};

bool tty_is_terminal(int fd)
{
	struct termios t;

	return !tcgetattr(fd, &t);
}

void tty_start_read(struct tty_start *ret, int in_fd, int out_fd)
{
	struct termios t;

	*ret = (struct tty_start){ 0 };
	ret->has_size = !sys_ioctl(out_fd, TIOCGWINSZ, &ret->size) ||
			!sys_ioctl(in_fd, TIOCGWINSZ, &ret->size);
	/* The erase key, UTF-8 and so on are the terminal's; a raw one is a program's, and tells nothing. */
	if (!tcgetattr(in_fd, &t) && (t.c_lflag & ICANON))
		ret->has_modes = !sys_ioctl(in_fd, TCGETS, ret->modes);
}

static size_t queue_used(const struct queue *q)
{
	return q->end - q->start;
}

static size_t queue_room(const struct queue *q)
{
	return sizeof(q->data) - queue_used(q);
}

/* Reads once. Return: bytes, 0 at the end, or -1 with errno. */
static ssize_t queue_fill(struct queue *q, int fd, size_t chunk)
{
	ssize_t n;

	if (q->start) {
		memmove(q->data, q->data + q->start, queue_used(q));
		q->end -= q->start;
		q->start = 0;
	}
	do
		n = read(fd, q->data + q->end, MIN(chunk, sizeof(q->data) - q->end));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		q->end += (size_t)n;
	return n;
}

/* Writes once. Return: as above. */
static ssize_t queue_write(struct queue *q, int fd, size_t chunk)
{
	ssize_t n;

	do
		n = write(fd, q->data + q->start, MIN(chunk, queue_used(q)));
	while (n < 0 && errno == EINTR);
	if (n > 0)
		q->start += (size_t)n;
	if (q->start == q->end)
		q->start = q->end = 0;
	return n;
}

static bool would_block(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int in_side(const struct tty_proxy *p)
{
	return p->own_in_fd >= 0 ? p->own_in_fd : p->in_fd;
}

static int out_side(const struct tty_proxy *p)
{
	return p->own_out_fd >= 0 ? p->own_out_fd : p->out_fd;
}

/* A job in the background must not touch the terminal of the shell that is reading from it. */
static bool is_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);

	return group < 0 || group == getpgrp();
}

static void set_raw(struct tty_proxy *p)
{
	struct termios raw = p->saved;

	cfmakeraw(&raw);
	(void)!tcsetattr(p->in_fd, TCSANOW, &raw); /* the caller of new() has tried it once with an answer */
}

static void open_own(struct tty_proxy *p)
{
	const int flags = O_NOCTTY | O_NONBLOCK | O_CLOEXEC;

	p->in_chunk = p->out_chunk = sizeof(p->to_sandbox.data);
	if (p->is_terminal)
		p->own_in_fd = path_reopen(p->in_fd, O_RDONLY | flags, NULL);
	if (!tty_is_terminal(p->out_fd)) {
		p->out_chunk = PIPE_CHUNK;
		return;
	}
	p->own_out_fd = path_reopen(p->out_fd, O_WRONLY | flags, NULL);
	if (p->own_out_fd < 0)
		p->out_chunk = BLOCKING_CHUNK;
}

static int prepare_master(struct tty_proxy *p, struct kennel_error **err)
{
	int flags = fcntl(p->master_fd, F_GETFL);

	if (flags < 0 || fcntl(p->master_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return fail_errno(err, "prepare the sandbox's terminal");
	p->slave_fd = sys_ioctl_int(p->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return 0;
}

int tty_proxy_new(int in_fd, int out_fd, int master_fd, struct tty_proxy **ret, struct kennel_error **err)
{
	struct tty_proxy *p = malloc(sizeof(*p));
	struct termios raw;
	int r;

	if (!p)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	*p = (struct tty_proxy){
		.in_fd = in_fd,
		.out_fd = out_fd,
		.master_fd = master_fd,
		.own_in_fd = -EBADF,
		.own_out_fd = -EBADF,
		.slave_fd = -EBADF,
	};
	r = prepare_master(p, err);
	if (r < 0) {
		tty_proxy_free(p);
		return r;
	}
	if (!tcgetattr(in_fd, &p->saved)) {
		raw = p->saved;
		cfmakeraw(&raw);
		if (tcsetattr(in_fd, TCSANOW, &raw) < 0) {
			r = fail_errno(err, "set the terminal to raw mode");
			tty_proxy_free(p);
			return r;
		}
		p->is_terminal = true;
	}
	open_own(p);
	tty_proxy_resize(p);
	*ret = p;
	return 0;
}

unsigned tty_proxy_poll(const struct tty_proxy *p, struct pollfd fds[TTY_PROXY_FDS])
{
	const size_t to_sandbox = queue_used(&p->to_sandbox), to_terminal = queue_used(&p->to_terminal);
	short in = !p->in_ended && queue_room(&p->to_sandbox) ? POLLIN : 0;
	short master = (short)((queue_room(&p->to_terminal) ? POLLIN : 0) | (to_sandbox ? POLLOUT : 0));

	/*
	 * A negative descriptor is skipped. A terminal is watched for its hangup even while nothing more can
	 * be taken.
	 */
	fds[SIDE_IN] = (struct pollfd){ .fd = in || (p->is_terminal && !p->in_ended) ? in_side(p) : -1,
					.events = in };
	fds[SIDE_OUT] = (struct pollfd){ .fd = to_terminal ? out_side(p) : -1, .events = POLLOUT };
	fds[SIDE_MASTER] =
		(struct pollfd){ .fd = master && !p->master_hung ? p->master_fd : -1, .events = master };
	return TTY_PROXY_FDS;
}

/*
 * A program that reads to the end of its input gets one, as from a person's Ctrl-D. There is room: it was
 * just asked for.
 */
static void send_end(struct tty_proxy *p)
{
	struct termios t;
	char c = 4;

	if (!tcgetattr(p->master_fd, &t) && t.c_cc[VEOF] != _POSIX_VDISABLE)
		c = (char)t.c_cc[VEOF];
	p->to_sandbox.data[p->to_sandbox.end++] = c;
}

static int terminal_gone(struct tty_proxy *p, struct kennel_error **err)
{
	p->in_ended = true;
	return fail(err, KENNEL_E_IO, "the terminal hung up");
}

static int read_terminal(struct tty_proxy *p, short revents, struct kennel_error **err)
{
	ssize_t n;

	if (!queue_room(&p->to_sandbox))
		return revents & (POLLHUP | POLLERR) ? terminal_gone(p, err) : 0;
	n = queue_fill(&p->to_sandbox, in_side(p), p->in_chunk);
	if (n > 0 || would_block(n))
		return 0;
	if (p->is_terminal)
		return terminal_gone(p, err);
	if (n < 0)
		return fail_errno(err, "read the standard input");
	p->in_ended = true;
	send_end(p);
	return 0;
}

/* EIO is how a master says that no slave is open. */
static int read_master(struct tty_proxy *p, struct kennel_error **err)
{
	while (queue_room(&p->to_terminal)) {
		ssize_t n = queue_fill(&p->to_terminal, p->master_fd, sizeof(p->to_terminal.data));

		if (would_block(n))
			break;
		if (!n || (n < 0 && errno == EIO)) {
			p->master_hung = true;
			break;
		}
		if (n < 0)
			return fail_errno(err, "read the sandbox's terminal");
	}
	return 0;
}

static int write_master(struct tty_proxy *p, struct kennel_error **err)
{
	while (queue_used(&p->to_sandbox)) {
		ssize_t n = queue_write(&p->to_sandbox, p->master_fd, sizeof(p->to_sandbox.data));

		if (would_block(n) || !n)
			break;
		if (n < 0 && errno == EIO) {
			p->to_sandbox.start = p->to_sandbox.end = 0; /* nobody there to read it */
			break;
		}
		if (n < 0)
			return fail_errno(err, "write to the sandbox's terminal");
	}
	return 0;
}

/* Once where the descriptor may block and poll() has only promised one piece, else until it takes no more. */
static int write_terminal(struct tty_proxy *p, struct kennel_error **err)
{
	while (queue_used(&p->to_terminal)) {
		ssize_t n = queue_write(&p->to_terminal, out_side(p), p->out_chunk);

		if (would_block(n))
			break;
		if (n < 0)
			return fail_errno(err, "write to the terminal");
		if (p->own_out_fd < 0)
			break;
	}
	return 0;
}

int tty_proxy_dispatch(struct tty_proxy *p, const struct pollfd *fds, unsigned n, struct kennel_error **err)
{
	int r = 0;

	if (n != TTY_PROXY_FDS)
		return fail(err, KENNEL_E_INVALID, "%u descriptors are not those of a terminal proxy", n);
	if (fds[SIDE_IN].fd >= 0 && fds[SIDE_IN].revents)
		r = read_terminal(p, fds[SIDE_IN].revents, err);
	if (r >= 0 && queue_used(&p->to_sandbox))
		r = write_master(p, err);
	if (r >= 0 && (p->master_hung || (fds[SIDE_MASTER].fd >= 0 && fds[SIDE_MASTER].revents))) {
		p->master_hung = false; /* asked again, should a slave have been opened */
		r = read_master(p, err);
	}
	/* What was just read goes out at once where that can't block; else poll() is asked first. */
	if (r >= 0 && (p->own_out_fd >= 0 || (fds[SIDE_OUT].fd >= 0 && fds[SIDE_OUT].revents)))
		r = write_terminal(p, err);
	if (r < 0)
		return r;
	return !(p->in_ended && p->master_hung && !queue_used(&p->to_terminal));
}

void tty_proxy_resize(struct tty_proxy *p)
{
	struct winsize size;

	if (!sys_ioctl(p->out_fd, TIOCGWINSZ, &size) || !sys_ioctl(p->in_fd, TIOCGWINSZ, &size))
		(void)!sys_ioctl(p->master_fd, TIOCSWINSZ, &size); /* only cosmetics are lost */
	/* While we were stopped the shell has put its own modes back. */
	if (p->is_terminal && is_foreground(p->in_fd))
		set_raw(p);
}

void tty_proxy_drain(struct tty_proxy *p)
{
	const int64_t end_ms = clock_ms() + DRAIN_MS;

	for (;;) {
		struct pollfd out = { .fd = out_side(p), .events = POLLOUT };
		int64_t left_ms = end_ms - clock_ms();

		/* Nobody is left to hear of an error: what can't be shown is lost, as with any terminal. */
		if (read_master(p, NULL) < 0 || !queue_used(&p->to_terminal) || left_ms <= 0)
			return;
		if (poll(&out, 1, (int)left_ms) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (!out.revents || write_terminal(p, NULL) < 0)
			return;
	}
}

struct tty_proxy *tty_proxy_free(struct tty_proxy *p)
{
	if (!p)
		return NULL;
	if (p->is_terminal && is_foreground(p->in_fd))
		(void)!tcsetattr(p->in_fd, TCSANOW, &p->saved); /* a terminal that is gone needs no modes */
	close_fd(p->own_in_fd);
	close_fd(p->own_out_fd);
	close_fd(p->slave_fd);
	free(p);
	return NULL;
}
