/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cli/commit-list.c - see commit-list.h. */
#include "cli/commit-list.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "cli/change.h"
#include "cli/json.h"

static const struct {
	unsigned bit;
	const char *word;
} rights_words[] = {
	{ KENNEL_COMMIT_SETUID, "setuid" },
	{ KENNEL_COMMIT_SETGID, "setgid" },
	{ KENNEL_COMMIT_CAPABILITY, "capability" },
	{ KENNEL_COMMIT_DEVICE, "device" },
};

static bool is_made(const struct kennel_commit_entry *e, bool force)
{
	return e->chosen &&
	       (e->verdict == KENNEL_COMMIT_FINE || (force && e->verdict == KENNEL_COMMIT_CONFLICT));
}

struct commit_tally commit_list_tally(const struct kennel_commit *commit, bool force)
{
	struct commit_tally t = { 0 };
	struct kennel_commit_entry e;

	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		if (!e.chosen)
			continue;
		t.fine += is_made(&e, force);
		t.conflicts += e.verdict == KENNEL_COMMIT_CONFLICT;
		t.left += e.verdict == KENNEL_COMMIT_LEFT;
	}
	return t;
}

static size_t find_rights_words(unsigned rights, const char *ret[static ARRAY_SIZE(rights_words)])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rights_words); i++)
		if (rights & rights_words[i].bit)
			ret[n++] = rights_words[i].word;
	return n;
}

static void put_rights_line(struct buf *b, const struct kennel_commit_entry *e)
{
	const char *words[ARRAY_SIZE(rights_words)];
	size_t n = find_rights_words(e->rights, words);

	buf_puts(b, "! ");
	buf_safe(b, e->change.path);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s%s", i ? ", " : " (", words[i]);
	buf_puts(b, ")\n");
}

static void put_rights(struct buf *b, const struct kennel_commit *commit, bool force)
{
	struct kennel_commit_entry e;
	bool first = true;

	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		if (!is_made(&e, force) || !e.rights)
			continue;
		if (first)
			buf_puts(b, "these give rights to whoever can use them:\n");
		first = false;
		put_rights_line(b, &e);
	}
}

static void put_group(struct buf *b, const struct kennel_commit *commit, enum kennel_commit_verdict v,
		      const char *title)
{
	struct kennel_commit_entry e;
	bool first = true;

	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		if (!e.chosen || e.verdict != v)
			continue;
		if (first)
			buf_puts(b, title);
		first = false;
		buf_puts(b, "  ");
		change_put_letter(b, e.change.kind, false);
		buf_safe(b, e.change.path);
		buf_puts(b, ": ");
		buf_safe(b, e.reason ? e.reason : "");
		buf_puts(b, "\n");
	}
}

#define LEFT_LISTED 3 /* so few are listed at once; of more, so many reasons are told */

/* How many are left for which reason, in the order in which the reasons come. */
static void put_reasons(struct buf *b, const struct kennel_commit *commit, size_t left)
{
	struct {
		const char *text;
		size_t n;
	} reasons[LEFT_LISTED] = { 0 };
	struct kennel_commit_entry e;
	size_t told = 0;

	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		const char *text = e.reason ? e.reason : "";

		if (!e.chosen || e.verdict != KENNEL_COMMIT_LEFT)
			continue;
		for (size_t k = 0; k < LEFT_LISTED; k++) {
			if (!reasons[k].text)
				reasons[k].text = text;
			if (strcmp(reasons[k].text, text) != 0)
				continue;
			reasons[k].n++;
			told++;
			break;
		}
	}
	buf_printf(b, "%zu left:", left);
	for (size_t k = 0; k < LEFT_LISTED && reasons[k].text; k++) {
		buf_puts(b, k ? ", " : " ");
		buf_safe(b, reasons[k].text);
		buf_printf(b, " (%zu)", reasons[k].n);
	}
	if (told < left)
		buf_printf(b, ", other reasons (%zu)", left - told);
	buf_puts(b, "; \"kennel commit -v\" shows which\n");
}

void commit_list_text(struct buf *b, const struct kennel_commit *commit, bool force, bool all, bool colour)
{
	const struct commit_tally t = commit_list_tally(commit, force);
	struct kennel_commit_entry e;

	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		if (!is_made(&e, force))
			continue;
		change_put_line(b, &e.change, colour);
		buf_puts(b, "\n");
	}
	put_rights(b, commit, force);
	put_group(b, commit, KENNEL_COMMIT_CONFLICT,
		  force ? "conflicts, applied all the same:\n" : "conflicts:\n");
	if (all || t.left <= LEFT_LISTED)
		put_group(b, commit, KENNEL_COMMIT_LEFT, "left:\n");
	else
		put_reasons(b, commit, t.left);
}

