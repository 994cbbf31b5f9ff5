/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* run/follow.c - see follow.h. */
#include "run/follow.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "run/init.h"
#include "sys/sys.h"
#include "tty/proxy.h"
#include "vm/blob.h"

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };

/* linux/pidfd.h, Linux 6.9 */
#define PIDFD_TO_GROUP (1u << 2)

/* What is watched, in this order; the terminal's come last. */
enum { WATCH_PROCESS, WATCH_HOST, WATCH_SIGNALS, WATCH_WORD, WATCH_TTY };

int follow_reap(int pidfd, int *ret_status, struct kennel_error **err)
{
	siginfo_t info = { 0 };

	while (sys_waitid_pidfd(pidfd, &info, WEXITED | __WALL) < 0)
		if (errno != EINTR)
			return fail_errno(err, "wait for the sandbox");
	*ret_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	return 0;
}

/* Interrupt and quit come from a keyboard, which reaches all of the foreground: the command's group. */
static void send_on(const struct follow *f, int sig)
{
	if (f->leads && (sig == SIGINT || sig == SIGQUIT) &&
	    sys_pidfd_send_signal(f->pidfd, sig, PIDFD_TO_GROUP) == 0)
		return;
	(void)!sys_pidfd_send_signal(f->pidfd, sig, 0);
}

static void forward(const struct follow *f, int signal_fd, struct tty_proxy *proxy)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
		/* After a stop of ours somebody else may have changed the terminal's modes. */
		if (((int)info.ssi_signo == SIGWINCH || (int)info.ssi_signo == SIGCONT) && proxy)
			tty_proxy_resize(proxy);
		if (f->shares && info.ssi_code == SI_KERNEL)
			continue;
		if ((int)info.ssi_signo != SIGWINCH || !proxy)
			send_on(f, (int)info.ssi_signo);
	}
}

/* The caller's terminal went away: what a shell does then, a hangup, and the end if that is not heard. */
static int terminal_gone(const struct follow *f, int r, int *ret_status, struct kennel_error **err)
{
	struct pollfd fd = { .fd = f->pidfd, .events = POLLIN };

	(void)!sys_pidfd_send_signal(f->pidfd, SIGHUP, 0);
	if (poll(&fd, 1, 2000) <= 0)
		(void)!sys_pidfd_send_signal(f->pidfd, SIGKILL, 0);
	(void)!follow_reap(f->pidfd, ret_status, NULL);
	return wrap(err, r, "follow the sandbox");
}

bool follow_hear(int word_fd, int *ret_status)
{
	struct init_report r;

	if (read(word_fd, &r, sizeof(r)) != sizeof(r) || r.step != VM_STEP_ENDED)
		return false;
	*ret_status = r.errnum;
	return true;
}

static int follow(const struct follow *f, int signal_fd, struct tty_proxy *proxy, int *ret_status,
		  struct kennel_error **err)
{
	bool proxy_open = proxy != NULL;
	int host_pidfd = f->host_pidfd, word_fd = f->word_fd;

	for (;;) {
		struct pollfd fds[WATCH_TTY + TTY_PROXY_FDS] = {
			[WATCH_PROCESS] = { .fd = f->pidfd, .events = POLLIN },
			[WATCH_HOST] = { .fd = host_pidfd, .events = POLLIN },
			[WATCH_SIGNALS] = { .fd = signal_fd, .events = POLLIN },
			[WATCH_WORD] = { .fd = word_fd, .events = POLLIN },
		};
		unsigned n_tty = proxy_open ? tty_proxy_poll(proxy, fds + WATCH_TTY) : 0;

		if (poll(fds, WATCH_TTY + n_tty, -1) < 0) {
			if (errno == EINTR)
				continue;
			return fail_errno(err, "wait for the sandbox");
		}
		if (fds[WATCH_SIGNALS].revents)
			forward(f, signal_fd, proxy);
		if (fds[WATCH_HOST].revents) {
			(void)!sys_pidfd_send_signal(f->pidfd, SIGKILL, 0);
			host_pidfd = -EBADF;
		}
		if (n_tty) {
			int r = tty_proxy_dispatch(proxy, fds + WATCH_TTY, n_tty, err);

			if (r < 0)
				return terminal_gone(f, r, ret_status, err);
			proxy_open = r > 0;
		}
		const bool said = fds[WATCH_WORD].revents && follow_hear(word_fd, ret_status);
		if (proxy && (fds[WATCH_PROCESS].revents || said))
			tty_proxy_drain(proxy);
		if (fds[WATCH_PROCESS].revents)
			return follow_reap(f->pidfd, ret_status, err);
		if (said)
			return 1;
		if (fds[WATCH_WORD].revents)
			word_fd = -EBADF;
	}
}

static void all_forwarded(sigset_t *ret)
{
	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(ret, forwarded[i]);
}

void follow_hold(sigset_t *ret_old)
{
	sigset_t set;

	all_forwarded(&set);
	sigprocmask(SIG_BLOCK, &set, ret_old);
}

int follow_process(const struct follow *f, int *ret_status, struct kennel_error **err)
{
	struct tty_proxy *proxy = NULL;
	sigset_t set, old;
	int r = 0;

	all_forwarded(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	_cleanup_close_ int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		r = fail_errno(err, "receive signals");
	if (r == 0 && f->master_fd >= 0)
		r = tty_proxy_new(STDIN_FILENO, STDOUT_FILENO, f->master_fd, &proxy, err);
	if (r == 0)
		r = follow(f, signal_fd, proxy, ret_status, err);
	tty_proxy_free(proxy);
	/*
	 * A signal that came last was meant for the sandbox, which is over: it must not end us once it is
	 * unblocked.
	 */
	for (struct signalfd_siginfo info;
	     signal_fd >= 0 && read(signal_fd, &info, sizeof(info)) == sizeof(info);)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
