/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/ns-run.c - see ns-run.h. The kernel has no notice for "a map was written", so who waits for one looks
 * again a few times a second; the process itself stands still meanwhile and costs nothing.
 */
#include "run/ns-run.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "base/suggest.h"
#include "idmap/user.h"
#include "ns/ns.h"
#include "path/path.h"
#include "run/follow.h"
#include "run/init.h"
#include "run/ns-child.h"
#include "run/plan.h"
#include "run/program-file.h"
#include "run/report.h"
#include "sys/sys.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define LOOK_MS 25
#define MAP_MAX (32u << 10)

static const struct {
	const char *name;
	uint64_t flag;
} kinds[] = {
	{ "mount", CLONE_NEWNS },      { "pid", CLONE_NEWPID },	  { "net", CLONE_NEWNET },
	{ "ipc", CLONE_NEWIPC },       { "uts", CLONE_NEWUTS },	  { "user", CLONE_NEWUSER },
	{ "cgroup", CLONE_NEWCGROUP }, { "time", CLONE_NEWTIME },
};

static int parse_kind(const char *word, uint64_t *ret, struct kennel_error **err)
{
	struct suggestion near = { 0 };
	bool all = strcmp(word, "all") == 0;
	uint64_t found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (all || strcmp(word, kinds[i].name) == 0)
			found |= kinds[i].flag;
		suggest_offer(&near, word, kinds[i].name);
	}
	*ret |= found;
	if (found)
		return 0;
	int r = fail(err, KENNEL_E_INVALID, "there is no namespace \"%s\"", word);
	return near.best ? hint(err, r, "did you mean \"%s\"?", near.best) :
			   hint(err, r, "mount, pid, net, ipc, uts, user, cgroup, time, or all of them: all");
}

int ns_kinds_parse(const char *words, uint64_t *ret, struct kennel_error **err)
{
	_cleanup_strv_ struct strv list = { 0 };
	uint64_t found = 0;

	int r = strv_split(&list, words, ',', err);
	if (r == 0 && !list.n)
		r = parse_kind("", &found, err);
	for (size_t i = 0; i < list.n && r == 0; i++)
		r = parse_kind(list.items[i], &found, err);
	if (r == 0)
		*ret |= found;
	return r;
}

int ns_ids_parse(const char *word, uint32_t *ret_uid, uint32_t *ret_gid, struct kennel_error **err)
{
	_cleanup_free_ char *user = strndup(word, strcspn(word, ":"));
	const char *colon = strchr(word, ':');
	uint32_t uid, gid;

	if (!user)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	if (parse_u32(user, &uid) < 0 || parse_u32(colon ? colon + 1 : user, &gid) < 0 || uid == UINT32_MAX ||
	    gid == UINT32_MAX)
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is not UID[:GID]", word),
			    "numbers, as the namespace has them: 0:0, 1000");
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

struct ns {
	const struct ns_request *q;
	struct ns_plan plan;
	struct strv argv;
	int report_fd, report_write_fd, go_fd, go_read_fd, program_fd;
	int pidfd, pid;
	int proc_fd; /* its directory in /proc */
	sigset_t mask; /* the caller's, where signals are held */
	bool holds;
};

static void ns_done(struct ns *n)
{
	int status;

	close_fd(n->go_fd);
	if (n->pidfd >= 0) {
		(void)!sys_pidfd_send_signal(n->pidfd, SIGKILL, 0);
		(void)!follow_reap(n->pidfd, &status, NULL);
	}
	close_fd(n->pidfd);
	close_fd(n->proc_fd);
	close_fd(n->report_fd);
	close_fd(n->report_write_fd);
	close_fd(n->go_read_fd);
	close_fd(n->program_fd);
	strv_done(&n->argv);
}

