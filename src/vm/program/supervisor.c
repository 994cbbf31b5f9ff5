/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/supervisor.c - pid 1 of the sandbox that a guest's kernel runs in: starts that and the client of
 * the first command, and carries frames between all clients and the guest's line.
 *
 * It looks into no stream: what a client may send and what the guest may answer is told by the type of a
 * frame alone, and flow is the business of the two ends. So little can go wrong here, and that matters,
 * for the line is in the hands of whoever is root inside. A guest that sends more than its credit loses
 * the session.
 *
 * With changes in memory alone nobody needs the guest once its command has ended; it is killed with this
 * process, by the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/macro.h"
#include "vm/program/net.h"
#include "vm/program/program.h"

#define TAIL 4096 /* of the guest's console */
#define LINE_WAITS (32 << 10) /* bytes for the guest, before no client is heard any more */
#define CLIENT_WAITS (2 * VM_STREAMS * VM_WINDOW) /* for a client: more is no keeping of credit */
#define POWER_OFF_S 90
#define WRITE_BACK_S 5
#define PING_S 10 /* where nothing is said, and somebody waits */
#define TOLD_S 3
#define FLUSH_MS 500 /* for a client that takes nothing, before it is left alone */
#define POWER_OFF_SIGNAL 37 /* the SIGRTMIN+3 of libc, as for kennel-init */
#define ENDED_AGAIN (128 + SIGHUP) /* as the first process of a pid namespace ends by a reboot */
#define SILENT "nobody runs commands in the guest any more: who did was killed or stopped there, or it hangs"
#define FIRST 1 /* session of the first command */
#define CARRIED_MAX (VM_SESSIONS - 48) /* sessions that carry connections are below it */

enum use {
	UNUSED_SLOT,
	CONNECTED,
	CLOSING, /* the command has ended; what the client has not taken yet is left */
	ABANDONED, /* the client is gone, the guest has not said yet that the session is over */
};

struct connection {
	enum use use;
	bool opened; /* the guest knows of it */
	bool told; /* that the guest is gone: it says so, and goes itself */
	struct channel channel;
};

struct supervisor {
	const struct call *call;
	struct settings *set;
	struct channel line;
	struct connection connections[VM_SESSIONS]; /* by session; the first is not used */
	int listen_fd, carry_fd, console_fd, signal_fd, slots_fd;
	unsigned next_slot;
	pid_t kernel, first; /* 0: has ended, or never was */
	struct place place;
	time_t looked; /* at that, and at who listens */
	struct silence silence;
	unsigned quiet_s; /* for so long nothing was under way */
	bool said_hello, ready, over; /* over: nothing is to be had from the guest any more */
	bool silent; /* nobody runs commands in it any more */
	bool goes_off; /* it may have heard that it is to, and says nothing until it has */
	int asked; /* to end, by this signal, which nobody in the guest has taken yet; 0: not */
	bool stopping, lingers;
	int code; /* of ours */
	time_t deadline; /* of a stop; 0: none */
	time_t told_until; /* clients that were told of the end have time until then; 0: it is not over */
	char failed[VM_REPORT_TEXT]; /* what the guest said went wrong */
	size_t tail_len;
	char tail[TAIL];
};

/* --- the end of the guest --- */

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* The line of the console that says most: why the kernel panicked, or the last one; as far as it is text. */
static void telling_line(const struct supervisor *s, char *ret, size_t size)
{
	static const char panic[] = "Kernel panic";
	const char *found = memmem(s->tail, s->tail_len, panic, strlen(panic));
	size_t end = s->tail_len, start, n = 0;

	while (end && (unsigned char)s->tail[end - 1] <= ' ')
		end--;
	for (start = end; start && s->tail[start - 1] != '\n' && s->tail[start - 1] != '\r';)
		start--;
	if (found)
		start = (size_t)(found - s->tail);
	for (; start < end && n < size - 1 && s->tail[start] != '\n' && s->tail[start] != '\r'; start++)
		ret[n++] = s->tail[start] >= ' ' && s->tail[start] < 127 ? s->tail[start] : '?';
	ret[n] = '\0';
}

static void explain_end(const struct supervisor *s, int status, char *ret, size_t size)
{
	char line[120];

	telling_line(s, line, sizeof(line));
	if (s->failed[0])
		snprintf(ret, size, "%s", s->failed);
	else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT)
		snprintf(ret, size, "the guest's kernel was killed by signal %d", WTERMSIG(status));
	else
		snprintf(ret, size, "the guest %s%s%s", s->ready ? "has ended" : "ended while it booted",
			 line[0] ? ": " : "", line);
}

