/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench/spawn.c - runs commands in turns and says how long each turn took.
 *
 *   spawn [-n ROUNDS] [-w WARM] [-b RUNS] [-j ATONCE] [-p MS] [-e] COMMAND [ARG]... [::: COMMAND [ARG]...]...
 *
 * A round gives each command one turn: RUNS runs of it, ATONCE at a time. Every other round goes through
 * the commands backwards, so that none always comes after the same one and pays for what that left to the
 * kernel. A round's line for each command is
 *
 *   COMMAND-INDEX WALL-MICROSECONDS CPU-MICROSECONDS FAILED-RUNS
 *
 * CPU time is that of all processes that were waited for, so of a sandbox's own ones too. With -e the wall
 * time is instead the time from the payload's last act, a CLOCK_MONOTONIC stamp on its standard output
 * (stamp.c), to when we have reaped what we started: the mean of the turn. In C and with posix_spawn(),
 * which shares memory instead of copying it: an interpreter's fork is worth more than a whole sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 8
#define ATONCE_MAX 1024

extern char **environ;

struct options {
	long rounds, warm, runs, at_once, pause_ms;
	bool from_stamp;
};

struct turn {
	int64_t wall_ns, cpu_ns;
	long failed;
};

static _Noreturn void die(const char *what, int errnum)
{
	dprintf(STDERR_FILENO, "spawn: %s: %s\n", what, strerror(errnum));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t cpu_ns(const struct rusage *u)
{
	return ((int64_t)u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000 +
	       ((int64_t)u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000;
}

static long number(const char *text, long min, long max)
{
	char *end;

	errno = 0;
	long v = text ? strtol(text, &end, 10) : min - 1;
	if (!text || errno || *end || end == text || v < min || v > max)
		die(text ? text : "a number is missing", EINVAL);
	return v;
}

static void start(char **argv, const posix_spawn_file_actions_t *actions)
{
	pid_t pid;
	int r = posix_spawnp(&pid, argv[0], actions, NULL, argv, environ);

	if (r)
		die(argv[0], r);
}

/* Waits for one; its CPU time and failure are added. */
static void reap(struct turn *t)
{
	struct rusage usage;
	int status;

	if (wait4(-1, &status, 0, &usage) < 0)
		die("wait", errno);
	t->cpu_ns += cpu_ns(&usage);
	t->failed += status != 0;
}

static void run_plain(char **argv, const struct options *o, const posix_spawn_file_actions_t *actions,
		      struct turn *t)
{
	long started = 0, running = 0;
	int64_t begin = now_ns();

	while (started < o->runs || running) {
		if (started < o->runs && running < o->at_once) {
			start(argv, actions);
			started++;
			running++;
		} else {
			reap(t);
			running--;
		}
	}
	t->wall_ns = now_ns() - begin;
}

static void run_from_stamp(char **argv, const struct options *o, const posix_spawn_file_actions_t *actions,
			   int pipe_fd, struct turn *t)
{
	for (long i = 0; i < o->runs; i++) {
		int64_t stamp;

		start(argv, actions);
		reap(t);
		int64_t end = now_ns();
		if (read(pipe_fd, &stamp, sizeof(stamp)) == sizeof(stamp))
			t->wall_ns += (end - stamp) / o->runs;
		else
			t->failed++;
	}
}

static struct turn take_turn(char **argv, const struct options *o)
{
	posix_spawn_file_actions_t actions;
	struct turn t = { 0 };
	int fds[2] = { -1, -1 };

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (o->from_stamp) {
		if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
			die("pipe", errno);
		posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
		run_from_stamp(argv, o, &actions, fds[0], &t);
		close(fds[0]);
		close(fds[1]);
	} else {
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
		run_plain(argv, o, &actions, &t);
	}
	posix_spawn_file_actions_destroy(&actions);
	if (o->pause_ms) {
		const struct timespec pause = { o->pause_ms / 1000, o->pause_ms % 1000 * 1000000 };

		nanosleep(&pause, NULL);
	}
	return t;
}

/* Commands are separated by ":::", which becomes the NULL that ends each. */
static size_t split(char **argv, char **commands[COMMANDS_MAX])
{
	size_t n = 0;

	while (*argv) {
		if (n == COMMANDS_MAX)
			die("too many commands", E2BIG);
		commands[n++] = argv;
		while (*argv && strcmp(*argv, ":::") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	return n;
}

int main(int argc, char **argv)
{
	struct options o = { .rounds = 10, .warm = 1, .runs = 1, .at_once = 1 };
	char **commands[COMMANDS_MAX];

	for (int c; (c = getopt(argc, argv, "+n:w:b:j:p:e")) != -1;) {
		switch (c) {
		case 'n':
			o.rounds = number(optarg, 1, 1000000);
			break;
		case 'w':
			o.warm = number(optarg, 0, 1000000);
			break;
		case 'b':
			o.runs = number(optarg, 1, 1000000);
			break;
		case 'j':
			o.at_once = number(optarg, 1, ATONCE_MAX);
			break;
		case 'p':
			o.pause_ms = number(optarg, 0, 10000);
			break;
		case 'e':
			o.from_stamp = true;
			break;
		default:
			return 1;
		}
	}
	size_t n = split(argv + optind, commands);
	if (!n)
		die("no command", EINVAL);
	for (long round = -o.warm; round < o.rounds; round++)
		for (size_t k = 0; k < n; k++) {
			size_t i = round & 1 ? n - 1 - k : k;
			struct turn t = take_turn(commands[i], &o);

			if (round >= 0)
				dprintf(STDOUT_FILENO, "%zu %.1f %.1f %ld\n", i, (double)t.wall_ns / 1000,
					(double)t.cpu_ns / 1000, t.failed);
		}
	return 0;
}
