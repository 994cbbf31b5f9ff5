/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroup/remove.c - ends what lives in a group and removes it, also after somebody else's death.
 *
 * Ordinarily the sandbox's pid namespace has died before, so one rmdir for each directory is all. The rest is
 * for what the sandbox left behind on purpose. v2 has cgroup.kill (5.14), atomic against fork. In v1 nothing
 * is, but a process with SIGKILL pending can't fork, so killing all that is seen, again and again, wins;
 * pids.max = 0 helps where that controller is used.
 *
 * A pid read from cgroup.procs may be someone else's a moment later. So: read, open a pidfd for each, read
 * again, and signal only those still listed. If the first owner died in between, its pidfd answers ESRCH.
 *
 * A sandbox may have made groups inside groups to any depth, so the walk holds one descriptor and goes up by
 * "..": in cgroup file systems a directory never changes its parent.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cgroup/group.h"
#include "sys/sys.h"

#define PATIENCE_MS 10000 /* who was killed needs a processor to end, and somebody else may have them all */
#define PIDS_MAX_BYTES (64u << 20) /* every pid there can be */
#define BATCH 64
#define GC_DEPTH 16
#define REMOVE_TRIES 10000 /* steps, for a tree that somebody goes on making */

static int read_pids(int dir_fd, struct buf *b)
{
	/* opened afresh each time: v1 keeps the list of an open file */
	_cleanup_close_ int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -1 : buf_read_fd(b, fd, PIDS_MAX_BYTES, NULL);
}

/* The next number of a list, one a line; 0 at the end. */
static pid_t next_pid(const char **s)
{
	pid_t pid = 0;

	while (**s && (**s < '0' || **s > '9'))
		(*s)++;
	for (; **s >= '0' && **s <= '9'; (*s)++)
		pid = pid * 10 + (**s - '0');
	return pid;
}

static bool lists(const char *text, pid_t pid)
{
	for (pid_t p; (p = next_pid(&text)) != 0;)
		if (p == pid)
			return true;
	return false;
}

/* Kills those of a batch that are still in the group, now that their pidfds hold them. */
static void kill_batch(int dir_fd, const pid_t *pids, const int *fds, size_t n)
{
	_cleanup_buf_ struct buf again = { 0 };
	const char *text = n && read_pids(dir_fd, &again) == 0 ? buf_str(&again) : "";

	for (size_t i = 0; i < n; i++) {
		if (lists(text, pids[i]))
			(void)!sys_pidfd_send_signal(fds[i], SIGKILL, 0);
		close_fd(fds[i]);
	}
}

/* Kills every process of one directory; how many were seen. */
static size_t kill_members(int dir_fd)
{
	_cleanup_buf_ struct buf b = { 0 };
	pid_t pids[BATCH];
	int fds[BATCH];
	size_t n = 0, seen = 0;
	const char *s;

	if (read_pids(dir_fd, &b) < 0)
		return 0;
	s = buf_str(&b);
	for (pid_t pid; (pid = next_pid(&s)) != 0; seen++) {
		pids[n] = pid;
		fds[n] = sys_pidfd_open(pid, 0);
		if (fds[n] < 0 || ++n < BATCH)
			continue;
		kill_batch(dir_fd, pids, fds, n);
		n = 0;
	}
	kill_batch(dir_fd, pids, fds, n);
	return seen;
}

/*
 * Removes the directories right below; a descriptor of the first that stays, or -EBADF. Nothing is allocated:
 * see cgroup_remove_named().
 */
