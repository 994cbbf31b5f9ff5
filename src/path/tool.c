/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * path/tool.c - see tool.h. The tool gets a file as a descriptor, never as a name: what was looked at is
 * what it
 * works on, and a file that has no name yet will do.
 */
#include "path/tool.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "path/path.h"
#include "sys/sys.h"

#define SAID_MAX 8192

static int find(const struct tool *t, struct strv *argv, struct kennel_error **err)
{
	_cleanup_free_ char *path = NULL;

	int r = path_find_tool(t->name, &path, err);
	if (r < 0)
		return r;
	if (r == 0)
		return hint(err, fail(err, KENNEL_E_MISSING, "%s is not installed", t->name),
			    "install the package %s", t->package);
	r = strv_take(argv, take_ptr(&path), err);
	for (size_t i = 0; t->args[i] && r == 0; i++)
		r = strv_add(argv, t->args[i], err);
	return r;
}

/* Out of the way of the numbers that it has there. */
static int move_away(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

static int spawn(const struct tool *t, char *const argv[], int write_fd, pid_t *ret,
		 struct kennel_error **err)
{
	_cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int in_fd = move_away(null_fd);
	_cleanup_close_ int said_fd = move_away(write_fd);
	_cleanup_close_ int file_fd = t->file_fd >= 0 ? move_away(t->file_fd) : -EBADF;
	_cleanup_close_ int dir_fd = t->dir_fd > 0 ? move_away(t->dir_fd) : -EBADF;
	const struct tool_child c = {
		.path = argv[0],
		.argv = argv,
		.in_fd = in_fd,
		.out_fd = said_fd,
		.err_fd = said_fd,
		.file_fd = file_fd,
		.dir_fd = dir_fd,
		.manages = t->manages,
	};

	if (in_fd < 0 || said_fd < 0 || (t->file_fd >= 0 && file_fd < 0))
		return fail_errno(err, "prepare the start of %s", t->name);
	*ret = tool_fork(&c);
	return *ret < 0 ? fail_errno(err, "run \"%s\"", argv[0]) : 0;
}

/* Reads to the end, so that the tool never waits for us; only the beginning is kept. */
static void listen_to(int fd, struct buf *said)
{
	char text[1024];
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && said->len < SAID_MAX)
			buf_add(said, text, (size_t)n);
}

static int wait_for_end(const struct tool *t, pid_t pid, struct kennel_error **err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for %s", t->name);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * A process that it leaves behind keeps its output open, so that is no pipe which we would
 * read to its end.
 */
static int run_manager(const struct tool *t, char *const argv[], struct buf *said, struct kennel_error **err)
{
	_cleanup_close_ int fd = sys_memfd_create("kennel-tool", MFD_CLOEXEC);
	pid_t pid;

	if (fd < 0)
		return fail_errno(err, "make a file for what %s says", t->name);
	int r = spawn(t, argv, fd, &pid, err);
	if (r == 0)
		r = wait_for_end(t, pid, err);
	if (r >= 0 && lseek(fd, 0, SEEK_SET) == 0)
		listen_to(fd, said);
	return r;
}

int tool_run(const struct tool *t, struct buf *said, struct kennel_error **err)
{
	_cleanup_strv_ struct strv argv = { 0 };
	int fds[2];
	pid_t pid;

	int r = find(t, &argv, err);
	if (r < 0)
		return r;
	if (t->manages)
		return run_manager(t, argv.items, said, err);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	_cleanup_close_ int read_fd = fds[0];
	_cleanup_close_ int write_fd = fds[1];
	r = spawn(t, argv.items, write_fd, &pid, err);
	if (r < 0)
		return r;
	replace_fd(&write_fd, -EBADF);
	listen_to(read_fd, said);
	return wait_for_end(t, pid, err);
}

static void add_last_line(struct buf *ret, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	char *line = NULL, *rest = copy;

	for (char *s; copy && (s = strsep(&rest, "\n"));)
		if (*s)
			line = s;
	buf_safe(ret, line ? line : "it says nothing");
}

int tool_must(const struct tool *t, const char *what, struct kennel_error **err)
{
	_cleanup_buf_ struct buf said = { 0 }, line = { 0 };

	int r = tool_run(t, &said, err);
	if (r < 0)
		return wrap(err, r, "%s", what);
	if (r == 0)
		return 0;
	add_last_line(&line, buf_str(&said));
	if (r > 128)
		return fail(err, KENNEL_E_IO, "%s: %s was ended by signal %d", what, t->name, r - 128);
	return fail(err, strstr(buf_str(&said), "No space left") ? KENNEL_E_LIMIT : KENNEL_E_IO, "%s: %s: %s",
		    what, t->name, buf_str(&line));
}
