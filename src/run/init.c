/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/init.c - kennel-init, the pid 1 of a sandbox: starts the command, reaps, hands signals on. init.h is
 * the contract.
 *
 * Freestanding (init-start.h) and without writable data: the program is one read-only segment that stays
 * shared with the memfd it came from, and all state is on one page of stack. After the command runs it holds
 * no descriptor, so pipes and the terminal end when the command's own copies end, and nothing of the launcher
 * can be got at through /proc/1/fd.
 *
 * Every signal stays blocked and is fetched with rt_sigtimedwait: a blocked signal reaches even the pid 1 of
 * a namespace, nothing is interrupted, and there is no handler to race with. The command starts in its own
 * session, init in another, so no terminal ever sends init a signal: what arrives was sent on purpose and
 * goes to the command.
 */
#include "run/init.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/wait.h>
#include <asm/ioctls.h>

#include "run/init-start.h"
#include "run/init-user.h"

__asm__(INIT_START_ASM);

#define SIGNAL_SET_SIZE 8
#define PARENT_DIED SIGPWR /* subreaper: sent by the kernel when the monitor ends */
#define POWER_OFF 37 /* the SIGRTMIN+3 of libc, which systemd takes for it */
#define PATH_SIZE 4096
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct command {
	char **argv; /* in front of it, INIT_ARG_COMMAND words or fewer that nobody needs any more */
	char **envp; /* follows argv's NULL directly */
	const char *workdir;
	const char *shell; /* login shell to run instead of argv[0], or NULL */
	const struct init_user *user; /* ids to take, or NULL */
	uint32_t flags;
	int tty_fd, report_fd;
	struct init_report failed; /* written by the vfork child: step is 0 when the command runs */
};

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
_Noreturn void init_main(long *stack);

/* gcc and clang may call these two for any assignment; the loops must not become calls of themselves. */
void *memcpy(void *to, const void *from, size_t n)
{
	for (volatile char *t = to; n--; t++)
		*t = *(const char *)from, from = (const char *)from + 1;
	return to;
}

void *memset(void *to, int c, size_t n)
{
	for (volatile char *t = to; n--; t++)
		*t = (char)c;
	return to;
}

static _Noreturn void leave(int code)
{
	for (;;)
		init_call1(__NR_exit_group, code);
}

static _Noreturn void report(int report_fd, const struct init_report *r)
{
	int code = 125;

	if (r->step == INIT_STEP_EXEC)
		code = r->errnum == ENOENT ? 127 : 126;
	else if (r->step == INIT_STEP_INTERPRETER)
		code = 126;
	if (report_fd >= 0)
		init_call3(__NR_write, report_fd, r, sizeof(*r));
	leave(code);
}

static _Noreturn void refuse(int report_fd, enum init_step step, long r)
{
	const struct init_report failed = { .step = (int32_t)step, .errnum = (int32_t)-r };

	report(report_fd, &failed);
}

/* The value of a variable given as "NAME=", or NULL. */
static const char *env_get(char **envp, const char *name)
{
	for (; *envp; envp++)
		if (init_starts(*envp, name))
			return *envp + init_strlen(name);
	return NULL;
}

/*
 * Puts an entry in its variable's place, or behind the last one: all words move down by one, over init's own
 * arguments.
 */
static void env_put(struct command *c, const char *name, const char *entry)
{
	char **e = c->envp;

	for (; *e; e++) {
		if (init_starts(*e, name)) {
			*e = (char *)entry;
			return;
		}
	}
	for (char **w = c->argv; w < e; w++)
		w[-1] = *w;
	e[-1] = (char *)entry;
	c->argv--;
	c->envp--;
}

/* --- in the child: our memory is shared with it; the descriptors, ids and signal mask are its own --- */

static _Noreturn void child_fail(struct command *c, enum init_step step, long r)
{
	c->failed = (struct init_report){ .step = (int32_t)step, .errnum = (int32_t)-r };
	if (c->flags & INIT_BECOME)
		report(c->report_fd, &c->failed);
	for (;;)
		init_call1(__NR_exit, 127);
}

/*
 * An init that is booted gets the terminal as it gets a kernel's console: not as the controlling one. Else ^C
 * there asks it for a reboot and a new size for kbrequest.target, and no login that it starts could have it.
 */
static void take_terminal(struct command *c)
{
	bool boots = c->flags & INIT_BECOME && init_call0(__NR_getpid) == 1;
	long r = boots ? 0 : init_call3(__NR_ioctl, c->tty_fd, TIOCSCTTY, 0);

	/* mesg, screen and gpg want to own their terminal; where that can't be, it still works as one */
	if (c->user)
		init_call3(__NR_fchown, c->tty_fd, c->user->uid, (uint32_t)-1);
	for (int fd = 0; fd < 3 && r >= 0; fd++)
		if (fd != c->tty_fd)
			r = init_call3(__NR_dup3, c->tty_fd, fd, 0);
	if (r < 0)
		child_fail(c, INIT_STEP_TTY, r);
	if (c->tty_fd > 2)
		init_call1(__NR_close, c->tty_fd);
}

