/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness/watch.c - run a suite and tell which processes outlived it.
 *
 *   watch REPORT COMMAND [ARG]...
 *
 * As a child subreaper it inherits every orphan below it, daemonized or not, in whatever session or
 * namespace: what is still a child of it a moment after the command ended is a leak. Each is written to
 * REPORT as one line and then killed, by its id, which can't be reused before we reap it. The exit code is
 * the command's. A program of libc alone, because script/test compiles it even when nothing else compiles.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 20000          /* for what is ending already: a monitor that cleans up, on a busy machine */

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 20 * 1000 * 1000 };

	nanosleep(&t, NULL);
}

/* Reaps what has ended. Return: are there still children? */
static int reap(void)
{
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid == 0)
			return 1;
		if (pid < 0 && errno != EINTR)
			return 0;
	}
}

static void report_one(FILE *report, const char *pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	for (ssize_t i = 0; i + 1 < n; i++)
		if ((unsigned char)text[i] < ' ')
			text[i] = ' ';
	if (fd >= 0)
		close(fd);
	fprintf(report, "process %s: %s\n", pid, text);
}

/* Our children, from the children files of our one thread. */
static void end_leftovers(FILE *report)
{
	char path[64], line[4096] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return;
	line[n] = '\0';
	char *rest = line;
	for (char *pid = strsep(&rest, " "); pid; pid = strsep(&rest, " ")) {
		if (!*pid)
			continue;
		report_one(report, pid);
		kill((pid_t)strtol(pid, NULL, 10), SIGKILL);
	}
}

int main(int argc, char **argv)
{
	int status = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: watch REPORT COMMAND [ARG]...\n");
		return 125;
	}
	FILE *report = fopen(argv[1], "we");
	if (!report || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		perror("watch");
		return 125;
	}
	pid_t child = fork();
	if (child < 0) {
		perror("watch: fork");
		return 125;
	}
	if (child == 0) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	for (;;) {      /* orphans are reaped on the way, so that a test never sees a zombie of ours */
		pid_t pid = waitpid(-1, &status, 0);
		if (pid == child || (pid < 0 && errno != EINTR))
			break;
	}
	for (int waited = 0; reap() && waited < GRACE_MS; waited += 20)
		nap();
	for (int round = 0; reap() && round < 50; round++) {    /* a leftover's children come to us in turn */
		end_leftovers(report);
		nap();
	}
	fclose(report);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
