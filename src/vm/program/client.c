/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/client.c - has a command run in the guest as if it ran here: its descriptors 0, 1 and 2 are
 * ours, its end is ours.
 *
 * Each command has a client of its own, so that one whose output nobody takes holds up nobody else. What
 * came for an output waits here (VM_WINDOW bytes of it at most, the rest waits in the guest). Descriptors
 * may be shared with whoever started us, so they stay blocking: poll() promises a pipe's PIPE_BUF, and a
 * terminal some bytes. A terminal of our own is made non-blocking and raw, for the one inside does all
 * that terminals do.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "vm/program/program.h"

#define CHUNK_PIPE 4096 /* PIPE_BUF: what a writable pipe takes without blocking */
#define CHUNK_TTY 64
#define CHUNK_ANY (32 << 10)

struct output {
	struct queue queue;
	struct vm_credit credit;
	size_t chunk;
	bool open; /* somebody may read it */
	bool ended; /* nothing more comes */
};

struct client {
	struct channel server;
	const struct call *call;
	int signal_fd;
	bool is_tty, becomes;
	bool in_open, in_tells; /* input may come; the other side wants it */
	bool runs, over;
	int code;
	struct vm_credit in;
	struct output outputs[VM_STREAMS]; /* the first is not used */
	int gone_step; /* of a report */
	char gone[VM_REPORT_TEXT + 1];
};

static size_t chunk_of(int fd)
{
	struct stat st;

	if (isatty(fd))
		return CHUNK_TTY;
	return !fstat(fd, &st) && S_ISREG(st.st_mode) ? CHUNK_ANY : CHUNK_PIPE;
}

static bool is_same_file(int a, int b)
{
	struct stat one, two;
	const long r = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	if (r >= 0)
		return r == 0;
	/* Two descriptors of one pipe are as good; of one file they could each have a place of their own. */
	return !fstat(a, &one) && !fstat(b, &two) && !S_ISREG(one.st_mode) && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino;
}

static void get_size(struct vm_size *ret)
{
	struct winsize w = { 0 };

	(void)!ioctl(0, TIOCGWINSZ, &w);
	*ret = (struct vm_size){ .rows = w.ws_row, .cols = w.ws_col, .x = w.ws_xpixel, .y = w.ws_ypixel };
}

/* The terminal becomes ours (its size is told by a signal to us), and raw. What it was goes into open. */
static int take_terminal(struct client *c, struct vm_open *open)
{
	const int fd = c->call->tty_fd;
	struct termios t;

	_Static_assert(sizeof(open->modes) >= 36, "struct termios of the kernel");
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fd, i) < 0)
			return -1;
	if (fd > 2)
		close(fd);
	(void)!ioctl(0, TIOCSCTTY, 0);
	if (ioctl(0, TCGETS, open->modes) == 0)
		open->flags |= VM_OPEN_MODES;
	open->flags |= VM_OPEN_TTY;
	get_size(&open->size);
	if (tcgetattr(0, &t) < 0)
		return -1;
	cfmakeraw(&t);
	if (tcsetattr(0, TCSANOW, &t) < 0)
		return -1;
	return fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
}

static size_t count(char **words, size_t *total)
{
	size_t n = 0;

	for (; words[n]; n++)
		*total += strlen(words[n]) + 1;
	return n;
}

static void send_words(struct client *c, char **words, struct queue *q)
{
	(void)c;
	for (; *words; words++)
		if (!queue_add(q, *words, strlen(*words) + 1))
			c->server.failed = true;
}

/* The command, in pieces. */
static void ask(struct client *c, struct vm_open *open)
{
	unsigned char data[VM_OPEN_SIZE];
	struct queue q = { 0 };
	size_t total = 0;

	open->init_flags = c->call->flags & (INIT_WORKDIR_OPTIONAL | INIT_NO_NEW_PRIVS | INIT_LOGIN_SHELL);
	open->n_args = (uint32_t)count(c->call->args, &total);
	open->n_env = (uint32_t)count(c->call->env, &total);
	if (total > VM_WORDS_MAX)
		report_die(c->call, INIT_STEP_EXEC, E2BIG, NULL);
	open->words_len = (uint32_t)total;
	vm_open_put(open, data);
	channel_send(&c->server, &(struct vm_frame){ .type = VM_OPEN, .data = data, .len = sizeof(data) });
	send_words(c, c->call->args, &q);
	send_words(c, c->call->env, &q);
	while (queue_used(&q)) {
		const size_t n = MIN(queue_used(&q), (size_t)VM_PAYLOAD);

		channel_send(&c->server,
			     &(struct vm_frame){ .type = VM_WORDS, .data = q.data + q.start, .len = n });
		queue_remove(&q, n);
	}
	queue_free(&q);
}

/* --- what comes from the guest --- */

