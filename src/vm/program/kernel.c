/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm/program/kernel.c - linux.uml as a child: what it is told, and what it gets of us.
 *
 * Its console goes to a pipe, the second end of its line to descriptor 3, nothing else. Three quarters of
 * the time that a kernel of Debian needs to boot go into what nobody needs: for each device it tries to
 * execute /sbin/hotplug, and devices are 512 terminals of BSD's kind and 64 serial lines; the compressor of a
 * swap that is not there looks for a program, too. So the line is the last of the sixteen consoles, which are
 * there anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "sys/sys.h"
#include "vm/program/program.h"

#define LINE_FD 3

struct start_word { /* once before it becomes linux.uml, and once more if that fails */
	int cpu, errnum;
};

static _Noreturn void become(char **argv, char **env, int line_fd, int console_fd, int failed_fd)
{
	const struct rlimit none = { 0, 0 };
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* above those that they become */
	line_fd = fcntl(line_fd, F_DUPFD_CLOEXEC, 8);
	console_fd = fcntl(console_fd, F_DUPFD_CLOEXEC, 8);
	failed_fd = fcntl(failed_fd, F_DUPFD_CLOEXEC, 8);
	signals_give_back();
	setsid();
	struct start_word word = { .cpu = place_here() };
	(void)!write(failed_fd, &word, sizeof(word));
	umask(0); /* what is made in a share: the guest has applied its own */
	/* hostfs holds each file open that the guest has read, for as long as the guest remembers it */
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)!setrlimit(RLIMIT_NOFILE, &files);
	}
	(void)!setrlimit(RLIMIT_CORE, &none); /* a kernel that panics aborts: no image of its memory */
	/* Where the heap begins by chance, the kernel keeps tables for all that is below it. */
	(void)!personality(ADDR_NO_RANDOMIZE);
	if (line_fd >= 0 && console_fd >= 0 && failed_fd >= 0 && dup2(null_fd, 0) >= 0 &&
	    dup2(console_fd, 1) >= 0 && dup2(console_fd, 2) >= 0 && dup2(line_fd, LINE_FD) >= 0) {
		(void)!close_range(LINE_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
		execve("/linux", argv, env);
	}
	word.errnum = errno;
	(void)!write(failed_fd, &word, sizeof(word));
	_exit(EXIT_FAILED);
}

pid_t kernel_start(const struct settings *set, int line_fd, int console_fd, int *ret_cpu)
{
	char memory[64];
	char drives[DRIVES_MAX][32], layers[LAYERS_MAX][32];
	char *argv[20 + NET_CARDS_MAX + DRIVES_MAX + LAYERS_MAX] = {
		(char *)"kennel-guest", /* no program: one that reboots would execute this again */
		memory,
		(char *)"initrd=/initrd",
		(char *)"con=null",
		(char *)"con0=null,fd:1",
		(char *)"con15=fd:3", /* GUEST_LINE */
		(char *)"uml_dir=/tmp/",
		(char *)"quiet",
		(char *)"pty.legacy_count=0",
		(char *)"initcall_blacklist=init_zswap,ssl_init",
	};
	size_t n = 0;
	char *env[] = {
		(char *)"PATH=/bin",
		(char *)"HOME=/tmp",
		(char *)"TMPDIR=/tmp",
		(char *)"LD_LIBRARY_PATH=/lib",
		(char *)(access("/remedy.so", R_OK) == 0 ? "LD_PRELOAD=/remedy.so" : NULL),
		NULL,
	};
	int failed[2], errnum = 0;

	while (argv[n])
		n++;
	if (set->disk)
		argv[n++] = (char *)"ubd0=/disk";
	for (unsigned i = 0; i < set->n_drives; i++) {
		const int digits = (int)strspn(set->drives[i], "0123456789");

		/* c: nobody is kept away from what is only read */
		snprintf(drives[i], sizeof(drives[i]), "ubd%.*s%s=/drives/%.*s", digits, set->drives[i],
			 set->drives[i][digits] ? "rc" : "", digits, set->drives[i]);
		argv[n++] = drives[i];
	}
	for (unsigned i = 0; i < set->n_layers; i++) {
		const int digits = (int)strspn(set->layers[i], "0123456789");
		char path[24];

		snprintf(path, sizeof(path), "/layers/%.*s", digits, set->layers[i]);
		snprintf(layers[i], sizeof(layers[i]), "ubd%.*src=%s", digits, set->layers[i], path);
		if (access(path, R_OK) ==
		    0) /* one that we can't read, or that is not to be used, is in the tree */
			argv[n++] = layers[i];
	}
	for (unsigned i = 0; i < set->cards.n; i++)
		argv[n++] = (char *)set->cards.args[i];
	snprintf(memory, sizeof(memory), "mem=%lluK", (unsigned long long)(set->memory_bytes >> 10));
	if (pipe2(failed, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		become(argv, env, line_fd, console_fd, failed[1]);
	errnum = pid < 0 ? errno : 0;
	close(failed[1]);
	struct start_word word = { .cpu = -1 };
	while (pid >= 0 && read(failed[0], &word, sizeof(word)) == sizeof(word))
		errnum = word.errnum;
	*ret_cpu = word.cpu;
	close(failed[0]);
	return errnum ? -errnum : pid;
}