/* Tells all clients, who tell their callers. */
static void guest_is_over(struct supervisor *s, const char *text)
{
	if (s->over)
		return;
	s->over = true;
	channel_close(&s->line);
	if (!s->first && !s->ready)
		report_send(s->call->report_fd, VM_STEP_GUEST, 0, text);
	for (unsigned i = 1; i < VM_SESSIONS; i++) {
		struct connection *c = &s->connections[i];

		if (c->use == CONNECTED) {
			channel_send_text(&c->channel, VM_GONE, 0, 0, text);
			channel_flush(&c->channel, FLUSH_MS);
			c->use = CLOSING;
			c->told = true;
		} else if (c->use == ABANDONED) {
			c->use = UNUSED_SLOT;
		}
	}
	s->told_until = now() + TOLD_S;
	if (!s->first && !s->stopping)
		s->code = EXIT_FAILED;
}

/* One that was booted may switch itself off, and the first client ends as a pid 1 does then. */
static void end_of_boot(struct supervisor *s)
{
	static const char again[] = "Failed to exec kernel"; /* it is not let (kernel.c) */
	struct connection *c = &s->connections[FIRST];
	const bool reboots = memmem(s->tail, s->tail_len, again, strlen(again));

	if (c->use != CONNECTED)
		return;
	channel_send(&c->channel, &(struct vm_frame){ .type = VM_RUNS }); /* it may not have come to say so */
	channel_send_number(&c->channel, VM_EXIT, 0, 0, reboots ? ENDED_AGAIN : 0);
	channel_flush(&c->channel, FLUSH_MS);
	c->use = CLOSING;
}

/* Return: whether there was something. */
static bool read_console(struct supervisor *s)
{
	char data[TAIL];
	ssize_t n = read(s->console_fd, data, sizeof(data));

	if (n <= 0)
		return false;
	const size_t keep = MIN(s->tail_len, TAIL - (size_t)n);
	memmove(s->tail, s->tail + s->tail_len - keep, keep);
	memcpy(s->tail + keep, data, (size_t)n);
	s->tail_len = keep + (size_t)n;
	return true;
}

/* Whether something would be lost if the guest was killed. */
static bool has_to_be_kept(const struct supervisor *s)
{
	return s->ready && !s->over && (s->set->disk || s->set->shares);
}

static void stop(struct supervisor *s, int code)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->code = code;
	s->deadline = now() + (s->silent ? WRITE_BACK_S : POWER_OFF_S);
	if (!has_to_be_kept(s)) {
		s->deadline = 0;
		return;
	}
	channel_send(&s->line, &(struct vm_frame){ .type = VM_POWER_OFF });
	if (s->silent)
		silence_write_back();
}

/* What the guest has changed is asked for now, by others. */
static void linger(struct supervisor *s, int code)
{
	s->lingers = true;
	s->code = code;
	report_send(s->call->report_fd, VM_STEP_ENDED, code, NULL);
	close(s->call->report_fd);
}

/* With us all processes here end: who has to say why waits for the last word. */
static bool is_telling(const struct supervisor *s)
{
	for (unsigned i = 1; i < VM_SESSIONS && now() < s->told_until; i++)
		if (s->connections[i].use == CLOSING && s->connections[i].told)
			return true;
	return false;
}

static bool is_done(const struct supervisor *s)
{
	if (is_telling(s))
		return false;
	if (s->stopping)
		return !has_to_be_kept(s) || now() >= s->deadline;
	return s->over && !s->first;
}

/* --- frames --- */

static void release(struct supervisor *s, struct connection *c)
{
	channel_close(&c->channel);
	c->use = c->opened && c->use == CONNECTED && !s->over ? ABANDONED : UNUSED_SLOT;
	if (c->use == ABANDONED)
		channel_send(&s->line, &(struct vm_frame){ .type = VM_HANGUP,
							   .session = (unsigned)(c - s->connections) });
}

static void send_data(struct supervisor *s, struct vm_frame *f)
{
	const unsigned slot = s->next_slot;
	unsigned char at[8];

	if (f->len >= VM_SLOT_FROM &&
	    pwrite(s->slots_fd, f->data, f->len, (off_t)slot * VM_SLOT) == (ssize_t)f->len) {
		s->next_slot = (slot + 1) % VM_SLOTS;
		vm_put_number(at, slot);
		vm_put_number(at + 4, (uint32_t)f->len);
		f->type = VM_DATA_AT;
		f->data = at;
		f->len = sizeof(at);
	}
	channel_send(&s->line, f);
}