static int prepare(struct ns *n, struct kennel_error **err)
{
	const struct ns_request *q = n->q;
	const bool init = q->kinds & (CLONE_NEWPID | CLONE_NEWTIME);
	int report[2], go[2];

	if (pipe2(report, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	n->report_fd = report[0];
	n->report_write_fd = report[1];
	if (pipe2(go, O_CLOEXEC) < 0)
		return fail_errno(err, "make a pipe");
	n->go_read_fd = go[0];
	n->go_fd = go[1];
	n->program_fd = program_file_init(err);
	if (n->program_fd < 0)
		return n->program_fd;
	const struct plan_words words = {
		.name = "kennel-init",
		.report_fd = n->report_write_fd,
		.flags = INIT_KEEP_SESSION | (!init		      ? INIT_BECOME :
					      q->kinds & CLONE_NEWPID ? 0 :
									INIT_SUBREAPER),
	};
	n->plan = (struct ns_plan){
		.kinds = q->kinds,
		.proc = q->proc,
		.keep_caps = q->keep_caps,
		.hostname = q->hostname,
		.hostname_len = q->hostname ? strlen(q->hostname) : 0,
		.report_fd = n->report_write_fd,
		.go_fd = n->go_read_fd,
		.go_write_fd = n->go_fd,
		.program_fd = n->program_fd,
		.envp = environ,
	};
	int r = plan_make_argv(&n->argv, q->spec, &words, err);
	n->plan.argv = n->argv.items;
	return r;
}

static int init_failed(const struct spec *spec, const struct init_report *r, struct kennel_error **err)
{
	const int code = r->errnum == ENOENT && r->step == INIT_STEP_EXEC ? KENNEL_E_NOCOMMAND :
									    KENNEL_E_NOTEXEC;

	if (r->step == INIT_STEP_EXEC)
		return error_set(err, code, r->errnum, "run \"%s\"", spec->command.items[0]);
	if (r->step == INIT_STEP_WORKDIR)
		return error_set(err, KENNEL_E_INVALID, r->errnum, "change to \"%s\"", spec->workdir);
	return report_init_failed(spec, r, err);
}

static int step_failed(const struct ns *n, const struct init_report *r, struct kennel_error **err)
{
	static const char *const phrases[] = {
		[NS_STEP_TIME] = "make a time namespace",
		[NS_STEP_PRIVATE] = "make the mounts private",
		[NS_STEP_PROC] = "mount a new /proc",
		[NS_STEP_LOOPBACK] = "bring up the loopback interface",
		[NS_STEP_HOSTNAME] = "set the host name",
		[NS_STEP_GROUPS] = "give up the groups",
		[NS_STEP_IDS] = "become that user and group",
		[NS_STEP_CAPS] = "keep the capabilities",
		[NS_STEP_EXEC] = "start kennel's own program",
	};

	if (r->step >= INIT_STEP_ARGS)
		return init_failed(n->q->spec, r, err);
	if (r->step <= NS_READY || (size_t)r->step >= ARRAY_SIZE(phrases))
		return fail(err, KENNEL_E_IO, "the new process sent rubbish");
	errno = r->errnum;
	int code = fail_errno(err, "%s", phrases[r->step]);
	if (r->step == NS_STEP_IDS && r->errnum == EINVAL)
		return hint(err, code, "an id that no map has can't be had: --map-user, --map-group");
	if (r->step == NS_STEP_PROC && r->errnum == EPERM)
		return hint(err, code, "the kernel wants one /proc here of which nothing is covered");
	if (r->step == NS_STEP_TIME && r->errnum == EINVAL)
		return hint(err, code, "this kernel has none (CONFIG_TIME_NS)");
	return code;
}

/* One report; 0 at the end of them. */
static int next_report(const struct ns *n, struct init_report *ret, struct kennel_error **err)
{
	ssize_t got;

	while ((got = read(n->report_fd, ret, sizeof(*ret))) < 0 && errno == EINTR)
		;
	if (got < 0)
		return fail_errno(err, "hear of the new process");
	if (got && got < (ssize_t)sizeof(*ret))
		return fail(err, KENNEL_E_IO, "the new process sent half a report");
	return got > 0;
}

static int start(struct ns *n, struct kennel_error **err)
{
	struct clone_args args = {
		.flags = (n->q->kinds & ~(uint64_t)CLONE_NEWTIME) | CLONE_PIDFD,
		.pidfd = (uintptr_t)&n->pidfd,
		.exit_signal = SIGCHLD,
	};
	struct init_report report = { 0 };
	sigset_t all, old;
	char name[16];

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of the caller's may run in the child */
	n->pid = ns_child_start(&n->plan, &args);
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (n->pid < 0) {
		n->pidfd = -EBADF;
		int r = ns_explain_failure(n->q->kinds, saved, err);
		return saved == EPERM && !(n->q->kinds & CLONE_NEWUSER) ?
			       hint(err, r, "make a user namespace with them: --new user,...") :
			       r;
	}
	replace_fd(&n->report_write_fd, -EBADF);
	replace_fd(&n->go_read_fd, -EBADF);
	_cleanup_close_ int all_fd = path_open_proc(err);
	if (all_fd < 0)
		return all_fd;
	snprintf(name, sizeof(name), "%d", n->pid);
	n->proc_fd = openat(all_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (n->proc_fd < 0)
		return fail_errno(err, "open \"/proc/%s\"", name);
	int r = next_report(n, &report, err);
	if (r < 0)
		return r;
	return r && report.step == NS_READY ? 0 : step_failed(n, &report, err);
}

static int read_map(const struct ns *n, const char *name, struct idmap_lines *ret, struct kennel_error **err)
{
	_cleanup_close_ int fd = openat(n->proc_fd, name, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf b = { 0 };

	if (fd < 0)
		return fail_errno(err, "read %s of the new process", name);
	int r = buf_read_fd(&b, fd, MAP_MAX, err);
	ret->n = 0;
	return r < 0 ? r : idmap_lines_parse(ret, buf_str(&b), err);
}

/* Until somebody has written both. */
static int wait_for_maps(const struct ns *n, struct idmap_lines *users, struct idmap_lines *groups,
			 struct kennel_error **err)
{
	struct pollfd ended = { .fd = n->pidfd, .events = POLLIN };

	for (;;) {
		int r = read_map(n, "uid_map", users, err);

		if (r == 0)
			r = read_map(n, "gid_map", groups, err);
		if (r < 0 || (users->n && groups->n))
			return r;
		if (poll(&ended, 1, LOOK_MS) > 0)
			return fail(err, KENNEL_E_NOTFOUND, "the process was ended before it had maps");
	}
}

static int map(const struct ns *n, struct idmap_lines *users, struct idmap_lines *groups,
	       struct kennel_error **err)
{
	const struct ns_request *q = n->q;

	if (!(q->kinds & CLONE_NEWUSER))
		return 0;
	if (q->users) {
		int r = idmap_lines_write(n->pid, n->proc_fd, q->users, q->groups, err);

		*users = *q->users;
		*groups = *q->groups;
		return r;
	}
	return wait_for_maps(n, users, groups, err);
}

/* Ids that are not there are named before the kernel says EINVAL. */
static int choose_ids(const struct ns *n, struct ns_go *go, struct kennel_error **err)
{
	const struct ns_request *q = n->q;
	const bool user_ns = q->kinds & CLONE_NEWUSER;
	struct idmap_lines users = { 0 }, groups = { 0 };
	uint32_t outside;

	int r = map(n, &users, &groups, err);
	if (r < 0)
		return r;
	if (!q->become) {
		go->become = user_ns && idmap_lines_find(&users, 0, &outside) &&
			     idmap_lines_find(&groups, 0, &outside);
		return 0;
	}
	*go = (struct ns_go){ .become = 1, .uid = q->uid, .gid = q->gid };
	bool no_user = user_ns && !idmap_lines_find(&users, q->uid, &outside);
	if (no_user || (user_ns && !idmap_lines_find(&groups, q->gid, &outside)))
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "no map has the %s %u", no_user ? "user" : "group",
				 no_user ? q->uid : q->gid),
			    "--user names ids of the inside; --map-user and --map-group say which there are");
	return 0;
}

static int set_offsets(const struct ns *n, struct kennel_error **err)
{
	const char *text = n->q->offsets;

	if (!text)
		return 0;
	_cleanup_close_ int fd = openat(n->proc_fd, "timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		return 0;
	int r = fail_errno(err, "set the clocks of the time namespace");
	return errno == ERANGE ? hint(err, r, "no clock may go back behind 0") : r;
}

static int bring_up(struct ns *n, struct kennel_error **err)
{
	struct init_report report = { 0 };
	struct ns_go go = { 0 };

	int r = start(n, err);
	if (r == 0 && n->q->started)
		r = n->q->started(n->q->data, n->pid, (n->q->kinds & CLONE_NEWUSER) && !n->q->users, err);
	if (r == 0)
		r = choose_ids(n, &go, err);
	if (r == 0)
		r = set_offsets(n, err);
	if (r < 0)
		return r;
	follow_hold(&n->mask);
	n->holds = true;
	if (write(n->go_fd, &go, sizeof(go)) != (ssize_t)sizeof(go))
		return fail_errno(err, "let the new process go");
	r = next_report(n, &report, err); /* init's, all zeros; or the end, where it is the command */
	if (r > 0)
		r = report.step ? step_failed(n, &report, err) : 0;
	return r;
}

/*
 * A shell in a pid namespace can't name the process group that had the terminal before, which is outside, so
 * it can't give it back; then whoever called us would be in the background.
 */
static bool has_terminal(void)
{
	pid_t group = -1;

	return sys_ioctl(STDIN_FILENO, TIOCGPGRP, &group) == 0 && group == getpgrp();
}

static void take_terminal(void)
{
	pid_t group = getpgrp();
	sigset_t stop, old;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU); /* what a process in the background gets for that */
	pthread_sigmask(SIG_BLOCK, &stop, &old);
	(void)!sys_ioctl(STDIN_FILENO, TIOCSPGRP, &group);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int ns_run(const struct ns_request *q, int *ret_status, struct kennel_error **err)
{
	struct ns n = { .q = q,
			.report_fd = -EBADF,
			.report_write_fd = -EBADF,
			.go_fd = -EBADF,
			.go_read_fd = -EBADF,
			.program_fd = -EBADF,
			.pidfd = -EBADF,
			.proc_fd = -EBADF };

	const bool terminal = has_terminal();
	int r = prepare(&n, err);
	if (r == 0)
		r = bring_up(&n, err);
	if (r == 0) {
		const struct follow f = {
			.pidfd = n.pidfd,
			.master_fd = -EBADF,
			.host_pidfd = -EBADF,
			.shares = true,
			.word_fd = -EBADF,
		};

		r = follow_process(&f, ret_status, err);
		if (r == 0)
			replace_fd(&n.pidfd, -EBADF); /* it was waited for */
		if (terminal)
			take_terminal();
	}
	ns_done(&n);
	if (n.holds)
		sigprocmask(SIG_SETMASK, &n.mask, NULL);
	return r;
}
