/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * delta/text.c - see text.h.
 *
 * Lines become numbers, equal lines the same one; then the algorithm of Eugene W. Myers ("An O(ND) difference
 * algorithm and its variations", 1986) in its form with linear space: from both corners of a box of the edit
 * graph at once, until the furthest points meet; that point divides the box into two. Where they do not meet
 * within MAX_COST steps, the box is divided at the best point so far.
 */
#include "delta/text.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_COST 1500
#define NOWHERE (INT_MIN / 2)

struct line {
	const char *text;
	size_t len; /* with its newline, if it has one */
};

struct lines {
	struct line *items;
	int *ids;
	bool *changed;
	int n;
};

struct compare {
	struct lines a, b;
	int *forward, *backward; /* furthest x on each diagonal; 0 is in the middle */
};

bool text_is_binary(const struct text_side *t)
{
	return t->size && memchr(t->data, '\0', t->size) != NULL;
}

static int split(const struct text_side *t, struct lines *ret, struct kennel_error **err)
{
	size_t n = 0;

	for (const char *s = t->data, *end = t->data + t->size; s < end; n++) {
		const char *newline = memchr(s, '\n', (size_t)(end - s));

		s = newline ? newline + 1 : end;
	}
	if (n > INT_MAX / 8)
		return fail(err, KENNEL_E_LIMIT, "a text of %zu lines", n);
	ret->n = (int)n;
	ret->items = calloc(n + 1, sizeof(*ret->items));
	ret->ids = calloc(n + 1, sizeof(*ret->ids));
	ret->changed = calloc(n + 1, sizeof(*ret->changed));
	if (!ret->items || !ret->ids || !ret->changed)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	const char *s = t->data;
	for (size_t i = 0; i < n; i++) {
		size_t left = (size_t)(t->data + t->size - s);
		const char *newline = memchr(s, '\n', left);

		ret->items[i] = (struct line){ s, newline ? (size_t)(newline - s) + 1 : left };
		s += ret->items[i].len;
	}
	return 0;
}

static void lines_done(struct lines *l)
{
	free(l->items);
	free(l->ids);
	free(l->changed);
}

static void compare_done(struct compare *c)
{
	lines_done(&c->a);
	lines_done(&c->b);
	free(c->forward);
	free(c->backward);
}
#define _cleanup_compare_ __attribute__((cleanup(compare_done)))

static uint32_t hash(const struct line *l)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < l->len; i++)
		h = (h ^ (unsigned char)l->text[i]) * 16777619u;
	return h ^ h >> 15;
}

struct names { /* lines that have a number, by hash */
	const struct line **slots;
	int *ids;
	size_t mask;
	int n;
};

static int number(struct names *t, const struct line *l)
{
	size_t at = hash(l) & t->mask;

	while (t->slots[at] &&
	       (t->slots[at]->len != l->len || memcmp(t->slots[at]->text, l->text, l->len) != 0))
		at = (at + 1) & t->mask;
	if (!t->slots[at]) {
		t->slots[at] = l;
		t->ids[at] = t->n++;
	}
	return t->ids[at];
}

static int number_all(struct compare *c, struct kennel_error **err)
{
	size_t size = 64;

	while (size < ((size_t)c->a.n + (size_t)c->b.n) * 2)
		size *= 2;
	_cleanup_free_ const struct line **slots = calloc(size, sizeof(*slots));
	_cleanup_free_ int *ids = calloc(size, sizeof(*ids));
	struct names t = { .slots = slots, .ids = ids, .mask = size - 1 };
	if (!slots || !ids)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (int i = 0; i < c->a.n; i++)
		c->a.ids[i] = number(&t, &c->a.items[i]);
	for (int i = 0; i < c->b.n; i++)
		c->b.ids[i] = number(&t, &c->b.items[i]);
	return 0;
}

struct box { /* lines x0..x1-1 of a, y0..y1-1 of b */
	int x0, x1, y0, y1;
};

