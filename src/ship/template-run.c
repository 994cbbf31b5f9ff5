/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ship/template-run.c - a template in its sandbox; see template.h.
 *
 * A process of its own is the sandbox's monitor. Its standard output is the pipe of what the template tells
 * of its progress, standard error that of all else it says; inside, the first becomes descriptor 3. The
 * monitor ends with us, however we end, and the sandbox with the monitor. When both pipes are at their end
 * nobody is left who could write to the tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/prctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "run/sandbox.h"
#include "ship/template.h"
#include "ship/oci.h"
#include "sys/sys.h"

#define WORK "/run/kennel-template"
#define TARGET "/run/kennel-target"
#define SCRATCH "scratch" /* below WORK */
#define PROGRAM "template"
#define TICK_MS 100
#define END_MS 10000 /* for an orderly end */
#define LINE_SIZE 1024
#define N_LAST 10

/* Exit codes of a template that mean something: those of sysexits.h. */
enum { TEMPLATE_EXIT_USAGE = 64, TEMPLATE_EXIT_MISSING = 69 };

/* --- the sandbox */

/*
 * By way of the working directory, which goes along into the sandbox's mount namespace: root inside might not
 * get through the directories above.
 */
static int set_mount(struct spec *spec, const char *name, const char *target, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "/proc/self/cwd/%s:%s", name, target);
	int r = buf_check(&b, err);
	return r < 0 ? r : spec_set(spec, "mount", buf_str(&b), err);
}

static int set_env(struct spec *spec, const char *name, const char *value, struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "%s=%s", name, value);
	int r = buf_check(&b, err);
	return r < 0 ? r : spec_set(spec, "env", buf_str(&b), err);
}

/* What it is told, and of our own environment only how the network is reached. */
static int set_environment(struct spec *spec, const struct template_call *c, struct kennel_error **err)
{
	static const char *const proxies[] = { "http_proxy", "https_proxy", "ftp_proxy",
					       "no_proxy",   "HTTPS_PROXY", "NO_PROXY" };
	char version[16];

	snprintf(version, sizeof(version), "%d", TEMPLATE_VERSION);
	const char *const vars[][2] = {
		{ "KENNEL_TEMPLATE_VERSION", version },	      { "KENNEL_TEMPLATE_TARGET", TARGET },
		{ "KENNEL_TEMPLATE_WORK", WORK "/" SCRATCH }, { "KENNEL_TEMPLATE_NAME", c->container },
		{ "KENNEL_TEMPLATE_ARCH", oci_arch() },	      { "LC_ALL", "C.UTF-8" },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vars) && r == 0; i++)
		r = set_env(spec, vars[i][0], vars[i][1], err);
	for (size_t i = 0; i < ARRAY_SIZE(proxies) && r == 0 && c->t->header.network; i++)
		if (getenv(proxies[i]))
			r = set_env(spec, proxies[i], getenv(proxies[i]), err);
	return r;
}

static int set_command(struct spec *spec, const struct template_call *c, const char *dir,
		       struct kennel_error **err)
{
	/* an ordinary user's directories are the user's own, who is not root inside */
	static const char script[] = "exec 3>&1 1>&2\n"
				     "chown 0:0 " TARGET " " WORK " " WORK "/" SCRATCH " || exit 1\n"
				     "cd \"$1\" 2>/dev/null\n"
				     "shift\n"
				     "exec \"$@\"";
	const char *const words[] = { "/bin/sh", "-c", script, "sh", dir, WORK "/" PROGRAM };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words) && r == 0; i++)
		r = strv_add(&spec->command, words[i], err);
	for (size_t i = 0; r == 0 && c->options && c->options[i]; i++)
		r = strv_add(&spec->command, c->options[i], err);
	return r;
}

static int fill_spec(struct spec *spec, const struct template_call *c, struct kennel_error **err)
{
	_cleanup_free_ char *dir = getcwd(NULL, 0); /* what options mean by a path */

	if (fchdir(c->dir_fd) < 0)
		return fail_errno(err, "change into the new container");
	int r = spec_set(spec, "net", c->t->header.network ? "host" : "none", err);
	if (r == 0)
		r = spec_set(spec, "tty", "no", err);
	if (r == 0)
		r = spec_set(spec, "workdir", "/", err);
	if (r == 0)
		r = set_mount(spec, c->work, WORK, err);
	if (r == 0)
		r = set_mount(spec, c->target, TARGET, err);
	if (r == 0)
		r = set_environment(spec, c, err);
	return r < 0 ? r : set_command(spec, c, dir ? dir : "/", err);
}

/* --- the process that is its monitor */

struct word {
	int result, status;
	char message[4096], hint[1024];
};

struct pipes {
	int step[2], log[2], word[2], stop[2]; /* read, write */
};
#define PIPES_NONE \
	{ \
		{ -EBADF, -EBADF }, { -EBADF, -EBADF }, { -EBADF, -EBADF }, \
		{ \
			-EBADF, -EBADF \
		} \
	}

