/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tty/proxy.h - carries bytes between the caller's terminal and the sandbox's own one.
 *
 * The sandbox never holds the caller's terminal: it gets a pty of its own devpts and we copy. Raw mode and
 * blocking mode of the caller's terminal are put back by tty_proxy_free(), whatever happened before. No
 * threads, no signals: the owner polls.
 */
#ifndef KENNEL_TTY_PROXY_H
#define KENNEL_TTY_PROXY_H

#include <poll.h>
#include <stdbool.h>

#include "base/error.h"

struct tty_proxy;

/*
 * in_fd and out_fd (borrowed) are the caller's terminal; master_fd (borrowed) the sandbox's pty master. Sets
 * raw mode on in_fd and copies the window size. The modes of the sandbox's terminal are its own, see
 * tty_start. Makes master_fd non-blocking. An in_fd that is no terminal is copied too, with an end-of-file
 * key at its end. Return: 0 or a negative code.
 */
int tty_proxy_new(int in_fd, int out_fd, int master_fd, struct tty_proxy **ret, struct kennel_error **err)
	MUST_CHECK;

/*
 * Fills 3 pollfds (negative descriptors for what is not waited for) and returns 3; dispatch wants them in the
 * same order.
 */
#define TTY_PROXY_FDS 3
unsigned tty_proxy_poll(const struct tty_proxy *p, struct pollfd fds[TTY_PROXY_FDS]);
/*
 * Handles what poll() said of them. Return: 1 go on, 0 both sides are done, or a negative code (terminal
 * gone). While the sandbox lives its side is never done: programs that close their terminal may open it
 * again.
 */
int tty_proxy_dispatch(struct tty_proxy *p, const struct pollfd *fds, unsigned n, struct kennel_error **err)
	MUST_CHECK;
/*
 * After SIGWINCH and SIGCONT: copies the window size, and sets raw mode again where a shell had put its own
 * back.
 */
void tty_proxy_resize(struct tty_proxy *p);
/* After the sandbox ended: what still is in the pty goes to the terminal (bounded in time). */
void tty_proxy_drain(struct tty_proxy *p);
/* Puts the terminal back. NULL is fine. Return: NULL. */
struct tty_proxy *tty_proxy_free(struct tty_proxy *p);

#endif
