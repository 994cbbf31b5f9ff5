/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * container/lock.c - who runs a container.
 *
 * The monitor and its janitor share the descriptor, so the lock outlives a monitor that was killed until its
 * sandbox is gone: the kernel must never have two overlays over one delta. Who comes meanwhile waits. Whether
 * there is something to wait for says the text of the file: with the pid of a living monitor the container
 * runs; without one, or with a dead one's, somebody is about to leave.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "conf/name.h"
#include "container/container.h"
#include "sys/sys.h"

#define LOCK_FILE "lock"
#define TRY_MS 5u
#define WAIT_MS 15000u
#define INIT_MS 5000
#define PF_EXITING 0x4u /* linux/sched.h */

/* What there is of a file of /proc, as text. */
static void read_proc(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);
	ret[MAX(n, (ssize_t)0)] = '\0';
}

/* Was it killed? It may take a while until it is gone. */
static bool is_dying(pid_t pid)
{
	char text[4096];
	unsigned long long pending;
	unsigned flags;

	read_proc(pid, "status", text, sizeof(text));
	const char *line = strstr(text, "\nSigPnd:");
	if (line && sscanf(line + strlen("\nSigPnd:"), "%llx", &pending) == 1 &&
	    (pending & 1ull << (SIGKILL - 1)))
		return true;
	read_proc(pid, "stat", text, sizeof(text));
	const char *name_end = strrchr(text, ')');
	/* state, and behind it parent, group, session, terminal, its foreground: then flags */
	return name_end && sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
	       (flags & PF_EXITING);
}

static bool process_lives(pid_t pid)
{
	_cleanup_close_ int fd = sys_pidfd_open(pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };

	/* One that nobody has waited for yet has ended, too. */
	return fd >= 0 && poll(&ended, 1, 0) == 0 && !is_dying(pid);
}

/*
 * Monitor and janitor killed in one stroke let go of the lock at once, while the kernel is still about to end
 * what they started. Its first process was noted third.
 */
static void wait_for_init(int lock_fd)
{
	char text[64];
	uint32_t pid;
	ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);

	text[MAX(n, (ssize_t)0)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	const char *last = strrchr(text, ' ');
	if (!last || last == strchr(text, ' ') || parse_u32(last + 1, &pid) < 0)
		return;
	_cleanup_close_ int fd = sys_pidfd_open((pid_t)pid, 0);
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	if (fd >= 0)
		(void)!poll(&ended, 1, INIT_MS);
}

static void read_holder(int lock_fd, struct container_holder *ret)
{
	char text[64], *space;
	uint32_t pid;
	ssize_t n = pread(lock_fd, text, sizeof(text) - 1, 0);

	*ret = (struct container_holder){ 0 };
	text[MAX(n, (ssize_t)0)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	space = strchr(text, ' ');
	if (!space)
		return;
	*space = '\0';
	space[1 + strcspn(space + 1, " ")] = '\0';
	if (!name_is_id(text) || parse_u32(space + 1, &pid) < 0 || !process_lives((pid_t)pid))
		return;
	memcpy(ret->id, text, strlen(text) + 1);
	ret->pid = (pid_t)pid;
}

static int open_lock(const struct container *c)
{
	return openat(c->dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
}

static int fail_held(const struct container *c, const struct container_holder *h, struct kennel_error **err)
{
	if (!h->id[0])
		return hint(err,
			    fail(err, KENNEL_E_BUSY, "the container \"%s\" is in use, and not ending",
				 c->name),
			    "another kennel removes, copies or ends it; try again");
	return hint(err,
		    fail(err, KENNEL_E_BUSY,
			 "the container \"%s\" is running already: sandbox %s, process %d", c->name, h->id,
			 h->pid),
		    "one container runs once at a time; \"kennel list\" shows what runs");
}

int container_lock(struct container *c, struct container_holder *ret_holder, struct kennel_error **err)
{
	_cleanup_close_ int fd = open_lock(c);
	struct container_holder h = { 0 };
	struct stat there, ours;

	if (fd < 0)
		return fail_errno(err, "open \"%s/" LOCK_FILE "\"", c->path);
	for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += TRY_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail_errno(err, "lock the container \"%s\"", c->name);
		read_holder(fd, &h);
		if (ret_holder)
			*ret_holder = h;
		if (h.id[0] || waited >= WAIT_MS)
			return fail_held(c, &h, err);
		clock_pause_ms(TRY_MS);
	}
	/* It may have gone, or become another one's, while we waited. */
	if (fstat(c->dir_fd, &ours) < 0 || fstatat(c->store_fd, c->name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    there.st_ino != ours.st_ino || there.st_dev != ours.st_dev)
		return fail(err, KENNEL_E_NOTFOUND, "the container \"%s\" was removed or renamed meanwhile",
			    c->name);
	wait_for_init(fd);
	replace_fd(&c->lock_fd, take_fd(&fd));
	return 0;
}

int container_say(const struct container *c, const char *id, pid_t init, struct kennel_error **err)
{
	char text[64];
	int n = 0;

	if (id && init > 0)
		n = snprintf(text, sizeof(text), "%s %d %d\n", id, getpid(), init);
	else if (id)
		n = snprintf(text, sizeof(text), "%s %d\n", id, getpid());
	if (ftruncate(c->lock_fd, 0) < 0 || pwrite(c->lock_fd, text, (size_t)n, 0) != n)
		return fail_errno(err, "write \"%s/" LOCK_FILE "\"", c->path);
	return 0;
}

bool container_is_held(const struct container *c, struct container_holder *ret)
{
	_cleanup_close_ int fd = open_lock(c);

	*ret = (struct container_holder){ 0 };
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
		return false;
	read_holder(fd, ret);
	return true;
}