static void tell_runs(struct client *c)
{
	c->runs = true;
	if (!c->becomes)
		report_send(c->call->report_fd, 0, 0, NULL);
	if (c->call->report_fd >= 0)
		close(c->call->report_fd);
	if (!c->call->connect)
		return;
	_cleanup_close_ int fd = c->call->connect();
	c->in_open = fd >= 0 && dup2(fd, 0) >= 0 && dup2(fd, 1) >= 0;
	c->over = !c->in_open;
	c->code = EXIT_FAILED;
}

static void end_output(struct client *c, struct output *o, unsigned stream)
{
	const int fd = (int)stream;

	queue_free(&o->queue);
	o->open = false;
	if (c->call->connect && stream == VM_STDOUT)
		(void)!shutdown(fd, SHUT_WR);
	if (!c->is_tty)
		close(fd);
	if (!o->ended)
		channel_send(&c->server, &(struct vm_frame){ .type = VM_END, .stream = stream });
}

static void on_data(struct client *c, const struct vm_frame *f)
{
	struct output *o = &c->outputs[f->stream];
	uint32_t consumed;

	if (!vm_credit_take(&o->credit, f->len))
		return; /* a guest that says more than it may is not heard */
	if (o->open && !o->ended) {
		if (!queue_add(&o->queue, f->data, f->len))
			c->server.failed = true;
		return;
	}
	consumed = vm_credit_consume(&o->credit, f->len);
	if (consumed)
		channel_send_number(&c->server, VM_CREDIT, 0, f->stream, consumed);
}

static void on_gone(struct client *c, const struct vm_frame *f)
{
	const size_t len = f->len > 4 ? MIN(f->len - 4, sizeof(c->gone) - 1) : 0;
	uint32_t errnum;

	/* it is there, but says nothing */
	if (vm_get_number(f, 0, &errnum) && errnum == ETIMEDOUT)
		c->gone_step = VM_STEP_CONNECT;
	memcpy(c->gone, f->data + 4, len);
	c->gone[len] = '\0';
	c->over = true;
	c->code = EXIT_FAILED;
}

static void on_refused(struct client *c, const struct vm_frame *f)
{
	uint32_t step, errnum;

	if (!vm_get_number(f, 0, &step) || !vm_get_number(f, 1, &errnum) || c->runs)
		return;
	report_die(c->call, (int)step, (int)errnum, NULL);
}

static void on_frame(struct client *c, const struct vm_frame *f)
{
	uint32_t n;

	if (f->type == VM_RUNS && !c->runs)
		tell_runs(c);
	else if (f->type == VM_REFUSED)
		on_refused(c, f);
	else if (f->type == VM_GONE)
		on_gone(c, f);
	else if (f->type == VM_DATA && f->stream != VM_STDIN)
		on_data(c, f);
	else if (f->type == VM_CREDIT && f->stream == VM_STDIN && vm_get_number(f, 0, &n))
		(void)!vm_credit_give(&c->in, n);
	else if (f->type == VM_END && f->stream == VM_STDIN)
		c->in_tells = false;
	else if (f->type == VM_END)
		c->outputs[f->stream].ended = true;
	else if (f->type == VM_EXIT && vm_get_number(f, 0, &n)) {
		c->over = true;
		c->code = (int)(n & 0xff);
	}
}

/* --- what goes there --- */

static void close_input(struct client *c)
{
	c->in_open = false;
	if (!c->is_tty)
		close(0);
}

static void read_input(struct client *c)
{
	unsigned char data[VM_PAYLOAD];
	ssize_t n = read(0, data, MIN(sizeof(data), c->in.left));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_input(c);
		channel_send(&c->server, &(struct vm_frame){ .type = c->is_tty ? VM_HANGUP : VM_END,
							     .stream = VM_STDIN });
		return;
	}
	c->in.left -= (uint32_t)n;
	channel_send(
		&c->server,
		&(struct vm_frame){ .type = VM_DATA, .stream = VM_STDIN, .data = data, .len = (size_t)n });
}

static void write_output(struct client *c, unsigned stream)
{
	struct output *o = &c->outputs[stream];
	ssize_t n = queue_write(&o->queue, (int)stream, o->chunk);
	uint32_t consumed;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		end_output(c, o, stream);
		return;
	}
	consumed = vm_credit_consume(&o->credit, (size_t)n);
	if (consumed && !o->ended)
		channel_send_number(&c->server, VM_CREDIT, 0, stream, consumed);
}

