/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tty/tty.h - the questions about terminals that others ask. */
#ifndef KENNEL_TTY_TTY_H
#define KENNEL_TTY_TTY_H

#include <stdbool.h>

/* Unlike isatty(), also false for a terminal that has hung up. */
bool tty_is_terminal(int fd);

#endif
