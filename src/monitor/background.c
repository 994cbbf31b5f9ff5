/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitor/background.c - see background.h. */
#include "monitor/background.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/answer.h"
#include "base/cleanup.h"
#include "monitor/serve.h"
#include "run/keep.h"
#include "run/sandbox.h"
#include "sys/sys.h"

/* How reboot(2) ends the first process of a pid namespace. */
#define ENDED_AGAIN (128 + SIGHUP)
#define ENDED_OVER (128 + SIGINT)
#define FAILED_AGAIN 125 /* it could not be started again */

/* --- in the monitor --- */

/* One remark: a digit for its level, the text, a NUL. */
static void note_remark(void *data, enum log_level level, const char *text)
{
	struct buf *b = data;

	buf_printf(b, "%d%s", (int)level, text);
	buf_add(b, "", 1);
}

enum { ANSWER_FD = 3, LEADER_FD = 4 };

/* Nothing of the caller's stays but the pipe and the leader's socket. */
static int shed(int answer_fd, int leader_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	/* out of the way of where they go */
	answer_fd = fcntl(answer_fd, F_DUPFD_CLOEXEC, 8);
	if (leader_fd >= 0)
		leader_fd = fcntl(leader_fd, F_DUPFD_CLOEXEC, 8);
	for (int fd = 0; fd < 3; fd++)
		if (null_fd < 0 || dup2(null_fd, fd) < 0)
			return -1;
	if (answer_fd < 0 || dup3(answer_fd, ANSWER_FD, O_CLOEXEC) < 0)
		return -1;
	if (leader_fd >= 0 && dup3(leader_fd, LEADER_FD, O_CLOEXEC) < 0)
		return -1;
	if (sys_close_range(leader_fd >= 0 ? LEADER_FD + 1 : LEADER_FD, ~0U, 0) < 0)
		return -1;
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)!signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return setsid() < 0 || chdir("/") < 0 ? -1 : 0;
}

/* A file that is the disk of a guest is only held meanwhile. */
static struct keep *kept(const struct sandbox *sb)
{
	return sb->keep ? sb->keep : sb->held;
}

static void note_end(const struct sandbox *sb, int status)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_printf(&b, "ended\t%lld\nstatus\t%d\n", (long long)time(NULL), status);
	const uint64_t kills = cgroup_oom_kills(sb->cgroup);
	if (kills)
		buf_printf(&b, "oom-kills\t%llu\n", (unsigned long long)kills);
	const unsigned hit = cgroup_limits_hit(sb->cgroup);
	if (hit)
		buf_printf(&b, "limits-hit\t%u\n", hit);
	(void)!container_write(&kept(sb)->c, BACKGROUND_LAST, &b, NULL);
}

static int start(const struct spec *spec, const struct log_sink *log, struct server **server,
		 struct sandbox **ret, struct kennel_error **err)
{
	struct sandbox *sb = NULL;

	int r = sandbox_start(spec, log, &sb, err);
	if (r < 0)
		return r;
	keep_use(sb->keep);
	sb->log = (struct log_sink){ 0 };
	/* one in a file has no place for a log that would not hold its file system: beside its entry */
	if (!*server)
		r = server_new(kept(sb)->box ? -EBADF : sb->keep->c.dir_fd, server, err);
	if (r == 0)
		r = server_listen(*server, sb, err);
	if (r < 0)
		sandbox_free(sb);
	else
		*ret = sb;
	return r;
}

/* Its first start has been told by now. */
static void serve(const struct spec *spec, struct server *server, struct sandbox *sb)
{
	const bool boots = kept(sb)->spec->boot;
	int status = 0;

	while (server_run(server, sb, &status, NULL) == 0 && boots && status == ENDED_AGAIN) {
		struct sandbox *next = NULL;

		note_end(sb, FAILED_AGAIN); /* until there is another end to tell of */
		server_rest(server);
		sandbox_free(sb);
		if (start(spec, NULL, &server, &next, NULL) < 0) {
			server_say_ended(server, FAILED_AGAIN);
			server_free(server);
			return;
		}
		sb = next;
	}
	if (boots && status == ENDED_OVER)
		status = 0;
	note_end(sb, status);
	/*
	 * Who waits for the end finds its volume let go of; what was not written by then,
	 * the kernel told it.
	 */
	(void)!sandbox_save(sb, NULL);
	keep_pass(sb->keep);
	server_say_ended(server, status);
	server_free(server);
}

static _Noreturn void monitor(const struct spec *spec, int answer_fd, int leader_fd)
{
	struct kennel_error *err = NULL;
	struct server *server = NULL;
	struct sandbox *sb = NULL;
	struct buf remarks = { 0 }, out = { 0 };
	const struct log_sink log = { .write = note_remark, .data = &remarks };

	if (shed(answer_fd, leader_fd) < 0)
		_exit(1);
	(void)!sys_prctl(PR_SET_NAME, (unsigned long)"kennel-monitor", 0, 0, 0);
	int r = start(spec, &log, &server, &sb, &err);
	if (r == 0 && leader_fd >= 0)
		server_lead(server, LEADER_FD);
	if (r == 0)
		buf_puts(&out, sb->id);
	buf_add(&out, "", 1);
	buf_add(&out, buf_str(&remarks), remarks.len);
	bool heard = answer_write(ANSWER_FD, r, err, &out);
	close(ANSWER_FD);
	kennel_error_free(err);
	buf_done(&remarks);
	buf_done(&out);
	if (r < 0)
		_exit(1);
	if (heard) {
		serve(spec, server, sb);
	} else { /* interrupted: who began it is gone */
		sandbox_free(sb);
		server_free(server);
	}
	_exit(0);
}

/* --- in the caller --- */

static void replay(const struct log_sink *log, const char *text, const char *end)
{
	for (; text < end; text += strlen(text) + 1)
		if (log && log->write && *text >= '0' && *text <= '9')
			log->write(log->data, (enum log_level)(*text - '0'), text + 1);
}

/*
 * The one between ends at once: its child is nobody's then. It borrows our memory, for which we stand still,
 * since each copy costs a tenth of the start.
 */
static int fork_monitor(const struct spec *spec, int answer_fd, int leader_fd, struct kennel_error **err)
{
	sigset_t all, old;
	int status;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of the caller's may run in borrowed memory */
	pid_t pid = vfork();
	if (pid == 0) {
		pid_t inner = fork();

		if (inner == 0)
			monitor(spec, answer_fd, leader_fd);
		_exit(inner < 0);
	}
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	if (pid < 0)
		return fail_errno(err, "start the monitor");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the monitor");
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ?
		       0 :
		       hint(err, fail(err, KENNEL_E_LIMIT, "start the monitor: no process could be made"),
			    "see ulimit -u");
}

int background_start(const struct spec *spec, const struct log_sink *log, int leader_fd, char **ret_id,
		     struct kennel_error **err)
{
	_cleanup_buf_ struct buf in = { 0 }, out = { 0 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = fds[0];
	int r = fork_monitor(spec, fds[1], leader_fd, err);
	close_fd(fds[1]);
	if (r == 0)
		r = buf_read_fd(&in, read_fd, ANSWER_MAX, err);
	if (r == 0)
		r = answer_take(&in, "the monitor", &out, err);
	if (out.len) {
		const char *remarks = out.data + strlen(out.data) + 1;

		replay(log, remarks, out.data + out.len);
	}
	if (r < 0)
		return r;
	*ret_id = strdup(buf_str(&out));
	return *ret_id ? 0 : fail(err, KENNEL_E_NOMEM, "out of memory");
}