static int remove_children(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char list[4096] __attribute__((aligned(__alignof__(struct dirent64))));
	ssize_t n;

	while (fd >= 0 && (n = getdents64(fd, list, sizeof(list))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *e = (const struct dirent64 *)(list + at);

			at += e->d_reclen;
			if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
				continue;
			if (unlinkat(dir_fd, e->d_name, AT_REMOVEDIR) == 0)
				continue;
			int stays_fd =
				openat(dir_fd, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (stays_fd >= 0)
				return stays_fd;
		}
	return -EBADF;
}

/* Ends and removes all below a group, deepest first; gives up at the deadline. */
static void sweep(int top_fd, int64_t deadline_ms)
{
	_cleanup_close_ int cur_fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 3);
	size_t depth = 0;

	while (cur_fd >= 0 && clock_ms() < deadline_ms) {
		size_t seen = kill_members(cur_fd);
		int child_fd = remove_children(cur_fd);

		if (child_fd >= 0) {
			replace_fd(&cur_fd, child_fd);
			depth++;
			continue;
		}
		if (depth == 0)
			return;
		if (seen)
			clock_pause_ms(1); /* they are dying; only then can this directory go */
		replace_fd(&cur_fd, openat(cur_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
		depth--;
	}
}

static size_t kill_tree(int dir_fd, unsigned depth)
{
	size_t seen = kill_members(dir_fd);
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 || depth == 0 ? NULL : fdopendir(fd);

	if (!dir)
		return seen;
	fd = -EBADF; /* the stream has it */
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		_cleanup_close_ int child_fd =
			openat(dir_fd, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		seen += child_fd < 0 ? 0 : kill_tree(child_fd, depth - 1);
	}
	return seen;
}

bool cgroup_kill_dir(int dir_fd, bool v2)
{
	const int64_t deadline_ms = clock_ms() + PATIENCE_MS;

	if (v2)
		(void)!cgroup_write(dir_fd, "cgroup.kill", "1");
	while (kill_tree(dir_fd, GC_DEPTH)) {
		if (clock_ms() >= deadline_ms)
			return false;
		clock_pause_ms(1);
	}
	return true;
}

/* The same where nothing lives any more; one that will not go is the end of it. Return: is it empty now? */
static bool remove_below(int top_fd)
{
	_cleanup_close_ int cur_fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 3);
	struct stat st;
	ino_t left = 0; /* the directory that was gone up from */
	int tried = 0;

	for (size_t depth = 0; cur_fd >= 0 && tried < REMOVE_TRIES; tried++) {
		int next_fd = remove_children(cur_fd);

		if (next_fd < 0 && depth == 0)
			return true;
		if (next_fd < 0) {
			left = fstat(cur_fd, &st) == 0 ? st.st_ino : 0;
			next_fd = openat(cur_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
			depth--;
		} else {
			if (fstat(next_fd, &st) < 0 || st.st_ino == left)
				tried = REMOVE_TRIES;
			depth++;
		}
		replace_fd(&cur_fd, next_fd);
	}
	return false;
}

int cgroup_remove_named(int parent_fd, const char *name)
{
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	int saved = errno;
	_cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (saved == EBUSY && fd >= 0 && remove_below(fd))
		return unlinkat(parent_fd, name, AT_REMOVEDIR);
	errno = saved;
	return -1;
}

bool cgroup_has_inner(const struct cgroup *cg)
{
	struct stat st;

	for (unsigned i = 0; cg && i < cg->n; i++)
		if (cg->dirs[i].inside_fd >= 0 && fstat(cg->dirs[i].inside_fd, &st) == 0 && st.st_nlink > 2)
			return true;
	return false;
}

void cgroup_remove_inner(const struct cgroup *cg)
{
	for (unsigned i = 0; i < cg->n; i++)
		if (cg->dirs[i].inside_fd >= 0)
			(void)!remove_below(cg->dirs[i].inside_fd);
}

static bool remove_dir(struct cgroup *cg, struct cgroup_dir *d)
{
	if (d->fd < 0)
		return true;
	if (d->inside_fd >= 0 && unlinkat(d->fd, CGROUP_INSIDE, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return false;
	if (unlinkat(d->parent_fd, cg->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return false;
	if (d->top_fd >= 0)
		(void)!unlinkat(d->top_fd, CGROUP_SLICE, AT_REMOVEDIR); /* refused while others are in it */
	close_fd(d->fd);
	close_fd(d->inside_fd);
	close_fd(d->entry_fd);
	d->fd = d->inside_fd = d->entry_fd = -EBADF;
	return true;
}

/* How many of the directories are left. */
static unsigned remove_dirs(struct cgroup *cg)
{
	unsigned left = 0;

	for (unsigned i = 0; i < cg->n; i++)
		left += !remove_dir(cg, &cg->dirs[i]);
	return left;
}

static void kill_all(struct cgroup *cg, int64_t deadline_ms)
{
	for (unsigned i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];

		if (d->fd < 0)
			continue;
		if (d->ctls & CGROUP_PIDS)
			(void)!cgroup_write(d->fd, "pids.max", "0");
		if (d->v2)
			(void)!cgroup_write(d->fd, "cgroup.kill",
					    "1"); /* absent before 5.14: then the sweep alone */
		sweep(d->fd, deadline_ms);
	}
}

int cgroup_destroy(struct cgroup *cg, struct kennel_error **err)
{
	const int64_t deadline_ms = clock_ms() + PATIENCE_MS;
	unsigned wait_ms = 1;

	if (!cg || !remove_dirs(cg))
		return 0;
	for (;;) {
		kill_all(cg, deadline_ms);
		if (!remove_dirs(cg))
			return 0;
		if (clock_ms() >= deadline_ms)
			break;
		clock_pause_ms(wait_ms);
		wait_ms = MIN(wait_ms * 2, 16u);
	}
	int r = fail(err, KENNEL_E_BUSY,
		     "remove the control group \"%s\": processes in it did not end within %d seconds",
		     cg->name, PATIENCE_MS / 1000);

	return hint(err, r,
		    "they hang in the kernel (a dead network file system or disk?); kennel gc removes the "
		    "group later");
}

struct gc {
	bool (*alive)(void *data, const char *id);
	void *data;
	uid_t uid;
	int removed;
};

/* Is this a group of ours that may go? Another user's is not for our alive() to judge. */
static bool gc_wants(const struct gc *g, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != g->uid)
		return false;
	return !g->alive(g->data, name + strlen(CGROUP_PREFIX));
}

/* With what its inside has made. One that processes live in stays. */
static int gc_remove(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		(void)!remove_below(fd);
	return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0;
}

/* Of systemd's, with ours in it. */
static bool is_scope(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".scope") == 0;
}

static void gc_walk(struct gc *g, int dir_fd, unsigned depth)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		return;
	fd = -EBADF;
	for (struct dirent *e; (e = readdir(dir));) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!strncmp(e->d_name, CGROUP_PREFIX, strlen(CGROUP_PREFIX)) && !is_scope(e->d_name)) {
			/* what is inside a sandbox's group is its own matter */
			if (gc_wants(g, dir_fd, e->d_name))
				g->removed += gc_remove(dir_fd, e->d_name);
			continue;
		}
		_cleanup_close_ int child_fd =
			openat(dir_fd, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (child_fd >= 0 && depth < GC_DEPTH)
			gc_walk(g, child_fd, depth + 1);
		if (!strcmp(e->d_name, CGROUP_SLICE))
			(void)!unlinkat(dir_fd, CGROUP_SLICE, AT_REMOVEDIR);
	}
}

int cgroup_gc(bool (*alive)(void *data, const char *id), void *data, uid_t uid, struct kennel_error **err)
{
	_cleanup_cgroup_texts_ struct cgroup_texts texts = { 0 };
	struct gc g = { .alive = alive, .data = data, .uid = uid };
	struct cgroup_layout layout;
	int r = cgroup_layout_read(NULL, &texts, &layout, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < layout.n; i++) {
		_cleanup_close_ int root_fd =
			layout.mounts[i].read_only ? -EBADF : cgroup_mount_open(&layout.mounts[i]);

		if (root_fd >= 0)
			gc_walk(&g, root_fd, 0);
	}
	return g.removed;
}
