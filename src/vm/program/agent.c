/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/agent.c - runs commands in the guest for clients at the other end of the line.
 *
 * A session is a kennel-init that becomes the command, between pipes or on a terminal of the guest. What
 * comes for its input waits here, VM_WINDOW bytes at most; what it writes stays with it until there is
 * credit. When it has ended, what it has written until then is sent, then its code. Pipes that others
 * still hold are read to their end then, so that what a command left behind does not die of a closed pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macro.h"
#include "sys/sys.h"
#include "vm/program/program.h"
#include "vm/program/session.h"

#define LINE_WAITS (32 << 10) /* bytes for the other end, before no output is read any more */
#define LEFTOVERS 128
#define END_TIME_S 10 /* for all that runs, when the guest is switched off */

struct agent {
	struct guest *g;
	struct channel *line;
	int signal_fd;
	struct session *sessions[VM_SESSIONS];
	int leftovers[LEFTOVERS]; /* pipes of commands that have ended */
	unsigned n_leftovers;
	bool init_ended; /* the guest's own; what is left is to be told, and written back */
};

static void drop(struct agent *a, unsigned id)
{
	struct session *s = a->sessions[id];

	for (unsigned i = VM_STDOUT; i < VM_STREAMS; i++) {
		if (s->tty || s->out_fd[i] < 0)
			continue;
		if (a->n_leftovers == LEFTOVERS) { /* the oldest has had its time */
			close(a->leftovers[0]);
			memmove(a->leftovers, a->leftovers + 1, --a->n_leftovers * sizeof(int));
		}
		a->leftovers[a->n_leftovers++] = s->out_fd[i];
		s->out_fd[i] = -EBADF;
	}
	session_free(s);
	a->sessions[id] = NULL;
}

static void end(struct agent *a, unsigned id, int code)
{
	channel_send_number(a->line, VM_EXIT, id, 0, (uint32_t)code);
	drop(a, id);
}

static void refuse(struct agent *a, unsigned id, int step, int errnum)
{
	unsigned char data[8];

	vm_put_number(data, (uint32_t)step);
	vm_put_number(data + 4, (uint32_t)errnum);
	channel_send(a->line, &(struct vm_frame){
				      .type = VM_REFUSED, .session = id, .data = data, .len = sizeof(data) });
}

/* --- from the line --- */

static void on_words(struct agent *a, struct session *s, const struct vm_frame *f)
{
	int r = session_add_words(s, f);

	if (r == 0)
		return;
	if (r > 0) {
		const bool boots = a->g->boot && (s->open.flags & VM_OPEN_FIRST) && getpid() == 1;

		r = session_start(s, a->g, boots);
	}
	if (r < 0) {
		refuse(a, f->session, INIT_STEP_FORK, -r);
		end(a, f->session, EXIT_FAILED);
	}
}

static void on_open(struct agent *a, const struct vm_frame *f)
{
	struct session *s;

	if (!f->session || a->sessions[f->session])
		return;
	s = session_new(f);
	if (s) {
		a->sessions[f->session] = s;
		return;
	}
	refuse(a, f->session, INIT_STEP_ARGS, EINVAL);
	channel_send_number(a->line, VM_EXIT, f->session, 0, EXIT_FAILED);
}

static _Noreturn void switch_off(struct agent *a);

/* The guest keeps what it has read: each half of the slots is forgotten when the other half is begun. */
static void on_data_at(struct agent *a, struct session *s, const struct vm_frame *f)
{
	const off_t half = (off_t)VM_SLOTS / 2 * VM_SLOT;
	unsigned char data[VM_SLOT];
	struct vm_frame there = *f;
	uint32_t slot, len;

	if (!vm_get_number(f, 0, &slot) || !vm_get_number(f, 1, &len) || slot >= VM_SLOTS || len > VM_SLOT)
		return;
	if (slot % (VM_SLOTS / 2) == 0)
		(void)posix_fadvise(a->g->slots_fd, slot ? 0 : half, half, POSIX_FADV_DONTNEED);
	if (!s || pread(a->g->slots_fd, data, len, (off_t)slot * VM_SLOT) != (ssize_t)len)
		return;
	there.type = VM_DATA;
	there.data = data;
	there.len = len;
	session_take_frame(s, &there, a->line);
}

static void on_frame(struct agent *a, const struct vm_frame *f)
{
	struct session *s = a->sessions[f->session];

	if (f->type == VM_POWER_OFF && !f->session)
		switch_off(a);
	if (f->type == VM_DATA_AT)
		on_data_at(a, s, f);
	else if (f->type == VM_OPEN)
		on_open(a, f);
	else if (s && f->type == VM_WORDS)
		on_words(a, s, f);
	else if (s && f->type == VM_HANGUP) {
		session_hang_up(s);
		end(a, f->session, 128 + SIGHUP);
	} else if (s)
		session_take_frame(s, f, a->line);
}

static void read_line_in(struct agent *a)
{
	struct vm_frame f;

	guest_read_line(a->line);
	while (vm_decoder_next(&a->line->in, &f))
		on_frame(a, &f);
}

/* --- processes --- */

/* Return: whether no child is left. */
static bool reap(struct agent *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (WIFSTOPPED(status) && (a->init_ended || !init_ends(&status)))
			continue;
		if (pid == 1) { /* all others end with it */
			a->init_ended = true;
			(void)!kill(-1, SIGKILL);
		}
		for (unsigned id = 1; id < VM_SESSIONS; id++)
			if (a->sessions[id] && a->sessions[id]->pid == pid)
				session_ended(a->sessions[id], status);
	}
	return pid < 0;
}