/* The furthest x on diagonal k that one more edit than v has leads to; n and m are the box's sides. */
static int step(const int *v, int k, int d, int n, int m)
{
	int down = k == d && d > 0 ? NOWHERE : v[k + 1], right = k == -d ? NOWHERE : v[k - 1] + 1;

	if (d == 0)
		return 0;
	if (right > n)
		right = NOWHERE;
	if (down - k > m)
		down = NOWHERE;
	return right > down ? right : down;
}

/* The best point that one side has reached after d edits, measured by how far it is along both texts. */
static bool furthest(const int *v, int d, int n, int m, int *ret_x, int *ret_y)
{
	int best = -1;

	for (int k = -d; k <= d; k += 2)
		if (k >= -m && k <= n && v[k] > NOWHERE && 2 * v[k] - k > best) {
			best = 2 * v[k] - k;
			*ret_x = v[k];
			*ret_y = v[k] - k;
		}
	return best > 0;
}

static void divide(const struct compare *c, const struct box *b, int *ret_x, int *ret_y)
{
	const int *ids_a = c->a.ids, *ids_b = c->b.ids;
	const int n = b->x1 - b->x0, m = b->y1 - b->y0, delta = n - m;
	int *f = c->forward, *g = c->backward;
	int x = 0, y = 0;

	for (int d = 0;; d++) {
		for (int k = -d + 2 * MAX(0, d - m); k <= d - 2 * MAX(0, d - n); k += 2) {
			x = step(f, k, d, n, m);
			y = x - k;
			while (x >= 0 && x < n && y < m && ids_a[b->x0 + x] == ids_b[b->y0 + y]) {
				x++;
				y++;
			}
			f[k] = x;
			if ((delta & 1) && delta - k >= -(d - 1) && delta - k <= d - 1 && x >= 0 &&
			    x + g[delta - k] >= n) {
				*ret_x = b->x0 + x;
				*ret_y = b->y0 + y;
				return;
			}
		}
		for (int k = -d + 2 * MAX(0, d - m); k <= d - 2 * MAX(0, d - n); k += 2) {
			x = step(g, k, d, n, m);
			y = x - k;
			while (x >= 0 && x < n && y < m && ids_a[b->x1 - 1 - x] == ids_b[b->y1 - 1 - y]) {
				x++;
				y++;
			}
			g[k] = x;
			if (!(delta & 1) && delta - k >= -d && delta - k <= d && x >= 0 &&
			    x + f[delta - k] >= n) {
				*ret_x = b->x1 - x;
				*ret_y = b->y1 - y;
				return;
			}
		}
		if (d >= MAX_COST && furthest(f, d, n, m, &x, &y)) {
			*ret_x = b->x0 + x;
			*ret_y = b->y0 + y;
			return;
		}
	}
}

/*
 * Marks what is in only one of the two. The smaller half first, the larger one without a call: the stack is
 * as deep as the logarithm.
 */
static void mark(struct compare *c, struct box b)
{
	for (;;) {
		int x, y;

		while (b.x0 < b.x1 && b.y0 < b.y1 && c->a.ids[b.x0] == c->b.ids[b.y0]) {
			b.x0++;
			b.y0++;
		}
		while (b.x0 < b.x1 && b.y0 < b.y1 && c->a.ids[b.x1 - 1] == c->b.ids[b.y1 - 1]) {
			b.x1--;
			b.y1--;
		}
		if (b.x0 == b.x1 || b.y0 == b.y1)
			break;
		divide(c, &b, &x, &y);
		struct box first = { b.x0, x, b.y0, y }, second = { x, b.x1, y, b.y1 };
		bool first_smaller = x - b.x0 + y - b.y0 < b.x1 - x + b.y1 - y;
		mark(c, first_smaller ? first : second);
		b = first_smaller ? second : first;
	}
	while (b.x0 < b.x1)
		c->a.changed[b.x0++] = true;
	while (b.y0 < b.y1)
		c->b.changed[b.y0++] = true;
}

