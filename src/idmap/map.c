/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* idmap/map.c - see map.h. */
#include "idmap/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "idmap/user.h"

/* (uid_t)-1 is no id. */
static bool fits(uint32_t first, uint32_t count)
{
	return (uint64_t)first + count <= UINT32_MAX;
}

static bool meet(uint32_t a, uint32_t a_count, uint32_t b, uint32_t b_count)
{
	return a < (uint64_t)b + b_count && b < (uint64_t)a + a_count;
}

int idmap_lines_add_range(struct idmap_lines *l, const struct idmap_line *line, struct kennel_error **err)
{
	if (!line->count)
		return fail(err, KENNEL_E_INVALID, "a range of no ids");
	if (!fits(line->inside, line->count) || !fits(line->outside, line->count))
		return fail(err, KENNEL_E_INVALID, "%u ids from %u on are more than there are", line->count,
			    line->inside > line->outside ? line->inside : line->outside);
	for (size_t i = 0; i < l->n; i++) {
		const struct idmap_line *o = &l->items[i];

		if (meet(o->inside, o->count, line->inside, line->count))
			return fail(err, KENNEL_E_INVALID,
				    "the ids inside of %u:%u:%u are mapped already by %u:%u:%u", line->inside,
				    line->outside, line->count, o->inside, o->outside, o->count);
		if (meet(o->outside, o->count, line->outside, line->count))
			return fail(err, KENNEL_E_INVALID,
				    "the ids outside of %u:%u:%u are taken already by %u:%u:%u", line->inside,
				    line->outside, line->count, o->inside, o->outside, o->count);
	}
	if (l->n == IDMAP_LINES_MAX)
		return fail(err, KENNEL_E_INVALID, "the kernel takes %u ranges at most", IDMAP_LINES_MAX);
	l->items[l->n++] = *line;
	return 0;
}

int idmap_lines_add(struct idmap_lines *l, const char *word, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(word);
	struct idmap_line line = { .count = 1 };

	if (!copy)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	char *outside = strchr(copy, ':'), *count = outside ? strchr(outside + 1, ':') : NULL;
	if (outside)
		*outside++ = '\0';
	if (count)
		*count++ = '\0';
	if (!outside || parse_u32(copy, &line.inside) < 0 || parse_u32(outside, &line.outside) < 0 ||
	    (count && parse_u32(count, &line.count) < 0))
		return hint(err, fail(err, KENNEL_E_INVALID, "\"%s\" is no range of ids", word),
			    "it is INSIDE:OUTSIDE:COUNT, such as 0:100000:65536");
	return idmap_lines_add_range(l, &line, err);
}

int idmap_lines_find(const struct idmap_lines *l, uint32_t inside, uint32_t *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct idmap_line *o = &l->items[i];

		if (inside < o->inside || inside - o->inside >= o->count)
			continue;
		*ret = o->outside + (inside - o->inside);
		return 1;
	}
	return 0;
}

void idmap_lines_format(const struct idmap_lines *l, struct buf *b)
{
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, "%u %u %u\n", l->items[i].inside, l->items[i].outside, l->items[i].count);
}

int idmap_lines_parse(struct idmap_lines *l, const char *text, struct kennel_error **err)
{
	struct idmap_line line;
	int used, r = 0;

	for (; r == 0 && sscanf(text, "%u %u %u%n", &line.inside, &line.outside, &line.count, &used) == 3;
	     text += used)
		r = idmap_lines_add_range(l, &line, err);
	return r;
}

static bool is_only(const struct idmap_lines *l, uint32_t own)
{
	return l->n == 1 && l->items[0].count == 1 && l->items[0].outside == own;
}

static int write_lines(int proc_pid_fd, const char *name, const struct idmap_lines *l,
		       struct kennel_error **err)
{
	_cleanup_buf_ struct buf b = { 0 };

	idmap_lines_format(l, &b);
	int r = buf_check(&b, err);
	return r < 0 ? r : idmap_write_file(proc_pid_fd, name, buf_str(&b), err);
}

static int put_words(const struct idmap_lines *l, struct strv *ret, struct kennel_error **err)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		r = strv_addf(ret, err, "%u", l->items[i].inside);
		if (r == 0)
			r = strv_addf(ret, err, "%u", l->items[i].outside);
		if (r == 0)
			r = strv_addf(ret, err, "%u", l->items[i].count);
	}
	return r;
}

int idmap_lines_write(pid_t pid, int proc_pid_fd, const struct idmap_lines *users,
		      const struct idmap_lines *groups, struct kennel_error **err)
{
	_cleanup_strv_ struct strv user_words = { 0 }, group_words = { 0 };
	const bool alone = is_only(users, geteuid()) && is_only(groups, getegid());
	int r;

	if (geteuid() == 0 || alone) {
		r = alone ? idmap_write_file(proc_pid_fd, "setgroups", "deny", err) : 0;
		if (r == 0)
			r = write_lines(proc_pid_fd, "uid_map", users, err);
		return r < 0 ? r : write_lines(proc_pid_fd, "gid_map", groups, err);
	}
	r = put_words(users, &user_words, err);
	if (r == 0)
		r = put_words(groups, &group_words, err);
	return r < 0 ? r : idmap_user_write_words(pid, &user_words, &group_words, err);
}