static void read_signals(struct agent *a)
{
	struct signalfd_siginfo info;

	while (read(a->signal_fd, &info, sizeof(info)) == sizeof(info))
		;
	(void)reap(a);
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static bool command_runs(const struct agent *a)
{
	for (unsigned id = 1; id < VM_SESSIONS; id++)
		if (a->sessions[id] && a->sessions[id]->pid > 1 && !a->sessions[id]->ended)
			return true;
	return false;
}

/* As pid 1 we see the end of all there is; beside an init of its own that of commands. */
static bool all_ended(struct agent *a, int timeout_s)
{
	const time_t until = now() + timeout_s;

	while (!reap(a) && (getpid() == 1 || command_runs(a))) {
		if (now() >= until)
			return false;
		clock_pause_ms(10);
	}
	return true;
}

static _Noreturn void switch_off(struct agent *a)
{
	channel_flush(a->line, 1000); /* that it was heard */
	(void)!kill(-1, SIGTERM);
	(void)!kill(-1, SIGCONT);
	if (!all_ended(a, END_TIME_S)) {
		(void)!kill(-1, SIGKILL);
		(void)all_ended(a, END_TIME_S);
	}
	guest_power_off(a->g);
}

/* --- the loop --- */

enum { LINE, SIGNALS, FIXED };
enum { IN, OUT, ERR, REPORT, PER_SESSION };
#define SESSIONS_AT (FIXED + LEFTOVERS)
#define N_POLL (SESSIONS_AT + VM_SESSIONS * PER_SESSION)

/* Return: how many are to be looked at. */
static nfds_t prepare_poll(struct agent *a, struct pollfd *p)
{
	nfds_t n = SESSIONS_AT;

	const bool room = queue_used(&a->line->out) < LINE_WAITS;

	p[LINE] = channel_poll(a->line, true);
	p[SIGNALS] = (struct pollfd){ .fd = a->signal_fd, .events = POLLIN };
	for (unsigned id = 0; id < VM_SESSIONS; id++) {
		struct session *s = a->sessions[id];
		struct pollfd *sp = p + SESSIONS_AT + id * PER_SESSION;

		for (unsigned i = 0; i < PER_SESSION; i++)
			sp[i] = (struct pollfd){ .fd = -1 };
		if (!s)
			continue;
		n = SESSIONS_AT + (id + 1) * PER_SESSION;
		sp[REPORT] = (struct pollfd){ .fd = s->report_fd, .events = POLLIN };
		sp[IN] = (struct pollfd){ .fd = session_wants_write(s) ? s->in_fd : -1, .events = POLLOUT };
		for (unsigned i = VM_STDOUT; i < VM_STREAMS; i++)
			if (room && s->out_credit[i].left)
				sp[i] = (struct pollfd){ .fd = s->out_fd[i], .events = POLLIN };
	}
	for (unsigned i = 0; i < LEFTOVERS; i++)
		p[FIXED + i] = (struct pollfd){
			.fd = i < a->n_leftovers ? a->leftovers[i] : -1,
			.events = POLLIN,
		};
	return n;
}

static void serve_session(struct agent *a, unsigned id, const struct pollfd *p)
{
	struct session *s = a->sessions[id];
	struct init_report r;

	if (p[REPORT].fd >= 0 && p[REPORT].revents && session_read_report(s, &r)) {
		if (r.step)
			refuse(a, id, r.step, r.errnum);
		else
			channel_send(a->line, &(struct vm_frame){ .type = VM_RUNS, .session = id });
	}
	if (p[IN].fd >= 0 && p[IN].revents)
		session_write(s, id, a->line);
	for (unsigned i = VM_STDOUT; i < VM_STREAMS; i++)
		if (p[i].fd >= 0 && p[i].revents)
			session_read(s, id, i, a->line);
	if (!s->ended || s->report_fd >= 0)
		return;
	/* What it has written is there by now; what it does not take to find that out waits for credit. */
	bool more = false;
	for (unsigned i = VM_STDOUT; i < VM_STREAMS; i++)
		more = !session_is_drained(s, id, i, a->line) || more;
	if (!more)
		end(a, id, s->code);
}

static void drain_leftovers(struct agent *a, const struct pollfd *p)
{
	char data[4096];
	unsigned kept = 0;

	for (unsigned i = 0; i < a->n_leftovers; i++) {
		const int fd = a->leftovers[i];

		if (p[i].fd == fd && p[i].revents && read(fd, data, sizeof(data)) == 0)
			close(fd);
		else
			a->leftovers[kept++] = fd;
	}
	a->n_leftovers = kept;
}

_Noreturn void agent_main(struct guest *g)
{
	struct agent *a = calloc(1, sizeof(*a));
	static struct pollfd p[N_POLL];

	if (!a)
		guest_fail(g, ENOMEM, "begin");
	*a = (struct agent){ .g = g, .line = &g->line, .signal_fd = signals_take() };
	if (a->signal_fd < 0)
		guest_fail(g, errno, "take signals");
	for (;;) {
		if (poll(p, prepare_poll(a, p), -1) < 0)
			continue;
		drain_leftovers(a, p + FIXED);
		if (p[SIGNALS].revents)
			read_signals(a);
		if (p[LINE].fd >= 0 && p[LINE].revents)
			read_line_in(a);
		for (unsigned id = 1; id < VM_SESSIONS; id++)
			if (a->sessions[id])
				serve_session(a, id, p + SESSIONS_AT + id * PER_SESSION);
		channel_write(a->line);
	}
}