static void read_signals(struct client *c)
{
	struct signalfd_siginfo info;

	while (read(c->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		const int sig = (int)info.ssi_signo;

		if (sig == SIGWINCH && c->is_tty) {
			unsigned char data[VM_SIZE_SIZE];
			struct vm_size size;

			get_size(&size);
			vm_size_put(&size, data);
			channel_send(&c->server, &(struct vm_frame){ .type = VM_SIZE,
								     .data = data,
								     .len = sizeof(data) });
		} else if (sig == SIGHUP && c->is_tty && info.ssi_code == SI_KERNEL) {
			channel_send(&c->server, &(struct vm_frame){ .type = VM_HANGUP });
		} else if (sig != SIGCHLD && sig != SIGPIPE && sig != SIGURG) {
			channel_send_number(&c->server, VM_SIGNAL, 0, 0, (uint32_t)sig);
		}
	}
}

/* Whether all that came for the outputs is out. */
static bool is_drained(const struct client *c)
{
	for (unsigned s = VM_STDOUT; s < VM_STREAMS; s++)
		if (c->outputs[s].open && queue_used(&c->outputs[s].queue))
			return false;
	return true;
}

static void read_server(struct client *c)
{
	const int r = channel_read(&c->server);
	struct vm_frame f;

	while (!c->over && vm_decoder_next(&c->server.in, &f))
		on_frame(c, &f);
	if (r == 0 && !c->over) {
		c->over = true;
		c->code = EXIT_FAILED;
		memcpy(c->gone, "the guest is gone", sizeof("the guest is gone"));
	}
}

static void step(struct client *c)
{
	enum { SERVER, SIGNALS, IN, OUT, ERR, N };
	struct pollfd p[N] = {
		[SERVER] = c->over ? (struct pollfd){ .fd = -1 } : channel_poll(&c->server, true),
		[SIGNALS] = { .fd = c->signal_fd, .events = POLLIN },
		[IN] = { .fd = c->in_open && c->in.left && !c->over &&
					       queue_used(&c->server.out) < VM_WINDOW ?
				       0 :
				       -1,
			 .events = POLLIN },
	};

	for (unsigned s = VM_STDOUT; s < VM_STREAMS; s++)
		p[IN + s] = (struct pollfd){
			.fd = c->outputs[s].open && queue_used(&c->outputs[s].queue) ? (int)s : -1,
			.events = POLLOUT,
		};
	if (poll(p, N, -1) < 0)
		return;
	if (p[SIGNALS].revents)
		read_signals(c);
	for (unsigned s = VM_STDOUT; s < VM_STREAMS; s++)
		if (p[IN + s].fd >= 0 && p[IN + s].revents)
			write_output(c, s);
	if (p[IN].fd >= 0 && p[IN].revents)
		read_input(c);
	if (p[SERVER].fd >= 0 && p[SERVER].revents)
		read_server(c);
	if (c->in_open && !c->in_tells)
		close_input(c); /* who feeds us hears of it as if it was the command's own */
	for (unsigned s = VM_STDOUT; s < VM_STREAMS; s++)
		if (c->outputs[s].open && c->outputs[s].ended && !queue_used(&c->outputs[s].queue))
			end_output(c, &c->outputs[s], s);
	channel_write(&c->server);
}

static int finish(struct client *c, const struct termios *saved)
{
	if (c->is_tty)
		(void)!tcsetattr(0, TCSADRAIN, saved);
	if (!c->gone[0])
		return c->code;
	if (!c->runs)
		report_die(c->call, c->gone_step, 0, c->gone);
	(void)!write(2, "kennel: ", 8);
	(void)!write(2, c->gone, strlen(c->gone));
	(void)!write(2, c->is_tty ? "\r\n" : "\n", c->is_tty ? 2 : 1);
	return c->code;
}

int client_run(int fd, const struct call *call, unsigned open_flags)
{
	struct client *c = calloc(1, sizeof(*c));
	struct vm_open open = { .flags = open_flags };
	struct termios saved = { 0 };

	if (!c)
		report_die(call, VM_STEP_SUPERVISOR, ENOMEM, NULL);
	*c = (struct client){
		.server = { .fd = fd },
		.call = call,
		.is_tty = call->tty_fd >= 0,
		.becomes = call->flags & INIT_BECOME,
		.in_open = !call->connect,
		.in_tells = true,
		.gone_step = VM_STEP_GUEST,
		.signal_fd = signals_take(),
	};
	vm_credit_init(&c->in);
	if (c->is_tty)
		(void)!tcgetattr(call->tty_fd, &saved);
	if (c->signal_fd < 0 || (c->is_tty && take_terminal(c, &open) < 0))
		report_die(call, INIT_STEP_TTY, errno, NULL);
	if (!c->is_tty && is_same_file(1, 2))
		open.flags |= VM_OPEN_MERGED;
	for (unsigned s = VM_STDOUT; s < VM_STREAMS; s++) {
		c->outputs[s] =
			(struct output){ .open = true, .chunk = c->is_tty ? CHUNK_ANY : chunk_of((int)s) };
		vm_credit_init(&c->outputs[s].credit);
	}
	ask(c, &open);
	channel_write(&c->server);
	/* Where nothing can be sent any more, what is there to read still says how it ended. */
	while (!(c->over && is_drained(c)))
		step(c);
	return finish(c, &saved);
}

int client_main(const struct call *call)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = AGENT_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		report_die(call, VM_STEP_CONNECT, errno, "the guest's supervisor does not answer");
	(void)!fcntl(fd, F_SETFL, O_NONBLOCK);
	if (!(call->flags & INIT_KEEP_SESSION) && call->tty_fd < 0)
		setsid();
	return client_run(fd, call, call->flags & INIT_ERRAND ? VM_OPEN_ERRAND : 0);
}
