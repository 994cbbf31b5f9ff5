/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* delta/journal.c - see journal.h. */
#include "delta/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/line.h"
#include "base/parse.h"
#include "base/strv.h"

#define FORMAT "1"
#define FIELDS_MAX 64u

static const char *const state_words[] = {
	[JOURNAL_PREPARED] = "prepared", [JOURNAL_COMMITTED] = "committed", [JOURNAL_UNDO] = "undo",
	[JOURNAL_BACK] = "back",	 [JOURNAL_OVER] = "over",
};

static uint32_t crc32_of(const char *data, size_t len)
{
	uint32_t crc = 0xffffffffu;

	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned char)data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1u));
	}
	return ~crc;
}

/* Writing: a line begins with put_key(), has fields, and ends with put_end(). */

static size_t put_key(struct buf *b, const char *key)
{
	size_t start = b->len;

	buf_puts(b, key);
	return start;
}

static void put_text(struct buf *b, const char *text)
{
	buf_puts(b, "\t");
	line_put(b, text);
}

static void put_number(struct buf *b, uint64_t n)
{
	buf_printf(b, "\t%" PRIu64, n);
}

static void put_time(struct buf *b, const struct timespec *t)
{
	/* seconds may be negative: a file from before 1970 */
	buf_printf(b, "\t%" PRIu64 "\t%ld", (uint64_t)t->tv_sec, t->tv_nsec);
}

static void put_end(struct buf *b, size_t start)
{
	if (!b->nomem)
		buf_printf(b, "\t#%08x\n", crc32_of(b->data + start, b->len - start));
}

static void put_x(struct buf *b, const struct attr_x *x)
{
	put_text(b, x->name);
	buf_puts(b, "\t");
	for (size_t i = 0; i < x->size; i++)
		buf_printf(b, "%02x", ((const unsigned char *)x->value)[i]);
}

static void put_attr(struct buf *b, const struct attr *a)
{
	put_number(b, a->mode);
	put_number(b, a->uid);
	put_number(b, a->gid);
	put_time(b, &a->atime);
	put_time(b, &a->mtime);
}

void journal_put_head(struct buf *b, const struct journal *j)
{
	size_t start = put_key(b, "journal");

	put_text(b, FORMAT);
	put_text(b, j->root);
	put_number(b, j->root_ino);
	put_text(b, j->what);
	put_number(b, j->when);
	put_end(b, start);
}

void journal_put_stage(struct buf *b, const struct journal_stage *s)
{
	size_t start = put_key(b, s->dir ? "stage" : "stage-here");

	if (s->dir)
		put_text(b, s->dir);
	put_text(b, s->name);
	put_end(b, start);
}

void journal_put_put(struct buf *b, const struct journal_put *p)
{
	size_t start = put_key(b, "put");

	put_text(b, p->path);
	put_number(b, p->stage);
	put_number(b, p->old_ino);
	put_number(b, p->new_ino);
	put_time(b, &p->old_ctime);
	put_end(b, start);
}

static void put_meta_xs(struct buf *b, const char *key, const struct attr_xs *xs)
{
	for (size_t i = 0; i < xs->n; i++) {
		size_t start = put_key(b, key);

		put_x(b, &xs->items[i]);
		put_end(b, start);
	}
}

void journal_put_meta(struct buf *b, const struct journal_meta *m)
{
	size_t start = put_key(b, "meta");

	put_text(b, m->path);
	put_number(b, m->ino);
	put_time(b, &m->old_ctime);
	put_attr(b, &m->from);
	put_attr(b, &m->to);
	put_end(b, start);
	put_meta_xs(b, "xattr-from", &m->from.xs);
	put_meta_xs(b, "xattr-to", &m->to.xs);
}

void journal_put_times(struct buf *b, const struct journal_times *t)
{
	size_t start = put_key(b, "times");

	put_text(b, t->path);
	put_number(b, t->ino);
	for (size_t i = 0; i < 2; i++)
		put_time(b, &t->from[i]);
	for (size_t i = 0; i < 2; i++)
		put_time(b, &t->to[i]);
	put_end(b, start);
}