static void from_client(struct supervisor *s, struct connection *c)
{
	struct vm_frame f;

	while (queue_used(&s->line.out) < LINE_WAITS && vm_decoder_next(&c->channel.in, &f)) {
		if (!vm_type_is_of_client(f.type) || (f.type == VM_OPEN) == c->opened) {
			release(s, c);
			return;
		}
		c->opened = true;
		f.session = (unsigned)(c - s->connections);
		if (f.type == VM_DATA)
			send_data(s, &f);
		else
			channel_send(&s->line, &f);
	}
}

static void to_client(struct supervisor *s, const struct vm_frame *f)
{
	struct connection *c = &s->connections[f->session];
	struct vm_frame to = *f;

	if (!c->opened || !vm_type_is_of_session(f->type))
		return;
	if (c->use == CONNECTED) {
		to.session = 0;
		channel_send(&c->channel, &to);
		if (queue_used(&c->channel.out) > CLIENT_WAITS) {
			c->channel.failed = true;
			release(s, c);
		}
	}
	if (f->type != VM_EXIT)
		return;
	if (c->use == CONNECTED)
		c->use = CLOSING;
	else if (c->use == ABANDONED)
		c->use = UNUSED_SLOT;
}

static void send_config(struct supervisor *s)
{
	struct queue *q = &s->set->config;

	while (queue_used(q)) {
		const size_t n = MIN(queue_used(q), (size_t)VM_PAYLOAD);

		channel_send(&s->line,
			     &(struct vm_frame){ .type = VM_CONFIG, .data = q->data + q->start, .len = n });
		queue_remove(q, n);
	}
	channel_send(&s->line, &(struct vm_frame){ .type = VM_CONFIG_END });
}

static void somebody_listens(struct supervisor *s)
{
	s->silent = false;
	s->silence = (struct silence){ 0 };
	s->quiet_s = 0;
	s->asked = 0;
	s->goes_off = s->stopping;
}

/* Somebody inside has killed the one that was there, and knows of no command but the guest's own init. */
static void agent_is_another(struct supervisor *s)
{
	somebody_listens(s);
	s->line.under_way = 0;
	for (unsigned i = FIRST + 1; i < VM_SESSIONS; i++) {
		struct connection *c = &s->connections[i];

		if (c->use == ABANDONED) {
			c->use = UNUSED_SLOT;
		} else if (c->use == CONNECTED && c->opened) {
			channel_send_text(&c->channel, VM_GONE, 0, 0,
					  "what runs commands in the guest was killed there");
			c->use = CLOSING;
		}
	}
}

static void from_guest(struct supervisor *s, const struct vm_frame *f)
{
	uint32_t n = 0;

	if (f->session) {
		to_client(s, f);
	} else if (f->type == VM_HELLO && !s->said_hello && vm_get_number(f, 0, &n)) {
		s->said_hello = true;
		send_config(s);
	} else if (f->type == VM_HELLO && s->ready) {
		agent_is_another(s);
	} else if (f->type == VM_TAKEN && vm_get_number(f, 0, &n)) {
		channel_taken(&s->line, n);
		somebody_listens(s);
	} else if (f->type == VM_READY && s->said_hello && !s->ready) {
		s->ready = true;
		if (s->call->flags & INIT_IDLE)
			report_send(s->call->report_fd, 0, 0, NULL);
	} else if (f->type == VM_FAILED && !s->ready && vm_get_number(f, 0, &n)) {
		const int len = (int)MIN(f->len - 4, (size_t)120);

		snprintf(s->failed, sizeof(s->failed), "the guest can't %.*s: %s", len,
			 (const char *)f->data + 4, n < 4096 ? strerror((int)n) : "?");
		for (char *p = s->failed; *p; p++)
			*p = *p >= ' ' && *p < 127 ? *p : '?';
	}
}

static void read_line_of_guest(struct supervisor *s)
{
	struct vm_frame f;
	const int r = channel_read(&s->line);

	while (vm_decoder_next(&s->line.in, &f))
		from_guest(s, &f);
	if (r == 0)
		s->line.failed = true; /* the end of the kernel says more */
}