static void cleanup_pipes(struct pipes *p)
{
	int *const all[] = { p->step, p->log, p->word, p->stop };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		close_fd(all[i][0]);
		close_fd(all[i][1]);
	}
}
#define _cleanup_pipes_ __attribute__((cleanup(cleanup_pipes)))

static int make_pipes(struct pipes *p, struct kennel_error **err)
{
	if (pipe2(p->step, O_CLOEXEC) < 0 || pipe2(p->log, O_CLOEXEC) < 0 || pipe2(p->word, O_CLOEXEC) < 0 ||
	    pipe2(p->stop, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	return 0;
}

static void remark(void *data, enum log_level level, const char *text)
{
	if (level == LOG_LEVEL_WARN)
		dprintf(STDERR_FILENO, "%s\n", text);
}

/* Until it ends, or whoever started us wants no more. */
static int follow(struct sandbox *sb, int stop_fd, int *ret_status, struct kennel_error **err)
{
	struct pollfd fds[2] = { { .fd = sb->init_pidfd, .events = POLLIN }, { .fd = stop_fd } };

	while (sys_poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	if (!fds[0].revents)
		(void)!sys_pidfd_send_signal(sb->init_pidfd, SIGKILL, 0);
	int r = sandbox_wait(sb, -1, ret_status, err);
	return MIN(r, 0);
}

static int start_and_follow(const struct template_call *c, int stop_fd, int *ret_status,
			    struct kennel_error **err)
{
	const struct log_sink sink = { .write = remark };
	struct spec *spec = spec_new(err);
	struct sandbox *sb = NULL;

	if (!spec)
		return -KENNEL_E_NOMEM;
	int r = fill_spec(spec, c, err);
	if (r == 0)
		r = sandbox_start(spec, &sink, &sb, err);
	if (r == 0)
		r = follow(sb, stop_fd, ret_status, err);
	if (sb)
		sandbox_free(sb);
	spec_free(spec);
	return r;
}

/* A session of its own: no terminal, and what is typed at ours ends it through us, in an orderly way. */
static _Noreturn void be_monitor(const struct template_call *c, struct pipes *p, pid_t parent)
{
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct kennel_error *err = NULL;
	struct word w = { 0 };
	sigset_t none;

	sigemptyset(&none);
	if (sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent || setsid() < 0 ||
	    null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(p->step[1], 1) < 0 || dup2(p->log[1], 2) < 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(1);
	replace_fd(&p->stop[1], -EBADF);
	replace_fd(&p->step[1], -EBADF);
	replace_fd(&p->log[1], -EBADF);
	w.result = start_and_follow(c, p->stop[0], &w.status, &err);
	snprintf(w.message, sizeof(w.message), "%s", kennel_error_message(err));
	snprintf(w.hint, sizeof(w.hint), "%s", kennel_error_hint(err) ? kennel_error_hint(err) : "");
	(void)!write(p->word[1], &w, sizeof(w));
	_exit(0);
}

/* --- what it says */

/* Lines of a stream; one that is too long is cut, and the rest of it forgotten. */
struct lines {
	char line[LINE_SIZE];
	size_t n;
	bool cut;
};

struct told {
	const struct template_call *c;
	struct lines step_lines, log_lines;
	struct buf step; /* the text of the last one */
	uint64_t done, total;
	char *last[N_LAST]; /* a ring; n_said % N_LAST comes next */
	size_t n_said;
};

static void take_step(struct told *t, char *line)
{
	struct template_step s;

	if (!template_step_parse(line, &s))
		return;
	t->done = s.done;
	t->total = s.total;
	t->step.len = 0;
	buf_safe(&t->step, s.text);
}

static void take_said(struct told *t, char *line)
{
	_cleanup_buf_ struct buf b = { 0 };
	char *after = strrchr(line, '\r'); /* what a terminal would show of it */

	if (after && after[1])
		line = after + 1;
	line[strcspn(line, "\r")] = '\0';
	if (!*line)
		return;
	buf_safe(&b, line);
	if (t->c->verbose && t->c->said)
		t->c->said(t->c->data, buf_str(&b));
	char **slot = &t->last[t->n_said++ % N_LAST];
	free(*slot);
	*slot = strdup(buf_str(&b));
}

/* Return: 0 at the end. */
static bool take_bytes(struct told *t, struct lines *l, int fd, void (*take)(struct told *t, char *line))
{
	char bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	if (n < 0 && errno == EINTR)
		return true;
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] != '\n') {
			l->cut |= l->n == sizeof(l->line) - 1;
			if (!l->cut)
				l->line[l->n++] = bytes[i] ? bytes[i] : '?';
			continue;
		}
		l->line[l->n] = '\0';
		take(t, l->line);
		l->n = 0;
		l->cut = false;
	}
	if (n <= 0 && l->n) {
		l->line[l->n] = '\0';
		take(t, l->line);
		l->n = 0;
	}
	return n > 0;
}

/* To the end of both streams. *ret_stopped: step said stop. */
static void listen_to(struct told *t, struct pipes *p, pid_t pid, bool *ret_stopped)
{
	struct pollfd fds[2] = { { .fd = p->step[0], .events = POLLIN },
				 { .fd = p->log[0], .events = POLLIN } };
	uint64_t ticked = 0, stopped = 0;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int n = sys_poll(fds, 2, TICK_MS);
		uint64_t now = clock_ms();

		if (n > 0 && fds[0].revents && !take_bytes(t, &t->step_lines, p->step[0], take_step))
			fds[0].fd = -1;
		if (n > 0 && fds[1].revents && !take_bytes(t, &t->log_lines, p->log[0], take_said))
			fds[1].fd = -1;
		if (stopped && now - stopped > END_MS)
			(void)!kill(pid, SIGKILL); /* not waited for yet: it is still that one */
		if (stopped || now - ticked < TICK_MS)
			continue;
		ticked = now;
		if (!t->c->step ||
		    !t->c->step(t->c->data, t->step.len ? buf_str(&t->step) : NULL, t->done, t->total))
			continue;
		stopped = now;
		*ret_stopped = true;
		replace_fd(&p->stop[1], -EBADF);
	}
}

