/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/list-tree.c - see list-tree.h. */
#include "cli/list-tree.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/facts.h"

#define DEPTH_MAX 64u /* of what is drawn: an origin that somebody wrote could be a circle */

struct tree {
	struct buf *b;
	const struct kennel_list *l;
	bool plain;
	struct buf lead; /* of the branches that go on */
	unsigned depth;
};

void snapshot_time(struct buf *b, const char *seconds)
{
	char text[32];
	uint64_t t;
	struct tm tm;

	if (!seconds || parse_u64(seconds, &t) < 0 || t == 0) {
		buf_puts(b, "-");
		return;
	}
	time_t at = (time_t)t;
	if (localtime_r(&at, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm))
		buf_puts(b, text);
}

void snapshot_line(struct buf *b, const char *line)
{
	_cleanup_free_ char *copy = strdup(line);
	char *rest = copy;
	const char *name = strsep(&rest, "\t"), *taken = strsep(&rest, "\t");

	buf_safe(b, name ? name : "");
	buf_puts(b, "  ");
	snapshot_time(b, taken);
	if (rest && *rest) {
		buf_puts(b, "  ");
		buf_safe(b, rest);
	}
	buf_puts(b, "\n");
}

static size_t push(struct tree *t, bool last)
{
	size_t len = t->lead.len;

	buf_puts(t->b, buf_str(&t->lead));
	buf_puts(t->b, t->plain ? (last ? "`- " : "|- ") : (last ? "└─ " : "├─ "));
	buf_puts(&t->lead, last ? "   " : t->plain ? "|  " : "│  ");
	return len;
}

static void pop(struct tree *t, size_t len)
{
	t->lead.len = len;
	if (t->lead.data)
		t->lead.data[len] = '\0';
}

static const char *origin_of(const struct tree *t, size_t i)
{
	return kennel_list_value(t->l, i, "origin");
}

static size_t count_children(const struct tree *t, size_t of)
{
	size_t n = 0;

	for (size_t i = 0; i < kennel_list_count(t->l); i++)
		n += origin_of(t, i) && strcmp(origin_of(t, i), fact_text(t->l, of, "name")) == 0;
	return n;
}

static void draw(struct tree *t, size_t i);

static void draw_below(struct tree *t, size_t of)
{
	size_t left = count_children(t, of);
	const char *line;

	for (size_t n = 0; (line = kennel_list_detail(t->l, of, "snapshot", n)); n++) {
		bool last = !left && !kennel_list_detail(t->l, of, "snapshot", n + 1);
		size_t len = push(t, last);

		buf_puts(t->b, "@");
		snapshot_line(t->b, line);
		pop(t, len);
	}
	for (size_t i = 0; i < kennel_list_count(t->l); i++) {
		if (!origin_of(t, i) || strcmp(origin_of(t, i), fact_text(t->l, of, "name")) != 0)
			continue;
		size_t len = push(t, --left == 0);
		draw(t, i);
		pop(t, len);
	}
}

static void draw(struct tree *t, size_t i)
{
	buf_safe(t->b, fact_text(t->l, i, "name"));
	buf_printf(t->b, "  %s\n", fact_text(t->l, i, "state"));
	if (t->depth == DEPTH_MAX)
		return;
	t->depth++;
	draw_below(t, i);
	t->depth--;
}

void list_tree(struct buf *b, const struct kennel_list *containers, bool plain)
{
	struct tree t = { .b = b, .l = containers, .plain = plain };

	for (size_t i = 0; i < kennel_list_count(containers); i++)
		if (!origin_of(&t, i))
			draw(&t, i);
	buf_done(&t.lead);
}