void journal_put_settled(struct buf *b, size_t i, const struct timespec *settled)
{
	size_t start = put_key(b, "settled");

	put_number(b, i);
	put_time(b, settled);
	put_end(b, start);
}

void journal_put_became(struct buf *b, size_t i, uint64_t new_ino)
{
	size_t start = put_key(b, "became");

	put_number(b, i);
	put_number(b, new_ino);
	put_end(b, start);
}

void journal_put_state(struct buf *b, enum journal_state state)
{
	size_t start = put_key(b, state_words[state]);

	put_end(b, start);
}

/* Reading: the fields of one line, taken one after the other; a wrong one makes the line a damaged one. */

struct fields {
	char *rest;
	bool bad, nomem;
};

static char *next_text(struct fields *f)
{
	char *s = line_next(&f->rest);

	if (!s)
		f->bad = true;
	return s;
}

static uint64_t next_number(struct fields *f, uint64_t max)
{
	const char *s = next_text(f);
	uint64_t n = 0;

	if (!s || parse_u64(s, &n) < 0 || n > max)
		f->bad = true;
	return n;
}

static struct timespec next_time(struct fields *f)
{
	struct timespec t = { .tv_sec = (time_t)next_number(f, UINT64_MAX) };

	t.tv_nsec = (long)next_number(f, 999999999);
	return t;
}

static char *next_copy(struct fields *f)
{
	const char *s = next_text(f);
	char *copy = s ? strdup(s) : NULL;

	f->nomem |= s && !copy;
	return copy;
}

/* A path below the root; one that climbs out of it was not written by us. */
static char *next_path(struct fields *f)
{
	char *path = next_copy(f);

	for (const char *s = path; s && *s; s = strchrnul(s, '/'), s += *s == '/')
		if (*s == '/' || (strncmp(s, "..", 2) == 0 && (s[2] == '/' || !s[2])))
			f->bad = true;
	return path;
}

static struct attr next_attr(struct fields *f)
{
	struct attr a = { .mode = (mode_t)next_number(f, UINT32_MAX) };

