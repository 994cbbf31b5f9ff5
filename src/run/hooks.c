/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/hooks.c - see hooks.h. */
#include "run/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/strv.h"
#include "run/report.h"
#include "run/sandbox.h"
#include "sys/spawn.h"
#include "sys/sys.h"

#define ENV_MAX 20

struct hook {
	const char *line; /* the spec's */
	struct strv words;
};

struct hooks {
	int dir_fd; /* the container's; the keep's own */
	bool background; /* what they say goes into the log */
	int timeout_ms;
	struct hook *items[SPEC_HOOKS];
	size_t n[SPEC_HOOKS];
	struct strv fixed; /* of their environment */
	char id[32], pid[32], root[48], status[32], how[24], kind[32]; /* the rest of it; "": not there */
	char *env[ENV_MAX];

	bool begun; /* those of post-stop are owed */
	size_t next; /* of post-stop: the first that was not begun */
	int running_fd; /* pidfd of the one that was, or -EBADF */
};

static const char *const kinds[SPEC_HOOKS] = {
	[SPEC_HOOK_PRE_START] = "pre-start",
	[SPEC_HOOK_START_HOST] = "start-host",
	[SPEC_HOOK_POST_STOP] = "post-stop",
};

/* --- made at the start --- */

static int add_environment(struct hooks *h, const struct keep *k, struct kennel_error **err)
{
	static const char *const own[] = { "HOME", "USER", "LOGNAME", "LANG", "XDG_RUNTIME_DIR" };
	int r = strv_add(&h->fixed, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", err);

	for (size_t i = 0; i < ARRAY_SIZE(own) && r == 0; i++) {
		const char *value = getenv(own[i]);

		if (value)
			r = strv_addf(&h->fixed, err, "%s=%s", own[i], value);
	}
	if (r == 0)
		r = strv_addf(&h->fixed, err, "KENNEL_NAME=%s", k->c.name);
	if (r == 0)
		r = strv_addf(&h->fixed, err, "KENNEL_STORE=%s", k->store.path);
	if (r == 0)
		r = strv_addf(&h->fixed, err, "KENNEL_CONFIG=%s/" CONTAINER_CONFIG, k->c.path);
	return r;
}

static int add_hooks(struct hooks *h, enum spec_hook kind, const struct strv *lines,
		     struct kennel_error **err)
{
	int r = 0;

	h->items[kind] = calloc(lines->n + 1, sizeof(*h->items[kind]));
	if (!h->items[kind])
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (; h->n[kind] < lines->n && r == 0; h->n[kind]++) {
		struct hook *hook = &h->items[kind][h->n[kind]];

		hook->line = lines->items[h->n[kind]];
		r = strv_split_words(&hook->words, hook->line, err);
	}
	return r;
}

/* The directory is ours alone (container_open()); the file in it may have been unpacked there by root. */
static int check_owner(const struct keep *k, struct kennel_error **err)
{
	struct stat st;

	if (fstatat(k->c.dir_fd, CONTAINER_CONFIG, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(err, "look at \"%s/" CONTAINER_CONFIG "\"", k->c.path);
	if (S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022))
		return 0;
	return hint(err,
		    fail(err, KENNEL_E_PERM,
			 "the configuration of \"%s\" has hooks, but others could have written them",
			 k->c.name),
		    "look at it with \"kennel config %s\"; if all is well: chown and chmod 600", k->c.name);
}

int hooks_new(const struct keep *k, struct hooks **ret, struct kennel_error **err)
{
	*ret = NULL;
	if (!spec_has_hooks(k->spec) || k->box)
		return 0;
	int r = check_owner(k, err);
	if (r < 0)
		return r;
	struct hooks *h = calloc(1, sizeof(*h));
	if (!h)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	h->dir_fd = k->c.dir_fd;
	h->background = k->spec->background;
	h->running_fd = -EBADF;
	const uint64_t ms = k->spec->hook_timeout_ms ? k->spec->hook_timeout_ms : HOOKS_TIMEOUT_MS;
	h->timeout_ms = (int)MIN(ms, (uint64_t)INT32_MAX);
	r = add_environment(h, k, err);
	for (unsigned i = 0; i < SPEC_HOOKS && r == 0; i++)
		r = add_hooks(h, i, &k->spec->hooks[i], err);
	if (r < 0)
		hooks_free(h);
	else
		*ret = h;
	return r;
}

struct hooks *hooks_free(struct hooks *h)
{
	if (!h)
		return NULL;
	for (unsigned kind = 0; kind < SPEC_HOOKS; kind++) {
		for (size_t i = 0; i < h->n[kind]; i++)
			strv_done(&h->items[kind][i].words);
		free(h->items[kind]);
	}
	strv_done(&h->fixed);
	free(h);
	return NULL;
}

bool hooks_has(const struct hooks *h, enum spec_hook kind)
{
	return h && h->n[kind];
}

/* --- running one: nothing but system calls --- */

struct outcome {
	int errnum; /* it could not be run */
	bool late; /* it was killed for the time that it took */
	siginfo_t info;
};

static void make_env(struct hooks *h)
{
	char *const more[] = { h->id, h->pid, h->root, h->status, h->how, h->kind };
	size_t n = 0;

	for (size_t i = 0; i < h->fixed.n && n < ENV_MAX - 1; i++)
		h->env[n++] = h->fixed.items[i];
	for (size_t i = 0; i < ARRAY_SIZE(more) && n < ENV_MAX - 1; i++)
		if (more[i][0])
			h->env[n++] = more[i];
	h->env[n] = NULL;
}

/* Beyond 2, whatever of that is open. */
static int open_beyond(int fd)
{
	int high_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (fd > 2)
		close(fd);
	return high_fd;
}

static int open_output(const struct hooks *h)
{
	int fd = h->background ?
			 openat(h->dir_fd, CONTAINER_LOG,
				O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600) :
			 2;

	return fd < 0 ? -1 : open_beyond(fd);
}

static bool ends_in_time(int pidfd, int timeout_ms)
{
	const int64_t end = clock_ms() + timeout_ms;
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };

	for (;;) {
		const int64_t left = end - clock_ms();

		if (sys_poll(&fd, 1, (int)MAX(left, (int64_t)0)) > 0)
			return true;
		if (left <= 0)
			return false;
	}
}

static void wait_for(struct outcome *o, pid_t pid, int pidfd, int timeout_ms)
{
	if (!ends_in_time(pidfd, timeout_ms)) {
		o->late = true;
		kill(-pid, SIGKILL); /* a session of its own, which its number can't leave before we wait */
		sys_pidfd_send_signal(pidfd, SIGKILL, 0);
	}
	while (sys_waitid_pidfd(pidfd, &o->info, WEXITED) < 0)
		if (errno != EINTR) {
			o->errnum = errno;
			return;
		}
}

static struct outcome run_one(struct hooks *h, enum spec_hook kind, const struct hook *hook)
{
	struct outcome o = { .errnum = 0 };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	null_fd = null_fd < 0 ? -1 : open_beyond(null_fd);
	int out_fd = open_output(h);
	const int sources[] = { null_fd, out_fd < 0 ? null_fd : out_fd, out_fd < 0 ? null_fd : out_fd };
	struct sys_spawn s = {
		.path = hook->words.items[0],
		.argv = hook->words.items,
		.envp = h->env,
		.sources = sources,
		.n_sources = 3,
		.session = true,
		.fresh = true,
		/* what comes of a start ends with it; what puts things in order goes on */
		.death_signal = kind == SPEC_HOOK_POST_STOP ? 0 : SIGKILL,
		.wait = true,
	};
	pid_t pid = null_fd < 0 ? -1 : sys_spawn(&s);
	h->running_fd = pid < 0 ? -EBADF : sys_pidfd_open(pid, 0);
	if (h->running_fd < 0)
		o.errnum = errno;
	else
		wait_for(&o, pid, h->running_fd, h->timeout_ms);
	const int fd = h->running_fd;
	h->running_fd = -EBADF;
	const int opened[] = { fd, null_fd, out_fd };
	for (size_t i = 0; i < ARRAY_SIZE(opened); i++)
		if (opened[i] >= 0)
			close(opened[i]);
	return o;
}

/* --- in the monitor --- */

static int fail_outcome(const struct hooks *h, enum spec_hook kind, const struct hook *hook,
			const struct outcome *o, struct kennel_error **err)
{
	errno = o->errnum;
	if (o->errnum)
		return hint(err, fail_errno(err, "run the hook of %s \"%s\"", kinds[kind], hook->line),
			    "it names a program of the machine by its full path");
	if (!o->late && o->info.si_code == CLD_EXITED && o->info.si_status == 0)
		return 0;
	const char *line = hook->line;
	int r = o->late ? fail(err, KENNEL_E_IO,
			       "the hook of %s \"%s\" did not end within %d ms, and was killed", kinds[kind],
			       line, h->timeout_ms) :
		o->info.si_code == CLD_EXITED ?
			  fail(err, KENNEL_E_IO, "the hook of %s \"%s\" failed with exit code %d",
			       kinds[kind], line, o->info.si_status) :
			  fail(err, KENNEL_E_IO, "the hook of %s \"%s\" was killed by signal %d", kinds[kind],
			       line, o->info.si_status);
	return h->background ? hint(err, r, "what it said is in \"kennel log\"") : r;
}

static int run_all(struct hooks *h, enum spec_hook kind, struct kennel_error **err)
{
	int r = 0;

	snprintf(h->kind, sizeof(h->kind), "KENNEL_HOOK=%s", kinds[kind]);
	make_env(h);
	for (size_t i = 0; i < h->n[kind] && r == 0; i++) {
		const struct outcome o = run_one(h, kind, &h->items[kind][i]);

		r = fail_outcome(h, kind, &h->items[kind][i], &o, err);
	}
	return r;
}

int hooks_begin(struct hooks *h, const char *id, struct kennel_error **err)
{
	if (!h)
		return 0;
	snprintf(h->id, sizeof(h->id), "KENNEL_ID=%s", id);
	if (h->begun) /* the second attempt, at a weaker level */
		return 0;
	h->begun = true;
	return run_all(h, SPEC_HOOK_PRE_START, err);
}

int hooks_start_host(struct launch *l, struct kennel_error **err)
{
	struct hooks *h = l->sb->keep ? l->sb->keep->hooks : NULL;

	if (!hooks_has(h, SPEC_HOOK_START_HOST))
		return 0;
	int r = report_wait_held(l, err);
	if (r == 0)
		r = stage_leave(l, err);
	if (r < 0)
		return r;
	snprintf(h->pid, sizeof(h->pid), "KENNEL_PID=%d", l->sb->init_pid);
	/* Before it executes anything the kernel shows the root of another user's process to root alone. */
	if (!l->sb->rootless || l->sb->deep)
		snprintf(h->root, sizeof(h->root), "KENNEL_ROOT=/proc/%d/root", l->sb->init_pid);
	r = run_all(h, SPEC_HOOK_START_HOST, err);
	h->pid[0] = h->root[0] = '\0';
	if (r == 0 && write(l->go_fd, "g", 1) != 1)
		r = fail_errno(err, "tell the sandbox to go on");
	return r;
}

static void prepare_end(struct hooks *h)
{
	static const char kind[] = "KENNEL_HOOK=post-stop";

	memcpy(h->kind, kind, sizeof(kind));
	make_env(h);
}

static void tell(const struct hooks *h, const struct kennel_error *err)
{
	_cleanup_close_ int fd = open_output(h);
	_cleanup_buf_ struct buf b = { 0 };

	buf_puts(&b, "kennel: ");
	buf_safe(&b, kennel_error_message(err));
	buf_puts(&b, "\n");
	if (fd >= 0)
		(void)!write(fd, buf_str(&b), b.len);
}

void hooks_end(struct hooks *h, const char *how, int status)
{
	if (!h || !h->begun || h->how[0])
		return;
	snprintf(h->status, sizeof(h->status), "KENNEL_STATUS=%d", status);
	snprintf(h->how, sizeof(h->how), "KENNEL_END=%s", how);
	prepare_end(h);
	while (h->next < h->n[SPEC_HOOK_POST_STOP]) {
		_cleanup_error_ struct kennel_error *err = NULL;
		const struct hook *hook = &h->items[SPEC_HOOK_POST_STOP][h->next++];
		const struct outcome o = run_one(h, SPEC_HOOK_POST_STOP, hook);

		if (fail_outcome(h, SPEC_HOOK_POST_STOP, hook, &o, &err) < 0)
			tell(h, err);
	}
}

/* --- in the janitor --- */

void hooks_end_killed(struct hooks *h)
{
	static const char status[] = "KENNEL_STATUS=137", how[] = "KENNEL_END=killed";

	if (!h->begun)
		return;
	if (h->running_fd >= 0 && !ends_in_time(h->running_fd, h->timeout_ms))
		sys_pidfd_send_signal(h->running_fd, SIGKILL, 0);
	if (!h->how[0]) {
		memcpy(h->status, status, sizeof(status));
		memcpy(h->how, how, sizeof(how));
	}
	prepare_end(h);
	while (h->next < h->n[SPEC_HOOK_POST_STOP])
		(void)run_one(h, SPEC_HOOK_POST_STOP, &h->items[SPEC_HOOK_POST_STOP][h->next++]);
}
