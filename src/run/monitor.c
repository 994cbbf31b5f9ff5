/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/monitor.c - follows a sandbox to its end: one poll() over init's pidfd, the caller's signals and the
 * terminal.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "run/sandbox.h"
#include "sys/sys.h"
#include "tty/proxy.h"

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };

/* What is watched, in this order; the terminal's come last. */
enum { WATCH_INIT, WATCH_SIGNALS, WATCH_TTY };

static int reap(struct sandbox *sb, struct kennel_error **err)
{
	siginfo_t info = { 0 };

	while (sys_waitid_pidfd(sb->init_pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the sandbox");
	sb->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	sb->ended = true;
	return 0;
}

int sandbox_wait(struct sandbox *sb, int timeout_ms, int *ret_status, struct kennel_error **err)
{
	struct pollfd fd = { .fd = sb->init_pidfd, .events = POLLIN };

	if (!sb->ended) {
		int n = poll(&fd, 1, timeout_ms);

		if (n < 0 && errno != EINTR)
			return fail_errno(err, "wait for the sandbox");
		if (n <= 0)
			return 0;
		int r = reap(sb, err);
		if (r < 0)
			return r;
	}
	*ret_status = sb->status;
	return 1;
}

static void forward(struct sandbox *sb, int signal_fd, struct tty_proxy *proxy)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
		/* After a stop of ours somebody else may have changed the terminal's modes. */
		if (((int)info.ssi_signo == SIGWINCH || (int)info.ssi_signo == SIGCONT) && proxy)
			tty_proxy_resize(proxy);
		if ((int)info.ssi_signo != SIGWINCH || !proxy)
			(void)!sys_pidfd_send_signal(sb->init_pidfd, (int)info.ssi_signo, 0);
	}
}

/* The caller's terminal went away: what a shell does then, a hangup, and the end if that is not heard. */
static int terminal_gone(struct sandbox *sb, int r, struct kennel_error **err)
{
	struct pollfd fd = { .fd = sb->init_pidfd, .events = POLLIN };
	int status;

	(void)!sys_pidfd_send_signal(sb->init_pidfd, SIGHUP, 0);
	if (poll(&fd, 1, 2000) <= 0)
		(void)!sys_pidfd_send_signal(sb->init_pidfd, SIGKILL, 0);
	(void)!sandbox_wait(sb, -1, &status, NULL);
	return wrap(err, r, "follow the sandbox");
}

static int follow(struct sandbox *sb, int signal_fd, struct tty_proxy *proxy, struct kennel_error **err)
{
	bool proxy_open = proxy != NULL;

	for (;;) {
		struct pollfd fds[WATCH_TTY + TTY_PROXY_FDS] = {
			[WATCH_INIT] = { .fd = sb->init_pidfd, .events = POLLIN },
			[WATCH_SIGNALS] = { .fd = signal_fd, .events = POLLIN },
		};
		unsigned n_tty = proxy_open ? tty_proxy_poll(proxy, fds + WATCH_TTY) : 0;

		if (poll(fds, WATCH_TTY + n_tty, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(err, "wait for the sandbox");
		}
		if (fds[WATCH_SIGNALS].revents)
			forward(sb, signal_fd, proxy);
		if (n_tty) {
			int r = tty_proxy_dispatch(proxy, fds + WATCH_TTY, n_tty, err);

			if (r < 0)
				return terminal_gone(sb, r, err);
			proxy_open = r > 0;
		}
		if (fds[WATCH_INIT].revents) {
			if (proxy)
				tty_proxy_drain(proxy);
			return reap(sb, err);
		}
	}
}

int sandbox_run(struct sandbox *sb, int *ret_status, struct kennel_error **err)
{
	struct tty_proxy *proxy = NULL;
	sigset_t set, old;
	int r = 0;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	_cleanup_close_ int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		r = fail_errno(err, "receive signals");
	if (r == 0 && sb->master_fd >= 0)
		r = tty_proxy_new(STDIN_FILENO, STDOUT_FILENO, sb->master_fd, &proxy, err);
	if (r == 0)
		r = follow(sb, signal_fd, proxy, err);
	tty_proxy_free(proxy);
	/*
	 * A signal that came last was meant for the sandbox, which is over: it must not end us once it is
	 * unblocked.
	 */
	for (struct signalfd_siginfo info;
	     signal_fd >= 0 && read(signal_fd, &info, sizeof(info)) == sizeof(info);)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		*ret_status = sb->status;
	return r;
}