	a.uid = (uid_t)next_number(f, UINT32_MAX);
	a.gid = (gid_t)next_number(f, UINT32_MAX);
	a.atime = next_time(f);
	a.mtime = next_time(f);
	return a;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void next_x(struct fields *f, struct attr_xs *xs)
{
	const char *name = next_text(f);
	char *hex = next_text(f);
	size_t n = 0;

	for (; hex && hex[2 * n]; n++) {
		int high = hex_digit(hex[2 * n]), low = high < 0 ? -1 : hex_digit(hex[2 * n + 1]);

		if (low < 0) {
			f->bad = true;
			return;
		}
		hex[n] = (char)(high << 4 | low);
	}
	if (!f->bad && attr_xs_add(xs, name, hex, n, NULL) < 0)
		f->nomem = true;
}

void *journal_grow(void *items, size_t *n, size_t size)
{
	/* a power of two: it is full */
	if ((*n & (*n - 1)) == 0) {
		items = reallocarray(items, *n ? *n * 2 : 1, size);
		if (!items)
			return NULL;
	}
	memset((char *)items + *n * size, 0, size);
	(*n)++;
	return items;
}

/* The last of them, new and empty. */
#define GROW(items, n) \
	({ \
		__typeof__(items) grown_ = journal_grow((items), &(n), sizeof(*(items))); \
		if (grown_) \
			(items) = grown_; \
		grown_ ? &(items)[(n)-1] : NULL; \
	})

static void read_stage(struct journal *j, struct fields *f, bool here)
{
	struct journal_stage *s = GROW(j->stages, j->n_stages);

	if (!s) {
		f->nomem = true;
		return;
	}
	s->dir = here ? NULL : next_path(f);
	s->name = next_copy(f);
	if (s->name &&
	    (!*s->name || strchr(s->name, '/') || strcmp(s->name, ".") == 0 || strcmp(s->name, "..") == 0))
		f->bad = true;
}

static void read_put(struct journal *j, struct fields *f)
{
	struct journal_put *p = GROW(j->puts, j->n_puts);

	if (!p) {
		f->nomem = true;
		return;
	}
	p->path = next_path(f);
	p->stage = (uint32_t)next_number(f, UINT32_MAX);
	p->old_ino = next_number(f, UINT64_MAX);
	p->new_ino = next_number(f, UINT64_MAX);
	p->old_ctime = next_time(f);
	if (p->stage >= j->n_stages || (p->path && !*p->path))
		f->bad = true;
}

static void read_meta(struct journal *j, struct fields *f)
{
	struct journal_meta *m = GROW(j->metas, j->n_metas);

	if (!m) {
		f->nomem = true;
		return;
	}
	m->path = next_path(f);
	m->ino = next_number(f, UINT64_MAX);
	m->old_ctime = next_time(f);
	m->from = next_attr(f);
	m->to = next_attr(f);
}

static void read_times(struct journal *j, struct fields *f)
{
	struct journal_times *t = GROW(j->times, j->n_times);

	if (!t) {
		f->nomem = true;
		return;
	}
	t->path = next_path(f);
	t->ino = next_number(f, UINT64_MAX);
	for (size_t i = 0; i < 2; i++)
		t->from[i] = next_time(f);
	for (size_t i = 0; i < 2; i++)
		t->to[i] = next_time(f);
}

static void read_settled(struct journal *j, struct fields *f)
{
	uint64_t i = next_number(f, UINT32_MAX);
	struct timespec t = next_time(f);

	if (i < j->n_puts)
		j->puts[i].settled = t;
	else
		f->bad = true;
}

static void read_became(struct journal *j, struct fields *f)
{
	uint64_t i = next_number(f, UINT32_MAX), ino = next_number(f, UINT64_MAX);

	if (i < j->n_puts)
		j->puts[i].new_ino = ino;
	else
		f->bad = true;
}

static void read_xattr(struct journal *j, struct fields *f, bool to)
{
	struct journal_meta *m = j->n_metas ? &j->metas[j->n_metas - 1] : NULL;

	if (m)
		next_x(f, to ? &m->to.xs : &m->from.xs);
	else
		f->bad = true;
}

static void read_state(struct journal *j, struct fields *f, const char *key)
{
	for (size_t i = JOURNAL_PREPARED; i < ARRAY_SIZE(state_words); i++)
		if (strcmp(key, state_words[i]) == 0) {
			j->state = (enum journal_state)i;
			return;
		}
	f->bad = true;
}

static bool read_line(struct journal *j, const char *key, struct fields *f)
{
	if (strcmp(key, "stage") == 0 || strcmp(key, "stage-here") == 0)
		read_stage(j, f, key[5] == '-');
	else if (strcmp(key, "put") == 0)
		read_put(j, f);
	else if (strcmp(key, "meta") == 0)
		read_meta(j, f);
	else if (strcmp(key, "xattr-from") == 0 || strcmp(key, "xattr-to") == 0)
		read_xattr(j, f, key[6] == 't');
	else if (strcmp(key, "times") == 0)
		read_times(j, f);
	else if (strcmp(key, "settled") == 0)
		read_settled(j, f);
	else if (strcmp(key, "became") == 0)
		read_became(j, f);
	else
		read_state(j, f, key);
	return !f->bad;
}

static int read_head(struct journal *j, struct fields *f, struct kennel_error **err)
{
	const char *format = next_text(f);

	if (format && strcmp(format, FORMAT) != 0)
		return hint(err, fail(err, KENNEL_E_UNSUPPORTED, "a journal of format \"%s\"", format),
			    "a later version of kennel made it; it has to finish it");
	j->root = next_copy(f);
	j->root_ino = next_number(f, UINT64_MAX);
	j->what = next_copy(f);
	j->when = next_number(f, UINT64_MAX);
	return !f->bad;
}

/* Takes the sum off the end of a line. */
static bool check_sum(char *line)
{
	char *mark = strrchr(line, '\t'), want[16];

	if (!mark)
		return false;
	snprintf(want, sizeof(want), "\t#%08x", crc32_of(line, (size_t)(mark - line)));
	if (strcmp(mark, want) != 0)
		return false;
	*mark = '\0';
	return true;
}

/* The line at text: a copy without its sum, or NULL for one that is not whole. */
static char *cut_line(const char *text, size_t len, size_t *ret_len, bool *ret_nomem)
{
	const char *end = memchr(text, '\n', len);

	if (!end || memchr(text, '\0', (size_t)(end - text)))
		return NULL;
	char *line = malloc((size_t)(end - text) + 1); /* strndup() looks for an end behind it */
	if (!line)
		*ret_nomem = true;
	else
		*(char *)mempcpy(line, text, (size_t)(end - text)) = '\0';
	if (line && !check_sum(line)) {
		free(line);
		return NULL;
	}
	*ret_len = (size_t)(end - text) + 1;
	return line;
}

/* Is there a state line in what follows a damaged line? It was written after all before it was safe. */
static bool has_state_line(const char *text, size_t len)
{
	while (len) {
		size_t line_len = 0;
		bool nomem = false;
		_cleanup_free_ char *line = cut_line(text, len, &line_len, &nomem);

		for (size_t i = JOURNAL_PREPARED; line && i < ARRAY_SIZE(state_words); i++)
			if (strcmp(line, state_words[i]) == 0)
				return true;
		const char *end = memchr(text, '\n', len);
		if (!end)
			return false;
		len -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	return false;
}

static int parse_lines(const char *text, size_t len, struct journal *j, struct kennel_error **err)
{
	while (j->good < len) {
		struct fields f = { 0 };
		size_t line_len = 0;
		_cleanup_free_ char *line = cut_line(text + j->good, len - j->good, &line_len, &f.nomem);

		f.rest = line;
		const char *key = line ? next_text(&f) : NULL;
		int r;

		if (f.nomem)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		if (!key)
			return has_state_line(text + j->good, len - j->good) ?
				       fail(err, KENNEL_E_CORRUPT, "the journal is damaged at byte %zu",
					    j->good) :
				       0;
		if (j->good == 0)
			r = strcmp(key, "journal") == 0 ? read_head(j, &f, err) : 0;
		else
			r = read_line(j, key, &f);
		if (f.nomem)
			return fail(err, KENNEL_E_NOMEM, "out of memory");
		if (r == 0)
			return fail(err, KENNEL_E_CORRUPT, "the journal makes no sense at byte %zu", j->good);
		if (r < 0)
			return r;
		j->good += line_len;
	}
	return 0;
}

int journal_parse(const char *text, size_t len, struct journal *ret, struct kennel_error **err)
{
	struct journal j = { 0 };

	int r = parse_lines(text, len, &j, err);
	if (r < 0 || !j.good) {
		journal_done(&j);
		return r;
	}
	*ret = j;
	return 1;
}

void journal_done(struct journal *j)
{
	for (size_t i = 0; i < j->n_stages; i++) {
		free(j->stages[i].dir);
		free(j->stages[i].name);
	}
	for (size_t i = 0; i < j->n_puts; i++)
		free(j->puts[i].path);
	for (size_t i = 0; i < j->n_metas; i++) {
		free(j->metas[i].path);
		attr_done(&j->metas[i].from);
		attr_done(&j->metas[i].to);
	}
	for (size_t i = 0; i < j->n_times; i++)
		free(j->times[i].path);
	free(j->stages);
	free(j->puts);
	free(j->metas);
	free(j->times);
	free(j->root);
	free(j->what);
	*j = (struct journal){ 0 };
}
