/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/session.c - see session.h. */
#include "vm/program/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "run/power-off.h"
#include "sys/sys.h"
#include "vm/program/errand.h"

#define AGAIN_MS 100 /* before an agent that was killed is followed by another */
#define DRAIN_MAX (256 << 10) /* of what was written before the end, more than pipes and terminals hold */

struct session *session_new(const struct vm_frame *open)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct session){ .report_fd = -EBADF, .in_fd = -EBADF, .slave_fd = -EBADF };
	for (unsigned i = 0; i < VM_STREAMS; i++) {
		s->out_fd[i] = -EBADF;
		vm_credit_init(&s->out_credit[i]);
	}
	vm_credit_init(&s->in_credit);
	if (vm_open_get(open, &s->open))
		s->words = malloc(s->open.words_len);
	if (!s->words) {
		free(s);
		return NULL;
	}
	s->tty = s->open.flags & VM_OPEN_TTY;
	return s;
}

void session_free(struct session *s)
{
	close_fd(s->report_fd);
	close_fd(s->slave_fd);
	close_fd(s->in_fd);
	for (unsigned i = 0; i < VM_STREAMS; i++)
		close_fd(s->out_fd[i]);
	queue_free(&s->in);
	free(s->words);
	free(s);
}

int session_add_words(struct session *s, const struct vm_frame *f)
{
	if (s->pid || f->len > s->open.words_len - s->words_len)
		return -EPROTO;
	memcpy(s->words + s->words_len, f->data, f->len);
	s->words_len += f->len;
	return s->words_len == s->open.words_len;
}

/* --- the start --- */

struct start {
	int fds[3]; /* of the command */
	int report_fd;
	struct guest *g;
	int seen[2]; /* a pipe that ends once the agent sees what becomes of pid 1 */
	bool boots, tty;
	char **argv, **env;
};

static void close_command_end(struct start *t)
{
	replace_fd(&t->report_fd, -EBADF);
	for (unsigned i = 0; i < 3; i++) {
		if (!t->tty && (i == 0 || t->fds[i] != t->fds[0]) && (i < 2 || t->fds[2] != t->fds[1]))
			close_fd(t->fds[i]);
	}
	t->fds[0] = t->fds[1] = t->fds[2] = -EBADF;
}

static __attribute__((noinline)) pid_t run_init(const struct start *t)
{
	pid_t pid = vfork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	/* our memory until it executes: system calls alone */
	for (int i = 0; i < 3; i++)
		if (dup2(t->fds[i], i) < 0)
			_exit(EXIT_FAILED);
	if (fcntl(t->report_fd, F_SETFD, 0) == 0)
		sys_execveat(t->g->init_fd, "", t->argv, t->env, AT_EMPTY_PATH);
	_exit(EXIT_FAILED);
}

