/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ship/tool.c - see tool.h. */
#include "ship/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "path/path.h"
#include "sys/sys.h"

#define SAID_MAX (1 << 20)
#define STOP_MS 100 /* how often it is looked whether to stop */

/* Out of the way of the numbers that it has there. */
static int out_of_the_way(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static int start(const struct ship_tool *t, const char *path, char *const *argv, struct ship_running *ret,
		 struct kennel_error **err)
{
	int pipe_fds[2] = { -EBADF, -EBADF };

	if (t->has_input && pipe2(pipe_fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = pipe_fds[0];
	_cleanup_close_ int input_fd = pipe_fds[1];
	if (!t->has_input)
		read_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	else
		(void)!fcntl(read_fd, F_SETPIPE_SZ, 1 << 20);
	_cleanup_close_ int said_fd = sys_memfd_create("said", 1 /* MFD_CLOEXEC */);
	_cleanup_close_ int in_fd = out_of_the_way(read_fd);
	_cleanup_close_ int out_fd = out_of_the_way(said_fd);
	_cleanup_close_ int file_fd = t->file_fd >= 0 ? out_of_the_way(t->file_fd) : -EBADF;
	_cleanup_close_ int dir_fd = t->dir_fd >= 0 ? out_of_the_way(t->dir_fd) : -EBADF;
	const struct tool_child c = {
		.path = path,
		.argv = argv,
		.in_fd = in_fd,
		.out_fd = t->writes_file ? file_fd : out_fd,
		.err_fd = out_fd,
		.file_fd = file_fd,
		.dir_fd = dir_fd,
		.fills_dir = t->fills_dir,
	};

	if (in_fd < 0 || out_fd < 0 || (t->file_fd >= 0 && file_fd < 0) || (t->dir_fd >= 0 && dir_fd < 0))
		return fail_errno(err, "prepare the start of %s", t->name);
	pid_t pid = tool_fork(&c);
	if (pid < 0)
		return fail_errno(err, "start %s", t->name);
	*ret = (struct ship_running){ pid, t->name, take_fd(&input_fd), take_fd(&said_fd), t->progress };
	return 0;
}

int ship_tool_start(const struct ship_tool *t, struct ship_running *ret, struct kennel_error **err)
{
	_cleanup_free_ char *path = NULL;
	const char *argv[40];
	size_t n = 0;
	int r = path_find_tool(t->name, &path, err);

	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, "%s is not installed", t->name),
			    "install it (Debian: apt-get install %s)", t->package);
	if (r < 0)
		return r;
	argv[n++] = t->name;
	for (const char *const *a = t->args; *a && n + 1 < ARRAY_SIZE(argv); a++)
		argv[n++] = *a;
	argv[n] = NULL;
	return start(t, path, (char *const *)argv, ret, err);
}

/* The last line that says something. */
static void last_line(struct buf *said, const char **ret)
{
	char *p = said->data;

	while (said->len && (p[said->len - 1] == '\n' || p[said->len - 1] == ' '))
		p[--said->len] = '\0';
	char *line = p ? strrchr(p, '\n') : NULL;
	*ret = line ? line + 1 : p ? p : "it does not say why";
}

/* Until it ends. Return: true where it is to be ended, for somebody says stop. */
static bool wait_or_stop(const struct ship_running *r)
{
	_cleanup_close_ int pidfd = r->progress ? sys_pidfd_open(r->pid, 0) : -EBADF;
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	while (pidfd >= 0 && sys_poll(&fd, 1, STOP_MS) <= 0)
		if (r->progress->stop)
			return true;
	return false;
}

int ship_tool_wait(struct ship_running *r, bool kill_it, struct kennel_error **err)
{
	_cleanup_close_ int said_fd = r->said_fd;
	_cleanup_buf_ struct buf said = { 0 };
	const char *line;
	int status;

	close_fd(take_fd(&r->input_fd));
	bool stopped = !kill_it && wait_or_stop(r);
	if (kill_it || stopped)
		kill(r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (stopped)
		return fail(err, KENNEL_E_INTERRUPTED, "stopped");
	if (lseek(said_fd, 0, SEEK_SET) == 0)
		(void)!buf_read_fd(&said, said_fd, SAID_MAX, NULL); /* less to quote, no more */
	last_line(&said, &line);
	if (strstr(buf_str(&said), strerror(ENOSPC)))
		return error_set(err, KENNEL_E_NOSPACE, ENOSPC, "%s", r->name);
	if (WIFSIGNALED(status))
		return fail(err, KENNEL_E_IO, "%s was ended by signal %d: %s", r->name, WTERMSIG(status),
			    line);
	return fail(err, KENNEL_E_IO, "%s failed (%d): %s", r->name, WEXITSTATUS(status), line);
}

int ship_tool_run(const struct ship_tool *t, struct kennel_error **err)
{
	struct ship_running run;
	int r = ship_tool_start(t, &run, err);

	return r < 0 ? r : ship_tool_wait(&run, false, err);
}
