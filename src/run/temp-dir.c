/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/temp-dir.c - see temp-dir.h.
 *
 * The parent may be a directory that others write to, who could put something else in the place of ours. So
 * that one's number is told once it is there, and what is removed is what is in the directory of that number,
 * where nobody else comes; of another one nothing but the name, if it is empty.
 */
#include "run/temp-dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "path/remove.h"
#include "run/errand.h"
#include "sys/sys.h"

enum { WAKE = 3, PARENT, USER_NS, N_OWN };

struct identity {
	dev_t dev;
	ino_t ino;
};

struct removal {
	const char *name;
	struct identity ours; /* ino 0: it is not known to have been made */
};

static bool is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;

	while (dir && n <= 2 && readdir(dir)) /* itself and its parent */
		n++;
	return dir && n <= 2;
}

static int remove_it(void *data, struct buf *out, struct kennel_error **err)
{
	const struct removal *m = data;
	int fd = openat(PARENT, m->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;
	int r = 0;

	(void)out;
	if (dir && fstat(fd, &st) == 0 && st.st_dev == m->ours.dev && st.st_ino == m->ours.ino)
		for (const struct dirent *e; r == 0 && (e = readdir(dir));)
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
				r = path_remove_tree(fd, e->d_name, err);
	return unlinkat(PARENT, m->name, AT_REMOVEDIR) < 0 ? fail_errno(err, "remove \"%s\"", m->name) : r;
}

static int take_descriptor(int from, int as)
{
	int fd = fcntl(from, F_DUPFD_CLOEXEC, N_OWN);

	return fd < 0 || dup3(fd, as, O_CLOEXEC) < 0 ? -1 : 0;
}

static _Noreturn void keep(const struct temp_dir *t, int fd, int user_ns_fd)
{
	struct removal m = { .name = t->name };
	struct identity told;
	sigset_t all;
	ssize_t n;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	(void)sys_setsid();
	/* above those that they become */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, N_OWN);
	const int parent_fd = fcntl(t->parent_fd, F_DUPFD_CLOEXEC, N_OWN);
	const int ns_fd = user_ns_fd < 0 ? -1 : fcntl(user_ns_fd, F_DUPFD_CLOEXEC, N_OWN);
	if (take_descriptor(fd, WAKE) < 0 || take_descriptor(parent_fd, PARENT) < 0 ||
	    (user_ns_fd >= 0 && take_descriptor(ns_fd, USER_NS) < 0))
		_exit(1);
	(void)sys_close_range(0, 2, 0);
	/* Nobody waits for the end of a pipe that only we still hold. */
	(void)sys_close_range(user_ns_fd < 0 ? USER_NS : N_OWN, ~0u, 0);
	while ((n = read(WAKE, &told, sizeof(told))) > 0 || (n < 0 && errno == EINTR))
		if (n == sizeof(told))
			m.ours = told;
	(void)!errand_run(user_ns_fd < 0 ? -EBADF : USER_NS, remove_it, &m, NULL, NULL);
	/* Root of the ids inside has no right over a parent whose group it has no id for. We have. */
	(void)unlinkat(PARENT, m.name, AT_REMOVEDIR);
	_exit(0);
}

int temp_dir_make(struct temp_dir *t, int parent_fd, const char *name, int user_ns_fd,
		  struct kennel_error **err)
{
	int ends[2];

	snprintf(t->name, sizeof(t->name), "%s", name);
	t->parent_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	if (t->parent_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	/* Who removes it is there before it is. */
	t->keeper = fork();
	if (t->keeper == 0) {
		close(ends[1]);
		keep(t, ends[0], user_ns_fd);
	}
	close_fd(ends[0]);
	t->wake_fd = ends[1];
	if (t->keeper < 0)
		return fail_errno(err, "start a process");
	if (mkdirat(t->parent_fd, name, 0700) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	t->dir_fd = openat(t->parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st = { 0 };
	if (t->dir_fd < 0 || flock(t->dir_fd, LOCK_EX | LOCK_NB) < 0 || fstat(t->dir_fd, &st) < 0)
		return fail_errno(err, "make the directory \"%s\"", name);
	if (st.st_uid != geteuid() || (st.st_mode & 022) || !is_empty(t->dir_fd)) {
		errno = EBUSY; /* not the one that was just made */
		return fail_errno(err, "make the directory \"%s\"", name);
	}
	const struct identity ours = { st.st_dev, st.st_ino };
	return write(t->wake_fd, &ours, sizeof(ours)) == (ssize_t)sizeof(ours) ?
		       0 :
		       fail_errno(err, "make the directory \"%s\"", name);
}

void temp_dir_end(struct temp_dir *t)
{
	close_fd(t->dir_fd);
	close_fd(t->parent_fd);
	close_fd(t->wake_fd);
	while (t->keeper > 0 && waitpid(t->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	*t = (struct temp_dir)TEMP_DIR_NONE;
}
