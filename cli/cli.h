/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/cli.h - what every command shares: where it writes, and how a failure looks.
 *
 * Text from outside (names, commands, paths, errors that quote them) reaches a terminal only through
 * buf_safe(), so no file name can move the cursor or change the window's title. cli_error() and cli_say()
 * see to it by themselves; tables and JSON are built in a struct buf and written in one go.
 */
#ifndef KENNEL_CLI_CLI_H
#define KENNEL_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define CLI_EXIT_FAILED 125
#define CLI_EXIT_CANCELLED 130 /* as after ^C: a person decided not to */

struct cli {
	int out_fd, err_fd;
	bool colour;            /* on err_fd */
	bool out_colour;        /* on out_fd */
	bool paged; /* out_fd leads to a pager on the terminal */
};

/*
 * The process's own descriptors; colour where they are a terminal and NO_COLOR does not forbid it.
 */
void cli_init(struct cli *cli);

/* The whole program behind main(): argv with the program's name in front. Return: exit code. */
int cli_main(struct cli *cli, char *const *argv);

/* Writes what a command has to tell to standard output. Return: exit code, 125 where it can't be written. */
int cli_out(struct cli *cli, const struct buf *text);

/* "kennel: SENTENCE" and, where there is one, "hint: ADVICE". Return: 125, the exit code. */
int cli_error(struct cli *cli, const struct kennel_error *err);

/* "kennel: TEXT" on standard error; end is "\n", or "\r\n" while the terminal is in raw mode. */
void cli_say(struct cli *cli, const char *text, const char *end);

/* Columns of the terminal that out_fd is, or 0 where it is none. */
size_t cli_width(const struct cli *cli);

/* Does a person read what goes there? */
bool cli_is_terminal(const struct cli *cli);

/* Columns that text takes as buf_safe() writes it (one for each character). */
size_t text_width(const char *text);
/* Appends text as buf_safe() does, filled up to width with spaces, or cut to it with "..." at the end. */
void text_pad(struct buf *b, const char *text, size_t width);
void text_cut(struct buf *b, const char *text, size_t width);
/* "5s", "3m", "2h", "4d" for a number of seconds. */
void text_age(struct buf *b, uint64_t seconds);
/* "0B", "1.5K", "20M", ... for a number of bytes. */
void text_size(struct buf *b, uint64_t bytes);

#endif