static void say_last(const struct told *t)
{
	if (t->c->verbose || !t->c->said || t->n_said < 2) /* a single one is in the error */
		return;
	for (size_t i = t->n_said > N_LAST ? t->n_said - N_LAST : 0; i < t->n_said; i++)
		if (t->last[i % N_LAST])
			t->c->said(t->c->data, t->last[i % N_LAST]);
}

static void told_done(struct told *t)
{
	buf_done(&t->step);
	for (size_t i = 0; i < N_LAST; i++)
		free(t->last[i]);
}

/* --- its end */

static int judge_status(const struct told *t, int status, struct kennel_error **err)
{
	const char *name = t->c->t->name;
	const char *last = t->n_said ? t->last[(t->n_said - 1) % N_LAST] : NULL;

	if (status == 0)
		return 0;
	say_last(t);
	if (status == TEMPLATE_EXIT_USAGE)
		return hint(
			err,
			fail(err, KENNEL_E_INVALID, "the template \"%s\" does not take these options: %s",
			     name, last ? last : "it does not say why"),
			"kennel-template(7) has kennel's own; what it runs says \"kennel set --command\"");
	if (status == TEMPLATE_EXIT_MISSING)
		return fail(err, KENNEL_E_MISSING, "the template \"%s\" lacks something: %s", name,
			    last ? last : "it does not say what");
	if (status > 128)
		return fail(err, KENNEL_E_IO, "the template \"%s\" was ended by signal %d", name,
			    status - 128);
	return fail(err, KENNEL_E_IO, "the template \"%s\" failed with exit code %d%s%s", name, status,
		    last ? ": " : "", last ? last : "");
}

static int judge(const struct told *t, int word_fd, bool stopped, struct kennel_error **err)
{
	struct word w;
	ssize_t n = read(word_fd, &w, sizeof(w)); /* one write, no more than a pipe holds, and that is over */

	if (stopped)
		return fail(err, KENNEL_E_INTERRUPTED, "stopped");
	if (n != (ssize_t)sizeof(w))
		return fail(err, KENNEL_E_IO, "the process that runs the template \"%s\" was killed",
			    t->c->t->name);
	if (w.result == 0)
		return judge_status(t, w.status, err);
	int r = fail(err, -w.result, "run the template \"%s\": %s", t->c->t->name, w.message);
	return *w.hint ? hint(err, r, "%s", w.hint) : r;
}

/* Its own copy, with what was looked at in it, and a place to work in. */
static int lay_out(const struct template_call *c, struct kennel_error **err)
{
	_cleanup_close_ int dir_fd =
		openat(c->dir_fd, c->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir_fd < 0 || mkdirat(dir_fd, SCRATCH, 0755) < 0)
		return fail_errno(err, "make a place to work in");
	_cleanup_close_ int fd =
		openat(dir_fd, PROGRAM, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755);
	for (size_t at = 0; fd >= 0 && at < c->t->text.len;) {
		ssize_t n = write(fd, c->t->text.data + at, c->t->text.len - at);

		if (n <= 0 && errno != EINTR)
			return fail_errno(err, "copy the template");
		at += (size_t)MAX(n, (ssize_t)0);
	}
	return fd < 0 || fchmod(fd, 0755) < 0 ? fail_errno(err, "copy the template") : 0;
}

int template_run(const struct template_call *c, struct kennel_error **err)
{
	_cleanup_pipes_ struct pipes p = PIPES_NONE;
	struct told t = { .c = c };
	bool stopped = false;
	int status;

	int r = lay_out(c, err);
	if (r == 0)
		r = make_pipes(&p, err);
	if (r < 0)
		return r;
	pid_t self = getpid(), pid = fork();
	if (pid < 0)
		return fail_errno(err, "start a process that runs the template");
	if (pid == 0)
		be_monitor(c, &p, self);
	replace_fd(&p.step[1], -EBADF);
	replace_fd(&p.log[1], -EBADF);
	replace_fd(&p.word[1], -EBADF);
	listen_to(&t, &p, pid, &stopped);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	r = judge(&t, p.word[0], stopped, err);
	told_done(&t);
	return r;
}