/* Something that was not read yet. */
static bool has_said(const struct supervisor *s)
{
	struct pollfd p = { .fd = s->line.failed ? -1 : s->line.fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* --- what else happens --- */

static void on_kernel_end(struct supervisor *s, int status)
{
	char text[VM_REPORT_TEXT + 1];

	s->kernel = 0;
	while (!s->over && has_said(s))
		read_line_of_guest(s);
	while (read_console(s)) /* its last words */
		;
	if (s->set->boot && s->ready && WIFEXITED(status))
		end_of_boot(s);
	explain_end(s, status, text, sizeof(text));
	guest_is_over(s, text);
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

		if (pid == s->kernel) {
			on_kernel_end(s, status);
		} else if (pid == s->first) {
			s->first = 0;
			if (s->set->linger && s->ready && !s->over && !s->stopping)
				linger(s, code);
			else
				stop(s, code);
		}
	}
}

static bool asks_to_end(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGPWR || sig == POWER_OFF_SIGNAL;
}

static void on_signal(struct supervisor *s, int sig)
{
	if (sig == SIGCHLD || sig == SIGPIPE || sig == SIGURG || sig == SIGWINCH || sig == SIGIO)
		return;
	if (s->call->flags & INIT_IDLE) {
		if (asks_to_end(sig))
			stop(s, 0);
	} else if (s->lingers) {
		if (asks_to_end(sig) || sig == SIGHUP)
			stop(s, s->code);
	} else if (s->ready && !s->over && s->connections[FIRST].opened) {
		channel_send_number(&s->line, VM_SIGNAL, FIRST, 0, (uint32_t)sig);
		if (asks_to_end(sig))
			s->asked = sig;
		if (s->asked && s->silent)
			stop(s, 128 + s->asked);
	} else if (asks_to_end(sig) || sig == SIGHUP) {
		stop(s, 128 + sig);
	}
}

static void read_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		on_signal(s, (int)info.ssi_signo);
	reap(s);
}

/* Below that number; or NULL. */
static struct connection *unused(struct supervisor *s, unsigned below)
{
	for (unsigned i = FIRST + 1; i < below; i++)
		if (s->connections[i].use == UNUSED_SLOT)
			return &s->connections[i];
	return NULL;
}

static void take_client(struct supervisor *s, int listen_fd, unsigned below)
{
	struct connection *one = unused(s, below);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && one && !s->silent) {
		*one = (struct connection){ .use = CONNECTED, .channel = { .fd = fd } };
	} else if (fd >= 0) {
		struct channel c = { .fd = fd };

		if (s->silent)
			channel_send_text(&c, VM_GONE, 0, ETIMEDOUT, SILENT);
		else
			channel_send_text(&c, VM_GONE, 0, EAGAIN,
					  "too many commands run in the guest at once");
		channel_flush(&c, 0);
		channel_close(&c);
	}
}

/* What an init of the guest's own says or does is no less without; and who is back reads who has gone. */
static void nobody_listens(struct supervisor *s)
{
	s->silent = true;
	for (unsigned i = FIRST + 1; i < VM_SESSIONS; i++) {
		struct connection *c = &s->connections[i];

		if (c->use != CONNECTED)
			continue;
		channel_send_text(&c->channel, VM_GONE, 0, ETIMEDOUT, SILENT);
		channel_flush(&c->channel, FLUSH_MS);
		release(s, c);
	}
	if (s->stopping && has_to_be_kept(s)) {
		silence_write_back();
		s->deadline = MIN(s->deadline, now() + WRITE_BACK_S);
	}
	if (s->asked)
		stop(s, 128 + s->asked);
}

/* Whether it matters that somebody listens. */
static bool is_waited_for(const struct supervisor *s)
{
	for (unsigned i = FIRST + 1; i < VM_SESSIONS; i++)
		if (s->connections[i].use == CONNECTED)
			return true;
	return s->line.under_way > 0;
}

static bool listens_for_silence(const struct supervisor *s)
{
	return s->ready && !s->over && !s->silent && !s->goes_off && is_waited_for(s);
}

static void look_who_listens(struct supervisor *s)
{
	if (!listens_for_silence(s) || !s->kernel)
		return;
	if (s->line.under_way) {
		if (silence_lasts(&s->silence, s->kernel))
			nobody_listens(s);
	} else if (!s->stopping && ++s->quiet_s >= PING_S) {
		channel_send_number(&s->line, VM_CREDIT, 0, VM_STDIN,
				    0); /* of no session: it is just taken */
	}
}

