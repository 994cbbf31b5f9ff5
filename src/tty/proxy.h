/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tty/proxy.h - carries bytes between the caller's terminal and the sandbox's own one.
 *
 * The sandbox never holds the caller's terminal: it gets a pty of its own devpts and we copy. Raw mode and blocking mode of the
 * caller's terminal are put back by tty_proxy_free(), whatever happened before. No threads, no signals: the owner polls.
 */
#ifndef KENNEL_TTY_PROXY_H
#define KENNEL_TTY_PROXY_H

#include <poll.h>
#include <stdbool.h>

#include "base/error.h"

struct tty_proxy;

/*
 * in_fd and out_fd (borrowed) are the caller's terminal; master_fd (borrowed) the sandbox's pty master. Sets raw mode on in_fd
 * and copies the window size. Return: 0 or a negative code.
 */
int tty_proxy_new(int in_fd, int out_fd, int master_fd, struct tty_proxy **ret, struct kennel_error **err) MUST_CHECK;

/* Fills up to 3 pollfds with what the proxy waits for now; returns how many. */
#define TTY_PROXY_FDS 3
unsigned tty_proxy_poll(const struct tty_proxy *p, struct pollfd fds[TTY_PROXY_FDS]);
/* Handles what poll() said of them. Return: 1 go on, 0 both sides are done, or a negative code (terminal gone). */
int tty_proxy_dispatch(struct tty_proxy *p, const struct pollfd *fds, unsigned n, struct kennel_error **err) MUST_CHECK;
/* After SIGWINCH: copies the window size. */
void tty_proxy_resize(struct tty_proxy *p);
/* After the sandbox ended: what still is in the pty goes to the terminal (bounded in time). */
void tty_proxy_drain(struct tty_proxy *p);
/* Puts the terminal back. NULL is fine. Return: NULL. */
struct tty_proxy *tty_proxy_free(struct tty_proxy *p);

#endif
