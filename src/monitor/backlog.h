/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitor/backlog.h - what a terminal has shown lately: a ring that many read, each from a place of its
 * own.
 */
#ifndef KENNEL_MONITOR_BACKLOG_H
#define KENNEL_MONITOR_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

#define BACKLOG_SIZE (64u << 10)

struct backlog {
	uint64_t written; /* since the beginning */
	char ring[BACKLOG_SIZE];
};

void backlog_add(struct backlog *b, const void *data, size_t n);
/* The oldest place that is still there. */
uint64_t backlog_oldest(const struct backlog *b);
/* What stands at a place, in one piece; *ret_n 0: nothing yet. The place is not older than the oldest. */
const char *backlog_at(const struct backlog *b, uint64_t place, size_t *ret_n);

#endif
