/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/leave.h - the question at the end of an interactive throwaway: what becomes of the changes. */
#ifndef KENNEL_CLI_LEAVE_H
#define KENNEL_CLI_LEAVE_H

#include <kennel/kennel.h>

#include "cli/cli.h"

/*
 * Asks on the terminal until there is an answer that can be carried out, and carries it out: keep, view,
 * commit, or nothing (discard: what a bare Enter, the end of input and a hangup mean). The sandbox has ended
 * and is still there. spec: what it was started with; changes: how many files.
 */
void leave_ask(struct cli *cli, struct kennel_sandbox *sb, const struct kennel_spec *spec, uint64_t changes);

/* "3 changed files", "1 changed file". */
void leave_count(struct buf *b, uint64_t changes);

/* One answer, as words: pure. */
enum leave_verb { LEAVE_DISCARD, LEAVE_KEEP, LEAVE_VIEW, LEAVE_COMMIT, LEAVE_UNKNOWN };
/* *ret_name points into line behind the verb of "k NAME", or to an empty string. Changes line. */
enum leave_verb leave_parse(char *line, const char **ret_name);

#endif