static void put_line(struct buf *out, char sign, const struct line *l)
{
	buf_add(out, &sign, 1);
	buf_add(out, l->text, l->len);
	if (l->text[l->len - 1] != '\n')
		buf_puts(out, "\n\\ No newline at end of file\n");
}

static void put_range(struct buf *out, char sign, int start, int n)
{
	buf_printf(out, "%c%d", sign, n ? start + 1 : start);
	if (n != 1)
		buf_printf(out, ",%d", n);
}

/* One hunk: lines x0..x1-1 of a and y0..y1-1 of b, context included. */
static void put_hunk(const struct compare *c, const struct box *h, struct buf *out)
{
	int x = h->x0, y = h->y0;

	buf_puts(out, "@@ ");
	put_range(out, '-', h->x0, h->x1 - h->x0);
	buf_puts(out, " ");
	put_range(out, '+', h->y0, h->y1 - h->y0);
	buf_puts(out, " @@\n");
	while (x < h->x1 || y < h->y1) {
		if (x < h->x1 && c->a.changed[x]) {
			put_line(out, '-', &c->a.items[x++]);
		} else if (y < h->y1 && c->b.changed[y]) {
			put_line(out, '+', &c->b.items[y++]);
		} else {
			put_line(out, ' ', &c->a.items[x++]);
			y++;
		}
	}
}

/* From the first changed line at or after x, y on: lines that are the same in both go by in step. */
static bool next_change(const struct compare *c, int *x, int *y)
{
	while ((*x < c->a.n || *y < c->b.n) && !(*x < c->a.n && c->a.changed[*x]) &&
	       !(*y < c->b.n && c->b.changed[*y])) {
		(*x)++;
		(*y)++;
	}
	return *x < c->a.n || *y < c->b.n;
}

static void put_hunks(const struct compare *c, size_t context, struct buf *out)
{
	const int around = context > INT_MAX / 4 ? INT_MAX / 4 : (int)context;
	int x = 0, y = 0;

	while (next_change(c, &x, &y)) {
		const int before = MIN(around, x);
		struct box h = { .x0 = x - before, .y0 = y - before };

		for (;;) {
			while (x < c->a.n && c->a.changed[x])
				x++;
			while (y < c->b.n && c->b.changed[y])
				y++;
			h.x1 = x;
			h.y1 = y;
			/* The next change belongs to it if nothing but context lies in between. */
			if (!next_change(c, &x, &y) || x - h.x1 > 2 * around)
				break;
		}
		const int after = MIN(around, c->a.n - h.x1);
		h.x1 += after;
		h.y1 += after;
		put_hunk(c, &h, out);
	}
}

int text_diff(const struct text_side *before, const struct text_side *after, size_t context, struct buf *out,
	      struct kennel_error **err)
{
	_cleanup_compare_ struct compare c = { 0 };

	int r = split(before, &c.a, err);
	if (r == 0)
		r = split(after, &c.b, err);
	if (r == 0)
		r = number_all(&c, err);
	if (r < 0)
		return r;
	/* Diagonals from -(n + 1) to n + 1 of the longer text. */
	size_t room = 2 * ((size_t)MAX(c.a.n, c.b.n) + 2) + 1;
	c.forward = malloc(room * sizeof(int));
	c.backward = malloc(room * sizeof(int));
	if (!c.forward || !c.backward)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	int *forward = c.forward, *backward = c.backward;
	for (size_t i = 0; i < room; i++)
		forward[i] = backward[i] = NOWHERE;
	c.forward += room / 2;
	c.backward += room / 2;
	mark(&c, (struct box){ 0, c.a.n, 0, c.b.n });
	c.forward = forward;
	c.backward = backward;
	put_hunks(&c, context, out);
	return buf_check(out, err);
}
