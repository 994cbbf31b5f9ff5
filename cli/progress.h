/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cli/progress.h - a bar with rate and time left, for work that may take long; and the way to stop it.
 *
 *   struct progress p;
 *   progress_start(&p, cli, "writing \"x.tar\"");
 *   int r = kennel_something(..., progress_tick, &p, &err);
 *   progress_end(&p);
 *
 * Nothing is shown in the first second, nor where standard error is no terminal. SIGINT, SIGTERM and SIGHUP
 * are blocked in between and asked for by progress_tick(), which then says "stop" to the library: so the
 * library takes back what is half made, and no handler has to.
 */
#ifndef KENNEL_CLI_PROGRESS_H
#define KENNEL_CLI_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

enum progress_unit {
	PROGRESS_BYTES,
	PROGRESS_FILES,
	PROGRESS_SHIPPED, /* bytes; while the total is not known, files that were looked at */
	PROGRESS_STEPS, /* each with a text */
};

struct progress {
	struct cli *cli;
	const char *what;       /* borrowed: "writing \"x.tar\"" */
	enum progress_unit unit;
	const char *step; /* of PROGRESS_STEPS: what it is at, or NULL */
	bool tty, shown, stopping;
	int stopped_by;         /* a signal, or 0 */
	uint64_t start_ms, drawn_ms;
	uint64_t last_done;     /* at drawn_ms */
	uint64_t full_ms;       /* when all was done, as far as it is counted; 0: not yet */
	uint64_t finishing_ms;  /* for how long that is so */
	double rate;            /* a second, smoothed */
	sigset_t before;
};

void progress_start(struct progress *p, struct cli *cli, const char *what, enum progress_unit unit);
/* The library's callback; total 0: not known. Return: 0 go on, 1 stop. */
int progress_tick(void *progress, uint64_t done, uint64_t total);
/* The same of something that tells its steps: text is what it is at, NULL while it counts bytes. */
int progress_step(void *progress, const char *text, uint64_t done, uint64_t total);
/* A line above the bar, with something in front. */
void progress_say(struct progress *p, const char *line);
/* Takes the bar away and gives the signals back. */
void progress_end(struct progress *p);

/* One line of the bar, as wide as columns at most; rate 0 is left out. For progress_tick() and its test. */
void progress_line(struct buf *b, const struct progress *p, uint64_t done, uint64_t total, size_t columns);

#endif