static void take_ids(struct command *c)
{
	const struct init_user *u = c->user;
	long r = init_call2(__NR_setgroups, u->n_groups, u->groups);

	/* Where a user has but one id the kernel allows no setgroups(), and nobody but root can be meant. */
	if (r < 0 && !(r == -EPERM && !u->uid && !u->gid))
		child_fail(c, INIT_STEP_GROUPS, r);
	r = init_call3(__NR_setresgid, u->gid, u->gid, u->gid);
	if (r >= 0)
		r = init_call3(__NR_setresuid, u->uid, u->uid, u->uid);
	if (r < 0)
		child_fail(c, INIT_STEP_IDS, r);
}

static void enter_workdir(struct command *c)
{
	const char *home;
	long r = -ENOENT;

	if (*c->workdir)
		r = init_call1(__NR_chdir, c->workdir);
	if (r >= 0 || (!*c->workdir && (c->flags & INIT_KEEP_SESSION)))
		return;
	if (!(c->flags & INIT_WORKDIR_OPTIONAL)) {
		if (*c->workdir)
			child_fail(c, INIT_STEP_WORKDIR, r);
		return;
	}
	home = env_get(c->envp, "HOME=");
	if (!home || *home != '/' || init_call1(__NR_chdir, home) < 0)
		init_call1(__NR_chdir, "/");
}

/*
 * Whether a file that the kernel knows no format of may be a script without "#!". One with a NUL in its first
 * line is a program of another machine, or data: a shell would only make a riddle of that.
 */
