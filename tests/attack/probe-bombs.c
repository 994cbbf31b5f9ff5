/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probe-bombs.c - takes all of something that there is; each prints how much it got. What they take is gone
 * with the process, or with the sandbox.
 *
 *   probe forks MAX      processes that live at the same time
 *   probe ptys MAX       terminals
 *   probe memory MIB     anonymous memory, written to
 *   probe inodes DIR MAX empty files
 *   probe deep DIR N     directories in each other
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

int probe_forks(int argc, char **argv)
{
	int max = argc > 1 ? number(argv[1]) : 0, n = 0, hold[2];

	if (pipe(hold) < 0)
		return 2;
	while (n < max) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			char c;

			close(hold[1]);
			(void)!read(hold[0], &c, 1);    /* until the parent ends */
			_exit(0);
		}
		n++;
	}
	printf("forks %d %s\n", n, n < max ? strerror(errno) : "no limit");
	fflush(stdout);
	close(hold[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}

int probe_ptys(int argc, char **argv)
{
	int max = argc > 1 ? number(argv[1]) : 0, n = 0;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	while (n < max && posix_openpt(O_RDWR | O_NOCTTY) >= 0)
		n++;
	printf("ptys %d %s\n", n, n < max ? strerror(errno) : "no limit");
	fflush(stdout);
	if (argc > 2)
		sleep((unsigned)number(argv[2]));
	return 0;
}

int probe_memory(int argc, char **argv)
{
	int max = argc > 1 ? number(argv[1]) : 0;

	for (int n = 0; n < max; n++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 1;
		memset(p, 'x', 1 << 20);
	}
	printf("memory %d no limit\n", max);
	return 0;
}

int probe_inodes(int argc, char **argv)
{
	int max = argc > 2 ? number(argv[2]) : 0, n = 0;
	char name[32];

	if (argc < 3 || chdir(argv[1]) < 0)
		return 2;
	for (; n < max; n++) {
		snprintf(name, sizeof(name), "i%d", n);
		int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		if (fd < 0)
			break;
		close(fd);
	}
	printf("inodes %d %s\n", n, n < max ? strerror(errno) : "no limit");
	return 0;
}

int probe_deep(int argc, char **argv)
{
	int max = argc > 2 ? number(argv[2]) : 0, n = 0;

	if (argc < 3 || chdir(argv[1]) < 0)
		return 2;
	while (n < max && mkdir("d", 0700) == 0 && chdir("d") == 0)
		n++;
	printf("deep %d\n", n);
	return 0;
}