static int open_terminal(struct session *s, int ret[3])
{
	const struct winsize size = {
		.ws_row = s->open.size.rows,
		.ws_col = s->open.size.cols,
		.ws_xpixel = s->open.size.x,
		.ws_ypixel = s->open.size.y,
	};
	int unlock = 0;

	s->in_fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (s->in_fd < 0 || ioctl(s->in_fd, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	s->slave_fd = ioctl(s->in_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->slave_fd < 0)
		return -errno;
	(void)!ioctl(s->in_fd, TIOCSWINSZ, &size);
	if (s->open.flags & VM_OPEN_MODES)
		(void)!ioctl(s->slave_fd, TCSETS, s->open.modes);
	s->out_fd[VM_STDOUT] = fcntl(s->in_fd, F_DUPFD_CLOEXEC, 3);
	ret[0] = ret[1] = ret[2] = s->slave_fd;
	return s->out_fd[VM_STDOUT] < 0 ? -errno : 0;
}

static int open_pipes(struct session *s, int ret[3])
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	ret[0] = pair[0];
	s->in_fd = pair[1];
	(void)!fcntl(s->in_fd, F_SETFL, O_NONBLOCK);
	for (unsigned i = VM_STDOUT; i <= VM_STDERR; i++) {
		if (i == VM_STDERR && (s->open.flags & VM_OPEN_MERGED)) {
			ret[VM_STDERR] = ret[VM_STDOUT];
			continue;
		}
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -errno;
		s->out_fd[i] = pair[0];
		ret[i] = pair[1];
		(void)!fcntl(pair[0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

/*
 * The guest's own init takes our place as pid 1, and we go on as its child. Its terminal is the console, and
 * for that no controlling one, as in src/run/init.c.
 * It executes without kennel-init, for a pid 1 that ends is a panic: this one can wait for the end when it
 * has no program.
 */
static _Noreturn void become_init(const struct session *s, const struct start *t)
{
	struct init_report r = { .step = INIT_STEP_EXEC };
	char path[40];
	int number;

	close(t->seen[1]);
	(void)!read(t->seen[0], path, 1);
	signals_give_back();
	setsid();
	if (s->tty && ioctl(s->in_fd, TIOCGPTN, &number) == 0) {
		snprintf(path, sizeof(path), "/dev/pts/%d", number);
		(void)!mount(path, "/dev/console", NULL, MS_BIND, NULL);
	}
	for (int i = 0; i < 3; i++)
		(void)!dup2(t->fds[i], i);
	execvpe(t->argv[INIT_ARG_COMMAND], t->argv + INIT_ARG_COMMAND, t->env);
	r.errnum = errno;
	(void)!write(t->report_fd, &r, sizeof(r));
	for (;;)
		pause();
}

/*
 * Beside an init of its own the agent is a process that root inside can kill; then another one goes on from
 * here, with the session of that init and no other. Returns in it.
 */
static void keep_agent(struct start *t)
{
	struct channel *line = &t->g->line;

	t->g->name[0] = '@'; /* an init that ends all before it switches off leaves these alone; systemd(1) */
	close_command_end(t);
	pid_t pid = fork();
	if (pid != 0)
		close(t->seen[1]);
	for (bool again = false; pid != 0; again = true) {
		if (pid > 0)
			while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
				;
		clock_pause_ms(AGAIN_MS);
		if (!again) { /* what we have of the line is of old */
			queue_free(&line->out);
			line->in.start = line->in.end = 0;
			line->under_way = 0;
		}
		pid = fork();
		if (pid == 0) {
			(void)!tcflush(line->fd, TCIFLUSH);
			channel_send_number(line, VM_HELLO, 0, 0, VM_VERSION);
		}
	}
	init_seize();
	close(t->seen[1]);
}

static pid_t start_init(const struct session *s, struct start *t)
{
	pid_t pid;

	if (pipe2(t->seen, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid > 0)
		become_init(s, t);
	close(t->seen[0]);
	if (pid == 0)
		keep_agent(t);
	else
		close(t->seen[1]);
	return pid < 0 ? -errno : 1;
}

static pid_t start_errand(const struct start *t)
{
	pid_t pid = fork();

	if (pid == 0)
		errand_main(t->g, t->argv + INIT_ARG_COMMAND, t->fds, t->report_fd);
	return pid < 0 ? -errno : pid;
}

static int start_command(struct session *s, struct start *t)
{
	char flags[24], report[24];
	char *head[] = { (char *)"kennel-init", report, (char *)(s->tty ? "0" : "-1"), flags };
	_cleanup_free_ char **argv =
		calloc(ARRAY_SIZE(head) + s->open.n_args + s->open.n_env + 2, sizeof(*argv));
	const size_t n = (size_t)s->open.n_args + s->open.n_env;

	if (!argv)
		return -ENOMEM;
	/* all words, then a NULL is put between arguments and environment */
	if (!vm_words_split(s->words, s->words_len, n, argv + ARRAY_SIZE(head)))
		return -EPROTO;
	memcpy(argv, head, sizeof(head));
	t->argv = argv;
	t->env = argv + ARRAY_SIZE(head) + s->open.n_args + 1;
	memmove(t->env, t->env - 1, (s->open.n_env + 1) * sizeof(*argv));
	t->env[-1] = NULL;
	snprintf(report, sizeof(report), "%d", t->report_fd);
	snprintf(flags, sizeof(flags), "%u", s->open.init_flags | INIT_BECOME);
	const bool is_errand = s->open.flags & VM_OPEN_ERRAND;
	if (is_errand && (s->tty || s->open.n_args <= 2))
		return -EPROTO;
	const pid_t pid = is_errand ? start_errand(t) : t->boots ? start_init(s, t) : run_init(t);
	if (pid > 0)
		s->pid = pid;
	return pid > 0 ? 0 : pid;
}

int session_start(struct session *s, struct guest *g, bool boots)
{
	struct start t = { .fds = { -1, -1, -1 }, .report_fd = -1, .g = g, .boots = boots, .tty = s->tty };
	int report[2];
	int r = s->tty ? open_terminal(s, t.fds) : open_pipes(s, t.fds);

	if (r == 0 && pipe2(report, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0) {
		s->report_fd = report[0];
		(void)!fcntl(report[0], F_SETFL, O_NONBLOCK);
		t.report_fd = report[1];
		r = start_command(s, &t);
	}
	close_command_end(&t);
	free(take_ptr(&s->words));
	return r;
}

/* --- while it runs --- */

static void send_end(struct channel *line, unsigned id, unsigned stream)
{
	channel_send(line, &(struct vm_frame){ .type = VM_END, .session = id, .stream = stream });
}

static void close_input(struct session *s)
{
	queue_free(&s->in);
	if (!s->tty)
		replace_fd(&s->in_fd, -EBADF);
}

static void take_input(struct session *s, const struct vm_frame *f)
{
	if (s->in_fd < 0 || s->in_ended)
		return;
	if (!vm_credit_take(&s->in_credit, f->len) || !queue_add(&s->in, f->data, f->len)) {
		s->in_ended = true;
		close_input(s);
	}
}

static void set_size(struct session *s, const struct vm_frame *f)
{
	struct vm_size size;

	if (!s->tty || !vm_size_get(f, &size))
		return;
	const struct winsize w = {
		.ws_row = size.rows, .ws_col = size.cols, .ws_xpixel = size.x, .ws_ypixel = size.y
	};
	(void)!ioctl(s->in_fd, TIOCSWINSZ, &w);
}

/* Of the guest's own init. */
static int signal_of_init(void)
{
	char program[256];
	const ssize_t n = readlink("/proc/1/exe", program, sizeof(program) - 1);

	program[MAX(n, (ssize_t)0)] = '\0';
	return power_off_signal(program, POWER_OFF_SYSTEMD);
}

/* As kennel-init forwards them: what comes from a keyboard is for all of the foreground. */
static void send_signal(const struct session *s, int sig)
{
	if (s->pid <= 0 || s->ended || sig <= 0 || sig >= NSIG)
		return;
	if (s->pid == 1)
		(void)!kill(1, sig == SIGPWR || sig == SIGTERM ? signal_of_init() : sig);
	else
		(void)!kill(sig == SIGINT || sig == SIGQUIT ? -s->pid : s->pid, sig);
}

void session_take_frame(struct session *s, const struct vm_frame *f, struct channel *line)
{
	uint32_t n;

	if (f->type == VM_DATA && f->stream == VM_STDIN) {
		take_input(s, f);
	} else if (f->type == VM_END && f->stream == VM_STDIN) {
		s->in_ended = true;
		if (!queue_used(&s->in))
			close_input(s);
	} else if (f->type == VM_END && !s->tty) {
		replace_fd(&s->out_fd[f->stream], -EBADF); /* nobody reads it: what writes to it is told */
		send_end(line, f->session, f->stream);
	} else if (f->type == VM_CREDIT && f->stream != VM_STDIN && vm_get_number(f, 0, &n)) {
		(void)!vm_credit_give(&s->out_credit[f->stream], n);
	} else if (f->type == VM_SIGNAL && vm_get_number(f, 0, &n)) {
		send_signal(s, (int)MIN(n, (uint32_t)NSIG));
	} else if (f->type == VM_SIZE) {
		set_size(s, f);
	}
}

void session_hang_up(struct session *s)
{
	if (s->pid > 1 && !s->ended) {
		(void)!kill(-s->pid, SIGHUP);
		(void)!kill(-s->pid, SIGCONT);
	}
}

void session_ended(struct session *s, int status)
{
	s->ended = true;
	s->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool session_read_report(struct session *s, struct init_report *ret)
{
	ssize_t n = read(s->report_fd, ret, sizeof(*ret));

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n != sizeof(*ret))
		*ret = (struct init_report){ 0 };
	replace_fd(&s->report_fd, -EBADF);
	return true;
}

bool session_wants_write(const struct session *s)
{
	return queue_used(&s->in) > 0;
}

void session_write(struct session *s, unsigned id, struct channel *line)
{
	ssize_t n = queue_write(&s->in, s->in_fd, VM_WINDOW);
	uint32_t consumed;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		send_end(line, id, VM_STDIN); /* nobody reads any more */
		s->in_ended = true;
		close_input(s);
		return;
	}
	consumed = vm_credit_consume(&s->in_credit, (size_t)n);
	if (consumed)
		channel_send_number(line, VM_CREDIT, id, VM_STDIN, consumed);
	if (s->in_ended && !queue_used(&s->in))
		close_input(s);
}

bool session_read(struct session *s, unsigned id, unsigned stream, struct channel *line)
{
	static unsigned char data[16 * VM_PAYLOAD]; /* a call costs more here than what it carries */
	ssize_t n;

	if (s->out_fd[stream] < 0 || !s->out_credit[stream].left)
		return false;
	n = read(s->out_fd[stream], data, MIN(sizeof(data), (size_t)s->out_credit[stream].left));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		replace_fd(&s->out_fd[stream], -EBADF);
		send_end(line, id, stream);
		return false;
	}
	s->out_credit[stream].left -= (uint32_t)n;
	for (size_t at = 0; at < (size_t)n; at += VM_PAYLOAD)
		channel_send(line, &(struct vm_frame){
					   .type = VM_DATA,
					   .session = id,
					   .stream = stream,
					   .data = data + at,
					   .len = MIN((size_t)n - at, (size_t)VM_PAYLOAD),
				   });
	s->after_end += s->ended ? (size_t)n : 0;
	return true;
}

bool session_is_drained(struct session *s, unsigned id, unsigned stream, struct channel *line)
{
	while (session_read(s, id, stream, line) && s->after_end < DRAIN_MAX &&
	       queue_used(&line->out) < 2 * VM_WINDOW)
		;
	if (s->out_fd[stream] < 0 || s->after_end >= DRAIN_MAX)
		return true;
	if (!s->out_credit[stream].left || queue_used(&line->out) >= 2 * VM_WINDOW)
		return false;
	return true;
}