static void serve_client(struct supervisor *s, struct connection *c, short events)
{
	if (events & (POLLIN | POLLHUP | POLLERR)) {
		const int r = channel_read(&c->channel);

		if (c->use == CONNECTED)
			from_client(s, c);
		else
			c->channel.in.start = c->channel.in.end = 0;
		if (r == 0 && c->use != UNUSED_SLOT && c->use != ABANDONED) {
			release(s, c);
			return;
		}
	}
	if (c->use == CONNECTED || c->use == CLOSING)
		channel_write(&c->channel);
	if (c->use == CLOSING && !c->told && (c->channel.failed || !queue_used(&c->channel.out))) {
		channel_close(&c->channel);
		c->use = UNUSED_SLOT;
	}
}

enum { LINE, CONSOLE, SIGNALS, LISTEN, CARRY, CLIENTS };

static void prepare_poll(struct supervisor *s, struct pollfd *p)
{
	const bool hears = s->ready && !s->over && queue_used(&s->line.out) < LINE_WAITS;

	p[LINE] = s->over || s->line.failed ? (struct pollfd){ .fd = -1 } : channel_poll(&s->line, true);
	p[CONSOLE] = (struct pollfd){ .fd = s->kernel ? s->console_fd : -1, .events = POLLIN };
	p[SIGNALS] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
	p[LISTEN] = (struct pollfd){ .fd = s->stopping || s->over ? -1 : s->listen_fd, .events = POLLIN };
	/* however many come, for commands there is room, and the rest waits */
	p[CARRY] = (struct pollfd){
		.fd = s->stopping || s->over || !unused(s, CARRIED_MAX) ? -1 : s->carry_fd,
		.events = POLLIN,
	};
	for (unsigned i = 1; i < VM_SESSIONS; i++) {
		struct connection *c = &s->connections[i];

		p[CLIENTS + i] = (struct pollfd){ .fd = -1 };
		if (c->use == CONNECTED || c->use == CLOSING)
			p[CLIENTS + i] = channel_poll(&c->channel, hears || c->use == CLOSING);
	}
}

static void look_around(struct supervisor *s)
{
	if (now() <= s->looked)
		return;
	s->looked = now();
	if (s->kernel && s->place.cpu >= 0)
		place_look(&s->place);
	look_who_listens(s);
}

static void run(struct supervisor *s)
{
	struct pollfd p[CLIENTS + VM_SESSIONS];

	while (!is_done(s)) {
		for (unsigned i = 1; i < VM_SESSIONS; i++) /* read before, but there was no room for it */
			if (s->ready && !s->over && s->connections[i].use == CONNECTED)
				from_client(s, &s->connections[i]);
		prepare_poll(s, p);
		p[CLIENTS].fd = -1;
		const bool ticks = s->deadline || s->told_until || s->place.cpu >= 0 ||
				   listens_for_silence(s);
		if (poll(p, ARRAY_SIZE(p), ticks ? 1000 : -1) < 0 && errno != EINTR)
			return;
		look_around(s);
		if (p[LINE].fd >= 0 && p[LINE].revents)
			read_line_of_guest(s);
		if (p[CONSOLE].fd >= 0 && p[CONSOLE].revents)
			(void)read_console(s);
		for (unsigned i = 1; i < VM_SESSIONS; i++)
			if (p[CLIENTS + i].fd >= 0)
				serve_client(s, &s->connections[i], p[CLIENTS + i].revents);
		if (p[LISTEN].fd >= 0 && p[LISTEN].revents)
			take_client(s, s->listen_fd, VM_SESSIONS);
		if (p[CARRY].fd >= 0 && p[CARRY].revents && unused(s, CARRIED_MAX))
			take_client(s, s->carry_fd, CARRIED_MAX);
		if (p[SIGNALS].revents)
			read_signals(s);
		if (!s->over)
			channel_write(&s->line);
	}
}

/* --- the start --- */

static void refuse(const struct supervisor *s, const char *what)
{
	report_die(s->call, VM_STEP_SUPERVISOR, errno, what);
}

/* How many the guest's kernel may open. */
static void tell_files(struct settings *set)
{
	struct rlimit files;
	char text[40];

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	int n = snprintf(text, sizeof(text), "files=%llu", (unsigned long long)files.rlim_max);
	(void)!queue_add(&set->config, text, (size_t)n + 1);
}

