/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm/program/errand.c - see errand.h. */
#include "vm/program/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/macro.h"
#include "sys/sys.h"
#include "vm/program/program.h"

#define PIECE (64u << 10)
#define HOSTFS_MAGIC 0x00c0ffee /* fs/hostfs/hostfs_kern.c */

/*
 * What this kernel remembers of names and files that nobody uses: what was looked up before is asked for
 * again. An inode of the overlay holds one of hostfs, which goes in the second turn.
 */
static void forget(char **args)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	(void)args;
	for (unsigned i = 0; i < 2 && fd >= 0; i++)
		if (write(fd, "2", 1) != 1)
			errand_refuse(errno);
	if (fd < 0)
		errand_refuse(errno);
	errand_runs();
}

static void sync_all(char **args)
{
	(void)args;
	errand_runs();
	sync();
}

/* PATH: a directory of the tree has become the machine's own. */
static void share(char **args)
{
	char from[PATH_MAX];
	struct stat st;

	forget(NULL); /* the place may have been made just now */
	if (lstat(args[0], &st) < 0)
		_exit(errno);
	if (!S_ISDIR(st.st_mode))
		_exit(ENOTDIR);
	if ((size_t)snprintf(from, sizeof(from), "/tree%s", args[0]) >= sizeof(from))
		_exit(ENAMETOOLONG);
	if (mount("share", args[0], "hostfs", MS_NODEV, from) < 0)
		_exit(errno);
}

/* PATH: it is so no more. */
static void take_share(char **args)
{
	struct statfs fs;

	errand_runs();
	if (statfs(args[0], &fs) < 0)
		_exit(errno);
	if (fs.f_type != HOSTFS_MAGIC)
		_exit(ENOENT);
	if (umount2(args[0], MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		_exit(errno);
}

static const struct errand {
	const char *name;
	unsigned n_args;
	void (*run)(char **args);
} errands[] = {
	{ "accept", 1, errand_accept },
	{ "connect", 1, errand_connect },
	{ "datagrams", 0, errand_datagrams },
	{ "resolve", 0, errand_resolve },
	{ "pack", 1, errand_pack },
	{ "pack-changes", 0, errand_pack_changes },
	{ "unpack", 2, errand_unpack },
	{ "forget", 0, forget },
	{ "sync", 0, sync_all },
	{ "share", 1, share },
	{ "unshare", 1, take_share },
};

void errand_runs(void)
{
	close(ERRAND_REPORT_FD);
}

_Noreturn void errand_refuse(int errnum)
{
	const struct init_report r = { .step = INIT_STEP_EXEC, .errnum = errnum };

	(void)!write(ERRAND_REPORT_FD, &r, sizeof(r));
	_exit(EXIT_FAILED);
}

bool errand_hand_on(int from, int to)
{
	static char piece[PIECE];
	ssize_t n = read(from, piece, sizeof(piece));

	for (ssize_t done = 0; done < n;) {
		ssize_t w = write(to, piece + done, (size_t)(n - done));

		if (w < 0)
			return false;
		done += w;
	}
	return n > 0;
}

static const struct errand *find(char **words)
{
	unsigned n = 0;

	while (words[n])
		n++;
	for (size_t i = 0; i < ARRAY_SIZE(errands); i++)
		if (n == errands[i].n_args + 1 && !strcmp(words[0], errands[i].name))
			return &errands[i];
	return NULL;
}

/* The agent's other ends of these, and what other commands have: held here, they would never end. */
static int take_descriptors(const struct guest *g, const int fds[3], int report_fd, int socket_fd)
{
	int own[] = { fds[0], fds[1], fds[2], report_fd, g->changes_fd, socket_fd };
	const size_t n = socket_fd < 0 ? ARRAY_SIZE(own) - 1 : ARRAY_SIZE(own);

	/* above those that they become */
	for (size_t i = 0; i < n; i++)
		if ((own[i] = fcntl(own[i], F_DUPFD, (int)ARRAY_SIZE(own))) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (dup2(own[i], (int)i) < 0)
			return -1;
	return close_range((unsigned)n, ~0U, 0);
}

_Noreturn void errand_main(const struct guest *g, char **words, const int fds[3], int report_fd)
{
	const struct errand *e = find(words);
	const int socket_fd = !e		       ? -1 :
			      e->run == errand_accept  ? guest_socket_fd(g, words[1]) :
			      e->run == errand_resolve ? g->names_fd :
							 -1;

	if (take_descriptors(g, fds, report_fd, socket_fd) < 0)
		_exit(EXIT_FAILED);
	signals_give_back();
	setsid(); /* a hangup is for all of a session's processes */
	if (!e)
		errand_refuse(ENOSYS);
	e->run(words + 1);
	_exit(0);
}