static bool is_text(const char *path)
{
	char start[128];
	long fd = init_call4(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	long n = fd < 0 ? -1 : init_call3(__NR_read, fd, start, sizeof(start));

	if (fd >= 0)
		init_call1(__NR_close, fd);
	for (long i = 0; i < n && start[i] != '\n'; i++)
		if (!start[i])
			return false;
	return n >= 0;
}

static long try_exec(struct command *c, const char *path)
{
	long r = init_call3(__NR_execve, path, c->argv, c->envp);

	if (r != -ENOEXEC || !is_text(path))
		return r;
	c->argv[0] = (char *)path;
	c->argv[-1] = (char *)"/bin/sh";
	init_call3(__NR_execve, "/bin/sh", c->argv - 1, c->envp);
	return -ENOEXEC;
}

static long try_exists(struct command *c, const char *path)
{
	return init_call3(__NR_faccessat, AT_FDCWD, path, 0);
}

/* A name with a slash is a path; any other is tried in each directory of PATH, as execvp() does. */
static long walk_path(struct command *c, const char *name, long (*try)(struct command *, const char *))
{
	const char *dir = env_get(c->envp, "PATH="), *slash = name;
	size_t name_len = init_strlen(name);
	char path[PATH_SIZE];
	long result = -ENOENT;

	while (*slash && *slash != '/')
		slash++;
	if (*slash)
		return try(c, name);
	if (!name_len)
		return -ENOENT;
	if (!dir)
		dir = DEFAULT_PATH;
	for (;;) {
		size_t len = 0, at = 0;
		long r = -ENOENT;

		while (dir[len] && dir[len] != ':')
			len++;
		if (len + name_len + 2 <= sizeof(path)) {
			for (; at < len; at++)
				path[at] = dir[at];
			if (len) /* an empty one is the working directory */
				path[at++] = '/';
			for (size_t i = 0; i <= name_len; i++)
				path[at + i] = name[i];
			r = try(c, path);
		}
		if (r == -EACCES)
			result = r;
		else if (r != -ENOENT && r != -ENOTDIR && r != -ESTALE && r != -ENODEV && r != -ETIMEDOUT)
			return r;
		if (!dir[len])
			return result;
		dir += len + 1;
	}
}

static _Noreturn void run_command(void *data)
{
	struct command *c = data;
	const uint64_t none = 0;
	const char *name;
	long r;

	if (!(c->flags & INIT_KEEP_SESSION))
		init_call0(__NR_setsid);
	if (c->tty_fd >= 0)
		take_terminal(c);
	if (c->user)
		take_ids(c);
	if (c->flags & INIT_NO_NEW_PRIVS)
		init_call(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* After the ids, for a change of ids clears it. Should init be killed, the command goes too. */
	if (c->flags & INIT_SUBREAPER)
		init_call2(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL);
	enter_workdir(c);
	init_call4(__NR_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGNAL_SET_SIZE);

	name = c->shell ? c->shell : c->argv[0];
	r = walk_path(c, name, try_exec);
	if (c->shell && (r == -ENOENT || r == -EACCES)) {
		c->argv[0] = (char *)"-sh";
		name = "/bin/sh";
		r = try_exec(c, name);
	}
	if (r == -ENOENT && walk_path(c, name, try_exists) >= 0)
		child_fail(c, INIT_STEP_INTERPRETER, r);
	child_fail(c, INIT_STEP_EXEC, r);
}

/* --- in init itself --- */

/*
 * Blocks all signals and gives them their default action: an ignored one survives exec, and SIGCHLD ignored
 * hides the dead.
 */
static void take_signals(void)
{
	const uint64_t all = ~UINT64_C(0), action[4] = { 0 }; /* SIG_DFL, no flags, nothing masked */

	init_call4(__NR_rt_sigprocmask, SIG_SETMASK, &all, NULL, SIGNAL_SET_SIZE);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			init_call4(__NR_rt_sigaction, sig, action, NULL, SIGNAL_SET_SIZE);
}

/* Kills our children; those of theirs become ours then. Return: how many could be. */
static unsigned kill_children(long command)
{
	char text[512];
	unsigned n = 0;
	long fd = init_call4(__NR_openat, AT_FDCWD, "/proc/thread-self/children", O_RDONLY | O_CLOEXEC, 0);
	long len = fd < 0 ? -1 : init_call3(__NR_read, fd, text, sizeof(text)), start = 0;

	if (fd >= 0)
		init_call1(__NR_close, fd);
	if (len < 0)
		return init_call2(__NR_kill, -command, SIGKILL) >= 0;
	for (long i = 0; i < len; i++) { /* a number that was cut off has no blank behind it */
		uint32_t pid;

		if (text[i] != ' ')
			continue;
		if (init_number(text + start, (size_t)(i - start), INT32_MAX, &pid) && pid > 1)
			n += init_call2(__NR_kill, pid, SIGKILL) >= 0;
		start = i + 1;
	}
	return n;
}

/* What the kernel does when a pid 1 ends, for an init that is none: end all that is left, and wait for it. */
static void end_descendants(long command)
{
	long r;

	for (;;) {
		do
			r = init_call4(__NR_wait4, -1, NULL, WNOHANG, NULL);
		while (r > 0);
		if (r < 0 || !kill_children(command))
			return;
		init_call4(__NR_wait4, -1, NULL, 0, NULL);
	}
}

/* Reaps all that have ended. Return: the exit code of the command, or -1 while it runs. */
static int reap(long command)
{
	int status, code = -1;
	long pid;

	while ((pid = init_call4(__NR_wait4, -1, &status, WNOHANG, NULL)) > 0) {
		if (pid == command)
			code = (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
	}
	return code;
}

/*
 * Interrupt and quit come from somebody's keyboard, also where the sandbox has no terminal, and a terminal
 * sends them to all of the foreground: a shell that waits for its child would else sit them out. All others
 * are for the command alone.
 */
static void forward(long command, uint32_t flags, int sig, const int32_t *info)
{
	const bool group = (sig == SIGINT || sig == SIGQUIT) && !(flags & INIT_KEEP_SESSION);

	if ((flags & INIT_KEEP_SESSION) && info[2] == SI_KERNEL)
		return; /* of a keyboard: the command has it, too */
	init_call2(__NR_kill, group ? -command : command, sig);
}

/*
 * Gives back the stack that the child and the lookup of the user have written: all whole pages below this
 * function, which itself needs less than 256 bytes. That is a quarter of what an idle init holds.
 */
static __attribute__((noinline)) void drop_stack(void)
{
	const unsigned long page = 4096, size = 64 << 10;
	unsigned long end = ((unsigned long)__builtin_frame_address(0) - 256) & ~(page - 1);

	init_call3(__NR_madvise, end - size, size, MADV_DONTNEED);
}

/* What asks an init to end: there is no command that could be asked. */
static bool asks_to_end(long sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGPWR || sig == POWER_OFF;
}

/* command: 0 for none. */
static _Noreturn void watch(long command, uint32_t flags, long parent)
{
	const uint64_t all = ~UINT64_C(0);
	const bool subreaper = flags & INIT_SUBREAPER;
	int32_t info[32]; /* siginfo_t: number, errno, code */
	int code = -1;

	while (code < 0) {
		long sig = init_call4(__NR_rt_sigtimedwait, &all, info, NULL, SIGNAL_SET_SIZE);

		if (sig == SIGCHLD)
			code = reap(command);
		else if (sig == PARENT_DIED && subreaper && init_call0(__NR_getppid) != parent)
			code = 128 + SIGKILL;
		else if (!command && asks_to_end(sig))
			code = 0;
		else if (command && sig > 0 &&
			 !(sig == PARENT_DIED && subreaper)) /* then only a thread of it ended */
			forward(command, flags, (int)sig, info);
	}
	if (subreaper)
		end_descendants(command);
	leave(code);
}

static _Noreturn void start(struct command *c)
{
	const long parent = init_call0(__NR_getppid);
	const int report_fd = c->report_fd;
	long pid;

	if (c->flags & INIT_BECOME)
		run_command(c);
	if (c->flags & INIT_SUBREAPER) {
		init_call2(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1);
		init_call2(__NR_prctl, PR_SET_PDEATHSIG, PARENT_DIED);
	}
	pid = c->flags & INIT_IDLE ? 0 : init_vfork(CLONE_VM | CLONE_VFORK | SIGCHLD, run_command, c);
	if (pid < 0)
		refuse(report_fd, INIT_STEP_FORK, pid);
	if (c->failed.step)
		report(report_fd, &c->failed);
	init_call3(__NR_write, report_fd, &c->failed, sizeof(c->failed));
	init_call3(__NR_close_range, 0, ~0u, 0);
	drop_stack();
	watch(pid, c->flags, parent);
}

/* "-bash" for /bin/bash. */
static void name_login_shell(char *ret, size_t size, const char *shell)
{
	const char *base = shell;
	size_t i = 1;

	for (; *shell; shell++)
		if (*shell == '/')
			base = shell + 1;
	ret[0] = '-';
	for (; base[i - 1] && i < size - 1; i++)
		ret[i] = base[i - 1];
	ret[i] = '\0';
}

/* Apart from start(), so that a command run as root does not pay for the memory of the lookup. */
static __attribute__((noinline, noreturn)) void start_as_user(struct command *c, const char *spec)
{
	struct init_user user;
	char login_name[64];
	long r = init_user_find(*spec ? spec : "0", "/etc/passwd", "/etc/group", &user);

	if (r < 0)
		refuse(c->report_fd, INIT_STEP_USER, r);
	if (*spec)
		c->user = &user;
	/* Each may take one of the words in front of argv, and the shell of a script one more. */
	_Static_assert(INIT_ARG_COMMAND >= 5, "room for four variables and a shell");
	env_put(c, "HOME=", user.env_home);
	env_put(c, "USER=", user.env_user);
	env_put(c, "LOGNAME=", user.env_logname);
	env_put(c, "SHELL=", user.env_shell);
	if (c->flags & INIT_LOGIN_SHELL) {
		c->shell = init_user_shell(&user);
		name_login_shell(login_name, sizeof(login_name), c->shell);
		c->argv[0] = login_name;
	}
	start(c);
}

_Noreturn void init_main(long *stack)
{
	char **argv = (char **)(stack + 1);
	const char *tty;
	uint32_t fd;
	struct command c = {
		.argv = argv + INIT_ARG_COMMAND,
		.envp = argv + stack[0] + 1,
		.tty_fd = -1,
		.report_fd = -1,
	};

	if (stack[0] <= INIT_ARG_COMMAND)
		refuse(-1, INIT_STEP_ARGS, -EINVAL);
	if (init_number(argv[INIT_ARG_REPORT_FD], init_strlen(argv[INIT_ARG_REPORT_FD]), INT32_MAX, &fd))
		c.report_fd = (int)fd;
	tty = argv[INIT_ARG_TTY_FD];
	if (init_number(tty, init_strlen(tty), INT32_MAX, &fd))
		c.tty_fd = (int)fd;
	else if (!init_starts(tty, "-1"))
		refuse(c.report_fd, INIT_STEP_ARGS, -EINVAL);
	if (!init_number(argv[INIT_ARG_FLAGS], init_strlen(argv[INIT_ARG_FLAGS]), INT32_MAX, &c.flags) ||
	    init_call3(__NR_fcntl, c.report_fd, F_SETFD, FD_CLOEXEC) < 0)
		refuse(c.report_fd, INIT_STEP_ARGS, -EINVAL);
	c.workdir = argv[INIT_ARG_WORKDIR];

	take_signals();
	if (!(c.flags & INIT_KEEP_SESSION))
		init_call0(__NR_setsid);
	init_call2(__NR_prctl, PR_SET_NAME, argv[INIT_ARG_NAME]); /* else it is named after the memfd */
	if (*argv[INIT_ARG_USER] || (c.flags & INIT_LOGIN_SHELL))
		start_as_user(&c, argv[INIT_ARG_USER]);
	start(&c);
}
