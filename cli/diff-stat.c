/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/diff-stat.c - numbers of changes for each directory at the top. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/change.h"
#include "cli/diff.h"
#include "cli/json.h"

#define NUMBER_WIDTH 9

/* Changes come in the order of a tree, so the row is the last one, or that of "/", or new. */
static struct diff_stat_row *row_of(struct diff_stat *s, const char *path, struct kennel_error **err)
{
	size_t len = 1 + strcspn(path + 1, "/");
	bool at_top = !path[len];
	const char *top = path;

	/* A file at the top is counted with "/", a directory that anything was changed in has its own row. */
	for (size_t i = s->n; i-- > 0;)
		if (strncmp(s->rows[i].top, top, len) == 0 && !s->rows[i].top[len])
			return &s->rows[i];
	if (at_top) {
		len = 1;
		top = "/";
		if (s->n && strcmp(s->rows[0].top, "/") == 0)
			return &s->rows[0];
	}
	struct diff_stat_row *rows = reallocarray(s->rows, s->n + 1, sizeof(*rows));
	char *copy = strndup(top, len);
	if (rows)
		s->rows = rows;
	if (!rows || !copy) {
		free(copy);
		fail(err, KENNEL_E_NOMEM, "out of memory");
		return NULL;
	}
	size_t at = s->n++;
	if (at_top) {
		memmove(rows + 1, rows, at * sizeof(*rows));
		at = 0;
	}
	rows[at] = (struct diff_stat_row){ .top = copy };
	return &rows[at];
}

int diff_stat_add(struct diff_stat *s, const struct kennel_change *c, struct kennel_error **err)
{
	struct diff_stat_row *row = row_of(s, c->path, err);

	if (!row)
		return -KENNEL_E_NOMEM;
	row->count[c->kind]++;
	if (c->after && S_ISREG(c->after->st_mode) && !(c->bits & KENNEL_CHANGE_HARDLINK) &&
	    (c->kind != KENNEL_CHANGED || c->bits & KENNEL_CHANGE_CONTENT))
		row->bytes += (uint64_t)c->after->st_size;
	return 0;
}

static struct diff_stat_row total_of(const struct diff_stat *s)
{
	struct diff_stat_row total = { .top = (char *)"total" };

	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(total.count); k++)
			total.count[k] += s->rows[i].count[k];
		total.bytes += s->rows[i].bytes;
	}
	return total;
}

static void add_bytes(struct buf *b, uint64_t bytes)
{
	static const char units[] = " KMGTPE";
	uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
	unsigned unit = 0;

	for (; tenths >= 10240; tenths /= 1024)
		unit++;
	if (!unit)
		buf_printf(b, "%*llu", NUMBER_WIDTH, (unsigned long long)bytes);
	else
		buf_printf(b, "%*llu.%llu%c", NUMBER_WIDTH - 3, (unsigned long long)tenths / 10,
			   (unsigned long long)tenths % 10, units[unit]);
}

static void add_row(struct buf *b, const struct diff_stat_row *row, size_t width)
{
	text_pad(b, row->top, width);
	for (size_t k = 0; k < ARRAY_SIZE(row->count); k++)
		buf_printf(b, "%*llu", NUMBER_WIDTH, (unsigned long long)row->count[k]);
	add_bytes(b, row->bytes);
	buf_puts(b, "\n");
}

void diff_stat_table(const struct diff_stat *s, struct buf *b)
{
	const struct diff_stat_row total = total_of(s);
	size_t width = strlen(total.top);

	for (size_t i = 0; i < s->n; i++)
		width = MAX(width, text_width(s->rows[i].top));
	text_pad(b, "", width);
	for (size_t k = 0; k < ARRAY_SIZE(total.count); k++)
		buf_printf(b, "%*s", NUMBER_WIDTH, change_kind_word((enum kennel_change_kind)k));
	buf_printf(b, "%*s\n", NUMBER_WIDTH, "bytes");
	for (size_t i = 0; i < s->n; i++)
		add_row(b, &s->rows[i], width);
	add_row(b, &total, width);
}

static void add_json_row(struct buf *b, const struct diff_stat_row *row, const char *path)
{
	buf_puts(b, "{");
	if (path)
		json_member(b, "path", path, false);
	for (size_t k = 0; k < ARRAY_SIZE(row->count); k++) {
		json_key(b, change_kind_word((enum kennel_change_kind)k));
		buf_printf(b, "%llu", (unsigned long long)row->count[k]);
	}
	json_key(b, "bytes");
	buf_printf(b, "%llu}", (unsigned long long)row->bytes);
}

void diff_stat_json(const struct diff_stat *s, struct buf *b)
{
	const struct diff_stat_row total = total_of(s);

	buf_puts(b, "{\"total\": ");
	add_json_row(b, &total, NULL);
	buf_puts(b, ",\n \"top\": [");
	for (size_t i = 0; i < s->n; i++) {
		buf_puts(b, i ? ",\n  " : "\n  ");
		add_json_row(b, &s->rows[i], s->rows[i].top);
	}
	buf_puts(b, "]}\n");
}

void diff_stat_done(struct diff_stat *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->rows[i].top);
	free(s->rows);
}