static void put_json_words(struct buf *b, const char *key, const char *const *words, size_t n)
{
	json_key(b, key);
	buf_puts(b, "[");
	for (size_t i = 0; i < n; i++) {
		buf_puts(b, i ? ", " : "");
		buf_json(b, words[i]);
	}
	buf_puts(b, "]");
}

static void put_json(struct buf *b, const struct kennel_commit_entry *e, bool applied)
{
	static const char *const verdicts[] = { "fine", "conflict", "left" };
	const char *what[CHANGE_WORDS_MAX], *rights[ARRAY_SIZE(rights_words)];

	json_member(b, "path", e->change.path, false);
	json_member(b, "kind", change_kind_word(e->change.kind), false);
	put_json_words(b, "what", what, change_bit_words(e->change.bits, what));
	if (e->change.bits & KENNEL_CHANGE_HARDLINK)
		json_member(b, "hard_link_to", e->change.link_to, false);
	put_json_words(b, "rights", rights, find_rights_words(e->rights, rights));
	json_member(b, "verdict", verdicts[e->verdict], false);
	json_member(b, "reason", e->reason, false);
	json_key(b, "applied");
	buf_puts(b, applied ? "true" : "false");
}

void commit_list_json(struct buf *b, const struct kennel_commit *commit, bool force, bool applied)
{
	struct kennel_commit_entry e;
	size_t n = 0;

	buf_printf(b, "{\"applied\": %s, \"changes\": [", applied ? "true" : "false");
	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		if (!e.chosen)
			continue;
		buf_puts(b, n++ ? ",\n {" : "\n {");
		put_json(b, &e, applied && is_made(&e, force));
		buf_puts(b, "}");
	}
	buf_puts(b, n ? "\n]}\n" : "]}\n");
}

/* Unlike buf_safe() no two paths look the same: a backslash is escaped, too. */
static void put_edit_line(struct buf *b, const struct kennel_commit_entry *e)
{
	buf_printf(b, "%s ", change_kind_word(e->change.kind));
	for (const char *s = e->change.path; *s; s++) {
		if (*s == '\\')
			buf_puts(b, "\\\\");
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			buf_printf(b, "\\x%02x", (unsigned char)*s);
		else
			buf_add(b, s, 1);
	}
}

void commit_list_edit(struct buf *b, const struct kennel_commit *commit)
{
	struct kennel_commit_entry e;

	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		if (!e.chosen || e.verdict == KENNEL_COMMIT_LEFT)
			continue;
		put_edit_line(b, &e);
		if (e.verdict == KENNEL_COMMIT_CONFLICT)
			buf_puts(b, "\n# the one above conflicts");
		buf_puts(b, "\n");
	}
	buf_puts(
		b,
		"\n# Lines that are taken away or begin with # are not applied. With no line left, nothing is.\n"
		"# A new directory comes with what is left in it.\n");
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int commit_list_choose(struct kennel_commit *commit, const char *text, struct kennel_error **err)
{
	_cleanup_strv_ struct strv lines = { 0 };
	struct kennel_commit_entry e;
	size_t wanted = 0, found = 0;

	int r = strv_split(&lines, text, '\n', err);
	if (r < 0)
		return r;
	if (lines.n)
		qsort(lines.items, lines.n, sizeof(*lines.items), compare_lines);
	for (size_t i = 0; i < lines.n; i++)
		wanted += lines.items[i][0] != '#' &&
			  (i == 0 || strcmp(lines.items[i], lines.items[i - 1]) != 0);
	_cleanup_free_ bool *keep = calloc(kennel_commit_count(commit) + 1, sizeof(bool));
	if (!keep)
		return fail(err, KENNEL_E_NOMEM, "out of memory");
	for (size_t i = 0; kennel_commit_get(commit, i, &e) == 0; i++) {
		_cleanup_buf_ struct buf line = { 0 };
		const char *key;

		put_edit_line(&line, &e);
		r = buf_check(&line, err);
		if (r < 0)
			return r;
		key = buf_str(&line);
		keep[i] = e.chosen && lines.n &&
			  bsearch(&key, lines.items, lines.n, sizeof(*lines.items), compare_lines);
		found += keep[i];
	}
	if (found != wanted)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "%zu of the lines were not in the list",
				 wanted - found),
			    "lines can be taken away but not changed");
	for (size_t i = 0; i < kennel_commit_count(commit); i++)
		kennel_commit_choose(commit, i, 0);
	for (size_t i = 0; i < kennel_commit_count(commit); i++)
		if (keep[i])
			kennel_commit_choose(commit, i, 1);
	return 0;
}
