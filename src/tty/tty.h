/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tty/tty.h - the questions about terminals that others ask. */
#ifndef KENNEL_TTY_TTY_H
#define KENNEL_TTY_TTY_H

#include <stdbool.h>
#include <sys/ioctl.h>

/*
 * What a new terminal gets before anybody runs on it: set later, the first program would already have asked
 * for the size, or set modes of its own, which would be lost.
 */
struct tty_start {
	struct winsize size;
	char modes[64];         /* the kernel's struct termios, for TCSETS; libc's is another one */
	bool has_size, has_modes;
};

/* As the caller's terminal has it, as far as it is one. */
void tty_start_read(struct tty_start *ret, int in_fd, int out_fd);

/* Unlike isatty(), also false for a terminal that has hung up. */
bool tty_is_terminal(int fd);

#endif
