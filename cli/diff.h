/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/diff.h - the shapes in which "kennel diff" shows changes. */
#ifndef KENNEL_CLI_DIFF_H
#define KENNEL_CLI_DIFF_H

#include <kennel/kennel.h>

#include "cli/cli.h"

struct diff_stat_row {
	char *top; /* "/usr"; "/" for what lies there itself */
	uint64_t count[4]; /* by kind */
	uint64_t bytes; /* of files that were added or changed in content, as they are now */
};

struct diff_stat {
	struct diff_stat_row *rows;
	size_t n;
};

struct diff_out {
	struct cli *cli;
	struct kennel_delta *delta;
	struct buf b;
	uint64_t n; /* changes so far */
	bool terminal; /* out is one */
	bool failed; /* to write; said already */
	struct kennel_error *err;
	struct diff_stat stat;
};

/* Writes what has gathered, if that is enough. Return: 0, or 1 it can't be written. */
int diff_flush(struct diff_out *o, size_t at_least);

/* diff-json.c: one object, without a newline. */
void diff_json(struct diff_out *o, const struct kennel_change *c);
void diff_json_package(struct buf *b, const struct kennel_package *p);

/* diff-content.c: a header and the hunks, or a line that says why there are none. Sets o->err. */
int diff_content(struct diff_out *o, const struct kennel_change *c) MUST_CHECK;

/* diff-stat.c */
int diff_stat_add(struct diff_stat *s, const struct kennel_change *c, struct kennel_error **err) MUST_CHECK;
void diff_stat_table(const struct diff_stat *s, struct buf *b);
void diff_stat_json(const struct diff_stat *s, struct buf *b);
void diff_stat_done(struct diff_stat *s);

#endif