/* How many directories of changes lie over the images; none: there are no images for the guest. */
static void tell_uppers(struct settings *set)
{
	char text[40];
	unsigned count = 0;

	do
		snprintf(text, sizeof(text), "/upper/%02u", count);
	while (access("/layers", F_OK) == 0 && access(text, F_OK) == 0 && ++count);
	int n = snprintf(text, sizeof(text), "uppers=%u", count);
	(void)!queue_add(&set->config, text, (size_t)n + 1);
}

static int listen_for_clients(const struct supervisor *s, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	const mode_t mask = umask(0077);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, VM_SESSIONS) < 0)
		refuse(s, "the sockets of the supervisor can't be made");
	umask(mask);
	return fd;
}

static void make_slots(struct supervisor *s)
{
	s->slots_fd = open(SLOTS_PATH, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (s->slots_fd < 0 || ftruncate(s->slots_fd, (off_t)VM_SLOTS * VM_SLOT) < 0)
		refuse(s, SLOTS_PATH " can't be made");
}

static void start_kernel(struct supervisor *s)
{
	int line[2], console[2], size = 16 << 10;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0 || pipe2(console, O_CLOEXEC) < 0)
		refuse(s, "the guest's line can't be made");
	(void)!fcntl(line[0], F_SETFL, O_NONBLOCK);
	(void)!fcntl(console[0], F_SETFL, O_NONBLOCK);
	/* What waits in it is ahead of every keystroke of another session. */
	(void)!setsockopt(line[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s->kernel = kernel_start(s->set, line[1], console[1], &s->place.cpu);
	close(line[1]);
	close(console[1]);
	if (s->kernel < 0) {
		errno = -s->kernel;
		report_die(s->call, VM_STEP_KERNEL, errno, "linux.uml can't be executed");
	}
	s->place.kernel = s->kernel;
	s->line.fd = line[0];
	s->line.limit = VM_LINE_ROOM;
	s->console_fd = console[0];
}

static void start_first(struct supervisor *s)
{
	struct connection *c = &s->connections[FIRST];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		refuse(s, "the first client can't be connected");
	(void)!fcntl(pair[0], F_SETFL, O_NONBLOCK);
	(void)!fcntl(pair[1], F_SETFL, O_NONBLOCK);
	s->first = fork();
	if (s->first < 0)
		refuse(s, "the first client can't be started");
	if (s->first == 0) {
		close(pair[0]);
		close(s->line.fd);
		close(s->console_fd);
		close(s->listen_fd);
		close(s->carry_fd);
		close(s->signal_fd);
		_exit(client_run(pair[1], s->call, VM_OPEN_FIRST));
	}
	close(pair[1]);
	*c = (struct connection){ .use = CONNECTED, .channel = { .fd = pair[0] } };
}

/* Input, output and terminal are the client's: they end when it ends. */
static void let_go(struct supervisor *s)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		if (null_fd < 0 || dup2(null_fd, fd) < 0)
			close(fd);
	if (null_fd > 2)
		close(null_fd);
	if (s->call->tty_fd > 2)
		close(s->call->tty_fd);
	if (s->first && s->call->report_fd >= 0 && !s->set->linger)
		close(s->call->report_fd); /* the client reports */
}

int supervisor_main(const struct call *call, struct settings *set)
{
	struct supervisor *s = calloc(1, sizeof(*s));

	if (!s)
		report_die(call, VM_STEP_SUPERVISOR, ENOMEM, NULL);
	*s = (struct supervisor){
		.call = call,
		.set = set,
		.line = { .fd = -EBADF },
		.listen_fd = -EBADF,
		.carry_fd = -EBADF,
		.signal_fd = signals_take(),
	};
	if (s->signal_fd < 0)
		refuse(s, "signals can't be taken");
	setsid();
	if (set->net && net_take_over(&set->cards, &set->config) < 0)
		refuse(s, "the network can't be given to the guest");
	tell_files(set);
	tell_uppers(set);
	s->listen_fd = listen_for_clients(s, AGENT_SOCKET);
	s->carry_fd = listen_for_clients(s, CARRY_SOCKET);
	make_slots(s);
	if (forward_start(set->ports, set->n_ports) < 0 || datagrams_start(set->ports, set->n_ports) < 0)
		refuse(s, "a published port can't be listened at");
	if (set->cards.names && datagrams_resolve() < 0)
		refuse(s, "the resolver of names can't be reached");
	if (sockets_start(set) < 0)
		refuse(s, "a socket can't be given to the guest");
	start_kernel(s);
	if (!(call->flags & INIT_IDLE))
		start_first(s);
	let_go(s);
	run(s);
	return s->code;
}
