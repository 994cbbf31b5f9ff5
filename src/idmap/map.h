/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * idmap/map.h - any map of ids, as somebody asked for it: INSIDE:OUTSIDE:COUNT, one range after the other.
 *
 * A sandbox has one range (idmap.h, user.h); this is for who wants to say it all, and for what other tools'
 * configurations say. Pure, but for the last function.
 */
#ifndef KENNEL_IDMAP_MAP_H
#define KENNEL_IDMAP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

#define IDMAP_LINES_MAX 340u /* user_namespaces(7) */

struct idmap_line {
	uint32_t inside, outside, count;
};

struct idmap_lines {
	struct idmap_line items[IDMAP_LINES_MAX];
	size_t n;
};

/*
 * Adds INSIDE:OUTSIDE[:COUNT]; without a count it is 1. Return: 0, or INVALID with a sentence: not of this
 * form, none or too many ids, a range that has an id in common with an earlier one on either side, a line too
 * many.
 */
int idmap_lines_add(struct idmap_lines *l, const char *word, struct kennel_error **err) MUST_CHECK;
int idmap_lines_add_range(struct idmap_lines *l, const struct idmap_line *line, struct kennel_error **err)
	MUST_CHECK;

/* What an id of the inside is outside. Return: 1 and *ret, or 0 nothing. */
int idmap_lines_find(const struct idmap_lines *l, uint32_t inside, uint32_t *ret);

/* As the kernel takes and shows it. */
void idmap_lines_format(const struct idmap_lines *l, struct buf *b);
/* What the kernel shows; what is no line ends it. */
int idmap_lines_parse(struct idmap_lines *l, const char *text, struct kennel_error **err) MUST_CHECK;

/*
 * Maps a process that was just cloned into a new user namespace: root by writing, others by newuidmap and
 * newgidmap (user.h); where it is nothing but their own user and their own group, by writing, with setgroups
 * denied first.
 */
int idmap_lines_write(pid_t pid, int proc_pid_fd, const struct idmap_lines *users,
		      const struct idmap_lines *groups, struct kennel_error **err) MUST_CHECK;

#endif
